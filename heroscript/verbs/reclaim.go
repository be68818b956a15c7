package verbs

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

func reclaimForm(time.Time) *form {
	var of process.Selection
	var bytes uint64
	return &form{
		params: []Param{
			selected(&of),
			{Name: "size", Value: "SIZE", Help: "how much: 100M, 1G", Required: true, set: func(v string) error {
				n, err := process.ParseSize(v)
				if err == nil && n < process.MinReclaim {
					err = fmt.Errorf("%s is less than a page of memory: give 4K or more", process.Printable(v))
				}
				bytes = uint64(n)
				return err
			}},
		},
		do: func(ctx context.Context, m Manager) (result, error) {
			list, err := m.Reclaim(ctx, of, bytes)
			if err != nil {
				return nil, err
			}
			return eachOf(of, list, func(r process.Reclaimed) error { return r.Err }, reclaimed)
		},
	}
}

// ReclaimAction is the action that has memory taken away from what is selected.
func ReclaimAction(of process.Selection, bytes uint64) heroscript.Action {
	return NewAction("process.reclaim", "name", of.String(), "size", strconv.FormatUint(bytes, 10))
}

// reclaimed is what was taken away from one process.
func reclaimed(r process.Reclaimed, _ int) string {
	text := fmt.Sprintf("process '%s': %s of memory before, %s now: %s less", screen.Line(r.Name), Size(r.Before), Size(r.After), Size(r.Less()))
	switch {
	case r.Late:
		text += fmt.Sprintf("; the kernel was still at it, and %s were asked for", Size(r.Asked))
	case !r.All:
		text += fmt.Sprintf("; %s were asked for, and the kernel found no more that can be taken away", Size(r.Asked))
	}
	return text + "\n"
}
