package logs

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// A sink whose faults are ours to make: a writer that panics.
type failing struct{}

func (failing) Write([]byte) (int, error) { panic("write") }

// A fault in moving what one process writes costs the others nothing: their output is
// moved, and the one whose output it is does not stand still.
func TestAFaultInOnePumpIsThatPumpsAlone(t *testing.T) {
	m := newMover(t)
	bad, good := newFIFO(t), newFIFO(t)
	told := make(chan error, 16)
	p, err := m.Copy(bad.reader(t), failing{}, func(err error) { told <- err })
	if err != nil {
		t.Fatal(err)
	}
	l := open(t, m, t.TempDir()+"/x", Options{})
	move(t, l, good, 1)
	written := make(chan struct{})
	go func() { // more than the pipe holds
		defer close(written)
		io.Copy(bad.tree, iotest.OneByteReader(strings.NewReader("a\n")))
		bad.tree.Write(bytes.Repeat([]byte("line\n"), 100_000))
	}()
	for range maxFaults {
		err := <-told
		if !strings.Contains(err.Error(), "panic: write, at logs.failing.Write fault_test.go") {
			t.Errorf("it tells %v", err)
		}
		good.say(t, "well\n")
	}
	<-written
	if got := query(t, l, Query{}); got != strings.Repeat("well\n", maxFaults) {
		t.Errorf("the other log has %q", got)
	}
	p.Finish()
	m.Close()
	if len(told) > 0 {
		t.Errorf("it tells more: %v", <-told)
	}
}

// A fault in compressing one log leaves the next one to be compressed.
func TestAFaultInThePackerIsThatLogsAlone(t *testing.T) {
	job := packJob{log: nil} // that has no directory to look into
	if _, err := job.pack(nil, packTurn); err == nil || !strings.Contains(err.Error(), "fault of ours: panic: ") {
		t.Errorf("it tells %v", err)
	}
}
