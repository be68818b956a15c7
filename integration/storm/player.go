package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/client"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet"
)

// player owns one name. Nobody else asks for anything about it, so it knows what
// must be so.
type player struct {
	storm  *storm
	name   string
	random *rand.Rand
	pm     *client.Client
	ctx    context.Context

	life    int // processes that had the name
	exists  bool
	kind    kind
	spec    process.Spec
	file    string // what its trees tell
	born    time.Time
	newest  uint64 // run that the daemon has told of
	lived   bool   // it was running, and would not end by itself
	asked   []span // runs that were asked to end
	halted  bool   // stop was answered, nothing was asked since
	leaving bool   // delete was asked for
	over    bool   // the daemon is ending
	changes int    // requests that may have changed what the daemon does with it
	base    uint64 // the run that was asked for last; those behind it came by themselves; 0: not known

	// before is what its trees had told before the daemon was asked, where runs may begin by
	// themselves between its answer and the judgement; nil: they do not.
	before *story

	unstored bool // a start could not be stored, nothing was asked since
	resting  bool // and it was at rest then: nothing may make up for it

	requests map[string]int // by what became of them
	slowest  time.Duration
}

// span are runs by their numbers, both included.
type span struct{ from, to uint64 }

// errOver ends a player: something is wrong, and was said, or the storm is over.
var errOver = errors.New("over")

// play makes, uses and deletes processes until timed ends; what it has begun it
// finishes within ctx.
func (p *player) play(timed, ctx context.Context) {
	p.ctx = ctx
	defer func() {
		if p.pm != nil {
			p.pm.Close()
			p.pm = nil
		}
	}()
	for p.pause(timed) {
		if err := p.turn(); err != nil {
			if !errors.Is(err, errOver) {
				p.fail("%w", err)
			}
			return
		}
		if p.storm.options.files > 0 && p.pm != nil { // there are fewer seats than those who want one
			p.pm.Close()
			p.pm = nil
		}
	}
}

