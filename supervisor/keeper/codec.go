package keeper

import (
	"encoding/binary"
	"errors"
)

// The encoding is a string of fields without names or types: numbers as varints,
// strings and lists with their length in front. Both ends are one program most of
// the time, and the protocol number tells when they are not. JSON would not do:
// arguments are bytes, not text.

type encoder []byte

func (e *encoder) uint(n uint64) { *e = binary.AppendUvarint(*e, n) }
func (e *encoder) int(n int64)   { *e = binary.AppendVarint(*e, n) }

func (e *encoder) bool(b bool) {
	if b {
		e.uint(1)
	} else {
		e.uint(0)
	}
}

func (e *encoder) string(s string) {
	e.uint(uint64(len(s)))
	*e = append(*e, s...)
}

func (e *encoder) strings(list []string) {
	e.uint(uint64(len(list)))
	for _, s := range list {
		e.string(s)
	}
}

var errMalformed = errors.New("malformed packet")

// decoder reads fields. After the first one that is not there it gives zeros, and
// bad is true.
type decoder struct {
	data []byte
	bad  bool
}

func (d *decoder) uint() uint64 {
	n, size := binary.Uvarint(d.data)
	return decoded(d, n, size)
}

func (d *decoder) int() int64 {
	n, size := binary.Varint(d.data)
	return decoded(d, n, size)
}

func decoded[T int64 | uint64](d *decoder, n T, size int) T {
	if size <= 0 {
		d.bad, d.data = true, nil
		return 0
	}
	d.data = d.data[size:]
	return n
}

func (d *decoder) bool() bool { return d.uint() != 0 }

func (d *decoder) string() string {
	n := d.uint()
	if n > uint64(len(d.data)) {
		d.bad, d.data = true, nil
		return ""
	}
	s := string(d.data[:n])
	d.data = d.data[n:]
	return s
}

func (d *decoder) strings() []string {
	n := d.uint()
	if n > uint64(len(d.data)) { // each takes a byte at least
		d.bad, d.data = true, nil
		return nil
	}
	list := make([]string, 0, n)
	for range n {
		list = append(list, d.string())
	}
	return list
}

// end reports whether all fields were there and nothing else.
func (d *decoder) end() error {
	if d.bad || len(d.data) > 0 {
		return errMalformed
	}
	return nil
}
