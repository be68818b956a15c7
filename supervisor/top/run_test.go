package top

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/supervisor/border"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// daemon has one process, and figures each second.
type daemon struct {
	verbs.Manager // nil: nothing else is asked for
	lost          atomic.Pointer[error]
	silent        atomic.Bool
	looking       atomic.Int32 // streams of figures
	faulty        bool
	slow          time.Duration // of each action

	mu   sync.Mutex
	done []string
	logs int
}

func (d *daemon) Figures(ctx context.Context, follow bool, tell func([]process.Figures) error) error {
	if d.faulty {
		panic("figures")
	}
	d.looking.Add(1)
	defer d.looking.Add(-1)
	rows := []process.Figures{{Name: "web", State: process.Running, PID: 7, Run: 1}}
	for {
		if lost := d.lost.Load(); lost != nil {
			return *lost
		}
		if !d.silent.Load() {
			if err := tell(rows); err != nil {
				return err
			}
		}
		rows = nil
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (d *daemon) Do(ctx context.Context, of process.Selection, op process.Operation) ([]process.Outcome, error) {
	select {
	case <-time.After(d.slow):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.done = append(d.done, fmt.Sprintf("%T %v", op, of))
	return []process.Outcome{{Name: "web", Err: process.Errorf(process.CodeNotFound, "there is no web")}}, nil
}

func (d *daemon) Show(context.Context, process.Selection, process.Detail) ([]process.Outcome, error) {
	return []process.Outcome{{Name: "web", Status: process.NewStatus(process.Spec{Name: "web"}, process.Running)}}, nil
}

func (d *daemon) Log(_ context.Context, name string, _ process.LogQuery, w io.Writer) (int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.logs++
	_, err := fmt.Fprintf(w, "look %d\n", d.logs)
	return 0, err
}

// looks is how often a log was asked for.
func (d *daemon) looks() int {
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.logs
}

// window is a Display of 80 by 24.
type window struct {
	mu    sync.Mutex
	lines []string
	shows int
	keys  chan Key
	away  time.Duration // of Suspend
}

func (w *window) Size() (width, height int) { return 80, 24 }
func (w *window) Repaint()                  {}
func (w *window) Keys() <-chan Key          { return w.keys }
func (w *window) Resized() <-chan struct{}  { return nil }
func (w *window) Suspend() error {
	time.Sleep(w.away)
	return errors.New("no shell")
}

func (w *window) Show(p Page) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = texts(p)
	w.shows++
}

func (w *window) line(i int) string {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if i >= len(w.lines) {
		return ""
	}
	return w.lines[i]
}

// frames is how often something was drawn.
func (w *window) frames() int {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.shows
}

func (w *window) types(keys string) {
	for _, k := range keysOf(keys) {
		w.keys <- k
	}
	synctest.Wait()
}

// watched runs a view within a test; when that is done, the view has ended.
func watched(t *testing.T, d *daemon, o Options, test func(t *testing.T, w *window, ended <-chan error, end context.CancelCauseFunc)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancelCause(t.Context())
		w := &window{keys: make(chan Key)}
		ended := make(chan error, 1)
		go func() { ended <- Run(ctx, d, w, o) }()
		synctest.Wait()
		test(t, w, ended, end)
		end(nil)
	})
}

func TestAViewEndsAsAsked(t *testing.T) {
	gone := errors.New("gone")
	for what, test := range map[string]struct {
		end  func(w *window, end context.CancelCauseFunc)
		want error
	}{
		"q":                 {func(w *window, _ context.CancelCauseFunc) { w.types("q") }, nil},
		"Ctrl-C":            {func(w *window, _ context.CancelCauseFunc) { w.types("x\x03") }, nil},
		"nobody is there":   {func(w *window, _ context.CancelCauseFunc) { close(w.keys) }, nil},
		"its context ended": {func(_ *window, end context.CancelCauseFunc) { end(gone) }, gone},
	} {
		t.Run(what, func(t *testing.T) {
			watched(t, &daemon{}, Options{}, func(t *testing.T, w *window, ended <-chan error, end context.CancelCauseFunc) {
				test.end(w, end)
				if err := <-ended; !errors.Is(err, test.want) || test.want == nil && err != nil {
					t.Errorf("it ends with %v, want %v", err, test.want)
				}
			})
		})
	}
}

