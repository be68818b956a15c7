package supervisor

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// until waits for something to be true of a process.
func (w *world) until(t *testing.T, name string, is func(process.Status) bool) process.Status {
	t.Helper()
	limit := time.After(30 * time.Second)
	for {
		more := w.s.store.Told()
		list, err := w.s.Show(t.Context(), process.Selection{name}, process.Brief)
		if err != nil {
			t.Fatal(err)
		}
		if is(list[0].Status) {
			return list[0].Status
		}
		select {
		case <-more:
		case <-time.After(10 * time.Millisecond): // it may be shown a moment after it was told
		case <-limit:
			t.Fatalf("%s is %v", name, list[0].Status.State)
		}
	}
}

func in(state process.State) func(process.Status) bool {
	return func(s process.Status) bool { return s.State == state }
}

func newCalmWorld(t *testing.T) *world {
	w := newWorld(t)
	w.calm = true
	t.Cleanup(func() {
		w.s.loopsClosed()
		w.s.closeParts()
	})
	return w
}

// atRest defines processes and starts none.
func (w *world) atRest(t *testing.T, specs ...process.Spec) {
	t.Helper()
	for _, s := range specs {
		if _, _, err := w.s.register(s, nil, ""); err != nil {
			t.Fatal(err)
		}
	}
}

// endRun has the run under way of a process end with a code.
func (w *world) endRun(t *testing.T, name string, code int) {
	t.Helper()
	alive := w.alive(name)
	if len(alive) != 1 {
		t.Fatalf("%d runs of %s", len(alive), name)
	}
	alive[0].endWith(code)
}

