package clock

import (
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestTimeOfDayIsTold(t *testing.T) {
	c, tells, err := NewWall(func() {})
	if err != nil || !tells {
		t.Fatal(tells, err)
	}
	defer c.Close()
	begun := time.Now().Round(0)
	told := make(chan time.Time, 3)
	c.At(Wall(begun.Add(50*time.Millisecond)), func() { told <- time.Now().Round(0) })
	c.At(Wall(time.Date(3026, 1, 1, 0, 0, 0, 0, time.UTC)), func() { t.Error("it is not the year 3026") })
	if at := (<-told).Sub(begun); at < 50*time.Millisecond || at > time.Minute {
		t.Errorf("told after %v", at)
	}
	c.At(Wall(time.Unix(0, 0)), func() { told <- time.Time{} })
	if at := <-told; !at.IsZero() {
		t.Error(at)
	}
}

// The clock is set by a nanosecond: to the kernel that is a step like any other. It is told
// whoever waits just then, also while times are being set.
func TestClockThatIsSetIsToldAtOnce(t *testing.T) {
	stepped := make(chan bool, 1)
	c, tells, err := NewWall(func() {
		select {
		case stepped <- true:
		default:
		}
	})
	if err != nil || !tells {
		t.Fatal(tells, err)
	}
	defer c.Close()
	for i := range 1000 {
		if i == 1 {
			defer c.At(Wall(time.Now().Add(time.Hour)), func() { t.Error("it was told although it has not come") })()
		}
		err := stepClock()
		if errors.Is(err, unix.EPERM) && os.Getenv("GUEST") == "" {
			t.Skip("the clock of this machine is not ours to set")
		} else if err != nil {
			t.Fatal(err)
		}
		if i%2 > 0 { // the kernel tells it to whoever sets a time, and to nobody else
			c.At(Wall(time.Now().Add(time.Minute)), func() {})()
		}
		select {
		case <-stepped:
		case <-time.After(10 * time.Second):
			t.Fatalf("step %d was not told", i)
		}
	}
}

func stepClock() error {
	_, err := unix.ClockAdjtime(unix.CLOCK_REALTIME, &unix.Timex{Modes: unix.ADJ_SETOFFSET | unix.ADJ_NANO, Time: unix.Timeval{Usec: 1}})
	return err
}

// A clock that is set without pause costs no time that is waited for.
func TestTimesComeWhileTheClockIsSetAllTheTime(t *testing.T) {
	if err := stepClock(); errors.Is(err, unix.EPERM) && os.Getenv("GUEST") == "" {
		t.Skip("the clock of this machine is not ours to set")
	}
	c, _, err := NewWall(func() {})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	done, ended := make(chan bool), make(chan bool)
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			default:
				stepClock()
			}
		}
	}()
	defer func() { close(done); <-ended }()
	for range 2000 {
		told := make(chan bool, 1)
		c.At(c.Now()+time.Microsecond, func() { told <- true })
		select {
		case <-told:
		case <-time.After(10 * time.Second):
			t.Fatal("a time did not come")
		}
	}
}

// Who is told that the clock was set looks at it before the times that it skipped come.
func TestTimesThatWereSkippedComeAtOnce(t *testing.T) {
	c, advance := played()
	var order []string
	c.reset = func() { order = append(order, "reset") }
	c.At(c.Now()+time.Hour, func() { order = append(order, "hour") })
	c.At(c.Now()+3*time.Hour, func() { order = append(order, "later") })
	c.stepped = true // as the kernel says it to whoever sets a time
	advance(2 * time.Hour)
	c.fire(true)
	if len(order) != 3 || order[0] != "reset" || order[1] != "hour" || order[2] != "reset" {
		t.Error(order)
	}
}
