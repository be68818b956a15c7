package supervisor

import (
	"errors"
	"slices"
	"time"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/supervisor/border"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/run"
)

// Lack says why runs do not have a controller, and what would give it to them; empty where
// that is not known.
type Lack func(controller string) (why, mend string)

// of says that runs do not have a controller: why, and what mends that.
func (l Lack) of(controller string) string {
	text := "runs have no " + controller + " controller"
	why, mend := l(controller)
	if why != "" {
		text += " (" + why + ")"
	}
	if mend != "" {
		text += "; " + mend
	}
	return text
}

// CheckLimits reports why no group below parent can be limited so, in one line that names the
// limit and what mends it.
func CheckLimits(parent cgroup.Group, l process.Limits, procfs string, lack Lack) error {
	if l == (process.Limits{}) {
		return nil
	}
	k, err := run.KernelLimits(l, procfs)
	if err == nil {
		err = parent.CanLimit(k)
	}
	limit, unable := errors.AsType[*cgroup.LimitError](err)
	switch {
	case err == nil:
		return checkCPUs(parent, l.CPUSet)
	case !unable || !errors.Is(err, cgroup.ErrNoController):
		return process.Errorf(process.CodeLimit, "%v", err)
	}
	return process.Errorf(process.CodeLimit, "%s: this host cannot enforce it: %s", limit.Limit, lack.of(limit.Controller))
}

// checkCPUs reports CPUs of a list that the groups below parent cannot run on. The kernel
// takes them, and leaves them out.
func checkCPUs(parent cgroup.Group, list string) error {
	if list == "" {
		return nil
	}
	there, err := parent.EffectiveCPUs()
	if err != nil {
		return process.Errorf(process.CodeLimit, "cpuset_cpus: %v", err)
	}
	have, err := process.CPUs(there)
	if err != nil {
		return process.Errorf(process.CodeLimit, "cpuset_cpus: %s/cpuset.cpus.effective: %v", parent, err)
	}
	wanted, err := process.CPUs(list)
	if err != nil {
		return err
	}
	wanted = slices.DeleteFunc(wanted, func(cpu int) bool { return slices.Contains(have, cpu) })
	if len(wanted) > 0 {
		return process.Errorf(process.CodeLimit, "cpuset_cpus: runs cannot have CPU %s here: they can have %s", process.FormatCPUs(wanted), there)
	}
	return nil
}

// canLimit reports why no run can be limited so here.
func (s *Supervisor) canLimit(l process.Limits) error {
	if l == (process.Limits{}) {
		return nil
	}
	if there, err := s.groups.Exists(); err == nil && !there { // the next run makes it again, and is asked this too
		return nil
	}
	return CheckLimits(s.groups, l, s.proc, s.lack)
}

// limitAll has all runs together limited as the daemon was told to. It does not wait for long
// while the kernel takes away what they use above that.
func (s *Supervisor) limitAll() {
	done := make(chan error, 1)
	go func() {
		defer border.Catch(func(fault *border.Panic) { done <- fault })
		parent, _ := s.groups.Parent()
		err := CheckLimits(parent, s.limits, s.proc, s.lack)
		if err == nil {
			err = errors.Join(parent.ProtectMemory(uint64(s.limits.MemoryLow)), run.Limit(s.groups, s.limits, s.proc))
		}
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			s.log.Printf("all processes together are not limited as -limit says: %v", err)
		}
	case <-time.After(storeLimit):
		s.log.Printf("the limits of all processes together hold when the kernel has taken away what they use above them; it is still at it after %v", storeLimit)
	}
}

// whenLimited calls then when all runs follow their limits, with why one does not.
func (p *managed) whenLimited(then func(error)) {
	left := 1
	var failed error
	one := func(err error) {
		failed = errors.Join(failed, err)
		if left--; left == 0 {
			then(failed)
		}
	}
	for _, r := range p.runs {
		left++
		r.WhenLimited(func(err error) {
			if err != nil {
				err = process.Errorf(process.CodeLimit, "process '%s': the definition is changed, but run %d does not follow: %v", p.name, r.ID.Run, err)
			}
			one(err)
		})
	}
	one(nil)
}
