package integration

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/client"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func isCode(err error, code process.Code) bool {
	var e *process.Error
	return errors.As(err, &e) && e.Code == code
}

// tree is a way of getting away from whoever wants to end it.
type tree struct {
	command string
	pids    int                                   // that it has when it is complete, at least
	grace   time.Duration                         // 0: the default
	prepare func(t *testing.T, group string) bool // done to the complete tree; false: it has ended meanwhile
}

// ownGroup sets $g to the directory of the group that the shell is in.
func ownGroup(t *testing.T) string {
	mount, err := cgroupMount()
	if err != nil {
		t.Fatal(err)
	}
	return "g=" + mount + "$(sed -n 's/^0:://p' /proc/self/cgroup)\n"
}

// trees are those that other managers leave behind.
func trees(t *testing.T) map[string]tree {
	return map[string]tree{
		"double-fork": {pids: 3, command: `
			( ( sleep 1000 & ) & )
			( ( ( sh -c 'sleep 1000; :' & ) & ) & )
			exec sleep 1000`},
		"setsid": {pids: 4, command: `
			setsid sleep 1000 &
			setsid sh -c 'setsid sleep 1000 & setsid sleep 1000 & exit' &
			exec sleep 1000`},
		"nohup": {pids: 3, command: `
			nohup sleep 1000 &
			( nohup sh -c 'sleep 1000; :' > /dev/null 2>&1 & )
			exec sleep 1000`},
		"daemonized": {pids: 3, command: `
			daemon() { cd /; umask 0; exec < /dev/null > /dev/null 2>&1; setsid sh -c '(sleep 1000 &) ; exit' & }
			( daemon ) ; ( daemon )
			exec sleep 1000`},
		// Each link of a chain starts the next and exits: whoever is looked up is
		// gone before it is hit. The number of chains is the bound.
		"bomb": {pids: 5, command: `
			export chain='setsid sh -c "$chain" & exit'
			for i in 1 2 3 4; do sh -c "$chain" & done
			exec sleep 1000`},
		"growing-bomb": {pids: 20, command: `
			export grow='if [ $0 -gt 0 ]; then sh -c "$grow" $(($0-1)) & sh -c "$grow" $(($0-1)) & fi; sleep 1000'
			sh -c "$grow" 6 &
			exec sleep 1000`},
		"SIGSTOPped": {pids: 3, command: `
			sh -c 'kill -STOP $$; sleep 1000' &
			sh -c 'setsid sleep 1000 & kill -STOP $!; kill -STOP $$' &
			kill -STOP $$
			sleep 1000`, prepare: func(t *testing.T, group string) bool {
			eventually(t, "the tree is stopped", func() bool {
				pids := pidsIn(group)
				for _, pid := range pids {
					if stat := procStat(pid); len(stat) > 0 && stat[0] != "T" {
						return false
					}
				}
				return true
			})
			return len(pidsIn(group)) > 0
		}},
		"frozen": {pids: 3, command: `sleep 1000 & setsid sleep 1000 & exec sleep 1000`,
			prepare: func(t *testing.T, group string) bool {
				if err := os.WriteFile(group+"/cgroup.freeze", []byte("1"), 0); err != nil {
					return false
				}
				eventually(t, "the tree is frozen", func() bool { return frozen(group) || len(pidsIn(group)) == 0 })
				return len(pidsIn(group)) > 0
			}},
		"nested": {pids: 4, command: ownGroup(t) + `
			mkdir -p "$g/a/b" "$g/c" "$g/empty/deep"
			sh -c 'echo $$ > "$1/a/b/cgroup.procs"; setsid sleep 1000 & exec sleep 1000' sh "$g" &
			sh -c 'echo $$ > "$1/c/cgroup.procs"; exec sleep 1000' sh "$g" &
			echo $$ > "$g/a/cgroup.procs"
			exec sleep 1000`},
		"nested-frozen": {pids: 2, command: ownGroup(t) + `
			mkdir "$g/a"
			sh -c 'echo $$ > "$1/a/cgroup.procs"; exec sleep 1000' sh "$g" &
			until [ -s "$g/a/cgroup.procs" ]; do :; done
			echo 1 > "$g/a/cgroup.freeze"
			exec sleep 1000`},
		"deaf": {pids: 3, grace: 200 * time.Millisecond, command: `
			trap '' TERM INT HUP
			sh -c "trap '' TERM; while :; do sleep 1000; done" &
			sleep 1000 &
			while :; do sleep 1000; done`},
	}
}

