package logs

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A turn begins one file at most, however small the files are, and leaves the rest to
// the next turn.
func TestATurnBeginsOneFileAtMost(t *testing.T) {
	dir := t.TempDir() + "/x"
	l := open(t, newMover(t), dir, Options{MaxSize: 10, MaxFiles: 1 << 30})
	f := newFIFO(t)
	r := f.reader(t)
	defer r.Close()
	text := strings.Repeat("a line of some\n", 4000)
	f.say(t, "%s", text)
	s, left := logSink{l, 1}, len(text)
	for turn := range 3 {
		n, more := s.take(int(r.Fd()), 1<<20, false)
		if n == 0 || !more {
			t.Fatalf("turn %d: %d bytes, more %v", turn, n, more)
		}
		left -= n
		if list, _ := segments(dir); len(list) > turn+2 {
			t.Fatalf("turn %d: %d files", turn, len(list))
		}
	}
	if got := buffered(int(r.Fd())); got != left {
		t.Errorf("%d bytes are left in the pipe, not %d", got, left)
	}
	s.end()
}

// waitsFor is a line of a quiet log that must come to its file while others are busy.
func waitsFor(t *testing.T, m *Mover) {
	t.Helper()
	dir := t.TempDir() + "/quiet"
	f := newFIFO(t)
	defer move(t, open(t, m, dir, Options{}), f, 1).Leave()
	for range 3 {
		os.Remove(dir + "/current")
		os.RemoveAll(dir)
		f.say(t, "a quiet line\n")
		said := time.Now()
		until(t, "written", func() bool {
			text, _ := os.ReadFile(dir + "/current")
			return string(text) == "a quiet line\n"
		})
		if took := time.Since(said); took > 3*time.Second {
			t.Errorf("the line of a quiet process took %v", took)
		}
	}
}

func TestFloodsOfSmallFilesHoldUpNobody(t *testing.T) {
	dir := t.TempDir()
	m := newMover(t)
	for i := range 3 {
		f := newFIFO(t)
		l := open(t, m, fmt.Sprintf("%s/flood%d", dir, i), Options{MaxSize: int64(1 + 9*i), MaxFiles: 1000})
		p := move(t, l, f, 1)
		stop, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			for text := []byte(strings.Repeat("x\n", 4<<10)); ; {
				select {
				case <-stop:
					return
				default:
					f.tree.Write(text)
				}
			}
		}()
		defer func() { close(stop); <-done; p.Leave() }()
	}
	waitsFor(t, m)
}

// More writers than there may be goroutines for would hold up others; one does not.
func TestAWriterThatHangsHoldsUpNobody(t *testing.T) {
	m := newMover(t)
	release, hangs := make(chan struct{}), make(chan struct{}, 8)
	for range cap(hangs) {
		f := newFIFO(t)
		_, err := m.Copy(f.reader(t), writerFunc(func([]byte) { hangs <- struct{}{}; <-release }), nil)
		if err != nil {
			t.Fatal(err)
		}
		f.say(t, "nobody takes this\n")
	}
	defer close(release)
	for range cap(hangs) {
		<-hangs
	}
	m.rest(time.Now()) // does not wait for them either
	waitsFor(t, m)
}

// Logs share what descriptors there are: each has its files open for its turn.
func TestMoreLogsThanDescriptorsForTheirFiles(t *testing.T) {
	dir := t.TempDir()
	m := newMover(t)
	var fifos []*fifo
	var all []*Log
	for i := range 30 {
		fifos = append(fifos, newFIFO(t))
		all = append(all, open(t, m, fmt.Sprintf("%s/%d", dir, i), Options{Report: func(error) {}}))
		move(t, all[i], fifos[i], 1)
	}
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	few := unix.Rlimit{Cur: uint64(len(fds) + 8), Max: before.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &before)
	for round := range 3 {
		for i, f := range fifos {
			f.say(t, "%d says %d\n", i, round)
		}
		for i, f := range fifos {
			until(t, "moved", func() bool { return buffered(int(f.tree.Fd())) == 0 })
			if n, _ := all[i].Dropped(); n > 0 {
				t.Fatalf("%d bytes of %d were dropped", n, i)
			}
		}
	}
	unix.Setrlimit(unix.RLIMIT_NOFILE, &before)
	for i := range fifos {
		text, err := os.ReadFile(fmt.Sprintf("%s/%d/current", dir, i))
		if want := fmt.Sprintf("%d says 0\n%[1]d says 1\n%[1]d says 2\n", i); err != nil || string(text) != want {
			t.Errorf("%q, not %q: %v", text, want, err)
		}
	}
}
