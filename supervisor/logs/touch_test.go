package logs

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestADirectoryThatIsDeletedIsMadeAgain(t *testing.T) {
	dir := t.TempDir() + "/x"
	l := open(t, newMover(t), dir, Options{})
	f := newFIFO(t)
	p := move(t, l, f, 1)
	f.say(t, "before\n")
	p.Flush()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	f.say(t, "after\n")
	var missed [2]int64
	if got := query(t, l, Query{From: 3, Missing: func(from, to int64) { missed = [2]int64{from, to} }}); got != "after\n" || missed != [2]int64{3, 7} {
		t.Errorf("%q, missed %v", got, missed)
	}
	p.Finish()
}

func TestAFileThatOthersChangeIsLeftToThem(t *testing.T) {
	dir := t.TempDir() + "/x"
	l := open(t, newMover(t), dir, Options{})
	f := newFIFO(t)
	p := move(t, l, f, 1)
	defer p.Finish()
	f.say(t, "one\ntwo\n")
	p.Flush()
	if err := os.Truncate(dir+"/current", 4); err != nil {
		t.Fatal(err)
	}
	f.say(t, "three\n")
	if got := query(t, l, Query{}); got != "one\nthree\n" {
		t.Errorf("cut: %q", got)
	}
	if got := query(t, l, Query{From: 8}); got != "three\n" {
		t.Errorf("cut, from 8: %q", got)
	}
	o, err := os.OpenFile(dir+"/current", os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	o.WriteString("a note\n")
	o.Close()
	f.say(t, "four\n")
	if got := query(t, l, Query{From: 8}); got != "three\na note\nfour\n" {
		t.Errorf("with a note: %q", got)
	}
}

func TestCloseLeavesTheRestInTheFIFO(t *testing.T) {
	dir := t.TempDir() + "/x"
	f := newFIFO(t)
	for i, m := range []*Mover{newMover(t), newMover(t), newMover(t)} {
		l := open(t, m, dir, Options{})
		move(t, l, f, 1)
		f.say(t, "line %d\n", i)
		m.Close()
		if _, err := l.Move(f.reader(t), 2); err == nil || !strings.Contains(err.Error(), ErrClosed.Error()) {
			t.Errorf("a closed mover moves: %v", err)
		}
	}
	l := open(t, newMover(t), dir, Options{})
	move(t, l, f, 1).Finish()
	if got := query(t, l, Query{}); got != "line 0\nline 1\nline 2\n" {
		t.Errorf("%q", got)
	}
}

func TestALogAtRestHoldsNothing(t *testing.T) {
	count := func() (int, int) {
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(fds), runtime.NumGoroutine()
	}
	m := newMover(t)
	var fifos []*fifo
	for range 20 {
		fifos = append(fifos, newFIFO(t))
	}
	fds, goroutines := count()
	dir := t.TempDir()
	for i, f := range fifos {
		l := open(t, m, filepath.Join(dir, string(rune('a'+i))), Options{MaxSize: 1 << 20})
		p := move(t, l, f, 1)
		line := strings.Repeat("x", 4095) + "\n"
		for range 1000 { // enough for it to become busy
			f.say(t, "%s", line)
		}
		p.Finish()
		if got := query(t, l, Query{Lines: 1}); got != line {
			t.Errorf("%d bytes", len(got))
		}
	}
	for limit := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		nowFDs, nowGoroutines := count()
		if nowFDs <= fds && nowGoroutines <= goroutines+1 { // the packer waits for its time
			break
		}
		if time.Now().After(limit) {
			t.Fatalf("%d descriptors and %d goroutines, were %d and %d", nowFDs, nowGoroutines, fds, goroutines)
		}
	}
}

func TestAQuietLogHoldsOnlyItsFIFO(t *testing.T) {
	m := newMover(t)
	dir := t.TempDir() + "/x"
	l := open(t, m, dir, Options{})
	f := newFIFO(t)
	p := move(t, l, f, 1)
	defer p.Finish()
	f.say(t, "one\n")
	p.Flush()
	m.rest(time.Now().Add(-time.Hour))
	if l.cur == nil {
		t.Error("its file was closed though it is not quiet")
	}
	m.rest(time.Now())
	if l.cur != nil {
		t.Error("its file is open")
	}
	f.say(t, "two\n")
	if got := query(t, l, Query{}); got != "one\ntwo\n" {
		t.Errorf("%q", got)
	}
}

