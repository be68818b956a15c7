package supervisor

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/proc"
)

// played are timers with a clock that a test sets, as the kernel sets it: in suspend it
// goes on, and the descriptor fires at resume.
func played() (ts *timers, advance func(time.Duration)) {
	now, due := time.Hour, time.Duration(0)
	ts = &timers{
		now:   func() time.Duration { return now },
		setTo: func(at time.Duration) error { due = at; return nil },
	}
	return ts, func(d time.Duration) {
		for now += d; due != 0 && due <= now; {
			due = 0
			ts.fire()
		}
	}
}

func (t *timer) fired() bool {
	select {
	case <-t.C:
		return true
	default:
		return false
	}
}

func TestDeadlineThatPassedInSuspendFiresAtResume(t *testing.T) {
	ts, advance := played()
	deadline, later := ts.stopped(), ts.stopped()
	deadline.Reset(10 * time.Minute)
	later.Reset(9 * time.Hour)
	advance(8 * time.Hour) // in one step: nobody was awake
	if !deadline.fired() || later.fired() {
		t.Error("the deadline did not fire at resume, or what is not due did")
	}
	if advance(time.Hour); !later.fired() || deadline.fired() {
		t.Error("a timer fires at its time, and once")
	}
}

func TestTimerThatIsSetAgainSaysNothingOfBefore(t *testing.T) {
	ts, advance := played()
	timer := ts.stopped()
	timer.Reset(time.Second)
	advance(time.Second)
	timer.Reset(time.Second) // nobody has looked at C
	if timer.fired() {
		t.Error("it fired for the time before")
	}
	advance(time.Second)
	if timer.Stop(); timer.fired() {
		t.Error("it fired although it was stopped")
	}
	timer.Reset(-time.Second)
	if advance(0); !timer.fired() {
		t.Error("what is due already fires at once")
	}
}

func TestTimersFireInTurn(t *testing.T) {
	ts, advance := played()
	r := rand.New(rand.NewPCG(1, 2))
	due := map[*timer]int{} // in seconds; 0: not set
	var all []*timer
	for range 100 {
		all = append(all, ts.stopped())
	}
	for now := 1; now < 2000; now++ {
		timer := all[r.IntN(len(all))]
		if r.IntN(4) == 0 {
			timer.Stop()
			due[timer] = 0
		} else {
			wait := 1 + r.IntN(100)
			timer.Reset(time.Duration(wait) * time.Second)
			due[timer] = now + wait - 1
		}
		advance(time.Second)
		for _, timer := range all {
			if fired := timer.fired(); fired != (due[timer] == now) {
				t.Fatalf("at %d: fired %v, due at %d", now, fired, due[timer])
			}
			if due[timer] == now {
				due[timer] = 0
			}
		}
	}
}

func TestTimersAreTheKernelsByBootTime(t *testing.T) {
	ts, err := newTimers()
	if err != nil {
		t.Fatal(err)
	}
	defer ts.close()
	raw, err := ts.file.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var info []byte
	raw.Control(func(fd uintptr) { info, err = os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", fd)) })
	if err != nil || !strings.Contains(string(info), "clockid: 7\n") { // CLOCK_BOOTTIME
		t.Errorf("%v, %s", err, info)
	}
	begun := proc.BootTime()
	late, soon, now := ts.stopped(), ts.stopped(), ts.stopped()
	late.Reset(time.Hour)
	soon.Reset(50 * time.Millisecond)
	now.Reset(0)
	<-now.C
	<-soon.C
	if passed := proc.BootTime() - begun; passed < 50*time.Millisecond {
		t.Errorf("it fired after %v", passed)
	}
	if late.fired() {
		t.Error("it is not due")
	}
}
