package run

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/probe"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Failure is a run that has failed for good.
type Failure struct {
	Run  process.Run
	Last string // what it wrote last; empty: nothing, or that is not kept any more
}

// environ has each fact in a variable. What there is not has none.
func (f *Failure) environ() (env []string) {
	add := func(name, value string) {
		if value != "" {
			env = append(env, name+"="+strings.ReplaceAll(value, "\x00", ""))
		}
	}
	r := &f.Run
	add(process.VariableCause, r.Cause.String())
	if r.ExitCode != nil {
		add(process.VariableExitCode, strconv.Itoa(*r.ExitCode))
	}
	if r.Signal != 0 {
		add(process.VariableSignal, r.Signal.String())
	}
	add(process.VariableError, r.Error)
	for name, t := range map[string]time.Time{process.VariableStart: r.Start, process.VariableEnd: r.End} {
		if !t.IsZero() {
			add(name, t.UTC().Format(time.RFC3339))
		}
	}
	add(process.VariableLastOutput, f.Last)
	return env
}

// againAfter is before a command is tried again that could not be started just now.
const againAfter = time.Second

// OnFailure has the shell run what the plan's spec says is to be run for a run that has failed:
// as the run's leader was started, in a group of its own. It returns nil when that exits 0, and
// otherwise an error of one line. When limit is over, or ctx ends, whoever is in the group is
// ended; the context's error is returned where that has ended it.
func (h *Host) OnFailure(ctx context.Context, limit time.Duration, p Plan, f Failure) error {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := h.beside(limited, p, helperOnFailure, p.Spec.OnFailure, f.environ())
		if _, passing := errors.AsType[*probe.NotAsked](err); !passing {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return err
		}
		select {
		case <-time.After(againAfter):
		case <-limited.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return err
		}
	}
}
