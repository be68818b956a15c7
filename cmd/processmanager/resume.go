package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/keeper"
)

// takeover is what a keeper that has replaced itself needs to leave its places in
// order. The rest of it is in the hello.
type takeover struct {
	SecretFile string
	Origin     string
	MadeRoot   bool
}

func (p *place) takeover() takeover {
	return takeover{p.secretFile, p.groups.origin, p.groups.madeRoot}
}

// resume is keep in a process that was the keeper before and has replaced its
// program: it holds the places already.
func resume(ctx context.Context, state string, logger *log.Logger, flush func()) (err error) {
	if err := proc.Prepare(); err != nil {
		return err
	}
	c, err := keeper.Resume(state)
	if err != nil {
		return err
	}
	var h hello
	if err := json.Unmarshal(c.Hello, &h); err != nil {
		return err
	}
	hierarchy, err := cgroup.Find("/proc")
	if err != nil {
		return err
	}
	p := &place{
		places: h.places, secret: h.Secret, secretFile: h.Keeper.SecretFile,
		listeners: c.Listeners, locks: c.Locks,
		groups: &groups{
			hierarchy: hierarchy, origin: h.Keeper.Origin, madeRoot: h.Keeper.MadeRoot,
			root: hierarchy.Group(h.Cgroup), instance: hierarchy.Group(filepath.Dir(h.Runs)),
		},
	}
	defer func() { err = errors.Join(err, p.leave(true)) }()
	// A former version did not have these. Where they are held they are ours.
	if lock, err := p.groups.instance.Lock(); err == nil {
		c.Locks = append(c.Locks, lock)
	}
	if lock, err := runtimeKind.lockIn(p.Runtime); err == nil {
		c.Locks = append(c.Locks, lock)
	}
	return p.keep(ctx, c, logger, flush)
}

// keep looks after the worker until that has ended everything. After a second signal
// nobody has: then what is left is killed here.
func (p *place) keep(ctx context.Context, c keeper.Config, logger *log.Logger, flush func()) error {
	c.Args, c.Log, c.Flush = []string{workerArg}, logger.Printf, flush
	err := keeper.Run(ctx, c)
	if errors.Is(err, keeper.ErrKilled) {
		err = errors.Join(err, p.killAll())
	}
	return err
}

// killTime is how long SIGKILL may take to end all there is.
const killTime = 5 * time.Second

// killAll ends every tree at once, and waits until nobody is left. The worker has
// been killed already.
func (p *place) killAll() error {
	if err := p.groups.runs().Kill(); err != nil {
		return err
	}
	for limit := time.Now().Add(killTime); time.Now().Before(limit); time.Sleep(5 * time.Millisecond) {
		events, err := p.groups.runs().Events()
		if err != nil {
			return err
		}
		if !events.Populated && noChildren() {
			return os.RemoveAll(p.Runtime + "/fifo")
		}
	}
	return fmt.Errorf("SIGKILL has not ended everything in %v", killTime)
}

// noChildren reaps those that have ended and says whether there are no others.
func noChildren() bool {
	for {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		if err == unix.ECHILD || err == nil && pid == 0 {
			return err == unix.ECHILD
		}
	}
}
