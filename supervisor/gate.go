package supervisor

import (
	"runtime"
	"sync"
	"time"
)

// gate bounds how many runs begin side by side that nobody asked for just now: restarts, and
// what is started with the daemon. Who finds no room waits in line.
type gate struct {
	room int
	now  func() time.Duration
	at   func(at time.Duration, call func()) (stop func())

	mu     sync.Mutex
	within int
	line   []func(leave func())
}

const (
	startsPerCPU = 4
	gateLimit    = 2 * time.Second // for one that is within: a slow one does not hold up the others
)

func newGate(c clocked) *gate {
	return &gate{room: startsPerCPU * runtime.NumCPU(), now: c.Now, at: c.At}
}

// clocked is what a gate needs of a clock.
type clocked interface {
	Now() time.Duration
	At(at time.Duration, call func()) (stop func())
}

// enter calls do when there is room, at once or later. It must not wait. leave makes room
// again; it may be called more than once, and by any goroutine.
func (g *gate) enter(do func(leave func())) {
	g.mu.Lock()
	if g.within >= g.room {
		g.line = append(g.line, do)
		g.mu.Unlock()
		return
	}
	g.within++
	g.mu.Unlock()
	g.admit(do)
}

// wait returns when there is room. It takes no context: what was asked for goes on when
// nobody waits for it any more, and nobody within holds up the line for long.
func (g *gate) wait() (leave func()) {
	entered := make(chan func(), 1)
	g.enter(func(leave func()) { entered <- leave })
	return <-entered
}

func (g *gate) admit(do func(leave func())) {
	leave := sync.OnceFunc(g.next)
	stop := g.at(g.now()+gateLimit, leave)
	do(func() { stop(); leave() })
}

// next lets the next one in, in the place of one that has left.
func (g *gate) next() {
	g.mu.Lock()
	if len(g.line) == 0 {
		g.within--
		g.mu.Unlock()
		return
	}
	do := g.line[0]
	g.line = g.line[1:]
	g.mu.Unlock()
	g.admit(do)
}
