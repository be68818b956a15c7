package integration

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// What cannot be opened at a takeover is tried again, and status says so meanwhile: the
// tree stands still when its pipe is full.
func TestOutputThatCannotBeReadAtATakeoverIsReadLater(t *testing.T) {
	t.Parallel()
	for _, log := range []bool{true, false} {
		d := startDaemon(t, setup{})
		d.start(process.Spec{Name: "x", Log: log, Command: `i=0; until [ $i = 20000 ]; do i=$((i+1)); echo $i; [ $i -gt 5 ] || sleep 0.2; done
			echo done; sleep 1000`})
		d.said("x", "3\n")
		fifo := d.state + "/run/fifo/x.1"
		d.crash()
		if err := errors.Join(os.Rename(fifo, d.dir+"/aside"), os.Symlink("x.1", fifo)); err != nil { // a loop
			t.Fatal(err)
		}
		d.launch()
		s := d.await("x", "said to be unread", func(s process.Status) bool { return s.OutputError != "" })
		if s.State != process.Running || !strings.Contains(s.OutputError, "it is not read, and is tried again: open ") {
			t.Errorf("%+v", s)
		}
		if text := d.mustClient("status", "x"); !strings.Contains(text, "it is not read, and is tried again: ") {
			t.Errorf("status says nothing of it: %s", text)
		}
		if err := os.Rename(d.dir+"/aside", fifo); err != nil {
			t.Fatal(err)
		}
		d.said("x", "done\n")
		if s := d.status("x"); s.OutputError != "" || s.LogDropped != 0 {
			t.Errorf("%+v", s)
		}
		d.stop("x")
		d.nobodyLeft("x", 1)
	}
}

// A worker that has too few descriptors for the output of all runs reads what it can,
// and the others' as soon as some are free.
func TestOutputIsReadWhenThereAreDescriptorsAgain(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	name := func(i int) string { return fmt.Sprintf("p%d", i) }
	const runs = 30
	for i := range runs {
		d.start(process.Spec{Name: name(i), Log: true, Command: `until [ -e enough ]; do sleep 0.1; done
			i=0; until [ $i = 20000 ]; do i=$((i+1)); echo $i; done; echo done; exec sleep 1000`})
	}
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", d.keeper()))
	if err != nil {
		t.Fatal(err)
	}
	limit := uint64(len(fds)) + 5
	if err := unix.Prlimit(d.keeper(), unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: limit, Max: limit}, nil); err != nil {
		t.Fatal(err)
	}
	d.killWorker()
	unread := map[string]bool{}
	eventually(t, "some are said to be unread", func() bool {
		for _, s := range d.list() {
			if s.State != process.Running {
				t.Fatalf("%+v", s)
			}
			unread[s.Name] = s.OutputError != ""
			unread[""] = unread[""] || unread[s.Name]
		}
		return unread[""]
	})
	for i := range runs {
		if !unread[name(i)] {
			d.stop(name(i))
		}
	}
	if err := os.WriteFile(d.dir+"/enough", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range runs {
		if unread[name(i)] {
			d.said(name(i), "\ndone\n")
			if s := d.status(name(i)); s.OutputError != "" || s.LogDropped != 0 {
				t.Errorf("%+v", s)
			}
		}
	}
}
