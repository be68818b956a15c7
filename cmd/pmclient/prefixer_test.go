package main

import (
	"bytes"
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
		a := &prefixer{mu: &mu, w: &out, prefix: "a | ", patience: openDelay}
		b := &prefixer{mu: &mu, w: &out, prefix: "b | ", patience: openDelay}
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
		time.Sleep(openDelay - 1)
		a.Write([]byte("o\nname? "))
		want("a | two\n")
		time.Sleep(openDelay / 2)
		a.Write([]byte("really? ")) // does not make it wait longer
		time.Sleep(openDelay / 2)
		want("a | name? really? \n")
		a.Write([]byte("\nnext\n")) // the end of what was ended
		want("a | next\n")
		a.Write([]byte("more"))
		time.Sleep(openDelay)
		want("a | more\n")
		a.Write([]byte("and more\n"))
		want("a | and more\n")
		a.Write([]byte("last"))
		if err := a.flush(); err != nil {
			t.Error(err)
		}
		want("a | last\n")
	})
}
