package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What is dropped is counted where it would stand, also if nothing is said after it.
func TestAReaderThatTakesNothingIsToldWhatItMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		b := &backlog{w: w}
		var want bytes.Buffer
		say := func(i int, kept bool) {
			line := fmt.Sprintf("%04d%s\n", i, strings.Repeat("x", 1019)) // 1 KiB
			b.Write([]byte(line))
			if kept {
				want.WriteString(line)
			}
		}
		say(0, true)
		synctest.Wait() // this one is on its way, and takes no room
		for i := 1; i < 100; i++ {
			say(i, i <= backlogSize>>10)
		}
		before := time.Now()
		b.flush()
		if waited := time.Since(before); waited != flushTime {
			t.Errorf("waited %v for nobody", waited)
		}
		var got bytes.Buffer
		done := make(chan struct{})
		go func() {
			io.Copy(&got, r)
			close(done)
		}()
		b.flush()
		want.WriteString("processmanager: 35 lines were dropped: standard error took none\n")
		say(100, true)
		b.flush()
		w.Close()
		<-done
		if got.String() != want.String() {
			t.Errorf("got %q", strings.ReplaceAll(got.String(), "x", ""))
		}
	})
}

func TestWhatIsTakenAtOnceIsWrittenInOrder(t *testing.T) {
	var got, want bytes.Buffer
	b := &backlog{w: &got}
	for i := range 1000 {
		fmt.Fprintf(b, "%d\n", i)
		fmt.Fprintf(&want, "%d\n", i)
	}
	b.flush()
	if got.String() != want.String() {
		t.Errorf("got %q", got.String())
	}
	b.flush() // nothing waits
}
