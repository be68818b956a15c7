package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

// says has a run write text and end.
func says(t *testing.T, l *Log, run uint64, text string) {
	t.Helper()
	f := newFIFO(t)
	p := move(t, l, f, run)
	f.say(t, "%s", text)
	p.Finish()
}

func TestTheEndOfARunEndsItsLine(t *testing.T) {
	for _, size := range []int64{1 << 20, 1} { // in one file, and in one each
		dir := t.TempDir() + "/x"
		l := open(t, newMover(t), dir, Options{MaxSize: size, MaxFiles: 100})
		says(t, l, 1, "hello\nworld")
		says(t, l, 2, "hello")
		says(t, l, 4, "\nbye\n")
		ask := func() {
			t.Helper()
			for _, c := range []struct {
				q    Query
				want string
			}{
				{Query{}, "hello\nworld\nhello\n\nbye\n"},
				{Query{Lines: 1}, "bye\n"},
				{Query{Lines: 2}, "\nbye\n"},
				{Query{Lines: 3}, "hello\n\nbye\n"},
				{Query{Lines: 4}, "world\nhello\n\nbye\n"},
				{Query{Lines: 9}, "hello\nworld\nhello\n\nbye\n"},
				{Query{Grep: regexp.MustCompile("^hello$")}, "hello\nhello\n"},
				{Query{Grep: regexp.MustCompile("^hello$"), Lines: 1}, "hello\n"},
				{Query{Grep: regexp.MustCompile("^world$")}, "world\n"},
				{Query{Grep: regexp.MustCompile("^$")}, "\n"},
				{Query{Run: 1}, "hello\nworld"}, // exactly what it wrote
				{Query{Run: 2}, "hello"},
				{Query{Run: 4}, "\nbye\n"},
				{Query{Run: 1, Lines: 1}, "world"},
			} {
				if got := query(t, l, c.q); got != c.want {
					t.Errorf("files of %d, %+v: %q, not %q", size, c.q, got, c.want)
				}
			}
			times := regexp.MustCompile(`(?m)^[-0-9:T.]+Z `)
			got := query(t, l, Query{Times: true})
			if text := times.ReplaceAllString(got, ""); text != "hello\nworld\nhello\n\nbye\n" || len(times.FindAllString(got, -1)) != 5 {
				t.Errorf("with times: %q", got)
			}
		}
		ask()
		if _, err := l.pack(nil, time.Hour); err != nil {
			t.Fatal(err)
		}
		ask()
		if list, _ := segments(dir); size == 1 && len(list) < 3 {
			t.Errorf("%d files: a run's rest was put into the file of the one before", len(list))
		}
	}
}

// An answer and the one that goes on behind it say together what one answer says.
func TestAnswersInPiecesSayWhatOneSays(t *testing.T) {
	l := open(t, newMover(t), t.TempDir()+"/x", Options{})
	var parts []string
	for run := uint64(1); run < 10; run++ {
		next := int64(0)
		for _, p := range parts {
			next += int64(len(p))
		}
		text := strings.Repeat("\n", int(run)%2) + fmt.Sprintf("line %d\nand", run)
		parts = append(parts, text)
		says(t, l, run, text)
		for _, times := range []bool{false, true} {
			whole := query(t, l, Query{Times: times})
			var to []string
			for at := next; at >= 0; at -= 3 {
				var first bytes.Buffer
				r := reader{q: Query{Times: times}, w: &first, view: &view{dir: l.dir}}
				if err := errors.Join(r.copy(context.Background(), at), r.flush()); err != nil {
					t.Fatal(err)
				}
				r.view.close()
				if to = append(to, first.String()+query(t, l, Query{From: at, Times: times})); to[len(to)-1] != whole {
					t.Errorf("cut at %d, times %v: %q, not %q", at, times, to[len(to)-1], whole)
				}
			}
		}
	}
}

// A follower sees a run's last line end when the next run writes, and an unfinished line
// after a moment, however it asks.
func TestFollowersSeeUnfinishedLines(t *testing.T) {
	for what, q := range map[string]Query{
		"plain": {},
		"times": {Times: true},
		"grep":  {Grep: regexp.MustCompile("o")},
	} {
		t.Run(what, func(t *testing.T) {
			l := open(t, newMover(t), t.TempDir()+"/x", Options{})
			f := newFIFO(t)
			p := move(t, l, f, 1)
			got := make(chan string, 100)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			q.Follow = true
			go func() {
				defer close(done)
				l.Read(ctx, q, writerFunc(func(p []byte) { got <- string(p) }))
			}()
			defer func() { cancel(); <-done }()
			all := ""
			await := func(want string) {
				t.Helper()
				times := regexp.MustCompile(`(?m)^[-0-9:T.]+Z `)
				for times.ReplaceAllString(all, "") != want {
					select {
					case more := <-got:
						all += more
					case <-time.After(30 * time.Second):
						t.Fatalf("%q, not %q", all, want)
					}
				}
			}
			f.say(t, "name or number? ")
			await("name or number? ")
			f.say(t, "both\nmore")
			await("name or number? both\nmore")
			p.Finish()
			says(t, l, 2, "hello\n")
			await("name or number? both\nmore\nhello\n")
		})
	}
}