func TestCopyGivesAllToAWriter(t *testing.T) {
	m := newMover(t)
	f := newFIFO(t)
	var got strings.Builder
	p, err := m.Copy(f.reader(t), &got, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Repeat("some line\n", 100_000)
	f.say(t, "%s", want)
	p.Finish()
	if got.String() != want {
		t.Errorf("%d bytes, not %d", got.Len(), len(want))
	}
}

func TestAgeRotates(t *testing.T) {
	dir := t.TempDir() + "/x"
	makeLog(t, dir, 100, []batch{{time.Now().Add(-time.Hour), 1, "old\n"}})
	l := open(t, newMover(t), dir, Options{MaxAge: time.Minute})
	f := newFIFO(t)
	p := move(t, l, f, 2)
	f.say(t, "new\n")
	p.Flush()
	f.say(t, "newer\n")
	p.Finish()
	list, _ := segments(dir)
	if len(list) != 2 || list[1].base != 4 {
		t.Errorf("%v", list)
	}
	if got := query(t, l, Query{}); got != "old\nnew\nnewer\n" {
		t.Errorf("%q", got)
	}
}

func TestNoMoreIsKeptThanAskedFor(t *testing.T) {
	for _, o := range []Options{
		{MaxSize: 1000, MaxFiles: 3},
		{MaxSize: 1000, MaxFiles: 1},
		{MaxSize: 1000, MaxFiles: 100, MaxTotal: 5000},
		{MaxSize: 4000, MaxFiles: 100, MaxTotal: 5000},
		{MaxFiles: 100, MaxTotal: 5000},
	} {
		dir := t.TempDir() + "/x"
		l := open(t, newMover(t), dir, o)
		f := newFIFO(t)
		const line = "line %08d\n"
		most := int64(0)
		for i := range 1000 {
			p := move(t, l, f, uint64(i)) // an entry in the index for each
			f.say(t, line, i)
			p.Finish()
			list, _ := segments(dir)
			total := int64(0)
			for _, s := range list {
				total += s.onDisk()
			}
			if most = max(most, total); len(list) > o.MaxFiles {
				t.Fatalf("%+v: %d files", o, len(list))
			}
		}
		if limit := o.MaxTotal; limit > 0 && (most > limit+int64(len("line 00000000\n"))+entrySize || most < limit/2) {
			t.Errorf("%+v: %d bytes at the most", o, most)
		}
		if got := query(t, l, Query{Lines: 1}); got != "line 00000999\n" {
			t.Errorf("%+v: %q", o, got)
		}
	}
}

// A mover that was killed leaves files as it has rotated them. The next one compresses
// them, also of a log that nobody writes to any more.
func TestTheNextMoverCompressesWhatTheLastOneRotated(t *testing.T) {
	dir := t.TempDir() + "/x"
	now := time.Now()
	makeLog(t, dir, 1, []batch{{now, 1, "one\n"}, {now, 1, "two\n"}, {now, 1, "three\n"}})
	m := newMover(t)
	m.pack.delay = 0
	l := open(t, m, dir, Options{})
	until(t, "compressed", func() bool {
		list, _ := segments(dir)
		return list[0].packed && !list[0].plain && list[1].packed && !list[1].plain
	})
	if got := query(t, l, Query{}); got != "one\ntwo\nthree\n" {
		t.Errorf("%q", got)
	}
}

// Whoever could not be forgotten after all, because the disk was full, say, goes on.
func TestALogThatWasRemovedCanBeginAnew(t *testing.T) {
	l := open(t, newMover(t), t.TempDir()+"/x", Options{})
	for _, text := range []string{"one\n", "two\n"} {
		f := newFIFO(t)
		p := move(t, l, f, 1)
		f.say(t, "%s", text)
		p.Finish()
		if got := query(t, l, Query{}); got != text {
			t.Errorf("%q, not %q", got, text)
		}
		if err := l.Remove(); err != nil {
			t.Fatal(err)
		}
	}
}