// endings are the ways to end a run, and whether another follows.
var endings = map[string]struct {
	end      func(pm *client.Client, d *daemon, name string) error
	cause    process.Cause
	deadline time.Duration
}{
	"stop": {cause: process.CauseStop, end: func(pm *client.Client, d *daemon, name string) error {
		_, err := pm.Stop(d.context(), name)
		return err
	}},
	"restart": {cause: process.CauseStop, end: func(pm *client.Client, d *daemon, name string) error {
		_, err := pm.Restart(d.context(), name, "")
		return err
	}},
	"delete": {end: func(pm *client.Client, d *daemon, name string) error {
		return pm.Delete(d.context(), name)
	}},
	"deadline": {cause: process.CauseDeadline, deadline: time.Second, end: func(pm *client.Client, d *daemon, name string) error {
		for {
			s, err := pm.Status(d.context(), name)
			if err != nil || s.State.AtRest() {
				return err
			}
			time.Sleep(10 * time.Millisecond)
		}
	}},
}

func TestNobodySurvives(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	for how, ending := range endings {
		for shape, tree := range trees(t) {
			t.Run(how+"/"+shape, func(t *testing.T) {
				t.Parallel()
				name := how + "-" + shape
				pm := d.dial(t)
				spec := process.Spec{Name: name, Command: tree.command, Ending: process.Ending{Deadline: ending.deadline}}
				if tree.grace > 0 {
					spec.StopTimeout = &tree.grace
				}
				s, err := pm.Start(d.context(), spec)
				if err != nil {
					t.Fatal(err)
				}
				group := d.group(name, s.Number)
				complete := false
				eventually(t, fmt.Sprintf("%s has %d pids", name, tree.pids), func() bool {
					complete = len(pidsIn(group)) >= tree.pids
					return complete || ending.deadline > 0 && gone(group)
				})
				if complete && tree.prepare != nil && !tree.prepare(t, group) && ending.deadline == 0 {
					t.Fatal("the tree has ended by itself")
				}
				if !complete {
					t.Log("the deadline came before the tree was complete")
				}
				began := time.Now()
				if err := ending.end(pm, d, name); err != nil {
					t.Errorf("%s: %v", how, err)
				}
				took := time.Since(began)
				if left := withEnviron(t, "TMPDIR="+d.dir, "PROCESSMANAGER_NAME="+name, "PROCESSMANAGER_RUN=1"); len(left) > 0 {
					t.Errorf("survivors:%s", describe(left))
				}
				if !gone(group) {
					t.Errorf("the group is left: pids %v", pidsIn(group))
				}
				if limit := process.DefaultStopTimeout + 5*time.Second; took > limit && how != "deadline" {
					t.Errorf("the answer came after %v, more than %v", took, limit)
				}
				s, err = pm.Status(d.context(), name)
				if how == "delete" {
					if !errors.Is(err, process.ErrNotFound) {
						t.Errorf("after delete: %+v, %v", s, err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if s.LastRun == nil || s.LastRun.Number != 1 || s.LastRun.Cause != ending.cause {
					t.Errorf("last run: %+v, want cause %v", s.LastRun, ending.cause)
				}
				if how == "restart" {
					if s.State != process.Running || s.Number != 2 {
						t.Errorf("after restart: %+v", s)
					}
					if err := pm.Delete(d.context(), name); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
}

func gone(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, os.ErrNotExist)
}

func TestTreeIsInItsGroupFromTheFirstInstruction(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	for i := range 50 {
		name := fmt.Sprint("first", i)
		d.finished(name, `while read -r line; do case $line in 0::*) echo "$line"; esac; done < /proc/self/cgroup`)
		if got, want := d.logs(name, 0), "/p/"+name+".1\n"; !strings.HasSuffix(got, want) {
			t.Errorf("its group was %q, want …%s", got, want)
		}
	}
}

func TestManyTreesEndAtOnce(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	const n = 30
	answers := make(chan error)
	for i := range n {
		d.start(process.Spec{Name: fmt.Sprint("many", i), Command: "setsid sleep 1000 & (sleep 1000 &) ; exec sleep 1000"})
	}
	for i := range n {
		pm := d.dial(t)
		go func() { answers <- pm.Delete(d.context(), fmt.Sprint("many", i)) }()
	}
	for range n {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
	for i := range n {
		d.nobodyLeft(fmt.Sprint("many", i), 1)
	}
}
