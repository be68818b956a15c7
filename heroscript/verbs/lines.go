package verbs

import (
	"bytes"
	"io"
	"sync"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/border"
)

// OpenDelay is how long a follower of several logs waits for the rest of a line.
const OpenDelay = time.Second

// Lines writes whole lines of one of several logs, each behind a prefix. Where Patience is
// set, a line whose end does not come within that time, a prompt, say, is written and ended.
type Lines struct {
	Mu       *sync.Mutex // of W, which all of them share
	W        io.Writer
	Prefix   string
	Patience time.Duration
	Most     int // bytes of a line; a longer one is written as several. 0: any number

	partial []byte
	wait    *time.Timer // for the rest of partial
	ended   bool        // what was written last was ended by us
	err     error       // of W
}

func (l *Lines) Write(b []byte) (int, error) {
	l.Mu.Lock()
	defer l.Mu.Unlock()
	var out []byte
	n := len(b)
	if l.ended && n > 0 {
		b, l.ended = bytes.TrimPrefix(b, []byte("\n")), false
	}
	waited := len(l.partial) > 0
	for {
		line, rest, found := bytes.Cut(b, []byte("\n"))
		if room := l.Most - len(l.partial); l.Most > 0 && len(line) > room {
			line, rest, found = line[:room], b[room:], true // more follows, so it is no line end
		}
		l.partial = append(l.partial, line...)
		if !found {
			break
		}
		out = append(append(append(out, l.Prefix...), l.partial...), '\n')
		l.partial, b = l.partial[:0], rest
	}
	if len(l.partial) > 0 && l.Patience > 0 && (!waited || len(out) > 0) {
		if l.wait == nil {
			l.wait = time.AfterFunc(l.Patience, l.endInTime)
		} else {
			l.wait.Reset(l.Patience)
		}
	}
	l.put(out)
	return n, l.err
}

// endInTime is endLine in a goroutine of the timer's. A fault is told who writes next.
func (l *Lines) endInTime() {
	defer border.Catch(func(fault *border.Panic) {
		l.Mu.Lock()
		defer l.Mu.Unlock()
		l.err = fault
	})
	l.endLine()
}

// endLine writes and ends a line whose rest has not come.
func (l *Lines) endLine() {
	l.Mu.Lock()
	defer l.Mu.Unlock()
	if len(l.partial) > 0 {
		l.put(append(append([]byte(l.Prefix), l.partial...), '\n'))
		l.partial, l.ended = l.partial[:0], true
	}
}

// Flush writes a last line that has no end, and ends it.
func (l *Lines) Flush() error {
	if l.wait != nil {
		l.wait.Stop()
	}
	l.endLine()
	l.Mu.Lock()
	defer l.Mu.Unlock()
	return l.err
}

func (l *Lines) put(out []byte) {
	if len(out) > 0 && l.err == nil {
		_, l.err = l.W.Write(out)
	}
}
