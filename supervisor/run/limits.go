package run

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/supervisor/border"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// limitsLimit is how long somebody waits for limits to hold: to come below a new memory_max
// the kernel takes memory away, and may have to write it to swap first.
const limitsLimit = 5 * time.Second

// diskLimit is how long a path of an io_max may take to be looked at.
const diskLimit = 2 * time.Second

var (
	disks  looks[cgroup.Disk] // by path
	diskOf = cgroup.DiskOf
)

// limiting has a tree follow its limits while it runs.
type limiting struct {
	is    process.Limits // that it has
	next  process.Limits // that are being written
	want  process.Limits
	doubt bool // it may have others than is says
	under bool
	late  timer
	told  []func(error) // who waits until it follows
}

// KernelLimits are limits as a group takes them, with the disks that the paths lead to now.
// It waits for none longer than diskLimit.
func KernelLimits(l process.Limits, procfs string) (cgroup.Limits, error) {
	k := cgroup.Limits{
		MemoryMax: uint64(l.MemoryMax), MemoryHigh: uint64(l.MemoryHigh), MemoryLow: uint64(l.MemoryLow),
		CPUMax: uint64(l.CPUMax), CPUWeight: l.CPUWeight, PidsMax: l.PidsMax, IOWeight: l.IOWeight, CPUs: l.CPUSet, OOMKill: l.OOMKill,
	}
	if l.SwapMax != nil {
		k.SwapMax = new(uint64(*l.SwapMax))
	}
	of := map[cgroup.Disk]string{}
	for _, d := range l.Devices() {
		disk, err := disks.at(d.Path, diskLimit, func() (cgroup.Disk, error) { return diskOf(procfs, "/sys", d.Path) })
		if err == errNoAnswer {
			err = fmt.Errorf("%s does not answer for %v: its file system hangs", d.Path, diskLimit)
		}
		if err == nil && of[disk] != "" {
			err = fmt.Errorf("%s and %s are on the same disk: put the limits of both into one line", of[disk], d.Path)
		}
		if err != nil {
			return k, fmt.Errorf("io_max: %w", err)
		}
		of[disk] = d.Path
		k.IOMax = append(k.IOMax, cgroup.DiskMax{Disk: disk, ReadBytes: d.ReadBytes, WriteBytes: d.WriteBytes, ReadOperations: d.ReadOperations, WriteOperations: d.WriteOperations})
	}
	return k, nil
}

// limit has the group of a run limited so. That there were limits stands on it before: should
// this worker die before the definition that has them is on disk, or before they are taken back,
// the next one knows of a tree whose limits nobody asks for.
func limit(g Group, k cgroup.Limits, any bool) error {
	return RetryPassing(func() error {
		if any {
			if err := setAttr(g, attrLimited, true); err != nil {
				return err
			}
		}
		return g.Limit(k)
	})
}

// Limit has a group limited so.
func Limit(g interface{ Limit(cgroup.Limits) error }, l process.Limits, procfs string) error {
	k, err := KernelLimits(l, procfs)
	if err != nil {
		return err
	}
	return RetryPassing(func() error { return g.Limit(k) })
}

// WhenLimited calls told, in the owner's goroutine, when the tree follows its limits, or why
// it does not: at once where nothing has to be done.
func (r *Run) WhenLimited(told func(error)) {
	r.follow()
	l := &r.limiting
	if !l.under && (r.machine.Born || l.want == l.is) {
		told(nil)
		return
	}
	l.told = append(l.told, told)
	if l.late.halt == nil {
		l.late.after(limitsLimit, 0)
	}
}

// follow has the limits written that the tree is to have. That can take long, so it is done
// beside the owner's goroutine; it is not [Owner.Aside], for no disk is waited for.
func (r *Run) follow() {
	l := &r.limiting
	if l.under || l.want == l.is && !l.doubt || !r.machine.Born || r.machine.Empty {
		return
	}
	l.under, l.next = true, l.want
	e, owner, group, next, procfs := Event{Run: r.ID.Run, kind: eventLimited}, r.owner, r.group, l.next, r.host.Procfs
	go func() {
		defer border.Catch(func(fault *border.Panic) {
			e.err = fault
			owner.Tell(e)
		})
		k, err := KernelLimits(next, procfs)
		if err == nil {
			if err = limit(group, k, next != (process.Limits{})); errors.Is(err, fs.ErrNotExist) { // it has ended
				err = nil
			}
		}
		e.err = err
		owner.Tell(e)
	}()
}

// followed takes note that limits were written, or could not be.
func (r *Run) followed(err error) {
	l := &r.limiting
	if l.under, l.doubt = false, err != nil; err == nil {
		l.is = l.next
	}
	if l.want != l.next { // they were changed again
		r.follow()
	}
	if !l.under {
		r.tellLimited(err)
	}
}

// limitsLate answers those who have waited long enough.
func (r *Run) limitsLate() {
	if !r.machine.Born {
		r.tellLimited(fmt.Errorf("it is still not started after %v; the limits hold when it is", limitsLimit))
		return
	}
	r.tellLimited(fmt.Errorf("the kernel is still at it after %v: it takes memory away; the limits hold when it has", limitsLimit))
}

// tellLimited tells those who wait until the tree follows its limits.
func (r *Run) tellLimited(err error) {
	l := &r.limiting
	l.late.stop()
	if err != nil {
		r.host.Log.Printf("%v: it does not follow its limits: %v", r.ID, err)
	}
	told := l.told
	l.told = nil
	for _, tell := range told {
		tell(err)
	}
}
