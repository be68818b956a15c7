package supervisor

import (
	"log"
	"strings"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// fails is a log in which writing a line panics, once.
type fails struct {
	line string
	done bool
}

func (f *fails) Write(b []byte) (int, error) {
	if !f.done && strings.Contains(string(b), f.line) {
		f.done = true
		panic("a fault")
	}
	return len(b), nil
}

// A fault in dealing with the end of the process that the daemon stands for costs no end of
// the daemon: a container would stay up with nothing in it.
func TestTheEndIsNotMissedForAFault(t *testing.T) {
	w := newCalmWorld(t)
	once := &fails{line: "has ended for good"}
	ended := make(chan int, 2)
	w.s.note, w.s.standsFor, w.s.endWith = log.New(once, "", 0), "a", func(code int) { ended <- code }
	w.atRest(t, spec("a"))
	w.do(t, process.StartAgain{}, "a")
	w.endRun(t, "a", 7)
	select {
	case code := <-ended:
		if code != 7 || !once.done {
			t.Errorf("exit code %d; there was a fault: %v", code, once.done)
		}
	case <-time.After(30 * time.Second):
		t.Error("the daemon goes on")
	}
}
