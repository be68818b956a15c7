package integration

import (
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/client"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// fullPipe is a pipe that takes nothing until somebody reads from it.
func fullPipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	unix.SetNonblock(fds[1], true)
	for err := error(nil); err == nil; {
		_, err = unix.Write(fds[1], []byte("."))
	}
	unix.SetNonblock(fds[1], false)
	r, w = os.NewFile(uintptr(fds[0]), "r"), os.NewFile(uintptr(fds[1]), "w")
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// A daemon whose standard error takes nothing goes on, and tells what it had to say when
// somebody reads.
func TestNobodyNeedsToReadStandardError(t *testing.T) {
	t.Parallel()
	for _, read := range []bool{false, true} {
		r, w := fullPipe(t)
		d := newDaemon(t, setup{Wrap: []string{"/bin/sh", "-c", `exec "$@" 2>&3 3>&-`, "sh"}, Files: []*os.File{w}})
		d.spawn()
		w.Close()
		eventually(t, "the daemon answers", func() bool {
			pm, err := client.Dial(d.context(), client.Config{Socket: d.socket, Secret: []byte(theSecret)})
			if err == nil {
				pm.Close()
			}
			return err == nil
		})
		d.start(process.Spec{Name: "p", Command: "exec sleep 1000"})
		pid := d.status("p").PID
		for range 2 {
			d.hangUp()
			worker := d.worker()
			unix.Kill(worker, unix.SIGKILL)
			eventually(t, "there is another worker", func() bool { now := d.worker(); return now != 0 && now != worker })
			if s := d.status("p"); s.State != process.Running || s.PID != pid {
				t.Errorf("%+v", s)
			}
		}
		said := make(chan string, 1)
		if read {
			go func() {
				all, _ := io.ReadAll(r)
				said <- string(all)
			}()
		}
		if code := d.end(unix.SIGTERM); code != 0 {
			t.Errorf("exit code %d", code)
		}
		if !read {
			continue
		}
		text := strings.TrimLeft(<-said, ".")
		if _, rest, found := strings.Cut(text, "listening on "); !found || strings.Count(rest, "the next one starts in ") != 2 {
			t.Errorf("said %q", text)
		}
	}
}