func TestStartStartsWhatIsNeededFirst(t *testing.T) {
	w := newCalmWorld(t)
	w.atRest(t, spec("db"), behind("cache", "db"), behind("web", "cache,db"))
	was := len(w.inOrder(process.EventStarting))
	w.do(t, process.StartAgain{}, "web")
	if got, want := w.inOrder(process.EventStarting)[was:], []string{"db", "cache", "web"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	list, _ := w.s.Do(t.Context(), process.Selection{"db"}, process.Stop{})
	if s := list[0].Status; !slices.Equal(s.NeededBy, []string{"cache", "web"}) {
		t.Errorf("a stop does not say who needs it: %v", s.NeededBy)
	}
	if s := w.until(t, "web", in(process.Running)); s.Number != 1 {
		t.Errorf("stop of db has ended web: run %d", s.Number)
	}
}

func TestAJobMustHaveSucceeded(t *testing.T) {
	w := newCalmWorld(t)
	w.atRest(t, spec("migrate"), behind("web", "migrate:completed"))
	started := make(chan error, 1)
	go func() {
		list, err := w.s.Do(context.Background(), process.Selection{"web"}, process.StartAgain{})
		started <- errors.Join(err, list[0].Err)
	}()
	w.until(t, "migrate", in(process.Running))
	s := w.until(t, "web", in(process.Waiting))
	if len(s.WaitsFor) != 1 || s.WaitsFor[0].Name != "migrate" || !s.WaitsFor[0].Completed || s.Number != 0 && s.PID != 0 {
		t.Errorf("it waits for %v", s.WaitsFor)
	}
	w.endRun(t, "migrate", 3)
	select {
	case err := <-started:
		if !errors.Is(err, process.ErrNeeds) || !strings.Contains(err.Error(), "migrate (failed: exit code 3)") {
			t.Errorf("got %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("nobody was told")
	}
	w.until(t, "web", in(process.Waiting)) // it goes on
	w.do(t, process.StartAgain{}, "migrate")
	w.endRun(t, "migrate", 0)
	w.until(t, "web", in(process.Running))
	w.do(t, process.Stop{}, "web")
	w.do(t, process.StartAgain{}, "web") // it has succeeded, and is not done again
	if s := w.until(t, "migrate", in(process.Completed)); s.Number != 2 {
		t.Errorf("the job was done again: run %d", s.Number)
	}
}

// Who waits for readiness and is overtaken hears that it was started.
func TestAStopSaysThatARunWasNotReady(t *testing.T) {
	w := newCalmWorld(t)
	slow := spec("web")
	slow.Ready = "delay:50s"
	w.atRest(t, slow)
	started := make(chan error, 1)
	go func() {
		list, err := w.s.Do(context.Background(), process.Selection{"web"}, process.StartAgain{Wait: process.WaitReady})
		started <- errors.Join(err, list[0].Err)
	}()
	w.until(t, "web", func(s process.Status) bool { return s.PID != 0 })
	w.do(t, process.Stop{}, "web")
	if err := <-started; !errors.Is(err, process.ErrSuperseded) || !strings.Contains(err.Error(), "'web' was not ready") {
		t.Errorf("got %v", err)
	}
}

// What takes the place of one that waits is started once.
func TestReplacingWhatWaitsStartsItOnce(t *testing.T) {
	w := newCalmWorld(t)
	w.atRest(t, spec("db"), behind("web", "db:completed"))
	started := make(chan error, 1)
	go func() {
		list, err := w.s.Do(context.Background(), process.Selection{"web"}, process.StartAgain{})
		started <- errors.Join(err, list[0].Err)
	}()
	w.until(t, "web", in(process.Waiting))
	other := spec("web")
	other.Command, other.JobID = "other", "j1"
	s, err := w.s.StartSpec(t.Context(), other, process.How{Replace: true})
	if err != nil || s.Number != 1 || s.Run.JobID != "j1" {
		t.Errorf("run %d, job %q, %v", s.Number, s.Run.JobID, err)
	}
	if err := <-started; err != nil && !errors.Is(err, process.ErrSuperseded) {
		t.Errorf("got %v", err)
	}
	if got, err := w.s.store.Runs("web", 10); err != nil || len(got) > 0 {
		t.Errorf("runs that nobody asked for: %v, %v", got, err)
	}
}

// Who waits for one that waits in vain is told so as well, however long the chain, and a
// start starts anew what is at its end.
func TestWhoWaitsForOneThatWaitsInVainIsTold(t *testing.T) {
	w := newCalmWorld(t)
	w.atRest(t, spec("db"), behind("cache", "db:completed"), behind("web", "cache"), behind("front", "web"))
	start := func() <-chan error {
		started := make(chan error, 1)
		go func() {
			list, err := w.s.Do(context.Background(), process.Selection{"front"}, process.StartAgain{})
			started <- errors.Join(err, list[0].Err)
		}()
		return started
	}
	for run := uint64(1); run <= 3; run++ {
		started := start()
		w.until(t, "db", func(s process.Status) bool { return s.State == process.Running && s.Number == run })
		w.endRun(t, "db", 3)
		select {
		case err := <-started:
			if !errors.Is(err, process.ErrNeeds) || !strings.Contains(err.Error(), "web (waiting: for db (failed: exit code 3))") {
				t.Errorf("got %v", err)
			}
		case <-time.After(30 * time.Second):
			t.Fatal("nobody was told")
		}
	}
	s := w.until(t, "front", in(process.Waiting))
	if len(s.WaitsFor) != 1 || s.WaitsFor[0].Error != "for db (failed: exit code 3)" {
		t.Errorf("it waits for %v", s.WaitsFor)
	}
	w.do(t, process.StartAgain{}, "db")
	w.until(t, "front", func(s process.Status) bool { return len(s.WaitsFor) == 1 && s.WaitsFor[0].Error == "" })
	w.endRun(t, "db", 0)
	w.until(t, "front", in(process.Running))
}

// What it needs may be lost while its former run is still ending.
func TestARestartThatComesToWaitInVainIsTold(t *testing.T) {
	w := newCalmWorld(t)
	web := behind("web", "db")
	web.StopSignal, web.StopTimeout = process.Signal(unix.SIGUSR1), new(time.Minute) // nobody hears that
	w.atRest(t, spec("db"), web)
	w.do(t, process.StartAgain{}, "web")
	w.do(t, process.Stop{}, "db")
	restarted := make(chan error, 1)
	go func() {
		list, err := w.s.Do(context.Background(), process.Selection{"web"}, process.Restart{})
		restarted <- errors.Join(err, list[0].Err)
	}()
	w.until(t, "db", func(s process.Status) bool { return s.State == process.Running && s.Number == 2 })
	w.do(t, process.Stop{}, "db")
	w.until(t, "web", in(process.Stopping))
	w.endRun(t, "web", 0)
	select {
	case err := <-restarted:
		if !errors.Is(err, process.ErrNeeds) {
			t.Errorf("got %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("nobody was told")
	}
}

// A job that has succeeded is there, whatever was needed of it before.
func TestAJobThatHasSucceededCountsWhenItComesToBeNeeded(t *testing.T) {
	w := newCalmWorld(t)
	w.atRest(t, spec("x"), spec("db"), behind("web", "db"))
	w.do(t, process.StartAgain{}, "db")
	w.endRun(t, "db", 0)
	w.until(t, "db", in(process.Completed))
	w.do(t, process.Set{Settings: []process.Setting{{Field: "needs", Value: "x:completed"}}}, "db")
	started := make(chan error, 1)
	go func() {
		list, err := w.s.Do(context.Background(), process.Selection{"web"}, process.StartAgain{})
		started <- errors.Join(err, list[0].Err)
	}()
	w.until(t, "x", in(process.Running))
	w.until(t, "db", in(process.Waiting))
	w.endRun(t, "x", 3)
	if err := <-started; !errors.Is(err, process.ErrNeeds) {
		t.Errorf("got %v", err)
	}
	w.do(t, process.Set{Settings: []process.Setting{{Field: "needs", Value: "db:completed"}}}, "web")
	w.until(t, "web", in(process.Running))
}

func TestWhatWaitsCanBeStoppedDeletedAndChanged(t *testing.T) {
	w := newCalmWorld(t)
	w.atRest(t, spec("db"), spec("job"), behind("a", "job:completed"), behind("b", "job:completed"), behind("c", "job:completed"))
	answers := make(chan error, 3)
	start := func(name string) {
		list, err := w.s.Do(context.Background(), process.Selection{name}, process.StartAgain{})
		answers <- errors.Join(err, list[0].Err)
	}
	for _, name := range []string{"a", "b", "c"} {
		go start(name)
		w.until(t, name, in(process.Waiting))
	}
	w.do(t, process.Stop{}, "a")
	if err := <-answers; !errors.Is(err, process.ErrSuperseded) {
		t.Errorf("a start that was stopped: %v", err)
	}
	if s := w.until(t, "a", in(process.Stopped)); len(s.WaitsFor) > 0 {
		t.Errorf("a waits for %v", s.WaitsFor)
	}
	w.do(t, process.Delete{}, "b")
	if err := <-answers; !errors.Is(err, process.ErrSuperseded) {
		t.Errorf("a start that was deleted: %v", err)
	}
	w.do(t, process.Set{Settings: []process.Setting{{Field: "needs", Value: ""}}}, "c")
	if err := <-answers; err != nil {
		t.Errorf("a start that needs nothing any more: %v", err)
	}
	w.until(t, "c", in(process.Running))
}

// What is started by itself waits, and starts nobody whom somebody has stopped.
func TestARunThatEndedBeforeDoesNotCount(t *testing.T) {
	w := newCalmWorld(t)
	w.atRest(t, spec("db"), behind("web", "db"))
	w.do(t, process.StartAgain{}, "db")
	w.endRun(t, "db", 0)
	w.until(t, "db", in(process.Completed))
	w.do(t, process.StartAgain{}, "web")
	if s := w.until(t, "db", in(process.Running)); s.Number != 2 {
		t.Errorf("web was started behind run %d of db, which had ended", s.Number)
	}
}
