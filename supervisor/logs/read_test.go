package logs

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
)

// batch is what a made log has at a time.
type batch struct {
	at   time.Time
	run  uint64
	text string
}

// makeLog writes the files of a log, a new one after each of cuts batches.
func makeLog(t testing.TB, dir string, cut int, batches []batch) {
	t.Helper()
	var c *writer
	end := int64(0)
	for i, b := range batches {
		if i%cut == 0 {
			if c != nil {
				end = c.base + c.size
				if err := create(dir, end); err != nil {
					t.Fatal(err)
				}
				c.close()
			}
			var err error
			if c, err = openWriter(dir, end); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.mark(b.at, b.run); err != nil {
			t.Fatal(err)
		}
		if _, err := c.log.WriteAt([]byte(b.text), c.size); err != nil {
			t.Fatal(err)
		}
		c.size += int64(len(b.text))
	}
	c.close()
}

// TestQueries compares every kind of question with a plain account of the answer.
func TestQueriesAnswerWhatAPlainAccountDoes(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	type line struct {
		at   time.Time
		text string
	}
	var batches []batch
	var lines []line
	rnd := rand.New(rand.NewPCG(1, 2))
	begun := false
	at := start
	for i := range 300 {
		at = at.Add(time.Duration(20+rnd.IntN(3000)) * time.Millisecond)
		if i%30 == 29 { // the clock is set
			at = at.Add(time.Duration(rnd.IntN(400_000)-200_000) * time.Millisecond)
		}
		var text strings.Builder
		run := uint64(1 + i/5)
		if begun && batches[len(batches)-1].run != run { // its end ends its last line
			lines[len(lines)-1].text += "\n"
			begun = false
		}
		for range rnd.IntN(6) {
			s := fmt.Sprintf("batch %d %s", i, strings.Repeat("y", rnd.IntN(40)))
			if rnd.IntN(3) > 0 {
				s += "\n"
			}
			if !begun {
				lines = append(lines, line{at: at})
			}
			lines[len(lines)-1].text += s
			begun = !strings.HasSuffix(s, "\n")
			text.WriteString(s)
		}
		if text.Len() > 0 {
			batches = append(batches, batch{at, run, text.String()})
		}
	}
	dir := t.TempDir() + "/x"
	makeLog(t, dir, 17, batches)
	l := open(t, newMover(t), dir, Options{})
	greps := []*regexp.Regexp{nil, regexp.MustCompile("7"), regexp.MustCompile("y$"), regexp.MustCompile("no such")}
	ask := func() {
		for i := range 200 {
			q := Query{Times: rnd.IntN(2) == 0, Grep: greps[rnd.IntN(len(greps))]}
			if rnd.IntN(2) == 0 {
				q.Lines = 1 + rnd.IntN(40)
			}
			if rnd.IntN(2) == 0 {
				q.Since = start.Add(time.Duration(rnd.IntN(500_000)-20_000) * time.Millisecond)
			}
			if rnd.IntN(2) == 0 {
				q.Until = start.Add(time.Duration(rnd.IntN(500_000)-20_000) * time.Millisecond)
			}
			if i%100 == 0 && len(batches) > 0 {
				q.Since = batches[rnd.IntN(len(batches))].at // the very time
			}
			var want []string
			for _, line := range lines {
				if !q.Since.IsZero() && line.at.Before(q.Since) || !q.Until.IsZero() && !line.at.Before(q.Until) ||
					q.Grep != nil && !q.Grep.MatchString(strings.TrimSuffix(line.text, "\n")) {
					continue
				}
				s := line.text
				if q.Times {
					s = line.at.Format(TimeLayout) + " " + s
				}
				want = append(want, s)
			}
			if q.Lines > 0 && len(want) > q.Lines {
				want = want[len(want)-q.Lines:]
			}
			if got := query(t, l, q); got != strings.Join(want, "") && got+"\n" != strings.Join(want, "") { // the last one's end may be nowhere
				t.Fatalf("%+v:\n%q\nnot\n%q", q, got, strings.Join(want, ""))
			}
		}
		for run := uint64(1); run < 62; run++ {
			var want strings.Builder
			for _, b := range batches {
				if b.run == run {
					want.WriteString(b.text)
				}
			}
			if got := query(t, l, Query{Run: run}); got != want.String() {
				t.Fatalf("run %d:\n%q\nnot\n%q", run, got, want.String())
			}
		}
	}
	ask()
	if _, err := l.pack(nil, time.Hour); err != nil {
		t.Fatal(err)
	}
	list, _ := segments(dir)
	if n := len(list); n < 10 || !list[0].packed || list[0].plain || !list[n-1].plain {
		t.Fatalf("not compressed: %v", list)
	}
	ask()
}

func TestMinutesTile(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var batches []batch
	var want strings.Builder
	for i := range 500 { // with pieces of lines
		text := fmt.Sprintf("%d\nanother line %d and", i, i)
		batches = append(batches, batch{start.Add(time.Duration(i) * time.Second), 1, text})
		want.WriteString(text)
	}
	dir := t.TempDir() + "/x"
	makeLog(t, dir, 77, batches)
	l := open(t, newMover(t), dir, Options{})
	var got strings.Builder
	for m := range 10 {
		got.WriteString(query(t, l, Query{Since: start.Add(time.Duration(m) * time.Minute), Until: start.Add(time.Duration(m+1) * time.Minute)}))
	}
	if got.String() != want.String() {
		t.Errorf("%d bytes, not %d", got.Len(), want.Len())
	}
}

func TestTheIndexIsCutToTheFile(t *testing.T) {
	dir := t.TempDir() + "/x"
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var batches []batch
	for i := range 10 {
		batches = append(batches, batch{start.Add(time.Duration(i) * time.Second), uint64(i + 1), "0123456789abcde\n"})
	}
	makeLog(t, dir, 100, batches)
	s := segment{dir: dir}
	if err := os.Truncate(s.path(plainSuffix), 5*16); err != nil { // as after a loss of power
		t.Fatal(err)
	}
	idx, err := os.OpenFile(s.path(indexSuffix), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	idx.WriteString("half an entry")
	idx.Close()
	l := open(t, newMover(t), dir, Options{})
	if got := query(t, l, Query{Run: 6}); got != "" {
		t.Errorf("run 6 before it is cut: %q", got)
	}
	f := newFIFO(t)
	p := move(t, l, f, 11)
	f.say(t, "new\n")
	p.Finish()
	if got := query(t, l, Query{Run: 11}); got != "new\n" {
		t.Errorf("run 11: %q", got)
	}
	if got := query(t, l, Query{Run: 6}); got != "" {
		t.Errorf("run 6: %q", got)
	}
	if got := query(t, l, Query{Run: 5}); got != "0123456789abcde\n" {
		t.Errorf("run 5: %q", got)
	}
	if info, err := os.Stat(s.path(indexSuffix)); err != nil || info.Size() != 6*entrySize {
		t.Errorf("the index has %d bytes: %v", info.Size(), err)
	}
}

func TestALogWithoutIndexIsRead(t *testing.T) {
	dir := t.TempDir() + "/x"
	makeLog(t, dir, 1, []batch{{time.Unix(1, 0), 1, "one\n"}, {time.Unix(2, 0), 2, "two\n"}, {time.Unix(3, 0), 3, "three\n"}})
	os.Remove(segment{dir: dir, base: 4}.path(indexSuffix))
	l := open(t, newMover(t), dir, Options{})
	if got := query(t, l, Query{}); got != "one\ntwo\nthree\n" {
		t.Errorf("all: %q", got)
	}
	if got := query(t, l, Query{Lines: 2, Times: true}); got != "0000-00-00T00:00:00.000Z two\n1970-01-01T00:00:03.000Z three\n" {
		t.Errorf("with times: %q", got)
	}
	if got := query(t, l, Query{Run: 3}); got != "three\n" {
		t.Errorf("run 3: %q", got)
	}
}

func TestTimesFollowTheClockBack(t *testing.T) {
	for _, cut := range []int{1, 2, 100} { // batches of a file
		dir := t.TempDir() + "/x"
		makeLog(t, dir, cut, []batch{{time.Unix(10, 0), 1, "one\n"}, {time.Unix(1000, 0), 1, "ahead\n"}, {time.Unix(11, 0), 1, "two\n"},
			{time.Unix(1, 0), 2, "behind\n"}, {time.Unix(12, 0), 2, "three\n"}})
		l := open(t, newMover(t), dir, Options{})
		for _, c := range []struct {
			q    Query
			want string
		}{
			{Query{Since: time.Unix(10, 0), Until: time.Unix(13, 0)}, "one\ntwo\nthree\n"},
			{Query{Since: time.Unix(10, 0), Until: time.Unix(12, 0)}, "one\ntwo\n"},
			{Query{Since: time.Unix(12, 0)}, "ahead\nthree\n"},
			{Query{Since: time.Unix(2000, 0)}, ""},
			{Query{Until: time.Unix(10, 0)}, "behind\n"},
			{Query{Until: time.Unix(100, 0), Lines: 2}, "behind\nthree\n"},
			{Query{Until: time.Unix(100, 0), Lines: 3}, "two\nbehind\nthree\n"},
			{Query{Until: time.Unix(100, 0), Lines: 2, Grep: regexp.MustCompile("o")}, "one\ntwo\n"},
			{Query{Since: time.Unix(11, 0), Until: time.Unix(13, 0), Run: 1}, "two\n"},
			{Query{Since: time.Unix(12, 0), Times: true}, "1970-01-01T00:16:40.000Z ahead\n1970-01-01T00:00:12.000Z three\n"},
		} {
			if got := query(t, l, c.q); got != c.want {
				t.Errorf("%d a file, %+v: %q, not %q", cut, c.q, got, c.want)
			}
		}
	}
}

// A clock that was ahead for a moment marks the lines of that moment and no others, and
// the age of a file is counted from where it is right again.
func TestAMomentOfWrongTimePasses(t *testing.T) {
	dir := t.TempDir() + "/x"
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	now := at
	m := newMover(t)
	m.now = func() time.Time { return now }
	const age = time.Hour
	l := open(t, m, dir, Options{MaxAge: age})
	f := newFIFO(t)
	p := move(t, l, f, 1)
	say := func(clock time.Time, line string) {
		t.Helper()
		now = clock
		f.say(t, "%s\n", line)
		p.Flush()
	}
	say(at.AddDate(1, 0, 0), "ahead") // the file's first
	say(at, "right")
	say(at.Add(time.Millisecond), "soon")
	say(at.Add(time.Second), "later")
	want := "2027-03-01T12:00:00.000Z ahead\n2026-03-01T12:00:00.000Z right\n2026-03-01T12:00:00.000Z soon\n2026-03-01T12:00:01.000Z later\n"
	if got := query(t, l, Query{Times: true}); got != want {
		t.Errorf("%q, not %q", got, want)
	}
	if got := query(t, l, Query{Since: at.Add(time.Second), Until: at.Add(time.Minute)}); got != "later\n" {
		t.Errorf("%q", got)
	}
	p.Leave() // another mover has the age from the index
	p = move(t, l, f, 1)
	say(at.Add(2*time.Second), "again")
	if list, _ := segments(dir); len(list) != 1 {
		t.Errorf("%d files", len(list))
	}
	say(at.Add(2*time.Second+age), "old enough")
	if list, _ := segments(dir); len(list) != 2 {
		t.Errorf("%d files after %v", len(list), age)
	}
	p.Finish()
}

func TestArchivesAreOrdinaryZstd(t *testing.T) {
	want := make([]byte, 3*frameSize+1234)
	for i := range want {
		want[i] = byte(rand.IntN(7))
	}
	path := t.TempDir() + "/a.zst"
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := pack(f, bytes.NewReader(want), nil); err != nil {
		t.Fatal(err)
	}
	f.Seek(0, io.SeekStart)
	dec, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	if got, err := io.ReadAll(dec); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, not %d: %v", len(got), len(want), err)
	}
	if out, err := exec.Command("zstd", "-dc", path).Output(); err == nil && !bytes.Equal(out, want) {
		t.Errorf("zstd -dc gives %d bytes, not %d", len(out), len(want))
	}
	a, err := openArchive(path)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	got, err := io.ReadAll(io.NewSectionReader(readAtOnce{a}, 1000, 1<<40))
	if err != nil || !bytes.Equal(got, want[1000:]) {
		t.Errorf("from 1000 on %d bytes, not %d: %v", len(got), len(want)-1000, err)
	}
	// A broken one is an error that says what to do.
	os.Truncate(path, 100)
	if _, err := openArchive(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("cut: %v", err)
	}
}

// readAtOnce has ReadAt give all that is asked for.
type readAtOnce struct{ a *archive }

func (r readAtOnce) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) && err == nil {
		var k int
		k, err = r.a.ReadAt(p[n:], off+int64(n))
		n += k
	}
	return n, err
}

