package cgroup

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Limits are what a group, with all that is nested in it, may use. The zero value is none.
type Limits struct {
	MemoryMax  uint64    // bytes; 0: none. memory.max
	MemoryHigh uint64    // bytes; 0: none. memory.high
	MemoryLow  uint64    // bytes; 0: none. memory.low
	SwapMax    *uint64   // bytes; nil: none. memory.swap.max
	CPUMax     uint64    // µs of CPU time in every 100 ms, at least 1000; 0: none. cpu.max
	CPUWeight  int       // 1 to 10000; 0: 100. cpu.weight
	PidsMax    int       // processes and threads; 0: none. pids.max
	IOWeight   int       // 1 to 10000; 0: 100. io.weight, and io.bfq.weight where the kernel has that
	IOMax      []DiskMax // each of another disk. io.max
	CPUs       string    // a list such as 0-3,6; empty: all, for a group with processes those that there are now. cpuset.cpus
	OOMKill    bool      // a kill for lack of memory ends the whole group. memory.oom.group
}

// DiskMax is what may be done to one disk in a second; 0 is no limit.
type DiskMax struct {
	Disk                            Disk
	ReadBytes, WriteBytes           uint64
	ReadOperations, WriteOperations uint64
}

// ErrNoController: the controller that a limit takes is not enabled for the group.
var ErrNoController = errors.New("no such controller")

// LimitError is a limit that cannot be set.
type LimitError struct {
	Limit      string // memory_max, say
	Controller string // that it takes
	Err        error  // ErrNoController; errors.ErrUnsupported: this kernel does not know it; or an *Error
}

func (e *LimitError) Error() string {
	switch {
	case errors.Is(e.Err, ErrNoController):
		return fmt.Sprintf("%s: there is no %s controller", e.Limit, e.Controller)
	case errors.Is(e.Err, errors.ErrUnsupported):
		return fmt.Sprintf("%s: this kernel has no %s", e.Limit, limitNamed(e.Limit).file)
	}
	return e.Limit + ": " + e.Err.Error()
}

func (e *LimitError) Unwrap() error { return e.Err }

// limit is one thing that a group is limited in: a file of its controller.
type limit struct {
	name, controller, file string

	none    string                         // what the file says without the limit
	text    func(*Limits) string           // what it is to say; none without the limit
	read    func(string) string            // what it says of what text gives; nil: all of it
	diff    func(is, want string) []string // what has to be written for it to say that; nil: what is wanted
	ordered bool                           // it is changed in an order: see limits
	or      string                         // a file that does as well where this one is not there
}

// limits are all there are. Those of memory that are ordered are loosened in this order and
// tightened in the opposite one, so that memory.max ends nothing that could have been taken away
// by memory.high or could have gone to swap.
var limits = []limit{
	{name: "oom", controller: "memory", file: "memory.oom.group", none: "0", text: func(l *Limits) string {
		if l.OOMKill {
			return "1"
		}
		return "0"
	}},
	{name: "swap_max", controller: "memory", file: "memory.swap.max", none: "max", ordered: true, text: func(l *Limits) string {
		if l.SwapMax != nil {
			return strconv.FormatUint(wholePages(*l.SwapMax), 10)
		}
		return "max"
	}},
	{name: "memory_max", controller: "memory", file: "memory.max", none: "max", ordered: true, text: func(l *Limits) string { return bytesOr(l.MemoryMax, "max") }},
	{name: "memory_high", controller: "memory", file: "memory.high", none: "max", ordered: true, text: func(l *Limits) string { return bytesOr(l.MemoryHigh, "max") }},
	{name: "memory_low", controller: "memory", file: "memory.low", none: "0", text: func(l *Limits) string { return bytesOr(l.MemoryLow, "0") }},
	{name: "cpu_max", controller: "cpu", file: "cpu.max", none: "max 100000", text: func(l *Limits) string {
		if l.CPUMax == 0 {
			return "max 100000"
		}
		return fmt.Sprintf("%d 100000", l.CPUMax)
	}},
	{name: "cpu_weight", controller: "cpu", file: "cpu.weight", none: "100", text: func(l *Limits) string { return strconv.Itoa(weight(l.CPUWeight)) }},
	{name: "pids_max", controller: "pids", file: "pids.max", none: "max", text: func(l *Limits) string {
		if l.PidsMax == 0 {
			return "max"
		}
		return strconv.Itoa(l.PidsMax)
	}},
	{name: "io_weight", controller: "io", file: "io.weight", none: "default 100", or: "io.bfq.weight", read: firstLine,
		text: func(l *Limits) string { return fmt.Sprintf("default %d", weight(l.IOWeight)) }},
	{name: "io_weight", controller: "io", file: "io.bfq.weight", none: "default 100", or: "io.weight", read: firstLine,
		text: func(l *Limits) string { return fmt.Sprintf("default %d", bfqWeight(weight(l.IOWeight))) }},
	{name: "io_max", controller: "io", file: "io.max", text: diskLines, read: sortedDisks, diff: changedDisks},
	{name: "cpuset_cpus", controller: "cpuset", file: cpusetFile, text: func(l *Limits) string { return l.CPUs }},
}

const cpusetFile = "cpuset.cpus"

func limitNamed(name string) *limit {
	return &limits[slices.IndexFunc(limits, func(l limit) bool { return l.name == name })]
}

// LimitsOf are the names of the limits that take a controller.
func LimitsOf(controller string) (names []string) {
	for _, l := range limits {
		if l.controller == controller && !slices.Contains(names, l.name) {
			names = append(names, l.name)
		}
	}
	return names
}

func weight(n int) int {
	if n == 0 {
		return 100
	}
	return n
}

