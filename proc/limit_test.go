package proc

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The test binary plays a process with few descriptors.
func TestReserveIsLeftAlone(t *testing.T) {
	const limit = 128
	if os.Getenv("PROC_TEST_LIMIT") == "" {
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("/bin/sh", "-c", `ulimit -n 128 && exec "$0" -test.run "^TestReserveIsLeftAlone\$" -test.v`, exe)
		cmd.Env = append(os.Environ(), "PROC_TEST_LIMIT=1")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS") {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	if FileLimit() != limit {
		t.Fatalf("the limit is %d", FileLimit())
	}
	if err := Room(limit - Reserve(limit)); err != nil {
		t.Error(err)
	}
	full := new(NoRoomError)
	if err := Room(limit - Reserve(limit) + 1); !errors.As(err, &full) || !errors.Is(err, unix.EMFILE) || full.Limit != limit {
		t.Errorf("one too many: %v", err)
	}
	var kept []*os.File
	for Roomy() {
		// A start opens others meanwhile, so that what it keeps is not the lowest.
		var others []*os.File
		for range startFiles - 1 {
			others = append(others, open(t))
		}
		kept = append(kept, open(t))
		for _, f := range others {
			f.Close()
		}
	}
	if left := limit - len(kept); left < Reserve(limit) || left > Reserve(limit)+16 {
		t.Errorf("%d are kept, %d left", len(kept), left)
	}
	for _, f := range kept {
		if !Keepable(f.Fd()) {
			t.Errorf("descriptor %d is not to be kept", f.Fd())
		}
	}
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		defer f.Close()
		if f.Fd() >= uintptr(limit-Reserve(limit)/2) && Keepable(f.Fd()) {
			t.Errorf("descriptor %d is to be kept", f.Fd())
		}
	}
	if Roomy() {
		t.Error("there is room without any descriptor")
	}
}

func open(t *testing.T) *os.File {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
