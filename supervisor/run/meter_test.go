package run

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// counted is a group whose figures a test sets, and that notes what is read of it.
type counted struct {
	Group
	u       cgroup.Usage
	devices []cgroup.Device
	read    []cgroup.Figures
	walks   int
	err     error
}

func (g *counted) Usage(want cgroup.Figures) (cgroup.Usage, error) {
	g.read = append(g.read, want)
	u := g.u
	u.Known &= want
	return u, g.err
}

func (g *counted) Pids() ([]int, error) {
	g.walks++
	return []int{1, 2}, nil
}

func (g *counted) Devices() ([]cgroup.Device, error) { return g.devices, g.err }

// metered is a meter of a run that began a minute ago.
func metered(t *testing.T) (*counted, *Meter) {
	g := &counted{}
	g.u.CPU, g.u.Known = time.Second, cgroup.AllFigures
	return g, NewMeter(t.TempDir(), g, time.Minute)
}

func TestIdleTreeCostsOneFile(t *testing.T) {
	g, m := metered(t)
	now := func(want ...cgroup.Figures) process.Usage {
		t.Helper()
		g.read = nil
		r, err := m.Now(process.Brief)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(g.read, want) {
			t.Errorf("read %b, want %b", g.read, want)
		}
		return r.Usage
	}
	g.u.Memory = 4096
	now(briefFigures)
	g.u.Memory = 8192 // nobody sees it yet
	for range 3 {
		if u := now(0); *u.Memory != 4096 || *u.Pids != 2 {
			t.Errorf("memory %d, pids %d", *u.Memory, *u.Pids)
		}
	}
	if g.walks != 1 {
		t.Errorf("its pids were listed %d times", g.walks)
	}

	g.u.CPU += time.Microsecond
	if u := now(0, briefFigures); *u.Memory != 8192 || *u.CPU != 1000001 || g.walks != 2 {
		t.Errorf("memory %d, CPU %d, %d lists", *u.Memory, *u.CPU, g.walks)
	}
	g.u.CPU += time.Microsecond
	now(briefFigures) // it is not asked twice whether a busy tree is idle
	now(briefFigures)
	now(0)

	// What others do to an idle tree is seen after a while.
	g.u.Memory = 16
	m.brief.at -= maxBriefAge
	if u := now(briefFigures); *u.Memory != 16 {
		t.Errorf("memory %d", *u.Memory)
	}
	// One that is throttled has used no CPU time, and has changed.
	now(0)
	g.u.CPUThrottled++
	now(0, briefFigures)
}

// All figures are new where nobody asks for old ones, or where they change by themselves.
func TestFullReadingIsNew(t *testing.T) {
	g, m := metered(t)
	reads := func(read func() (Reading, error), want ...cgroup.Figures) Reading {
		t.Helper()
		g.read = nil
		r, err := read()
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(g.read, want) {
			t.Errorf("read %b, want %b", g.read, want)
		}
		return r
	}
	full := func() (Reading, error) { return m.Now(process.Full) }
	lately := func() (Reading, error) { return m.Full(time.Minute) }
	for range 3 {
		reads(full, cgroup.AllFigures)
	}
	reads(lately, 0)
	m.full.at -= time.Minute
	reads(lately, cgroup.AllFigures)
	reads(lately, 0)
	reads(full, cgroup.AllFigures)

	g.u.IOPressure.Some.Avg300 = .01
	reads(full, cgroup.AllFigures)
	reads(lately, cgroup.AllFigures)
	g.u.IOPressure.Some.Avg300 = 0
	if r := reads(lately, cgroup.AllFigures); r.Pressure.IO.Some.Avg300 != 0 {
		t.Errorf("%+v", r.Pressure.IO)
	}

	// A minute and a second have passed, and it has used one of them.
	r := reads(full, cgroup.AllFigures)
	if r.CPUPercentSinceStart == nil || *r.CPUPercentSinceStart < 1.5 || *r.CPUPercentSinceStart > 1.7 {
		t.Errorf("%v percent since the start", r.CPUPercentSinceStart)
	}
	g.err = errors.New("gone")
	if _, err := m.Now(process.Full); err != g.err {
		t.Errorf("got %v", err)
	}
	if _, err := m.Now(process.Brief); err != g.err {
		t.Errorf("got %v", err)
	}
}

