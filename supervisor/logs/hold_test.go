package logs

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"
)

// slowly reads with a pause now and then, and holds the log behind what it has read.
type slowly struct {
	hash.Hash
	n     int64
	pause time.Duration
}

func (s *slowly) Write(p []byte) (int, error) {
	if before := s.n; before>>23 != (before+int64(len(p)))>>23 { // every 8 MiB
		time.Sleep(s.pause)
	}
	s.n += int64(len(p))
	return s.Hash.Write(p)
}

// Who is slower than the rotation misses nothing of a log that is held for it, and the
// writers wait: they are never far ahead.
func TestHeldLogWaitsForItsReader(t *testing.T) {
	const size = 100 << 20
	l := open(t, newMover(t), t.TempDir()+"/x", Options{MaxSize: 1 << 20, MaxFiles: 2, Block: true})
	l.Hold(0)
	f := newFIFO(t)
	p := move(t, l, f, 1)
	var wrote, read atomic.Int64
	sum, done := sha256.New(), make(chan struct{})
	go func() {
		defer close(done)
		block := make([]byte, 64<<10)
		random := rand.NewChaCha8([32]byte{1})
		for n := 0; n < size; n += len(block) {
			random.Read(block)
			sum.Write(block)
			if _, err := f.tree.Write(block); err != nil {
				t.Error(err)
				return
			}
			if ahead := wrote.Add(int64(len(block))) - read.Load(); ahead > holdAhead+8<<20 {
				t.Errorf("the writer is %d bytes ahead of the reader", ahead)
				return
			}
		}
	}()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	got := &slowly{Hash: sha256.New(), pause: 30 * time.Millisecond}
	_, err := l.Read(ctx, Query{Run: 1, Follow: true, Progress: func(next int64) {
		l.Hold(next)
		if read.Store(next); next == size {
			cancel()
		}
	}, Missing: func(from, to int64) { t.Errorf("%d to %d are gone", from, to) }}, got)
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	<-done
	p.Finish()
	if fmt.Sprintf("%x", got.Sum(nil)) != fmt.Sprintf("%x", sum.Sum(nil)) {
		t.Errorf("%d bytes were read, and they are others", got.n)
	}
	l.Hold(-1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cur, _ = openWriter(l.dir, l.end)
	l.tidy()
	if n := len(l.cur.old); n > 1 {
		t.Errorf("%d files are kept for nobody", n+1)
	}
	l.closeFiles()
}
