package verbs

import (
	"context"
	"time"

	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func listForm(time.Time) *form {
	var of process.Selection
	return &form{
		params: []Param{narrowed(&of, "only these")},
		do: func(ctx context.Context, m Manager) (result, error) {
			all, err := m.Show(ctx, of, process.Brief)
			return list(all), err
		},
	}
}

func statusForm(time.Time) *form {
	var of process.Selection
	devices := false
	return &form{
		params: []Param{selected(&of), toggle("devices", "also what was read from and written to each block device", &devices)},
		do: func(ctx context.Context, m Manager) (result, error) {
			detail := process.Full
			if devices {
				detail = process.WithDevices
			}
			list, err := m.Show(ctx, of, detail)
			if err != nil {
				return nil, err
			}
			return several(of, list, status)
		},
	}
}

// StatusAction is the action that asks for what is known of processes.
func StatusAction(of process.Selection, d process.Detail) heroscript.Action {
	a := NewAction("process.status", "name", of.String())
	addTrue(&a, "devices", d == process.WithDevices)
	return a
}
