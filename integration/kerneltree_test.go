package integration

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// tree is the kernel processes of a process, as the client has them in JSON.
func (d *daemon) tree(name string) (t process.Tree) {
	d.t.Helper()
	if err := json.Unmarshal([]byte(d.mustClient("tree", name, "-format", "json")), &t); err != nil {
		d.t.Fatal(err)
	}
	return t
}

// shape is a tree without what differs each time: "command" or "command < what it is below",
// with a ! where it was reparented.
func shape(r process.RunTree) (lines []string) {
	of := map[int]string{}
	for _, p := range r.Processes {
		of[p.PID] = p.Command
		line := p.Command
		if p.Reparented {
			line += " !"
		}
		if p.Under != 0 {
			line += " < " + of[p.Under]
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}

// manyWays is a tree with processes that came about in all ways; what it looks like is manyLooks.
func manyWays(t *testing.T) string {
	return ownGroup(t) + `
		sleep 1001 &
		sh -c 'setsid sleep 1002; :' &
		( sleep 1003 & )
		( setsid sh -c '( sleep 1004 & ); sleep 1005 & exec sleep 1006' & )
		sh -c '/bin/true & exec sleep 1007' &
		sh -c 'sleep 1009; :' "$(printf 'a\nb\033[31m')" &
		mkdir "$g/a"
		sh -c 'echo $$ > "$1/a/cgroup.procs"; exec sleep 1010' sh "$g" &
		exec sleep 1000`
}

var manyLooks = []string{
	"[true] < sleep 1007",
	"sh -c setsid sleep 1002; : < sleep 1000",
	"sh -c sleep 1009; : a\nb\x1b[31m < sleep 1000",
	"sleep 1000",
	"sleep 1001 < sleep 1000",
	"sleep 1002 < sh -c setsid sleep 1002; :",
	"sleep 1003 ! < sleep 1000",
	"sleep 1004 ! < sleep 1006",
	"sleep 1005 < sleep 1006",
	"sleep 1006 !",
	"sleep 1007 < sleep 1000",
	"sleep 1009 < sh -c sleep 1009; : a\nb\x1b[31m",
	"sleep 1010 < sleep 1000",
}

func TestTreeShowsEveryKernelProcessAtItsPlace(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	s := d.start(process.Spec{Name: "web", Command: manyWays(t)})
	looks := func() process.RunTree {
		t.Helper()
		var r process.RunTree
		eventually(t, "the tree is complete", func() bool {
			all := d.tree("web")
			if all.State != process.Running || len(all.Runs) != 1 {
				t.Fatalf("%+v", all)
			}
			r = all.Runs[0]
			return slices.Equal(shape(r), manyLooks)
		})
		return r
	}
	r := looks()
	if first := r.Processes[0]; r.Run != 1 || r.PID != s.PID || first.PID != s.PID || !first.Main || first.Reparented || first.Level != 0 {
		t.Errorf("%+v", r)
	}
	var alive []int
	for _, p := range r.Processes {
		zombie := p.State == process.KernelZombie
		if !zombie {
			alive = append(alive, p.PID)
		}
		if zombie != (p.Command == "[true]") || !zombie && p.RSS == 0 || p.Threads != 1 || p.Age <= 0 || p.Age > r.Processes[0].Age {
			t.Errorf("%+v", p)
		}
	}
	inGroup := pidsIn(d.group("web", 1))
	slices.Sort(inGroup)
	slices.Sort(alive)
	if !slices.Equal(alive, inGroup) {
		t.Errorf("told of %v, the group has %v", alive, inGroup)
	}

	text := d.mustClient("tree", "web")
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) != len(r.Processes)+2 || !strings.HasPrefix(lines[0], fmt.Sprintf("process 'web', run 1, running: %d kernel processes", len(r.Processes))) {
		t.Fatalf("%s", text)
	}
	for i, p := range r.Processes { // the order is the same, and nothing in it is for the terminal
		line := lines[i+2]
		if !strings.HasPrefix(line, fmt.Sprint(p.PID, " ")) || !strings.HasSuffix(line, screen.Line(p.Command)) || strings.Contains(line, "\x1b") || strings.Contains(line, "(reparented)") != p.Reparented {
			t.Errorf("%+v: %s", p, line)
		}
	}

	d.end(9) // the keeper, and the worker with it
	d.hangUp()
	d.launch()
	if again := looks(); again.PID != s.PID {
		t.Errorf("%+v", again)
	}
	d.stop("web")
	if all := d.tree("web"); all.State != process.Stopped || all.Runs == nil || len(all.Runs) != 0 {
		t.Errorf("%+v", all)
	}
	if out := d.mustClient("tree", "web"); out != "process 'web' is stopped: nothing of it runs\n" {
		t.Errorf("%q", out)
	}
	if r := d.pmclient("tree", "nobody"); r.code != 1 || !strings.Contains(r.stderr, "no process 'nobody'") {
		t.Errorf("%+v", r)
	}
}

// Processes that begin and end while they are looked at are there or not, and nothing fails.
func TestTreeOfProcessesThatEnd(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	s := d.start(process.Spec{Name: "web", Command: `for i in 1 2 3; do sh -c 'i=0; while [ $i -lt 300 ]; do i=$((i+1)); (true; true & true) & done; wait' & done; wait; exec sleep 1000`})
	var askers sync.WaitGroup
	for range 3 {
		pm := d.dial(t)
		askers.Go(func() {
			defer pm.Close()
			for range 60 {
				all, err := pm.Tree(d.context(), process.Selection{"web"})
				if err != nil || len(all) != 1 || all[0].Err != nil || len(all[0].Runs) != 1 {
					t.Errorf("%+v, %v", all, err)
					return
				}
				r := all[0].Runs[0]
				if len(r.Processes) == 0 || r.Processes[0].PID != s.PID {
					t.Errorf("%+v", r)
				}
				for _, p := range r.Processes {
					if p.Under == 0 && !p.Main && !p.Reparented {
						t.Errorf("a child of another: %+v in %+v", p, r.Processes)
					}
				}
			}
		})
	}
	askers.Wait()
	d.stop("web")
}

func TestTreeHasEachOfSeveralRuns(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.mustClient("start", "job", "-cron", "0 0 1 1 *", "-overlap", "allow", "-command", "sleep 1001 & exec sleep 1000")
	d.mustClient("trigger", "job")
	d.mustClient("trigger", "job")
	eventually(t, "both are complete", func() bool {
		all := d.tree("job")
		return len(all.Runs) == 2 && len(all.Runs[0].Processes) == 2 && len(all.Runs[1].Processes) == 2
	})
	all := d.tree("job")
	for i, r := range all.Runs {
		if r.Run != uint64(i+1) || r.State != process.Running || r.PID != r.Processes[0].PID || r.Processes[1].Under != r.PID {
			t.Errorf("%+v", r)
		}
	}
	if text := d.mustClient("tree", "jo*"); !strings.Contains(text, "process 'job', run 1, running: 2 kernel processes\n") || !strings.Contains(text, "\n\nprocess 'job', run 2, running") {
		t.Errorf("%s", text)
	}
	d.stop("job")
}
