package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// patience is how long something may take that has to happen. It is generous: a
// machine without spare processors is slow, not wrong.
var patience = 60 * time.Second * time.Duration(min(slowdown, 4))

// slowdown is how much longer programs compute here than on a host: guests are mostly
// emulated.
var slowdown = func() int {
	if os.Getenv("GUEST") != "" {
		return 10
	}
	return 1
}()

// storm is one run of this program.
type storm struct {
	options
	dir      string
	progress io.Writer
	daemon   *daemon
	journal  journal
	killer   killer
	follower follower
	players  []*player
	onDisk   *disk // of the state directory; nil: it is on ours
	troubles int   // that it had
}

func newStorm(o options, dir string, progress io.Writer) (*storm, error) {
	s := &storm{options: o, dir: dir, progress: progress, daemon: newDaemon(o.bin, dir, o.cgroup, o.files), journal: journal{began: time.Now()}}
	s.killer = killer{storm: s, random: rand.New(rand.NewPCG(o.seed, 0)), points: map[supervisor.Point]int{}}
	s.follower.storm = s
	for i := range o.processes {
		s.players = append(s.players, &player{
			storm: s, name: fmt.Sprintf("p%d", i), random: rand.New(rand.NewPCG(o.seed, uint64(i+1))),
			requests: map[string]int{},
		})
	}
	return s, os.Mkdir(dir+"/told", 0o700)
}

var errDone = errors.New("done")

func (s *storm) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.journal.stop = cancel
	if err := s.daemon.launch(); err != nil {
		return err
	}
	if err := s.kill(ctx); err != nil {
		return err
	}
	return s.end(ctx)
}

// kill lets the killer and the players loose until the time is over.
func (s *storm) kill(ctx context.Context) error {
	timed, cancel := context.WithTimeoutCause(ctx, s.duration, errDone)
	defer cancel()
	var all sync.WaitGroup
	all.Go(func() { s.killer.play(timed, ctx) })
	all.Go(func() { s.follower.follow(timed) })
	if s.onDisk != nil {
		all.Go(func() { s.troubleDisk(timed) })
	}
	for _, p := range s.players {
		all.Go(func() { p.play(timed, ctx) })
	}
	all.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if text := trouble.FindString(s.daemon.log.text()); text != "" {
		return fmt.Errorf("the daemon's log says %q", text)
	}
	return nil
}

var trouble = regexp.MustCompile(`panic:|fatal error|DATA RACE|goroutine \d+ \[|is stuck|cannot be removed|belonged to no process`)

// end is the orderly end of a daemon that still has much to do, twice.
func (s *storm) end(ctx context.Context) error {
	if err := s.audit(ctx); err != nil {
		return err
	}
	s.journal.notef("SIGTERM")
	for _, p := range s.players {
		p.over = true
	}
	if err := s.daemon.end(s.killer.nag); err != nil {
		return err
	}
	if err := s.daemon.launch(); err != nil {
		return err
	}
	if err := s.audit(ctx); err != nil {
		return fmt.Errorf("the next daemon: %w", err)
	}
	pm, err := s.daemon.dial(ctx)
	if err != nil {
		return err
	}
	defer pm.Close()
	if err := s.follower.check(ctx, pm); err != nil {
		return err
	}
	s.journal.notef("SIGTERM again")
	return s.daemon.end(func() {})
}

// audit compares the daemon's list with what the players know.
func (s *storm) audit(ctx context.Context) error {
	pm, err := s.daemon.dial(ctx)
	if err != nil {
		return err
	}
	defer pm.Close()
	for _, p := range s.players { // a daemon that has just started is bringing up services
		told, err := readStory(p.file)
		if err != nil {
			return err
		}
		p.before = &told
	}
	list, err := pm.List(ctx)
	if err != nil {
		return err
	}
	for _, p := range s.players {
		i := slices.IndexFunc(list, func(s process.Status) bool { return s.Name == p.name })
		switch {
		case i < 0 && p.exists:
			return fmt.Errorf("process %s is lost", p.name)
		case i >= 0 && !p.exists:
			return fmt.Errorf("process %s was deleted and is back: %+v", p.name, list[i])
		case i >= 0:
			p.pm, p.ctx = pm, ctx
			p.judge(list[i])
			p.pm = nil
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// figures are for people.
func (s *storm) figures() string {
	requests := map[string]int{}
	var slowest time.Duration
	for _, p := range s.players {
		for what, n := range p.requests {
			requests[what] += n
		}
		slowest = max(slowest, p.slowest)
	}
	text := fmt.Sprintf("%v: %s", time.Since(s.journal.began).Round(time.Second), s.killer.figures())
	for _, what := range slices.Sorted(maps.Keys(requests)) {
		text += fmt.Sprintf(" %s %d,", what, requests[what])
	}
	if s.onDisk != nil {
		text += fmt.Sprintf(" the disk %s %d times,", s.options.disk, s.troubles)
	}
	text += fmt.Sprintf(" %d events in a row,", len(s.follower.told))
	return text + fmt.Sprintf(" the slowest took %v\n", slowest.Round(time.Millisecond))
}
