package clock

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/proc"
)

// played is a clock that a test sets, as the kernel sets it: in suspend it goes on, and
// the descriptor fires at resume.
func played() (c *Clock, advance func(time.Duration)) {
	now, due := time.Hour, time.Duration(0)
	c = &Clock{
		now:   func() time.Duration { return now },
		setTo: func(at time.Duration) error { due = at; return nil },
	}
	return c, func(d time.Duration) {
		for now += d; due != 0 && due <= now; {
			due = 0
			c.fire(false)
		}
	}
}

func TestDeadlineThatPassedInSuspendFiresAtResume(t *testing.T) {
	c, advance := played()
	var deadline, later int
	c.At(c.Now()+10*time.Minute, func() { deadline++ })
	c.At(c.Now()+9*time.Hour, func() { later++ })
	advance(8 * time.Hour) // in one step: nobody was awake
	if deadline != 1 || later != 0 {
		t.Error("the deadline did not fire at resume, or what is not due did")
	}
	if advance(time.Hour); later != 1 || deadline != 1 {
		t.Error("a time is told when it comes, and once")
	}
}

func TestWhatIsStoppedSaysNothing(t *testing.T) {
	c, advance := played()
	told := 0
	stop := c.At(c.Now()+time.Second, func() { told++ })
	stop()
	stop()
	if advance(time.Hour); told != 0 {
		t.Error("it was told although it was stopped")
	}
	stop = c.At(c.Now()-time.Second, func() { told++ })
	if advance(0); told != 1 {
		t.Error("what is due already is told at once")
	}
	stop()
}

// What is taken back costs the kernel nothing, and the descriptor fires once for all of it.
func TestBoundsThatAreTakenBackAreCheap(t *testing.T) {
	c, advance := played()
	sets, setTo := 0, c.setTo
	c.setTo = func(at time.Duration) error { sets++; return setTo(at) }
	for range 1000 {
		c.At(c.Now()+5*time.Second, func() { t.Error("it was told although it was stopped") })()
		advance(time.Millisecond)
	}
	if sets != 1 {
		t.Errorf("the descriptor was set %d times", sets)
	}
	told := false
	c.At(c.Now()+time.Hour, func() { told = true })
	if advance(time.Minute); sets != 2 {
		t.Errorf("the descriptor was set %d times", sets)
	}
	if advance(time.Hour); !told || sets > 3 {
		t.Errorf("told %v; the descriptor was set %d times", told, sets)
	}
}

func TestTimesAreToldInTurn(t *testing.T) {
	c, advance := played()
	r := rand.New(rand.NewPCG(1, 2))
	type one struct {
		due  int // in seconds; 0: not set
		told int
		stop func()
	}
	var all [100]one
	for now := 1; now < 2000; now++ {
		a := &all[r.IntN(len(all))]
		if a.stop != nil {
			a.stop()
		}
		if a.due = 0; r.IntN(4) > 0 {
			wait := 1 + r.IntN(100)
			a.due = now + wait - 1
			a.stop = c.At(c.Now()+time.Duration(wait)*time.Second, func() { a.told++ })
		}
		advance(time.Second)
		for i := range all {
			a := &all[i]
			if told := a.told > 0; told != (a.due == now) {
				t.Fatalf("at %d: told %v, due at %d", now, told, a.due)
			}
			if a.told = 0; a.due == now {
				a.due = 0
			}
		}
	}
}

func TestItIsTheKernelsBootTime(t *testing.T) {
	c, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	raw, err := c.file.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var info []byte
	raw.Control(func(fd uintptr) { info, err = os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", fd)) })
	if err != nil || !strings.Contains(string(info), "clockid: 7\n") { // CLOCK_BOOTTIME
		t.Errorf("%v, %s", err, info)
	}
	begun := proc.BootTime()
	told := make(chan time.Duration, 3)
	stop := c.At(begun+time.Hour, func() { told <- time.Hour })
	c.At(begun+50*time.Millisecond, func() { told <- c.Now() })
	if at := <-told - begun; at < 50*time.Millisecond || at > time.Minute {
		t.Errorf("told after %v", at)
	}
	stop()
	c.At(0, func() { told <- 0 })
	if at := <-told; at != 0 {
		t.Errorf("got %v", at)
	}
}
