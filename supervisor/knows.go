package supervisor

import (
	"slices"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/supervisor/run"
	"github.com/freeflowuniverse/processmanager/supervisor/store"
)

// Knowledge is what the store of a state directory knows of the runs in a group.
type Knowledge int

const (
	NoneAlive Knowledge = iota // there are none
	SomeAlien                  // of one or more it knows nothing
	AllKnown                   // each is a run of one of its processes that may be under way
)

// Knows compares the runs that are alive in a group with the store of a state directory,
// which nobody may be writing to.
func Knows(stateDir string, groups cgroup.Group) (Knowledge, error) {
	alive, err := populated(groups)
	if err != nil {
		return NoneAlive, err
	}
	path := store.In(stateDir)
	switch {
	case len(alive) == 0:
		return NoneAlive, nil
	case store.IsNew(path):
		return SomeAlien, nil
	}
	last, err := store.LastRuns(path)
	if err != nil {
		return NoneAlive, err
	}
	for _, g := range alive {
		if id, ok := run.ParseName(g.Name()); !ok || !slices.Contains(last[id.Name], id.Run) {
			return SomeAlien, nil
		}
	}
	return AllKnown, nil
}

// ResetStore moves the store in a state directory aside, and the logs of its processes,
// and makes an empty one. It returns where to, without what was not there. A store that is
// in use is left alone.
func ResetStore(stateDir string) (moved []string, err error) {
	return store.Reset(store.In(stateDir), logsDir(stateDir))
}
