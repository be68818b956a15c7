package run

import (
	"github.com/freeflowuniverse/processmanager/cgroup"
)

// reclaimStep is how much is taken away at once: between two steps somebody can end it.
const reclaimStep = 16 << 20

// Memory is how much the tree has now, as its memory controller says.
//
// Errors: cgroup.ErrNoController.
func (m *Meter) Memory() (uint64, error) {
	u, err := m.group.Usage(cgroup.FigureMemory)
	if err == nil && !u.Has(cgroup.FigureMemory) {
		err = cgroup.ErrNoController
	}
	return u.Memory, err
}

// Reclaim has the kernel take memory away from the tree, in steps while goOn, and returns how
// much of it was done in whole steps.
//
// Errors: cgroup.ErrReclaimedLess, errors.ErrUnsupported on a kernel that cannot.
func (m *Meter) Reclaim(bytes uint64, goOn func() bool) (done uint64, err error) {
	for done < bytes && goOn() {
		step := min(bytes-done, reclaimStep)
		if err := m.group.Reclaim(step); err != nil {
			return done, err
		}
		done += step
	}
	return done, nil
}
