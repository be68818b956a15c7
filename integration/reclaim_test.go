package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func init() { roles["unneeded"] = unneeded }

// unneeded holds so much memory that the kernel may have back when it wants it, and says so.
func unneeded(args []string) {
	if err := unix.Madvise(touched(args[0]), unix.MADV_FREE); err != nil {
		panic(err)
	}
	fmt.Println("unneeded")
	time.Sleep(time.Hour)
}

// reclaim has memory taken away, and says what came of it.
func (d *daemon) reclaim(name, size string) (r process.Reclaimed) {
	d.t.Helper()
	if err := json.Unmarshal([]byte(d.mustClient("reclaim", name, size, "-format", "json")), &r); err != nil {
		d.t.Fatal(err)
	}
	return r
}

func TestReclaimTakesMemoryThatNobodyNeeds(t *testing.T) {
	t.Parallel()
	needController(t, "memory")
	const held = 64 * mib
	d := startDaemon(t, setup{})
	if _, err := os.Stat(d.cgroup + "/memory.reclaim"); err != nil {
		t.Skipf("this kernel has no memory.reclaim: %v", err)
	}
	d.start(process.Spec{Name: "web", Command: fmt.Sprintf("exec %s role unneeded %d", programs.self, held)})
	d.said("web", "unneeded")
	r := d.reclaim("web", "32M")
	if !r.All || r.Late || r.Name != "web" || r.Asked != 32*mib || r.Before < held || r.Less() < 30*mib {
		t.Errorf("%+v", r)
	}
	if s := d.status("web"); s.State != process.Running || s.Memory == nil || *s.Memory > held-24*mib {
		t.Errorf("%+v", s)
	}
	d.pause("web") // it stands still, and its memory can be taken all the same
	if out := d.mustClient("reclaim", "web", "16M"); !strings.HasSuffix(out, " less\n") {
		t.Errorf("%q", out)
	}
	d.stop("web")
	if r := d.pmclient("reclaim", "web", "32M"); r.code != 1 || r.stderr != "pmclient: process 'web' is stopped: nothing of it runs that memory could be taken away from\n" {
		t.Errorf("%+v", r)
	}
}

// What a tree needs stays where it is without swap, and that is no failure.
func TestReclaimOfMemoryThatIsNeeded(t *testing.T) {
	t.Parallel()
	needController(t, "memory")
	if swaps, err := os.ReadFile("/proc/swaps"); err != nil || strings.Count(string(swaps), "\n") > 1 {
		t.Skipf("there is swap: %s, %v", swaps, err)
	}
	const held = 32 * mib
	d := startDaemon(t, setup{})
	if _, err := os.Stat(d.cgroup + "/memory.reclaim"); err != nil {
		t.Skipf("this kernel has no memory.reclaim: %v", err)
	}
	d.start(process.Spec{Name: "web", Command: fmt.Sprintf("exec %s role touch %d", programs.self, held)})
	d.said("web", "touched")
	if r := d.reclaim("web", "1G"); r.All || r.Late || r.After < held-mib {
		t.Errorf("%+v", r)
	}
	if out := d.mustClient("reclaim", "web", "1G"); !strings.HasSuffix(out, "; 1.0 GiB were asked for, and the kernel found no more that can be taken away\n") {
		t.Errorf("%q", out)
	}
	if s := d.status("web"); s.State != process.Running || s.OOM != nil {
		t.Errorf("%+v", s)
	}
}

func TestReclaimIsRefusedWithoutAController(t *testing.T) {
	t.Parallel()
	if hasController(t, "memory") {
		t.Skip("groups have a memory controller here")
	}
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "web", Command: "exec sleep 1000"})
	r := d.pmclient("reclaim", "web", "32M")
	if r.code != 1 || !strings.HasPrefix(r.stderr, "pmclient: process 'web': no memory can be taken away: runs have no memory controller (") || strings.Count(r.stderr, "\n") != 1 {
		t.Errorf("%+v", r)
	}
	if list, err := d.client().Reclaim(d.context(), process.Selection{"web"}, 32*mib); err != nil || len(list) != 1 || !isCode(list[0].Err, process.CodeLimit) {
		t.Errorf("%+v, %v", list, err)
	}
}
