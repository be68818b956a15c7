package run

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/keeper"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// helperHost is a keeper and the group of a probe: one process, which is born late, writes,
// and ends by itself or by SIGKILL.
type helperHost struct {
	Group
	mu     sync.Mutex
	exists bool
	lives  bool
	birth  time.Duration
	life   time.Duration
	leaves bool // somebody in the group
	words  string
	exit   proc.Exit
	err    error
	stuck  bool

	killed chan struct{}
	kills  int
	asked  proc.Command
}

// patience is how long a test waits for what must come.
const patience = time.Minute

func (g *helperHost) host() *Host {
	g.killed = make(chan struct{}, 1)
	return &Host{Group: func(name string) Group {
		if name != "web.7.probe" && name != "web.7.on_failure" {
			panic(name)
		}
		return g
	}, Keeper: helperKeeper{g: g}}
}

type helperKeeper struct {
	Keeper
	g *helperHost
}

func (g *helperHost) Make() error {
	if g.exists {
		return fs.ErrExist
	}
	g.exists = true
	return nil
}

func (g *helperHost) Remove() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.lives || g.leaves {
		return cgroup.ErrNotEmpty
	}
	g.exists = false
	return nil
}

func (g *helperHost) Dir() (*os.File, error) { return os.Open("/") }

func (g *helperHost) Events() (cgroup.Events, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return cgroup.Events{Populated: g.lives || g.leaves}, nil
}

func (g *helperHost) Kill() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.kills++
	if g.stuck {
		return nil
	}
	g.leaves = false
	if g.lives {
		g.lives = false
		g.killed <- struct{}{}
	}
	return nil
}

func (k helperKeeper) Help(ctx context.Context, c proc.Command) (proc.Exit, error) {
	g := k.g
	time.Sleep(g.birth)
	g.mu.Lock()
	g.asked, g.lives = c, g.err == nil
	g.mu.Unlock()
	if g.err != nil {
		return proc.Exit{}, g.err
	}
	c.Output.WriteString(g.words)
	select {
	case <-time.After(g.life):
		g.mu.Lock()
		g.lives = false
		g.mu.Unlock()
		return g.exit, nil
	case <-g.killed:
		return proc.Exit{Signal: unix.SIGKILL}, nil
	case <-ctx.Done():
		return proc.Exit{}, ctx.Err()
	}
}

func TestProbeSaysWhyItFails(t *testing.T) {
	refused := &proc.SpawnError{Step: proc.StepChdir, Path: "/gone", Err: unix.ENOENT}
	for name, test := range map[string]struct {
		g    *helperHost
		want string
	}{
		"success":               {&helperHost{words: "all is well\n"}, ""},
		"code":                  {&helperHost{exit: proc.Exit{Code: 3}, words: "one\n\ntwo\n \n"}, "exit code 3: two"},
		"nothing said":          {&helperHost{exit: proc.Exit{Code: 3}}, "exit code 3"},
		"signal":                {&helperHost{exit: proc.Exit{Signal: unix.SIGSEGV}}, "ended by SIGSEGV"},
		"not text":              {&helperHost{exit: proc.Exit{Code: 1}, words: "a\xffb"}, "exit code 1: a\uFFFDb"},
		"much":                  {&helperHost{exit: proc.Exit{Code: 1}, words: strings.Repeat("x", 5000)}, "exit code 1: " + strings.Repeat("x", maxWords)},
		"too slow":              {&helperHost{life: time.Hour, words: "waiting for the database"}, "it took too long: waiting for the database"},
		"born behind the limit": {&helperHost{birth: 100 * time.Millisecond, life: time.Hour}, "it took too long"},
		"leaves somebody":       {&helperHost{leaves: true}, ""},
		"cannot be started":     {&helperHost{err: refused}, "chdir /gone: no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := test.g
			limit := patience
			if strings.HasPrefix(test.want, "it took too long") {
				limit = 50 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			p := Plan{ID: keeper.RunID{Name: "web", Run: 7}, Spec: process.Spec{Dir: "/srv"}}
			err := g.host().Probe(ctx, p, "check")
			if got := text(err); got != test.want {
				t.Errorf("it says %q, want %q", got, test.want)
			}
			if g.exists || g.lives || g.leaves {
				t.Errorf("it is left: group %v, probe %v, others %v", g.exists, g.lives, g.leaves)
			}
			if c := g.asked; c.Dir != "/srv" || c.Argv[2] != "check" || strings.Contains(strings.Join(c.Env, " "), "NOTIFY_SOCKET") {
				t.Errorf("%+v", c)
			}
		})
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// One that SIGKILL does not end holds up nobody for longer than a tree, and is not joined by
// another.
func TestProbeThatIsStuck(t *testing.T) {
	t.Parallel()
	g := &helperHost{life: time.Hour, stuck: true}
	h, p := g.host(), Plan{ID: keeper.RunID{Name: "web", Run: 7}}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := h.Probe(ctx, p, "check"); text(err) != "it took too long" {
		t.Error(err)
	}
	if took := time.Since(began); took > 2*killLimit {
		t.Errorf("it took %v", took)
	}
	if err := h.Probe(t.Context(), p, "check"); !strings.Contains(text(err), "the one before has not ended yet") {
		t.Error(err)
	}
	g.lives, g.life = false, 0
	if err := h.Probe(t.Context(), p, "check"); err != nil {
		t.Error(err)
	}
}

func TestProbeOfARunThatEndsIsCancelled(t *testing.T) {
	t.Parallel()
	g := &helperHost{life: time.Hour}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if err := g.host().Probe(ctx, Plan{ID: keeper.RunID{Name: "web", Run: 7}}, "check"); !errors.Is(err, context.Canceled) || g.exists {
		t.Errorf("%v, group %v", err, g.exists)
	}
}

func TestGroupsOfHelpersAreNoRuns(t *testing.T) {
	for name, want := range map[string]bool{"web.7.probe": true, "a.b.7.probe": true, "web.7.on_failure": true, "web.on_failure": false, "web.on_failure.7": false, "web.7": false, "web.probe": false, "probe": false, ".probe": false, "web.probe.7": false} {
		if IsHelper(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
		if _, isRun := ParseName(name); want && isRun {
			t.Errorf("%s could be of a run", name)
		}
	}
}

func TestOnFailureIsEndedAtItsTime(t *testing.T) {
	t.Parallel()
	g := &helperHost{life: time.Hour}
	p := Plan{ID: keeper.RunID{Name: "web", Run: 7}, Spec: process.Spec{Telling: process.Telling{OnFailure: "mail"}}}
	err := g.host().OnFailure(t.Context(), 50*time.Millisecond, p, Failure{})
	if err == nil || !strings.Contains(err.Error(), "took too long") || g.exists {
		t.Errorf("%v, group %v", err, g.exists)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if err := g.host().OnFailure(ctx, time.Hour, p, Failure{}); !errors.Is(err, context.Canceled) || g.exists {
		t.Errorf("%v, group %v", err, g.exists)
	}
}
