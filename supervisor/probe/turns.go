package probe

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// How many probes are under way at once.
const (
	connections = 64
	commands    = 16
)

// Turns is what the probes of a daemon share.
type Turns struct{ connections, commands chan struct{} }

// NewTurns has all turns free.
func NewTurns() *Turns {
	return &Turns{make(chan struct{}, connections), make(chan struct{}, commands)}
}

// Ask asks once, when its turn comes, and has limit for the answer. Exec runs a command until
// its context ends; nil of it is an exit code of 0, and it returns soon after that end. When
// ctx ends the answer is of no interest any more.
//
// Errors: *NotAsked.
func (t *Turns) Ask(ctx context.Context, p process.Probe, limit time.Duration, exec func(ctx context.Context, command string) error) error {
	turn := t.connections
	if p.Kind == process.ProbeExec {
		turn = t.commands
	}
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := ask(limited, p, exec)
	switch {
	case err == nil:
		return nil
	case ctx.Err() == nil && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)):
		err = fmt.Errorf("no answer within %v", limit)
	}
	failed := errors.New(words(p, err))
	if _, not := errors.AsType[*NotAsked](err); not || short(err) {
		return &NotAsked{failed}
	}
	return failed
}

func ask(ctx context.Context, p process.Probe, exec func(context.Context, string) error) error {
	switch p.Kind {
	case process.ProbeTCP:
		return connect(ctx, "tcp", p.Target)
	case process.ProbeUnix:
		return connect(ctx, "unix", p.Target)
	case process.ProbeHTTP:
		return get(ctx, p.Target)
	case process.ProbeExec:
		return exec(ctx, p.Target)
	}
	return fmt.Errorf("%s cannot be asked", p.Kind)
}

// Next is the moment after now at which the process of this name is asked next.
func Next(name string, period, now time.Duration) time.Duration {
	h := fnv.New64a()
	h.Write([]byte(name))
	phase := time.Duration(scatter(h.Sum64()) % uint64(period))
	at := now - now%period + phase
	if at <= now {
		at += period
	}
	return at
}

// scatter spreads hashes that are alike, as those of web-1 and web-2 may be (the last step of
// MurmurHash3).
func scatter(x uint64) uint64 {
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}
