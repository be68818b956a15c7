package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor"
	"github.com/freeflowuniverse/processmanager/supervisor/config"
	"github.com/freeflowuniverse/processmanager/supervisor/keeper"
)

// takeover is what a keeper that has replaced itself needs to leave its places in
// order. The rest of it is in the hello.
type takeover struct {
	SecretFile string
	Origin     string
	MadeRoot   bool
	Unit       string
	Scope      string
	Holder     proc.ID
	Host       hostLink
	Handed     bool // the socket is systemd's
	Access     access
	Terminal   keeper.Terminal `json:",omitzero"`
}

func (p *place) takeover() takeover {
	return takeover{p.secretFile, p.groups.origin, p.groups.madeRoot, p.groups.unit, p.groups.scope, p.groups.holder, p.host, p.handed, p.access, p.terminal}
}

// resume is keep in a process that was the keeper before and has replaced its
// program: it holds the places already.
func resume(ctx context.Context, state string, logger *log.Logger, flush func()) (err error) {
	if err := errors.Join(proc.CloseInherited(keeper.Handed(state)...), proc.Prepare(), leaveDir()); err != nil {
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
		host: h.Keeper.Host, handed: h.Keeper.Handed, access: h.Keeper.Access, terminal: h.Keeper.Terminal, places: h.places, limits: h.Limits, standsFor: h.StandsFor, secret: h.Secret, secretFile: h.Keeper.SecretFile,
		listeners: c.Listeners, locks: c.Locks,
		groups: &groups{
			hierarchy: hierarchy, origin: h.Keeper.Origin, host: hostOf(h.Keeper.Origin), madeRoot: h.Keeper.MadeRoot,
			unit: h.Keeper.Unit, scope: h.Keeper.Scope, holder: h.Keeper.Holder,
			id:   strings.TrimPrefix(filepath.Base(filepath.Dir(h.Runs)), instancePrefix),
			root: hierarchy.Group(h.Cgroup), instance: hierarchy.Group(filepath.Dir(h.Runs)),
		},
	}
	if p.groups.from, err = viewOf(hierarchy); err != nil {
		return err
	}
	p.groups.identity().save(p.State) // a former version recorded less; if it cannot be written now, guard tries again
	if !p.handed && isOurs(p.Socket) {
		p.socketFile = fileAt(p.Socket)
	}
	if path, is := config.MetricsPath(p.Metrics); is && isOurs(path) {
		p.scrapeFile = fileAt(path)
	}
	defer func() { err = p.end(err) }()
	// A former version did not have all of these. What is locked already is so by us.
	if lock, err := p.groups.instance.Lock(); err == nil {
		p.locks = append(p.locks, lock)
	} else if lock != nil {
		lock.Close()
	}
	for _, d := range []*heldDir{{stateKind, p.State, nil}, {runtimeKind, p.Runtime, nil}} {
		p.dirs = append(p.dirs, d)
		if d.lock = openAt(p.locks, d.lockPath()); d.lock != nil {
			continue
		}
		if d.lock, err = d.lockIn(d.path); err != nil {
			if d.lock, err = os.Open(os.DevNull); err != nil { // in its place
				return err
			}
		}
		p.locks = append(p.locks, d.lock)
	}
	c.Locks = p.locks
	return p.keep(ctx, c, logger, flush)
}

// openAt is the one of files that was opened at path, which may have been deleted since.
func openAt(files []*os.File, path string) *os.File {
	for _, f := range files {
		name, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
		if strings.TrimSuffix(name, " (deleted)") == path {
			return f
		}
	}
	return nil
}

// keep looks after the worker until that has ended everything. After a second signal
// nobody has: then what is left is killed here.
func (p *place) keep(ctx context.Context, c keeper.Config, logger *log.Logger, flush func()) error {
	renewed, unguard := p.guard(logger)
	defer unguard()
	c.Passes, c.Terminal = p.standsFor, p.terminal
	c.Args, c.Flush, c.Renewed = []string{workerArg}, flush, renewed
	c.Log, c.Note = warning(logger).Printf, logger.Printf
	if p.groups.unit != "" { // what it starts need not be where it is
		dir, err := p.groups.daemon().Dir()
		if err != nil {
			return err
		}
		defer dir.Close()
		c.Group = dir
	}
	c.Host = p.keeperHost(logger)
	err := keeper.Run(ctx, c)
	p.hangs = errors.Is(err, keeper.ErrLingers)
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
	p.groups.killHolder()                                              // a child that never ends by itself
	if err := p.groups.runs().Kill(); errors.Is(err, fs.ErrNotExist) { // somebody has removed it, so it was empty
		return nil
	} else if err != nil {
		return err
	}
	for limit := time.Now().Add(killTime); time.Now().Before(limit); time.Sleep(5 * time.Millisecond) {
		events, err := p.groups.runs().Events()
		if err != nil {
			return err
		}
		if !events.Populated && noChildren() {
			return supervisor.RemoveFIFOs(p.Runtime)
		}
	}
	return fmt.Errorf("SIGKILL has not ended everything in %v", killTime)
}

// noChildren reaps those that have ended and says whether there are no others.
func noChildren() bool {
	for {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		if err != nil && err != unix.EINTR || err == nil && pid == 0 {
			return err == unix.ECHILD
		}
	}
}
