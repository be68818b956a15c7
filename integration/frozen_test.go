package integration

import (
	"bufio"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// withDisk has a daemon find an ext4 file system of its own at "disk".
var withDisk = setup{Private: true, Wrap: []string{"/bin/sh", "-ec",
	`[ -e image ] || { truncate -s 32M image; mkfs.ext4 -q image; mkdir disk; }; mount -o loop image disk; exec "$0" "$@"`}}

// freezeDisk makes everybody who writes to the disk at dir sleep, uninterruptibly, until thaw is
// called. Another process thaws it in the end, whatever becomes of this one.
func (d *daemon) freezeDisk(dir string) (thaw func()) {
	d.t.Helper()
	const script = `fsfreeze -f "$0" && echo frozen; timeout 60 cat >/dev/null; fsfreeze -u "$0"`
	freezer := exec.Command("/bin/sh", "-c", script, dir)
	freezer.Dir = d.dir
	hold, err := freezer.StdinPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	said, err := freezer.StdoutPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	d.inMounts(freezer.Start)
	thaw = sync.OnceFunc(func() {
		hold.Close()
		if err := freezer.Wait(); err != nil {
			d.t.Errorf("thaw: %v", err)
		}
	})
	d.t.Cleanup(thaw)
	if line, err := bufio.NewReader(said).ReadString('\n'); line != "frozen\n" {
		d.t.Fatalf("freeze: %q, %v", line, err)
	}
	return thaw
}

// uninterruptible reports whether SIGKILL does not end a process.
func uninterruptible(pid int) bool {
	stat := procStat(pid)
	return len(stat) > 0 && stat[0] == "D"
}

// A daemon works, and an upgrade is done, while it ends trees that nobody can end yet.
// They are told of once, and gone as soon as that can be.
func TestStraysThatCannotBeEndedHoldNothingUp(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, withDisk)
	const strays = 3
	for i := range strays {
		d.start(process.Spec{Name: fmt.Sprint("x", i), Command: "until [ -e go ]; do sleep 0.02; done; exec dd if=/dev/zero of=disk/" + fmt.Sprint(i) + " bs=4k count=1"})
	}
	thaw := d.freezeDisk("disk")
	touchFile(t, d.dir+"/go")
	var pids []int
	for i := range strays {
		pid := d.status(fmt.Sprint("x", i)).PID
		eventually(t, "it sleeps uninterruptibly", func() bool { return uninterruptible(pid) })
		pids = append(pids, pid)
	}
	d.crash()
	from := d.log.len()
	d.setup = setup{} // it does without the disk
	begin := time.Now()
	d.launch("-reset-store")
	if took := time.Since(begin); took > 4*time.Second*time.Duration(slowdown()) {
		t.Errorf("it was ready after %v", took)
	}
	d.start(process.Spec{Name: "other", Command: "exec sleep 1000"})
	if r := d.pmclient("upgrade"); r.code != 0 {
		t.Errorf("upgrade: %+v", r)
	}
	if s := d.status("other"); s.State != process.Running || s.Number != 1 {
		t.Errorf("%+v", s)
	}
	for i, pid := range pids {
		if !d.log.await(from, fmt.Sprintf("group x%d.1 belongs to no process and cannot be removed: SIGKILL has not ended pids [%d]", i, pid), d.ended) {
			t.Fatalf("it does not tell of stray %d: %s", i, d.log.since(from))
		}
	}
	if !slices.ContainsFunc(pids, uninterruptible) {
		t.Error("nobody slept uninterruptibly")
	}
	// A run that is to have such a group is refused, in the time that a tree is given to end.
	if _, err := d.client().Start(d.context(), process.Spec{Name: "x0", Command: "true"}); !isCode(err, process.CodeStart) || !strings.Contains(err.Error(), "x0.1") {
		t.Errorf("start: %v", err)
	}
	thaw()
	eventually(t, "the strays are gone", func() bool {
		return gone(d.group("x0", 1)) && gone(d.group("x1", 1)) && gone(d.group("x2", 1))
	})
	if n := strings.Count(d.log.since(from), "cannot be removed"); n > 2*strays { // once for each worker
		t.Errorf("it tells of %d strays %d times:\n%s", strays, n, d.log.since(from))
	}
}
