package logs

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"sort"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// An archive is in zstd's seekable format (contrib/seekable_format in its
// repository): frames, then a skippable frame with the sizes of all of them.
const (
	frameSize      = 256 << 10 // of a frame's content
	tableMagic     = 0x184D2A5E
	tableFootMagic = 0x8F92EAB1
	tableFootSize  = 9
)

// pack writes the content of from to to as an archive.
func pack(to io.Writer, from io.Reader, stop <-chan struct{}) error {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault),
		zstd.WithWindowSize(frameSize), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return err
	}
	defer enc.Close()
	var table, frame []byte
	for buf := make([]byte, frameSize); ; {
		select {
		case <-stop:
			return ErrClosed
		default:
		}
		n, err := io.ReadFull(from, buf)
		if n > 0 {
			frame = enc.EncodeAll(buf[:n], frame[:0])
			table = binary.LittleEndian.AppendUint32(table, uint32(len(frame)))
			table = binary.LittleEndian.AppendUint32(table, uint32(n))
			if _, err := to.Write(frame); err != nil {
				return err
			}
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			return err
		}
	}
	_, err = to.Write(seekTable(table))
	return err
}

// seekTable is the frame that ends an archive whose frames have these sizes,
// compressed and not.
func seekTable(sizes []byte) []byte {
	p := binary.LittleEndian.AppendUint32(nil, tableMagic)
	p = binary.LittleEndian.AppendUint32(p, uint32(len(sizes)+tableFootSize))
	p = append(p, sizes...)
	p = binary.LittleEndian.AppendUint32(p, uint32(len(sizes)/8))
	p = append(p, 0) // no checksums: each frame has its own
	return binary.LittleEndian.AppendUint32(p, tableFootMagic)
}

// decoders have no goroutines: they are for whole frames only.
var decoders = sync.Pool{New: func() any {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(64<<20))
	if err != nil {
		panic(err) // only an option that is wrong
	}
	return dec
}}

// archive is an open archive.
type archive struct {
	file  *os.File
	at    []int64 // where frame i begins in the file; one more for the end
	from  []int64 // where its content begins; one more for the end
	frame int     // what have is the content of
	have  []byte
	raw   []byte
}

func openArchive(path string) (_ *archive, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	bad := func(what any) error {
		return fmt.Errorf("%s cannot be read: %v; move it away and the rest can (zstd -dc may save some)", path, what)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	var foot [tableFootSize]byte
	if _, err := f.ReadAt(foot[:], info.Size()-tableFootSize); err != nil {
		return nil, bad(err)
	}
	frames := int64(binary.LittleEndian.Uint32(foot[:]))
	if binary.LittleEndian.Uint32(foot[5:]) != tableFootMagic || foot[4] != 0 || frames*8+tableFootSize > info.Size() {
		return nil, bad("it does not end with a table of frames")
	}
	table := make([]byte, frames*8)
	if _, err := f.ReadAt(table, info.Size()-tableFootSize-frames*8); err != nil {
		return nil, bad(err)
	}
	a := &archive{file: f, frame: -1, at: make([]int64, frames+1), from: make([]int64, frames+1)}
	for i := range frames {
		a.at[i+1] = a.at[i] + int64(binary.LittleEndian.Uint32(table[i*8:]))
		a.from[i+1] = a.from[i] + int64(binary.LittleEndian.Uint32(table[i*8+4:]))
	}
	if a.at[frames] > info.Size() {
		return nil, bad("its table of frames is wrong")
	}
	return a, nil
}

func (a *archive) Size() (int64, error) { return a.from[len(a.from)-1], nil }

func (a *archive) Close() error { return a.file.Close() }

// ReadAt gives what one frame has, which may be less than p holds.
func (a *archive) ReadAt(p []byte, off int64) (int, error) {
	i := sort.Search(len(a.at)-1, func(i int) bool { return a.from[i+1] > off })
	if i == len(a.at)-1 {
		return 0, io.EOF
	}
	if a.frame != i {
		if err := a.load(i); err != nil {
			return 0, fmt.Errorf("%s: frame %d: %w", a.file.Name(), i, err)
		}
	}
	return copy(p, a.have[off-a.from[i]:]), nil
}

func (a *archive) load(i int) (err error) {
	dec := decoders.Get().(*zstd.Decoder)
	defer decoders.Put(dec)
	a.frame = -1
	a.raw = append(a.raw[:0], make([]byte, a.at[i+1]-a.at[i])...)
	if _, err := a.file.ReadAt(a.raw, a.at[i]); err != nil {
		return err
	}
	if a.have, err = dec.DecodeAll(a.raw, a.have[:0]); err != nil {
		return err
	}
	if want := a.from[i+1] - a.from[i]; int64(len(a.have)) != want {
		return fmt.Errorf("%d bytes instead of %d", len(a.have), want)
	}
	a.frame = i
	return nil
}
