package supervisor

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/logs"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// A definition that was stored before log files had a least size is taken up, and its
// files have that size.
func TestAStoredLimitOfALogBelowTheLeastHoldsAsTheLeast(t *testing.T) {
	state := t.TempDir()
	mover, err := logs.NewMover()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(mover.Close)
	s := &Supervisor{state: state, mover: mover}
	o, err := s.openOutput(&process.Spec{Name: "x", Logging: process.Logging{Log: true, LogMaxSize: 10, LogMaxTotal: 1, LogMaxAge: 1}})
	if err != nil {
		t.Fatal(err)
	}
	path := state + "/fifo"
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	tree, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	reader, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	pump, err := o.Move(1, reader)
	if err != nil {
		t.Fatal(err)
	}
	tree.WriteString(strings.Repeat("a line\n", 500)) // 3,500 bytes
	pump.Finish()
	text, err := os.ReadFile(s.logDir("x") + "/current")
	if err != nil || len(text) != 3500 {
		t.Errorf("%d of 3500 bytes are in one file: %v", len(text), err)
	}
}
