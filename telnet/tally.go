package telnet

import (
	"sync"
	"time"
)

// A tally sums up what strangers do wrong, so that they cannot fill the log: what an
// origin does is told at the first time, and then counted for a minute.
type tally struct {
	mu    sync.Mutex
	log   func(format string, args ...any)
	count map[entry]int // since the line before
	other int           // of those that found no room in count
	timer *time.Timer   // runs while anything is in count
}

type entry struct {
	origin string
	what   event
}

// An event is what happened, in words for one and for many.
type event struct{ one, many string }

var (
	wrongSecret = event{"a wrong secret", "wrong secrets"}
	refusedTry  = event{"a secret that was not looked at after too many wrong ones", "secrets that were not looked at after too many wrong ones"}
	noSecret    = event{"a connection that gave no secret in time", "connections that gave no secret in time"}
	tooLong     = event{"a connection that sent too much before the secret", "connections that sent too much before the secret"}
	madeRoom    = event{"a connection ended: too many wait before the secret", "connections ended: too many wait before the secret"}
	tooMany     = event{"a connection refused: there are too many", "connections refused: there are too many"}
	acceptError = event{"a connection that could not be accepted", "connections that could not be accepted"}
)

const (
	tallyTime = time.Minute
	tallyMost = 20 // lines that a minute may begin with
)

func (t *tally) open(log func(format string, args ...any)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.log = log
}

func (t *tally) note(origin string, what event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.log == nil {
		return
	}
	e := entry{origin, what}
	switch n, told := t.count[e]; {
	case told:
		t.count[e] = n + 1
	case len(t.count) >= tallyMost:
		t.other++
	default:
		if t.count == nil {
			t.count = map[entry]int{}
		}
		t.count[e] = 0
		t.log("%s: %s", origin, what.one)
	}
	if t.timer == nil {
		t.timer = time.AfterFunc(tallyTime, t.tell)
	}
}

// tell says what was counted, and goes on counting where there was anything.
func (t *tally) tell() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for e, n := range t.count {
		if n == 0 {
			delete(t.count, e)
			continue
		}
		if n == 1 {
			t.log("%s: %s, once more in the last minute", e.origin, e.what.one)
		} else {
			t.log("%s: %d %s in the last minute", e.origin, n, e.what.many)
		}
		t.count[e] = 0
	}
	if t.other > 0 {
		t.log("other addresses: %d of the like in the last minute", t.other)
		t.other = 0
	}
	t.timer = nil
	if len(t.count) > 0 {
		t.timer = time.AfterFunc(tallyTime, t.tell)
	}
}

// close says what was counted, and ends.
func (t *tally) close() {
	t.tell()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
	t.count = nil
}