func (p *player) pause(ctx context.Context) bool {
	select {
	case <-time.After(milliseconds(p.random, 10, 500)):
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

func (p *player) fail(format string, args ...any) error {
	p.storm.journal.failf("%s (%s, %s): %w", p.name, p.kind.name, p.file, fmt.Errorf(format, args...))
	return errOver
}

// turn is one request, and a look at what has come of it.
func (p *player) turn() error {
	if !p.exists {
		return p.create()
	}
	if err := p.look(); err != nil {
		return err
	}
	switch n := p.random.IntN(20); {
	case n < 4:
		return p.stop()
	case n < 8:
		return p.restart()
	case n < 12:
		return p.start()
	case n < 14:
		return p.list()
	case n < 16:
		return p.log()
	case n < 18:
		return p.remove()
	}
	return p.await()
}

// outcome is what is known of a request.
type outcome int

const (
	answered outcome = iota
	lost             // it may have been carried out
	unstored         // it could not be put on disk: a run may have been ended for it, none was begun
	refused
)

// do carries out a request, waits for a daemon if there is none, and fails on
// whatever is not an answer or a plain loss.
func (p *player) do(what string, request func(context.Context, *client.Client) error) (outcome, error) {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	for {
		began := time.Now()
		var err error
		if p.pm == nil {
			p.pm, err = p.storm.daemon.dial(ctx)
		}
		if err == nil {
			err = request(ctx, p.pm)
		}
		took := time.Since(began)
		p.slowest = max(p.slowest, took)
		var refusal *process.Error
		switch {
		case p.ctx.Err() != nil:
			return lost, errOver
		case ctx.Err() != nil:
			return lost, p.fail("%s hangs: %w", what, err)
		case err == nil:
			p.count("answered")
			p.storm.journal.notef("%s %s: ok (%v)", p.name, what, took.Round(time.Millisecond))
			return answered, nil
		case errors.Is(err, process.ErrShuttingDown) && !p.storm.killer.sawAll(began, time.Now()): // a worker without a keeper ends
			p.count("lost")
			return lost, nil
		case errors.As(err, &refusal) && p.storm.hard() && (refusal.Code == process.CodeStore || refusal.Code == process.CodeStart):
			p.count(string(refusal.Code))
			p.storm.journal.notef("%s %s: %v", p.name, what, refusal)
			p.pause(p.ctx)
			if refusal.Code == process.CodeStore && strings.Contains(refusal.Message, unstoredText) {
				return unstored, nil
			}
			return lost, nil // a part of it may have been done; on a disk that hangs it will be
		case errors.As(err, &refusal):
			p.count(string(refusal.Code))
			p.storm.journal.notef("%s %s: %s", p.name, what, refusal.Code)
			return refused, err
		case errors.Is(err, client.ErrConnectionLost):
			p.count("lost")
			p.storm.journal.notef("%s %s: lost (%v)", p.name, what, took.Round(time.Millisecond))
			return lost, nil
		case errors.Is(err, client.ErrNoDaemon) && !p.storm.killer.sawAll(began, time.Now()):
			time.Sleep(10 * time.Millisecond) // nothing was sent: again
		case errors.Is(err, telnet.ErrBusy) && p.storm.hard():
			time.Sleep(10 * time.Millisecond) // the same
		default:
			return lost, p.fail("%s: neither an answer nor a lost connection: %w", what, err)
		}
	}
}

func (p *player) count(what string) { p.requests[what]++ }

// status is the process's, gone if there is none.
func (p *player) status() (s process.Status, gone bool, err error) {
	for {
		o, err := p.do("status", func(ctx context.Context, pm *client.Client) (err error) {
			s, err = pm.Status(ctx, p.name)
			return err
		})
		switch {
		case o == answered:
			return s, false, nil
		case o == refused && errors.Is(err, process.ErrNotFound):
			return s, true, nil
		case o == refused:
			return s, false, p.fail("status: %w", err)
		case err != nil:
			return s, false, err
		} // lost, several times in a row
	}
}

// settled is the status once nothing is under way.
func (p *player) settled() (s process.Status, gone bool, err error) {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		s, gone, err = p.status()
		if err != nil || gone || s.State != process.Starting && s.State != process.Stopping {
			return s, gone, err
		}
	}
	return s, gone, p.fail("it is %v for %v", s.State, patience)
}

// create registers a process of a new kind.
func (p *player) create() error {
	p.life++
	p.file = fmt.Sprintf("%s/told/%s.%d", p.storm.dir, p.name, p.life)
	p.kind, p.spec = invent(p.random, p.name, p.file)
	p.newest, p.asked, p.leaving, p.born, p.base, p.changes = 0, nil, false, time.Now(), 0, 0
	p.halted, p.unstored, p.resting = false, false, false
	for {
		var s process.Status
		o, err := p.do("start "+p.kind.name, func(ctx context.Context, pm *client.Client) (err error) {
			s, err = pm.Start(ctx, p.spec)
			return err
		})
		switch {
		case o == answered:
			p.exists, p.base = true, s.Number
			return p.judge(s)
		case o == refused:
			return p.fail("start: %w", err)
		case err != nil:
			return err
		}
		s, gone, err := p.settled()
		if err != nil {
			return err
		}
		if !gone {
			p.exists = true
			return p.judge(s)
		}
		if told, err := readStory(p.file); err != nil || len(told.runs) > 0 {
			return p.fail("nobody knows it, and its tree runs: %v %v", told.runs, err)
		}
	}
}

// look is one at any moment.
func (p *player) look() error {
	s, gone, err := p.status()
	if err != nil {
		return err
	}
	if gone {
		return p.fail("the daemon has forgotten it")
	}
	return p.judge(s)
}

// change is a request that changes what the daemon does with the process, and the
// status afterwards.
func (p *player) change(what string, ends bool, request func(context.Context, *client.Client) (process.Status, error)) (o outcome, s process.Status, gone bool, err error) {
	if ends {
		p.asked = append(p.asked, span{p.newest, ^uint64(0)})
	}
	p.halted, p.unstored, p.resting, p.base = false, false, false, 0
	p.changes++
	o, err = p.do(what, func(ctx context.Context, pm *client.Client) (err error) {
		s, err = request(ctx, pm)
		return err
	})
	switch {
	case o == refused && p.leaving && errors.Is(err, process.ErrNotFound):
		return o, s, true, nil
	case o == refused:
		return o, s, false, p.fail("%s: %w", what, err)
	case err != nil:
		return o, s, false, err
	case o == lost || o == unstored || what == "delete":
		if s, gone, err = p.settled(); err != nil || gone {
			return o, s, gone, err
		}
	}
	if o == answered && (what == "restart" || what == "start by name") && !s.AlreadyRunning {
		p.base = s.Number
	}
	p.unstored = o == unstored && (what == "restart" || what == "start by name")
	if ends { // runs that come later were not asked
		p.asked[len(p.asked)-1].to = newestRun(s)
	}
	err = p.judge(s)
	p.resting = p.unstored && p.spec.Cron == "" && s.State.AtRest()
	return o, s, false, err
}

// unstoredText is said of what could not be put on disk, and is not done later either if it
// was a start.
const unstoredText = "could not be stored"

func (p *player) stop() error {
	before := p.newest
	o, s, gone, err := p.change("stop", true, func(ctx context.Context, pm *client.Client) (process.Status, error) {
		return pm.Stop(ctx, p.name)
	})
	if err != nil {
		return err
	}
	if gone {
		return p.fail("the daemon has forgotten it")
	}
	if o == answered && !s.State.AtRest() {
		return p.fail("stop was answered and it is %v", s.State)
	}
	if s.State.AtRest() && (o == answered || !p.storm.hard() && (p.spec.Cron != "" || newestRun(s) > before)) {
		p.halted = true
	}
	if o == answered {
		return p.nobody()
	}
	return nil
}

func (p *player) restart() error {
	before, began, lived := p.newest, time.Now(), p.lived
	o, s, gone, err := p.change("restart", true, func(ctx context.Context, pm *client.Client) (process.Status, error) {
		return pm.Restart(ctx, p.name, "")
	})
	if err != nil {
		return err
	}
	if gone {
		return p.fail("the daemon has forgotten it")
	}
	if o == answered && p.spec.Cron == "" && newestRun(s) <= before {
		return p.fail("restart was answered, run %d is still the newest", before)
	}
	started := o == answered || o == lost && p.storm.options.disk != "fills" // there the lost answer may be that it could not be stored
	if lived && started && s.State.AtRest() && newestRun(s) == before && p.storm.killer.sawAll(began, time.Now()) {
		return p.fail("restart has ended run %d and started none", before)
	}
	return nil
}

func (p *player) start() error {
	before := p.newest
	o, s, gone, err := p.change("start by name", false, func(ctx context.Context, pm *client.Client) (process.Status, error) {
		return pm.Start(ctx, process.Spec{Name: p.name})
	})
	if err != nil {
		return err
	}
	if gone {
		return p.fail("the daemon has forgotten it")
	}
	if o == answered && !p.kind.ends && s.State.AtRest() && newestRun(s) <= before {
		return p.fail("start was answered and it is %v", s.State)
	}
	return nil
}

// remove asks again when the answer was lost: the deletion may still be under way.
func (p *player) remove() error {
	p.leaving = true
	for gone := false; !gone; {
		var err error
		_, _, gone, err = p.change("delete", true, func(ctx context.Context, pm *client.Client) (process.Status, error) {
			return process.Status{}, pm.Delete(ctx, p.name)
		})
		if err != nil {
			return err
		}
	}
	p.exists = false
	if _, err := os.Stat(p.storm.daemon.state + "/logs/" + p.name); err == nil {
		return p.fail("it is deleted and its log is left")
	}
	return p.nobody()
}

func (p *player) list() error {
	var all []process.Status
	o, err := p.do("list", func(ctx context.Context, pm *client.Client) (err error) {
		all, err = pm.List(ctx)
		return err
	})
	if o != answered {
		return err
	}
	for _, s := range all {
		if s.Name == p.name {
			return p.judge(s)
		}
	}
	return p.fail("it is not in the list of %d", len(all))
}

func (p *player) log() error {
	_, err := p.do("log", func(ctx context.Context, pm *client.Client) error {
		_, err := pm.LogLines(ctx, p.name, 10)
		return err
	})
	return err
}

// await waits for something that has to happen by itself.
func (p *player) await() error {
	if !p.kind.ends && p.spec.Deadline == 0 || p.halted {
		return nil
	}
	before := p.newest
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		s, gone, err := p.status()
		if err != nil {
			return err
		}
		if gone {
			return p.fail("the daemon has forgotten it")
		}
		if err := p.judge(s); err != nil {
			return err
		}
		if s.State.AtRest() || (p.spec.Cron != "" || p.spec.Restart != "") && newestRun(s) > before {
			return nil
		}
	}
	if p.kind.leaves && !p.storm.killer.sawAll(p.born, time.Now()) {
		return nil // nobody knows the leader that had ended: what it left is taken for it
	}
	return p.fail("nothing has happened in %v since run %d", patience, before)
}
