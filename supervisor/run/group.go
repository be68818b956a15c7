package run

import (
	"errors"
	"io/fs"

	"github.com/freeflowuniverse/processmanager/cgroup"
)

// IsEmpty reports whether nobody is left in a group. An error means that this is not
// known, and no more.
func IsEmpty(g interface{ Events() (cgroup.Events, error) }) (empty bool, err error) {
	var events cgroup.Events
	err = RetryPassing(func() (err error) {
		events, err = g.Events()
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return err == nil && !events.Populated, err
}
