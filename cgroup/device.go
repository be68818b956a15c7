package cgroup

import (
	"bytes"

	"golang.org/x/sys/unix"
)

// Device is a block device, and what the processes of a group have read from it and
// written to it.
type Device struct {
	Major, Minor uint32
	IO
}

// Devices returns the block devices that a group has used, one line of io.stat each. One
// that stands on others, such as an encrypted one, is counted beside them.
//
// Errors: errors.ErrUnsupported without an io controller.
func (g Group) Devices() (devices []Device, err error) {
	var buf [4096]byte
	data, err := g.read("io.stat", buf[:])
	eachDevice(data, func(d Device) { devices = append(devices, d) })
	return devices, err
}

// Dev is the number of the device as stat(2) has it.
func (d *Device) Dev() uint64 { return unix.Mkdev(d.Major, d.Minor) }

// eachDevice calls add for each device of an io.stat file that was used. Some kernels
// leave out the end of the line of one that was not: "8:0 8:16 rbytes=1 …".
func eachDevice(data []byte, add func(Device)) {
	for len(data) > 0 {
		var line []byte
		line, data, _ = bytes.Cut(data, []byte{'\n'})
		var d Device
		used := false
		for len(line) > 0 {
			var field []byte
			field, line, _ = bytes.Cut(line, []byte{' '})
			key, value, isFigure := bytes.Cut(field, []byte{'='})
			if !isFigure {
				if major, minor, ok := parseDevice(field); ok {
					d.Major, d.Minor = major, minor
				}
				continue
			}
			n, ok := parseUint(value)
			if !ok {
				continue
			}
			switch string(key) {
			case "rbytes":
				d.ReadBytes = n
			case "wbytes":
				d.WriteBytes = n
			case "rios":
				d.Reads = n
			case "wios":
				d.Writes = n
			}
			used = used || n > 0
		}
		if used {
			add(d)
		}
	}
}

// parseDevice reads "8:16".
func parseDevice(text []byte) (major, minor uint32, ok bool) {
	a, b, _ := bytes.Cut(text, []byte{':'})
	m, ok := parseUint(a)
	n, also := parseUint(b)
	return uint32(m), uint32(n), ok && also && m < 1<<32 && n < 1<<32
}
