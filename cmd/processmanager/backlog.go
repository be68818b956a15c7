package main

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	backlogSize = 64 << 10    // bytes that wait at most
	flushTime   = time.Second // for what waits when the process ends
)

// backlog writes lines without ever making the caller wait: a full pipe or a stopped
// terminal must not stop the daemon. What waits is written in order by a goroutine
// that ends with it. What would be too much is dropped, and counted.
type backlog struct {
	w io.Writer

	mu      sync.Mutex
	lines   [][]byte
	size    int           // of lines
	dropped int           // since lines was full
	written chan struct{} // closed when the goroutine ends; nil: there is none
}

// Write keeps one line. After the first one that is dropped all are, until those that
// wait are written: so the number stands where the dropped ones would.
func (b *backlog) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dropped > 0 || b.size+len(line) > backlogSize {
		b.dropped++
	} else {
		b.lines = append(b.lines, bytes.Clone(line))
		b.size += len(line)
	}
	if b.written == nil {
		b.written = make(chan struct{})
		go b.write(b.written)
	}
	return len(line), nil
}

func (b *backlog) write(written chan struct{}) {
	defer close(written)
	for line := b.next(); line != nil; line = b.next() {
		b.w.Write(line)
	}
}

// next is what is to be written now; nil: nothing, and the goroutine ends.
func (b *backlog) next() (line []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case len(b.lines) > 0:
		line, b.lines = b.lines[0], b.lines[1:]
		b.size -= len(line)
	case b.dropped > 0:
		line = fmt.Appendf(nil, "processmanager: %d lines were dropped: standard error took none\n", b.dropped)
		b.dropped = 0
	default:
		b.lines, b.written = nil, nil
	}
	return line
}

// flush waits until everything is written, but not for a reader that takes nothing.
func (b *backlog) flush() {
	b.mu.Lock()
	written := b.written
	b.mu.Unlock()
	if written == nil {
		return
	}
	select {
	case <-written:
	case <-time.After(flushTime):
	}
}
