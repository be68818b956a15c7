package cgroup

import (
	"bytes"
	"time"
)

// The parsers of accounting files take bytes and make no strings: a figure is read often.

// nextFlat takes the first line "key value" off a flat keyed file.
func nextFlat(data []byte) (key []byte, value uint64, rest []byte) {
	line, rest, _ := bytes.Cut(data, []byte{'\n'})
	key, text, _ := bytes.Cut(line, []byte{' '})
	value, ok := parseUint(text)
	if !ok {
		key = nil
	}
	return key, value, rest
}

// parse reads the file that has a figure.
func (u *Usage) parse(f Figures, data []byte) {
	switch f {
	case FigureMemory:
		u.single(data, &u.Memory, f)
	case FigureMemoryPeak:
		u.single(data, &u.MemoryPeak, f)
	case FigureSwap:
		u.single(data, &u.Swap, f)
	case FigureSwapPeak:
		u.single(data, &u.SwapPeak, f)
	case FigureMemoryParts:
		u.parseMemoryStat(data)
	case FigureMemoryEvents:
		u.parseMemoryEvents(data)
	case FigurePids:
		u.single(data, &u.Pids, f)
	case FigurePidsPeak:
		u.single(data, &u.PidsPeak, f)
	case FigurePidsRefused:
		if n, ok := flatKey(data, "max"); ok {
			u.PidsRefused = n
			u.Known |= f
		}
	case FigureIO:
		u.parseIO(data)
	case FigureCPUPressure:
		u.pressure(data, &u.CPUPressure, f, FigureCPUFull)
	case FigureMemoryPressure:
		u.pressure(data, &u.MemoryPressure, f, 0)
	case FigureIOPressure:
		u.pressure(data, &u.IOPressure, f, 0)
	case FigureFrozen:
		if n, ok := flatKey(data, "frozen_usec"); ok {
			u.Frozen = micros(n)
			u.Known |= f
		}
	}
}

// micros is a number of microseconds; the kernel's counters stay far below what fits.
func micros(n uint64) time.Duration { return time.Duration(n) * time.Microsecond }

// single reads a file of one number.
func (u *Usage) single(data []byte, to *uint64, f Figures) {
	data, _ = bytes.CutSuffix(data, []byte{'\n'})
	if n, ok := parseUint(data); ok {
		*to = n
		u.Known |= f
	}
}

func (u *Usage) parseCPU(data []byte) {
	for len(data) > 0 {
		var key []byte
		var n uint64
		key, n, data = nextFlat(data)
		switch string(key) {
		case "usage_usec":
			u.CPU = micros(n)
		case "user_usec":
			u.CPUUser = micros(n)
		case "system_usec":
			u.CPUSystem = micros(n)
		case "nr_periods":
			u.CPUPeriods = n
		case "nr_throttled":
			u.CPUThrottledPeriods = n
		case "throttled_usec":
			u.CPUThrottled = micros(n)
			u.Known |= FigureThrottled
		}
	}
}

func (u *Usage) parseMemoryStat(data []byte) {
	var parts Figures // the file is long, and has what is wanted at its top
	for len(data) > 0 {
		var key []byte
		var n uint64
		key, n, data = nextFlat(data)
		switch string(key) {
		case "anon":
			u.Anon = n
		case "file":
			u.File = n
		case "kernel":
			u.Kernel = n
			parts |= FigureKernel
		case "shmem":
			u.Shmem = n
			u.Known |= parts | FigureMemoryParts
			return
		}
	}
}

func (u *Usage) parseMemoryEvents(data []byte) {
	e := &u.MemoryEvents
	for len(data) > 0 {
		var key []byte
		var n uint64
		key, n, data = nextFlat(data)
		switch string(key) {
		case "low":
			e.Low = n
		case "high":
			e.High = n
		case "max":
			e.Max = n
		case "oom":
			e.OOM = n
		case "oom_kill":
			e.OOMKill = n
			u.Known |= FigureMemoryEvents
		case "oom_group_kill":
			e.OOMGroupKill = n
		}
	}
}

// parseIO adds up all devices. A group that has not used one has an empty file.
func (u *Usage) parseIO(data []byte) {
	eachDevice(data, func(d Device) {
		u.IO.ReadBytes += d.ReadBytes
		u.IO.WriteBytes += d.WriteBytes
		u.IO.Reads += d.Reads
		u.IO.Writes += d.Writes
	})
	u.Known |= FigureIO
}

// pressure reads the lines some and full of a *.pressure file. That there is the second
// one is a figure of its own where that is named.
func (u *Usage) pressure(data []byte, to *Pressure, some, full Figures) {
	for len(data) > 0 {
		var line []byte
		line, data, _ = bytes.Cut(data, []byte{'\n'})
		what, fields, _ := bytes.Cut(line, []byte{' '})
		switch string(what) {
		case "some":
			if parseStall(fields, &to.Some) {
				u.Known |= some
			}
		case "full":
			if parseStall(fields, &to.Full) {
				u.Known |= full
			}
		}
	}
}

func parseStall(fields []byte, s *Stall) (ok bool) {
	for len(fields) > 0 {
		var field []byte
		field, fields, _ = bytes.Cut(fields, []byte{' '})
		key, value, _ := bytes.Cut(field, []byte{'='})
		switch string(key) {
		case "avg10":
			s.Avg10 = parsePercent(value)
		case "avg60":
			s.Avg60 = parsePercent(value)
		case "avg300":
			s.Avg300 = parsePercent(value)
		case "total":
			var n uint64
			n, ok = parseUint(value)
			s.Total = micros(n)
		}
	}
	return ok
}

// parsePercent reads a number with two decimals; 0 for anything else.
func parsePercent(text []byte) float64 {
	whole, hundredths, _ := bytes.Cut(text, []byte{'.'})
	n, ok := parseUint(whole)
	m, also := parseUint(hundredths)
	if !ok || !also || len(hundredths) != 2 {
		return 0
	}
	return float64(n*100+m) / 100
}
