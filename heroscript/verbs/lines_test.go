package verbs

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A line without an end is held back while its rest may come, and not for ever.
func TestUnfinishedLinesOfSeveralLogsAreShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		var mu sync.Mutex
		a := &Lines{Mu: &mu, W: &out, Prefix: "a | ", Patience: OpenDelay}
		b := &Lines{Mu: &mu, W: &out, Prefix: "b | ", Patience: OpenDelay}
		want := func(text string) {
			t.Helper()
			synctest.Wait()
			if out.String() != text {
				t.Errorf("%q, not %q", out.String(), text)
			}
			out.Reset()
		}
		a.Write([]byte("one\ntw"))
		b.Write([]byte("x\n"))
		want("a | one\nb | x\n")
		time.Sleep(OpenDelay - 1)
		a.Write([]byte("o\nname? "))
		want("a | two\n")
		time.Sleep(OpenDelay / 2)
		a.Write([]byte("really? ")) // does not make it wait longer
		time.Sleep(OpenDelay / 2)
		want("a | name? really? \n")
		a.Write([]byte("\nnext\n")) // the end of what was ended
		want("a | next\n")
		a.Write([]byte("more"))
		time.Sleep(OpenDelay)
		want("a | more\n")
		a.Write([]byte("and more\n"))
		want("a | and more\n")
		a.Write([]byte("last"))
		if err := a.Flush(); err != nil {
			t.Error(err)
		}
		want("a | last\n")
	})
}

// broken is a writer with a fault.
type broken struct{}

func (broken) Write([]byte) (int, error) { panic("a fault") }

// A fault while a line is ended, in a goroutine of a timer, is that of who writes, not of all.
func TestAFaultInEndingALineIsToldWhoWritesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &Lines{Mu: new(sync.Mutex), W: broken{}, Patience: OpenDelay}
		if _, err := l.Write([]byte("name? ")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * OpenDelay)
		if _, err := l.Write([]byte("next\n")); err == nil || !strings.Contains(err.Error(), "a fault") {
			t.Errorf("the next write: %v", err)
		}
		if err := l.Flush(); err == nil {
			t.Error("nobody is told")
		}
	})
}