// FuzzArchive: no bytes make openArchive or ReadAt panic.
func FuzzArchive(f *testing.F) {
	var b bytes.Buffer
	pack(&b, strings.NewReader("some text\n"), nil)
	f.Add(b.Bytes())
	foot := binary.LittleEndian.AppendUint32(nil, 1<<31)
	f.Add(append(append(foot, 0), 0xB1, 0xEA, 0x92, 0x8F))
	f.Fuzz(func(t *testing.T, p []byte) {
		path := t.TempDir() + "/a"
		os.WriteFile(path, p, 0o600)
		a, err := openArchive(path)
		if err != nil {
			return
		}
		defer a.Close()
		a.ReadAt(make([]byte, 10), 0)
	})
}

func TestASlowFollowerIsToldWhatItMissed(t *testing.T) {
	dir := t.TempDir() + "/x"
	l := open(t, newMover(t), dir, Options{MaxSize: 1000, MaxFiles: 3})
	f := newFIFO(t)
	p := move(t, l, f, 1)
	defer p.Finish()
	send := func(from, to int) {
		for i := from; i < to; i++ {
			f.say(t, "line %08d\n", i)
		}
		p.Flush()
	}
	send(0, 10)
	hold, held := make(chan bool), make(chan bool)
	ctx, cancel := context.WithCancel(t.Context())
	var got bytes.Buffer
	missing := int64(0)
	ended := make(chan error)
	go func() {
		first := true
		_, err := l.Read(ctx, Query{Follow: true, Missing: func(from, to int64) { missing += to - from }}, writerFunc(func(p []byte) {
			got.Write(p)
			if first {
				first = false
				held <- true
				<-hold
			}
			if bytes.HasSuffix(p, []byte("line 00009999\n")) {
				cancel()
			}
		}))
		ended <- err
	}()
	<-held
	send(10, 10_000)
	close(hold)
	if err := <-ended; err != context.Canceled {
		t.Fatal(err)
	}
	if missing == 0 || int64(got.Len())+missing != 14*10_000 {
		t.Errorf("%d bytes and %d missed of %d", got.Len(), missing, 14*10_000)
	}
}

