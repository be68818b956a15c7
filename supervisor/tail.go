package supervisor

import (
	"bytes"
	"container/list"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/freeflowuniverse/processmanager/supervisor/logs"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

const (
	tailSize  = 64 << 10 // of one process
	tailTotal = 16 << 20 // of all together
)

// tails keeps the end of the output of many processes in memory. When all
// together grow over the limit, the one that has been quiet longest is dropped.
type tails struct {
	limit int

	mu    sync.Mutex
	total int
	order list.List // of *tail, the last written to in front
}

// tail is the end of one process's output: a writer. Its fields are guarded
// by tails.mu.
type tail struct {
	all     *tails
	run     uint64 // whose it is
	data    []byte // a ring once it is full
	next    int    // where the ring is written next
	dropped bool   // something stood before
	place   *list.Element

	pump atomic.Pointer[logs.Pump] // what writes to it; nil: none yet
}

func (t *tails) add() *tail { return &tail{all: t} }

func (t *tail) Write(p []byte) (int, error) {
	t.all.mu.Lock()
	defer t.all.mu.Unlock()
	n := len(p)
	if t.place == nil {
		t.place = t.all.order.PushFront(t)
	} else {
		t.all.order.MoveToFront(t.place)
	}
	before := cap(t.data)
	t.write(p)
	t.all.total += cap(t.data) - before
	for t.all.total > t.all.limit && t.all.order.Back() != t.place {
		t.all.order.Back().Value.(*tail).drop()
	}
	return n, nil
}

func (t *tail) write(p []byte) {
	if len(p) > tailSize {
		p, t.dropped = p[len(p)-tailSize:], true
	}
	if room := tailSize - len(t.data); room > 0 {
		n := min(room, len(p))
		t.data = append(t.data, p[:n]...)
		p = p[n:]
	}
	for len(p) > 0 {
		n := copy(t.data[t.next:], p)
		p, t.next, t.dropped = p[n:], (t.next+n)%tailSize, true
	}
}

// drop forgets what is kept.
func (t *tail) drop() {
	t.all.total -= cap(t.data)
	t.data, t.next, t.dropped = nil, 0, true
	if t.place != nil {
		t.all.order.Remove(t.place)
		t.place = nil
	}
}

// Begin makes it the tail of a new run.
func (t *tail) Begin(run uint64) {
	t.all.mu.Lock()
	defer t.all.mu.Unlock()
	t.drop()
	t.run, t.dropped = run, false
}

// keptTail is a tail on its way to the next worker.
type keptTail struct {
	Name    string
	Run     uint64
	Data    []byte
	Dropped bool `json:",omitzero"`
}

// keep is all of it.
func (t *tail) keep() keptTail {
	t.all.mu.Lock()
	defer t.all.mu.Unlock()
	return keptTail{Run: t.run, Data: slices.Concat(t.data[t.next:], t.data[:t.next]), Dropped: t.dropped}
}

// resume goes on with what a former worker kept.
func (t *tail) resume(k keptTail) {
	t.Begin(k.Run)
	t.Write(k.Data)
	t.all.mu.Lock()
	t.dropped = t.dropped || k.Dropped
	t.all.mu.Unlock()
}

// cutSign stands where the beginning of a line is missing.
const cutSign = "…"

// Last is the last lines, all that are kept for 0.
func (t *tail) Last(lines int) []byte {
	kept := t.keep()
	if !kept.Dropped {
		return lastLines(kept.Data, lines)
	}
	// The first line has lost its beginning.
	if _, rest, _ := bytes.Cut(kept.Data, []byte("\n")); len(rest) > 0 {
		return lastLines(rest, lines)
	}
	whole := kept.Data[min(len(cutSign), len(kept.Data)):]
	if len(whole) == 0 {
		return nil
	}
	return append([]byte(cutSign), whole[screen.Unbegun(whole):]...)
}

// Remove forgets all of it.
func (t *tail) Remove() {
	t.all.mu.Lock()
	defer t.all.mu.Unlock()
	t.drop()
	t.dropped = false
}

// lastLines is the last n lines of p, all of it for 0. A last line without an
// end counts.
func lastLines(p []byte, n int) []byte {
	if n == 0 {
		return p
	}
	for i := len(p) - 2; i >= 0; i-- { // the byte at the end ends the last line, or is in it
		if p[i] == '\n' {
			if n--; n == 0 {
				return p[i+1:]
			}
		}
	}
	return p
}
