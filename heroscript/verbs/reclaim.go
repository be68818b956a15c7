package verbs

import (
	"context"
	"fmt"
	"io"
	"slices"
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
			_, plain := of.Name()
			if plain && err == nil && len(list) == 1 {
				err = list[0].Err
			}
			return reclaimed{list, plain}, err
		},
	}
}

// ReclaimAction is the action that has memory taken away from what is selected.
func ReclaimAction(of process.Selection, bytes uint64) heroscript.Action {
	return NewAction("process.reclaim", "name", of.String(), "size", strconv.FormatUint(bytes, 10))
}

// reclaimed is the result of reclaim.
type reclaimed struct {
	list  []process.Reclaimed
	plain bool // one plain name was given: in JSON one object
}

func (r reclaimed) apart() ([]process.Reclaimed, []error) {
	return setApart(slices.Values(r.list), func(one process.Reclaimed) error { return one.Err })
}

func (r reclaimed) split() (result, []error) {
	told, failed := r.apart()
	return reclaimed{told, r.plain}, failed
}

func (r reclaimed) write(w io.Writer, s style) error {
	switch {
	case s.json && r.plain && len(r.list) == 1:
		return writeJSON(w, r.list[0])
	case s.json:
		return writeArray(w, r.list)
	}
	told, failed := r.apart()
	for _, one := range told {
		if _, err := fmt.Fprintf(w, "process '%s': %s\n", screen.Line(one.Name), reclaimedText(one)); err != nil {
			return err
		}
	}
	return grid{}.told(w, 0, nil, failed)
}

// reclaimedText is what was taken away from one process.
func reclaimedText(r process.Reclaimed) string {
	text := fmt.Sprintf("%s of memory before, %s now: %s less", Size(r.Before), Size(r.After), Size(r.Less()))
	switch {
	case r.Late:
		text += fmt.Sprintf("; the kernel was still at it, and %s were asked for", Size(r.Asked))
	case !r.All:
		text += fmt.Sprintf("; %s were asked for, and the kernel found no more that can be taken away", Size(r.Asked))
	}
	return text
}