func TestRemoveEndsFollowers(t *testing.T) {
	dir := t.TempDir() + "/x"
	l := open(t, newMover(t), dir, Options{})
	f := newFIFO(t)
	p := move(t, l, f, 1)
	f.say(t, "one\n")
	came := make(chan bool, 1)
	ended := make(chan error)
	go func() {
		_, err := l.Read(t.Context(), Query{Follow: true}, writerFunc(func([]byte) { came <- true }))
		ended <- err
	}()
	<-came
	p.Finish()
	if err := l.Remove(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, ErrRemoved) {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Error(err)
	}
}

func TestFollowingARunEndsWithTheNext(t *testing.T) {
	l := open(t, newMover(t), t.TempDir()+"/x", Options{})
	ended := make(chan error)
	var got bytes.Buffer
	go func() {
		_, err := l.Read(t.Context(), Query{Follow: true, Run: 2}, &got)
		ended <- err
	}()
	for run := uint64(1); run <= 3; run++ {
		f := newFIFO(t)
		p := move(t, l, f, run)
		f.say(t, "run %d\n", run)
		p.Finish()
	}
	if err := <-ended; err != nil || got.String() != "run 2\n" {
		t.Errorf("%q, %v", got.String(), err)
	}
}

// A line that is too long for one piece is not cut within a character.
func TestALineInPiecesIsCutBetweenCharacters(t *testing.T) {
	l := open(t, newMover(t), t.TempDir()+"/x", Options{})
	f := newFIFO(t)
	p := move(t, l, f, 1)
	long := "x" + strings.Repeat("漢", maxLine) + "\n"
	io.Copy(f.tree, strings.NewReader(long))
	p.Finish()
	got := query(t, l, Query{Times: true})
	if !utf8.ValidString(got) {
		t.Error("it is cut within a character")
	}
	if without := timePrefix.ReplaceAllString(got, ""); without != long {
		t.Errorf("of %d bytes %d are there", len(long), len(without))
	}
}

var timePrefix = regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z `)