// What is not known is absent, and what is only so now is absent of a run that has ended.
func TestFiguresThatAreKnown(t *testing.T) {
	g, m := metered(t)
	g.u.IO.WriteBytes = 7
	g.devices = []cgroup.Device{{Major: 8, IO: cgroup.IO{WriteBytes: 7}}}
	total, err := m.Total()
	if err != nil {
		t.Fatal(err)
	}
	if total.Memory != nil || total.MemoryAnon != nil || total.MemorySwap != nil || total.Tasks != nil || total.Pids != nil {
		t.Errorf("it tells of what is only so now: %s", asJSON(t, total))
	}
	if total.Pressure.CPU.Some.StallAverages != nil || total.Pressure.IO.Full.StallAverages != nil {
		t.Errorf("averages of a tree that is gone: %+v", total.Pressure)
	}
	if len(total.IODevices) != 1 || total.IODevices[0].Write != 7 {
		t.Errorf("devices %v", total.IODevices)
	}

	g.u = cgroup.Usage{CPU: time.Second} // no controllers
	r, err := m.Now(process.Full)
	if err != nil {
		t.Fatal(err)
	}
	if r.MemorySource != process.SourceProc || *r.CPU != 1000000 || *r.Pids != 2 {
		t.Errorf("%+v", r.Usage)
	}
	r.CPU, r.CPUUser, r.CPUSystem, r.CPUSource = nil, nil, nil, 0
	r.Memory, r.MemoryMB, r.MemorySource, r.Pids, r.PidsSource = nil, nil, 0, nil, 0
	if text := asJSON(t, r.Usage); text != "{}" {
		t.Errorf("told of what is not known: %s", text)
	}
}

func asJSON(t *testing.T, u process.Usage) string {
	t.Helper()
	data, err := json.Marshal(u)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestDevicesThatAreUsedMostAreTold(t *testing.T) {
	names := deviceNames("major minor  #blocks  name\n\n   8        0  268435456 sda\n 259        1     102400 nvme0n1\n")
	var used []cgroup.Device
	for n := range uint32(20) {
		used = append(used, cgroup.Device{Major: 7, Minor: n, IO: cgroup.IO{ReadBytes: uint64(n)}})
	}
	used = append(used, cgroup.Device{Major: 259, Minor: 1, IO: cgroup.IO{ReadBytes: 1, WriteBytes: 99, Reads: 2, Writes: 3}}, cgroup.Device{Major: 8, IO: cgroup.IO{WriteBytes: 98}})
	got := mostUsed(used, names)
	want := []process.DeviceIO{
		{Device: "259:1", Name: "nvme0n1", Read: 1, Write: 99, ReadOperations: 2, WriteOperations: 3},
		{Device: "8:0", Name: "sda", Write: 98},
		{Device: "7:19", Read: 19},
	}
	if len(got) != maxDevices || !slices.Equal(got[:3], want) {
		t.Errorf("got %+v", got)
	}
}

// A process that waits for a file system that hangs cannot be looked at: whoever looks at its
// tree is answered all the same, without what is not known, and looks at it once.
func TestAProcessThatCannotBeLookedAtIsNotWaitedFor(t *testing.T) {
	g, m := metered(t)
	g.u.Known &^= cgroup.FigureMemory
	for pid := range 3 {
		dir := filepath.Join(m.proc, strconv.Itoa(pid))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mkfifo(dir+"/smaps_rollup", 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 10 {
		g.u.CPU += time.Second // it is looked at anew
		began := time.Now()
		r, err := m.Now(process.Full)
		if err != nil || r.Memory != nil || r.CPU == nil || r.Pids == nil || *r.Pids != 2 {
			t.Fatalf("%+v, %v", r.Usage, err)
		}
		if i > 0 && time.Since(began) > procLimit/2 {
			t.Fatal("it is waited for again")
		}
	}
	// It can be looked at again.
	for pid := 1; pid < 3; pid++ {
		path := filepath.Join(m.proc, strconv.Itoa(pid), "smaps_rollup")
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		text := []byte("00400000-7ffd0000 ---p\nPss: 7 kB\n")
		if _, err := f.Write(text); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.WriteFile(path+".new", text, 0o600), os.Rename(path+".new", path)); err != nil {
			t.Fatal(err)
		}
	}
	for end := time.Now().Add(10 * time.Second); ; {
		r, err := m.Now(process.Full)
		if err == nil && r.Memory != nil && *r.Memory == 14<<10 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%+v, %v", r.Usage, err)
		}
	}
}
