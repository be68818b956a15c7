package top

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/supervisor/border"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Display is a screen, and somebody before it.
type Display interface {
	Size() (width, height int)
	Show(Page)
	Repaint()         // all of it: something else may be shown
	Keys() <-chan Key // closed when nobody is there any more
	Resized() <-chan struct{}
	Suspend() error // stands still in the background, and is back when it returns
}

// Options are what a view needs to know.
type Options struct {
	Title string
	// Comes reports whether an error of the figures may pass: they are asked for again, for
	// Away. Nil: none does.
	Comes func(error) bool
	Away  time.Duration
}

// Title is what stands above the processes of this host.
func Title() string {
	host, err := os.Hostname()
	if err != nil {
		return "processmanager"
	}
	return "processmanager on " + host
}

const (
	// lateTime is how long figures may take before that is said. They come each second.
	lateTime = 2500 * time.Millisecond
	// againTime is between two tries to get figures.
	againTime = 250 * time.Millisecond
	// finishTime is how long an action may take when the view is closed.
	finishTime = time.Second
	// logLines are shown of a log, and of any text its last maxText bytes.
	logLines = 500
	maxText  = 1 << 20
)

// Run shows all processes until the person has enough, nobody is there any more or ctx ends:
// that error is its cause. Others are of the figures, and a fault of ours.
func Run(ctx context.Context, m verbs.Manager, d Display, o Options) error {
	ctx, cancel := context.WithCancelCause(ctx)
	acts, drop := context.WithCancel(context.WithoutCancel(ctx))
	v := &view{ctx: ctx, acts: acts, manager: m, display: d, Options: o, model: NewModel(o.Title), news: make(chan func()), late: time.NewTimer(lateTime)}
	defer v.late.Stop()
	defer v.end(cancel, drop)
	v.giveUp = cancel
	v.look()
	return v.loop()
}

// end ends what works for the view. What was asked for last has the time to get to the
// daemon, where it goes on.
func (v *view) end(cancel context.CancelCauseFunc, drop func()) {
	cancel(errDone)
	late := time.AfterFunc(finishTime, drop)
	v.actions.Wait()
	late.Stop()
	drop()
	v.all.Wait()
}

// errDone ends what works for a view.
var errDone = errors.New("the view is closed")

// view is a Run. The model is the loop's; others hand it what changes it.
type view struct {
	Options
	ctx     context.Context
	acts    context.Context // of what acts on processes
	manager verbs.Manager
	display Display
	model   *Model
	news    chan func() // what others have the loop do
	late    *time.Timer // fires when no figures come
	giveUp  func(error) // ends the view
	rest    func()      // ends what look began, and waits for that

	all, actions sync.WaitGroup

	known    bool   // there is something to show
	fetching Action // the text that is asked for; Nothing: none
	acting   map[Action]bool
}

// begin starts a goroutine of the view. A fault in it ends the view.
func (v *view) begin(group *sync.WaitGroup, do func()) {
	group.Go(func() {
		defer border.Catch(func(p *border.Panic) { v.tell(v.ctx, func() { panic(p) }) })
		do()
	})
}

// tell has the loop do something, unless ctx ends before.
func (v *view) tell(ctx context.Context, do func()) bool {
	select {
	case v.news <- do:
		return true
	case <-ctx.Done():
		return false
	}
}

// look begins to follow the figures, until rest is called.
func (v *view) look() {
	ctx, cancel := context.WithCancel(v.ctx)
	done := make(chan struct{})
	v.rest = func() { cancel(); <-done }
	v.begin(&v.all, func() {
		defer close(done)
		v.follow(ctx)
	})
}

func (v *view) loop() (err error) {
	defer border.Catch(func(p *border.Panic) { err = p })
	for {
		if v.known { // the first look comes at once
			v.show()
		}
		select {
		case k, ok := <-v.display.Keys():
			for more := true; more; { // what was typed together is shown together
				if !ok || v.press(k) {
					return nil
				}
				select {
				case k, ok = <-v.display.Keys():
				default:
					more = false
				}
			}
		case do := <-v.news:
			do()
		case <-v.display.Resized():
		case <-v.late.C:
			v.known = true
			v.model.Trouble("no figures come: the daemon does not answer")
		case <-v.ctx.Done():
			return context.Cause(v.ctx)
		}
	}
}

func (v *view) show() {
	width, height := v.display.Size()
	v.display.Show(v.model.Page(width, height, time.Now()))
}