// What the daemon does not answer is said, and a connection that is lost is made again, for as
// long as it may take.
func TestFiguresThatDoNotComeAreWaitedFor(t *testing.T) {
	lost := errors.New("lost")
	o := Options{Comes: func(err error) bool { return errors.Is(err, lost) }, Away: 10 * time.Second}
	d := &daemon{}
	watched(t, d, o, func(t *testing.T, w *window, ended <-chan error, _ context.CancelCauseFunc) {
		check := func(want string) {
			t.Helper()
			if got := w.line(1); !strings.Contains(got, want) {
				t.Errorf("it shows %q, want %q", got, want)
			}
		}
		check("CPU 0.0 %")
		d.silent.Store(true)
		time.Sleep(3 * time.Second)
		check("no figures come: the daemon does not answer")
		d.silent.Store(false)
		time.Sleep(time.Second)
		check("CPU 0.0 %")

		d.lost.Store(&lost)
		time.Sleep(5 * time.Second)
		check("trying for 6s more: lost")
		d.lost.Store(nil)
		time.Sleep(time.Second)
		check("CPU 0.0 %")
		began := time.Now()
		d.lost.Store(&lost)
		if err := <-ended; !errors.Is(err, lost) {
			t.Errorf("it ends with %v", err)
		}
		if took := time.Since(began); took < 10*time.Second || took > 12*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestAnErrorThatStaysEndsTheView(t *testing.T) {
	refused := errors.New("refused")
	d := &daemon{}
	d.lost.Store(&refused)
	watched(t, d, Options{}, func(t *testing.T, _ *window, ended <-chan error, _ context.CancelCauseFunc) {
		if err := <-ended; !errors.Is(err, refused) {
			t.Errorf("it ends with %v", err)
		}
	})
}

func TestWhatCameOfAnActionIsSaid(t *testing.T) {
	d := &daemon{slow: time.Minute}
	watched(t, d, Options{}, func(t *testing.T, w *window, ended <-chan error, _ context.CancelCauseFunc) {
		w.types("xy")
		if got := w.line(23); got != "process.stop web …" {
			t.Errorf("it shows %q", got)
		}
		w.types("xy")
		if got := w.line(23); got != "web: that is under way" {
			t.Errorf("asked for again: %q", got)
		}
		time.Sleep(time.Minute)
		if got := w.line(23); got != "there is no web" || len(d.done) != 1 || d.done[0] != "process.Stop web" {
			t.Errorf("it shows %q, done is %q", got, d.done)
		}
		w.types("\x1a")
		if got := w.line(23); got != "no shell" {
			t.Errorf("Ctrl-Z: %q", got)
		}
		w.types("q")
		<-ended
	})
}

// What is asked for last gets to the daemon, but is not waited for without a bound.
func TestTheLastActionIsNotLost(t *testing.T) {
	for slow, want := range map[time.Duration]int{finishTime / 2: 1, time.Hour: 0} {
		d := &daemon{slow: slow}
		watched(t, d, Options{}, func(t *testing.T, w *window, ended <-chan error, _ context.CancelCauseFunc) {
			began := time.Now()
			w.types("xyq")
			if err := <-ended; err != nil || time.Since(began) > finishTime || len(d.done) != want {
				t.Errorf("%v: it ends with %v after %v, and %q is done", slow, err, time.Since(began), d.done)
			}
		})
	}
}

// Text is asked for while somebody looks at it, and once a second.
func TestALogIsReadWhileItIsLookedAt(t *testing.T) {
	d := &daemon{}
	watched(t, d, Options{}, func(t *testing.T, w *window, ended <-chan error, _ context.CancelCauseFunc) {
		time.Sleep(10500 * time.Millisecond) // between two looks
		w.types("l")
		if got := w.line(3); got != "look 1" {
			t.Errorf("it shows %q", got)
		}
		time.Sleep(10 * time.Second)
		if got := w.line(3); got != "look 11" {
			t.Errorf("10 s later it shows %q", got)
		}
		w.types("q")
		time.Sleep(10 * time.Second)
		if n := d.looks(); n != 11 {
			t.Errorf("nobody looks, and it is read %d times", n)
		}
		before := w.frames()
		time.Sleep(10 * time.Second)
		if n := w.frames() - before; n != 10 {
			t.Errorf("%d frames in 10 s", n)
		}
		w.types("q")
		<-ended
	})
}

// In the background nobody looks, and the daemon is asked for nothing.
func TestNothingIsReadInTheBackground(t *testing.T) {
	d := &daemon{}
	watched(t, d, Options{}, func(t *testing.T, w *window, ended <-chan error, _ context.CancelCauseFunc) {
		w.away = time.Hour
		w.keys <- CtrlZ
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := d.looking.Load(); n != 0 {
			t.Errorf("%d look", n)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := d.looking.Load(); n != 1 || w.line(23) != "no shell" {
			t.Errorf("back again %d look, and it shows %q", n, w.line(23))
		}
		w.types("q")
		if err := <-ended; err != nil || d.looking.Load() != 0 {
			t.Errorf("it ends with %v, and %d look", err, d.looking.Load())
		}
	})
}

func TestTextsAreBounded(t *testing.T) {
	var e ending
	for range 10 {
		e.Write(make([]byte, maxText/2))
	}
	if e.Write([]byte("end")); len(e) > 2*maxText || len(e) < maxText || string(e[len(e)-3:]) != "end" {
		t.Errorf("%d bytes are kept", len(e))
	}
}

func TestAFaultEndsItsView(t *testing.T) {
	watched(t, &daemon{faulty: true}, Options{}, func(t *testing.T, _ *window, ended <-chan error, _ context.CancelCauseFunc) {
		var fault *border.Panic
		if err := <-ended; !errors.As(err, &fault) || fault.Value != "figures" {
			t.Errorf("it ends with %v", err)
		}
	})
}
