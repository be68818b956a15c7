package logs

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fifo is a FIFO as a run has it: held open, written to by a tree.
type fifo struct {
	path string
	tree *os.File // O_RDWR
}

func newFIFO(t testing.TB) *fifo {
	t.Helper()
	f := &fifo{path: filepath.Join(t.TempDir(), "fifo")}
	if err := unix.Mkfifo(f.path, 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(f.path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.tree = os.NewFile(uintptr(fd), f.path)
	t.Cleanup(func() { f.tree.Close() })
	return f
}

// reader is an end of its own.
func (f *fifo) reader(t testing.TB) *os.File {
	t.Helper()
	return openReader(t, f.path)
}

func openReader(t testing.TB, path string) *os.File {
	r, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func newMover(t testing.TB) *Mover {
	t.Helper()
	t.TempDir() // the directories of a test are removed when its mover, which may pack in them, is closed
	m, err := NewMover()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

func open(t testing.TB, m *Mover, dir string, o Options) *Log {
	t.Helper()
	if o.Report == nil {
		o.Report = func(err error) { t.Error(err) }
	}
	l, err := m.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func move(t testing.TB, l *Log, f *fifo, run uint64) *Pump {
	t.Helper()
	p, err := l.Move(f.reader(t), run)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (f *fifo) say(t testing.TB, format string, args ...any) {
	t.Helper()
	if _, err := fmt.Fprintf(f.tree, format, args...); err != nil {
		t.Fatal(err)
	}
}

func query(t testing.TB, l *Log, q Query) string {
	t.Helper()
	var out bytes.Buffer
	if _, err := l.Read(context.Background(), q, &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestWhatWasWrittenIsRead(t *testing.T) {
	l := open(t, newMover(t), t.TempDir()+"/x", Options{})
	if got := query(t, l, Query{}); got != "" {
		t.Errorf("before the first byte: %q", got)
	}
	f := newFIFO(t)
	p := move(t, l, f, 1)
	f.say(t, "one\ntwo\n")
	if got := query(t, l, Query{}); got != "one\ntwo\n" {
		t.Errorf("while it runs: %q", got)
	}
	f.say(t, "three")
	p.Finish()
	for _, c := range []struct {
		q    Query
		want string
	}{
		{Query{}, "one\ntwo\nthree"},
		{Query{Lines: 1}, "three"},
		{Query{Lines: 2}, "two\nthree"},
		{Query{Lines: 3}, "one\ntwo\nthree"},
		{Query{Lines: 4}, "one\ntwo\nthree"},
		{Query{Grep: regexp.MustCompile("t")}, "two\nthree"},
		{Query{Grep: regexp.MustCompile("^t.o$")}, "two\n"},
		{Query{Grep: regexp.MustCompile("o"), Lines: 1}, "two\n"},
		{Query{From: 4}, "two\nthree"},
		{Query{From: 400}, "one\ntwo\nthree"},
		{Query{Run: 1, Lines: 1}, "three"},
		{Query{Run: 2}, ""},
	} {
		if got := query(t, l, c.q); got != c.want {
			t.Errorf("%+v: %q, not %q", c.q, got, c.want)
		}
	}
}

func TestRunsAreToldApart(t *testing.T) {
	dir := t.TempDir() + "/x"
	l := open(t, newMover(t), dir, Options{MaxSize: 30, MaxFiles: 100})
	want := map[uint64]string{}
	for run := uint64(1); run <= 20; run++ {
		f := newFIFO(t)
		p := move(t, l, f, run)
		for i := range int(run % 4) {
			line := fmt.Sprintf("run %d line %d\n", run, i)
			want[run] += line
			f.say(t, "%s", line)
		}
		if run%3 == 0 {
			want[run] += "no end"
			f.say(t, "no end")
		}
		p.Finish()
	}
	for run := range uint64(22) {
		if run > 0 {
			if got := query(t, l, Query{Run: run}); got != want[run] {
				t.Errorf("run %d: %q, not %q", run, got, want[run])
			}
		}
	}
	if _, err := l.pack(nil, time.Hour); err != nil {
		t.Fatal(err)
	}
	for run := uint64(1); run < 22; run++ {
		if got := query(t, l, Query{Run: run}); got != want[run] {
			t.Errorf("compressed, run %d: %q, not %q", run, got, want[run])
		}
	}
}

func TestFilesEndWithALine(t *testing.T) {
	dir := t.TempDir() + "/x"
	l := open(t, newMover(t), dir, Options{MaxSize: 1000, MaxFiles: 1000})
	f := newFIFO(t)
	p := move(t, l, f, 1)
	var want strings.Builder
	for i := range 1000 {
		line := fmt.Sprintf("%d %s\n", i, strings.Repeat("x", i%300))
		want.WriteString(line)
		f.say(t, "%s", line)
	}
	p.Finish()
	if got := query(t, l, Query{}); got != want.String() {
		t.Errorf("%d bytes, not %d", len(got), want.Len())
	}
	list, _ := segments(dir)
	if len(list) < 100 {
		t.Errorf("%d files", len(list))
	}
	for i, s := range list[:len(list)-1] {
		b, err := os.ReadFile(s.path(plainSuffix))
		if err != nil || !bytes.HasSuffix(b, []byte("\n")) || len(b) < 1000 || len(b) > 1400 {
			t.Errorf("file %d has %d bytes: %v", i, len(b), err)
		}
		if s.base+int64(len(b)) != list[i+1].base {
			t.Errorf("file %d does not end where the next begins", i)
		}
	}
	if at, err := os.ReadFile(dir + "/current"); err != nil || !strings.HasSuffix(want.String(), string(at)) {
		t.Errorf("current has %d bytes: %v", len(at), err)
	}
}

func TestFollowSeesEveryLineOnceAcrossRotationAndRuns(t *testing.T) {
	dir := t.TempDir() + "/x"
	l := open(t, newMover(t), dir, Options{MaxSize: 500, MaxFiles: 10000})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var want strings.Builder
	const last = "last of all\n"
	got := make(chan string)
	for _, q := range []Query{{}, {Grep: regexp.MustCompile("")}} {
		q.Follow = true
		go func() {
			var all bytes.Buffer
			next := int64(0)
			for !bytes.HasSuffix(all.Bytes(), []byte(last)) { // connects again and again
				once, stop := context.WithCancel(ctx)
				q.From = next
				var err error
				next, err = l.Read(once, q, writerFunc(func(p []byte) {
					all.Write(p)
					if all.Len()%3 == 0 || bytes.HasSuffix(p, []byte(last)) {
						stop()
					}
				}))
				stop()
				if err != context.Canceled {
					t.Error(err)
					break
				}
			}
			got <- all.String()
		}()
	}
	for run := uint64(1); run <= 10; run++ {
		f := newFIFO(t)
		p := move(t, l, f, run)
		for i := range 300 {
			line := fmt.Sprintf("run %d line %d\n", run, i)
			want.WriteString(line)
			f.say(t, "%s", line)
			if i%50 == 0 {
				p.Flush()
			}
		}
		if run == 10 {
			want.WriteString(last)
			f.say(t, last)
		}
		p.Finish()
	}
	for range 2 {
		select {
		case all := <-got:
			if all != want.String() {
				t.Errorf("%d bytes, not %d", len(all), want.Len())
			}
		case <-time.After(30 * time.Second):
			t.Fatal("the last line has not come")
		}
	}
}

type writerFunc func([]byte)

func (f writerFunc) Write(p []byte) (int, error) { f(p); return len(p), nil }

// A process may make its pipe larger than it was given.
func TestFinishMovesAllOfAPipeThatWasMadeLarger(t *testing.T) {
	l := open(t, newMover(t), t.TempDir()+"/x", Options{})
	f := newFIFO(t)
	fd, err := unix.Open(f.path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := &Pump{m: l.m, fd: fd, to: logSink{l, 1}, size: 64 << 10} // the mover does not know it
	if _, err := unix.FcntlInt(f.tree.Fd(), unix.F_SETPIPE_SZ, 1<<20); err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("0123456789\n", 80_000)
	f.say(t, "%s", text)
	p.Finish()
	if got := query(t, l, Query{}); got != text {
		t.Errorf("%d bytes of %d", len(got), len(text))
	}
}

// A moment without descriptors costs nothing: the FIFO keeps what is written.
func TestTooFewDescriptorsLoseNothing(t *testing.T) {
	l := open(t, newMover(t), t.TempDir()+"/x", Options{Report: func(error) {}})
	f := newFIFO(t)
	p := move(t, l, f, 1)
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	restrict := func(limit uint64) {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: limit, Max: before.Max}); err != nil {
			t.Fatal(err)
		}
	}
	restrict(5)
	f.say(t, "one\n")
	p.Flush()
	f.say(t, "two\n")
	go func() {
		time.Sleep(300 * time.Millisecond)
		unix.Setrlimit(unix.RLIMIT_NOFILE, &before)
	}()
	p.Finish()
	restrict(before.Cur)
	if got := query(t, l, Query{}); got != "one\ntwo\n" {
		t.Errorf("%q", got)
	}
	if n, _ := l.Dropped(); n > 0 {
		t.Errorf("%d bytes were dropped", n)
	}
}

func TestTimesFarAwayAreCompared(t *testing.T) {
	l := open(t, newMover(t), t.TempDir()+"/x", Options{})
	f := newFIFO(t)
	p := move(t, l, f, 1)
	f.say(t, "line\n")
	p.Finish()
	far := time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
	if got := query(t, l, Query{Until: far}); got != "line\n" {
		t.Errorf("until %v: %q", far, got)
	}
	if got := query(t, l, Query{Since: time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC)}); got != "line\n" {
		t.Errorf("since the beginning: %q", got)
	}
}