// follow gets the figures, until it may not try any more.
func (v *view) follow(ctx context.Context) {
	var since time.Time // without any; zero: they come
	for {
		first := true
		err := v.manager.Figures(ctx, true, func(rows []process.Figures) error {
			whole := first
			first, since = false, time.Time{}
			if !v.tell(ctx, func() { v.take(rows, whole) }) {
				return errDone
			}
			return nil
		})
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = errors.New("no more figures come")
		}
		if since.IsZero() {
			since = time.Now()
		}
		away := time.Since(since)
		if v.Comes == nil || !v.Comes(err) || away >= v.Away {
			v.giveUp(err)
			return
		}
		left := v.Away - away
		v.tell(ctx, func() { v.model.Trouble(fmt.Sprintf("trying for %ds more: %v", int(left.Seconds()), err)) })
		select {
		case <-time.After(againTime):
		case <-ctx.Done():
			return
		}
	}
}

// take takes figures, and has the text below looked at again.
func (v *view) take(rows []process.Figures, whole bool) {
	if now := time.Now(); whole {
		v.model.Replace(rows, now)
	} else {
		v.model.Update(rows, now)
	}
	v.known = true
	v.late.Reset(lateTime)
	v.fetch(v.model.Wants())
}

// press carries out what a key asks for, and reports whether that is to end.
func (v *view) press(k Key) (end bool) {
	switch a := v.model.Press(k); a.Do {
	case Nothing:
	case Quit:
		return true
	case Repaint:
		v.display.Repaint()
	case Suspend:
		v.rest() // nobody looks
		if err := v.display.Suspend(); err != nil {
			v.model.Fail(err)
		}
		v.look()
		v.late.Reset(lateTime)
	case ShowTree, ShowLog:
		v.fetch(a)
	default:
		v.carryOut(a)
	}
	return false
}

// fetch gets the text of a tree or a log, one at a time.
func (v *view) fetch(a Action) {
	if a.Do == Nothing || v.fetching.Do != Nothing {
		return
	}
	v.fetching = a
	width, _ := v.display.Size()
	v.begin(&v.all, func() {
		text, err := v.ask(v.ctx, a, width)
		v.tell(v.ctx, func() {
			v.fetching = Action{}
			switch {
			case err != nil:
				text = "Error: " + err.Error()
			case strings.TrimSpace(text) == "":
				text = "nothing yet"
			}
			v.model.Show(a, text)
			if next := v.model.Wants(); next != a { // it was asked for meanwhile
				v.fetch(next)
			}
		})
	})
}

// carryOut acts on a process, and says what came of it. It may take as long as its grace.
func (v *view) carryOut(a Action) {
	if v.acting[a] {
		v.model.Say("%s: that is under way", a.Name)
		return
	}
	if v.acting == nil {
		v.acting = map[Action]bool{}
	}
	v.acting[a] = true
	v.model.Say("%s …", a.verb().Verb()+" "+a.Name)
	v.begin(&v.actions, func() {
		text, err := v.ask(v.acts, a, 0)
		v.tell(v.ctx, func() {
			delete(v.acting, a)
			if err != nil {
				v.model.Fail(err)
				return
			}
			v.model.Say("%s", strings.TrimSpace(text))
		})
	})
}

// ask has the daemon carry out an action, and is what it says.
func (v *view) ask(ctx context.Context, a Action, width int) (text string, err error) {
	answer := verbs.Run(ctx, v.manager, a.verb())
	answer.Width = width
	var end ending
	failed, err := answer.Tell(&end)
	return string(end), errors.Join(failed, err)
}

// ending is the last bytes of what is written to it: maxText, or some more.
type ending []byte

func (e *ending) Write(p []byte) (int, error) {
	*e = append(*e, p...)
	if extra := len(*e) - maxText; extra > maxText {
		*e = append((*e)[:0], (*e)[extra:]...)
	}
	return len(p), nil
}

// verb is the action as the daemon knows it.
func (a Action) verb() heroscript.Action {
	of := process.Selection{a.Name}
	switch a.Do {
	case ShowTree:
		return verbs.TreeAction(of)
	case ShowLog:
		return verbs.LogAction(a.Name, process.LogQuery{Lines: logLines})
	case Start:
		return verbs.OperationAction(of, process.StartAgain{})
	case Stop:
		return verbs.OperationAction(of, process.Stop{})
	case Restart:
		return verbs.OperationAction(of, process.Restart{})
	}
	return verbs.OperationAction(of, process.SendSignal{Signal: a.Signal, Tree: a.Tree})
}