// bfqWeight is a weight for BFQ, whose highest is 1000; the middle, 100, is the same.
func bfqWeight(n int) int {
	if n <= 100 {
		return n
	}
	return 100 + (n-100)*(1000-100)/(10000-100)
}

// wholePages is n as the kernel keeps it.
func wholePages(n uint64) uint64 { return n - n%uint64(os.Getpagesize()) }

func bytesOr(n uint64, none string) string {
	if n == 0 {
		return none
	}
	return strconv.FormatUint(wholePages(n), 10)
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// CanLimit reports the first of the limits that the groups below g cannot have, as a
// [*LimitError]: its controller is not enabled for them, or this kernel does not know it. g is
// not the topmost of all groups: that has no limits to look at.
func (g Group) CanLimit(l Limits) error {
	enabled, err := g.Enabled()
	if err != nil {
		return err
	}
	for i := range limits {
		at := &limits[i]
		if at.text(&l) == at.none {
			continue
		}
		if !slices.Contains(enabled, at.controller) {
			return &LimitError{at.name, at.controller, ErrNoController}
		}
		if !g.has(at.file) && (at.or == "" || !g.has(at.or)) {
			return &LimitError{at.name, at.controller, errors.ErrUnsupported}
		}
	}
	return nil
}

// change is a file that is to say something else.
type change struct {
	of       *limit
	is, want string
}

// Limit has the group limited so, and in nothing else. What it is limited in already is not
// written again. Where one cannot be set, those that were are set back.
//
// What a group uses above a new memory_max is taken from it, and what cannot be is ended by
// the kernel, before Limit returns.
//
// Errors: a [*LimitError], or one of a group that is not there.
func (g Group) Limit(l Limits) error {
	changes, err := g.changes(&l)
	if err != nil {
		return err
	}
	for i, c := range changes {
		if err := g.make(c); err != nil {
			for _, done := range slices.Backward(changes[:i+1]) { // of that one some disks may be limited
				err = errors.Join(err, g.takeBack(done))
			}
			return err
		}
	}
	return nil
}

// takeBack has a file say again what it said before a change, of which a part may have been made.
func (g Group) takeBack(c change) error {
	now, err := g.isLimited(c.of)
	if err != nil || now == c.is {
		return err
	}
	return g.make(change{c.of, now, c.is})
}

// changes are what has to be written, in an order in which no state on the way kills.
func (g Group) changes(l *Limits) ([]change, error) {
	var loosened, tightened []change
	for i := range limits {
		at := &limits[i]
		want := at.text(l)
		is, err := g.isLimited(at)
		switch {
		case errors.Is(err, errors.ErrUnsupported) && (want == at.none || at.or != "" && g.has(at.or)):
			continue
		case errors.Is(err, errors.ErrUnsupported):
			return nil, &LimitError{at.name, at.controller, g.whyAbsent(at)}
		case err != nil:
			return nil, &LimitError{at.name, at.controller, err}
		case is == want:
			continue
		}
		if c := (change{at, is, want}); at.ordered && tighter(is, want) {
			tightened = append(tightened, c)
		} else {
			loosened = append(loosened, c)
		}
	}
	slices.Reverse(tightened)
	return append(loosened, tightened...), nil
}

// tighter reports whether a limit of memory becomes a tighter one.
func tighter(is, want string) bool {
	before, err := strconv.ParseUint(is, 10, 64)
	after, limited := strconv.ParseUint(want, 10, 64)
	return limited == nil && (err != nil || after < before)
}

// isLimited is what the file of a limit says.
func (g Group) isLimited(at *limit) (string, error) {
	var buf [1024]byte
	data, err := g.read(at.file, buf[:])
	if err != nil {
		return "", err
	}
	text := string(bytes.TrimSpace(data))
	if at.read != nil {
		text = at.read(text)
	}
	return text, nil
}

// whyAbsent tells a controller that is not enabled from a file that this kernel does not have.
func (g Group) whyAbsent(at *limit) error {
	if have, err := g.Controllers(); err == nil && !slices.Contains(have, at.controller) {
		return ErrNoController
	}
	return errors.ErrUnsupported
}

func (g Group) make(c change) error {
	writes := []string{c.want}
	if c.of.diff != nil {
		writes = c.of.diff(c.is, c.want)
	}
	for _, text := range writes {
		err := g.write(c.of.file, text+"\n") // an empty list takes the line's end
		if c.of.file == cpusetFile && text == "" && errors.Is(err, unix.ENOSPC) {
			err = g.allCPUs()
		}
		if err != nil {
			return &LimitError{c.of.name, c.of.controller, err}
		}
	}
	return nil
}

// allCPUs has a group run on all CPUs that the one above it has. The kernel lets a list be
// emptied only while nobody is in the group.
func (g Group) allCPUs() error {
	parent, _ := g.Parent()
	all, err := parent.EffectiveCPUs()
	if err != nil {
		return err
	}
	return g.write(cpusetFile, all+"\n")
}

// ProtectMemory sets memory.low, and no other limit: what protects a group is at most what
// protects each one above. Without a memory controller there is nothing to be protected.
func (g Group) ProtectMemory(low uint64) error {
	err := g.write("memory.low", bytesOr(low, "0"))
	if errors.Is(err, errors.ErrUnsupported) && low == 0 {
		return nil
	}
	return err
}

// EffectiveCPUs is what the processes of the group can run on, as a list such as 0-3,6.
//
// Errors: errors.ErrUnsupported without a cpuset controller.
func (g Group) EffectiveCPUs() (string, error) {
	var buf [1024]byte
	data, err := g.read("cpuset.cpus.effective", buf[:])
	return string(bytes.TrimSpace(data)), err
}
