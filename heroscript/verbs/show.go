package verbs

import (
	"context"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func listForm(time.Time) *form {
	var of process.Selection
	return &form{
		params: []Param{narrowed(&of, "only these")},
		do: func(ctx context.Context, m Manager) (result, error) {
			all, err := m.Show(ctx, of)
			return list(all), err
		},
	}
}

func statusForm(time.Time) *form {
	var of process.Selection
	return &form{
		params: []Param{selected(&of)},
		do: func(ctx context.Context, m Manager) (result, error) {
			list, err := m.Show(ctx, of)
			if err != nil {
				return nil, err
			}
			return several(of, list, status)
		},
	}
}
