package integration

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// crash sends SIGKILL to the keeper and the worker at once.
func (d *daemon) crash() {
	d.t.Helper()
	worker := d.worker()
	if err := d.cmd.Process.Kill(); err != nil {
		d.t.Fatal(err)
	}
	if worker != 0 {
		unix.Kill(worker, unix.SIGKILL)
	}
	d.wait()
	d.hangUp()
}

// both are the two ways in which a daemon is replaced without an order.
var both = map[string]func(d *daemon){
	"worker": (*daemon).killWorker,
	"daemon": func(d *daemon) {
		d.crash()
		d.launch()
	},
}

func TestTreesOutliveTheKeeper(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "x", Logging: process.Logging{Log: true}, Command: "i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done"})
	d.said("x", "3\n")
	before := d.status("x")
	d.crash()
	if !alive(before.PID) {
		t.Fatal("the tree has ended with the daemon")
	}
	d.launch()
	if s := d.status("x"); s.State != process.Running || s.PID != before.PID || s.Number != 1 || !s.Start.Equal(before.Start) {
		t.Errorf("was %+v\nis %+v", before, s)
	}
	lines := len(d.logs("x", 1000))
	eventually(t, "its output is read on", func() bool { return len(d.logs("x", 1000)) > lines })
	if s := d.stop("x"); s.Cause != process.CauseStop || s.ExitCode != nil {
		t.Errorf("%+v", s)
	}
	for i, line := range strings.Fields(d.logs("x", 1000)) {
		if line != fmt.Sprint(i+1) {
			t.Fatalf("line %d is %q", i+1, line)
		}
	}
	d.nobodyLeft("x", 1)
}

// The FIFO of an adopted run outlives its worker, and its tree.
func TestLastLineOfAnAdoptedRunIsKept(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "x", Logging: process.Logging{Log: true}, Command: "echo up; until [ -e enough ]; do sleep 0.02; done; echo last"})
	d.said("x", "up")
	pid := d.status("x").PID
	d.crash()
	d.launch()
	d.stopWorker()
	touchFile(t, d.dir+"/enough")
	eventually(t, "the tree has ended", func() bool { return !running(pid) })
	d.killWorker()
	d.rest("x")
	if got := d.logs("x", 10); got != "up\nlast\n" {
		t.Errorf("its log is %q", got)
	}
	d.nobodyLeft("x", 1)
}

// A FIFO that is gone with its tree was moved to its end by a worker that died before
// it could record that: nothing is lost.
func TestOutputThatWasMovedIsNotCalledLost(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "x", Logging: process.Logging{Log: true}, Command: "echo up; exec sleep 1000"})
	d.said("x", "up")
	pid, group := d.status("x").PID, d.group("x", 1)
	d.crash()
	unix.Kill(pid, unix.SIGKILL)
	eventually(t, "the tree has ended", func() bool { return len(pidsIn(group)) == 0 })
	if err := os.Remove(d.state + "/run/fifo/x.1"); err != nil {
		t.Fatal(err)
	}
	from := d.log.len()
	d.launch()
	d.rest("x")
	if text := d.log.since(from); strings.Contains(text, "output is lost") {
		t.Errorf("the daemon says:\n%s", text)
	}
}

// How a leader ended while nobody could see it is not known, and not invented.
func TestRunThatEndedWhileTheKeeperWasDeadIsLost(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "x", Command: "until [ -e enough ]; do sleep 0.02; done; exit 7"})
	pid := d.status("x").PID
	d.crash()
	if err := os.WriteFile(d.dir+"/enough", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the tree has ended", func() bool { stat := procStat(pid); return len(stat) == 0 || stat[0] == "Z" })
	d.launch()
	if s := d.rest("x"); s.State != process.Failed || s.Cause != process.CauseLost || s.ExitCode != nil || s.Signal != 0 || s.CPU == nil {
		t.Errorf("%+v", s)
	}
	d.nobodyLeft("x", 1)
}

func TestDeadlineCountsWhileNobodyLooks(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	const deadline = 1500 * time.Millisecond
	d.start(process.Spec{Name: "passed", Command: "exec sleep 1000", Ending: process.Ending{Deadline: deadline}})
	d.start(process.Spec{Name: "later", Command: "exec sleep 1000", Ending: process.Ending{Deadline: 3 * deadline}})
	began := d.status("passed").Start
	d.crash()
	time.Sleep(time.Until(began.Add(deadline))) // it is the time itself that must pass
	d.launch()
	up := time.Now()
	if s := d.rest("passed"); s.Cause != process.CauseDeadline || s.State != process.Failed || s.End.Sub(up) > late {
		t.Errorf("%+v", s)
	}
	if s := d.rest("later"); s.Cause != process.CauseDeadline || s.End.Sub(s.Start) < 3*deadline || s.End.Sub(s.Start) > 3*deadline+late {
		t.Errorf("%+v", s)
	}
}

func TestStopUnderWayIsFinished(t *testing.T) {
	t.Parallel()
	for what, replace := range both {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t, setup{})
			const grace = 2 * time.Second
			d.start(process.Spec{Name: "x", Ending: process.Ending{StopTimeout: new(grace)},
				Command: `trap 'echo asked >>asked' TERM; echo up; while :; do sleep 0.05; done`})
			d.said("x", "up")
			pm := d.dial(t)
			began := time.Now()
			go pm.Stop(d.context(), "x")
			eventually(t, "the tree is asked to end", func() bool { return !gone(d.dir + "/asked") })
			replace(d)
			s := d.rest("x")
			took := s.End.Sub(began)
			if s.State != process.Stopped || s.Cause != process.CauseStop || took < grace || took > grace+late {
				t.Errorf("after %v: %+v", took, s)
			}
			d.nobodyLeft("x", 1)
		})
	}
}

// stored is what the store of a daemon that runs has of a process: its definition, its
// target and its last run, as they stand there. It is read from a copy; one that was made
// while the daemon wrote may have nothing.
func (d *daemon) stored(name string) (definition, target, last string) {
	d.t.Helper()
	data, err := os.ReadFile(d.state + "/processes.db")
	if err != nil {
		d.t.Fatal(err)
	}
	path := filepath.Join(d.t.TempDir(), "copy")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		d.t.Fatal(err)
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true})
	if err != nil {
		return
	}
	defer db.Close()
	db.View(func(tx *bolt.Tx) error {
		if tx.Bucket([]byte("runs")) == nil {
			return nil
		}
		definition = string(tx.Bucket([]byte("definitions")).Get([]byte(name)))
		target = string(tx.Bucket([]byte("targets")).Get([]byte(name)))
		c := tx.Bucket([]byte("runs")).Cursor()
		for key, value := c.Seek([]byte(name + "\x00")); bytes.HasPrefix(key, []byte(name+"\x00")); key, value = c.Next() {
			last = string(value)
		}
		return nil
	})
	return
}

// put writes a value into a bucket of the store of a daemon that does not run.
func (d *daemon) put(bucket, name, value string) {
	d.t.Helper()
	db, err := bolt.Open(d.state+"/processes.db", 0o600, &bolt.Options{Timeout: patience})
	if err != nil {
		d.t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error { return tx.Bucket([]byte(bucket)).Put([]byte(name), []byte(value)) })
	if err := errors.Join(err, db.Close()); err != nil {
		d.t.Fatal(err)
	}
}

// edit changes the target that the store of a daemon that does not run has of a process.
func (d *daemon) edit(name string, change func(target map[string]any)) {
	d.t.Helper()
	_, text, _ := d.stored(name)
	target := map[string]any{}
	if err := json.Unmarshal([]byte(text), &target); err != nil {
		d.t.Fatal(err)
	}
	change(target)
	data, err := json.Marshal(target)
	if err != nil {
		d.t.Fatal(err)
	}
	d.put("targets", name, string(data))
}

func TestScheduledTimeThatPassedMeanwhileRunsLateOrIsMissed(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	for _, name := range []string{"late", "missed"} {
		d.start(process.Spec{Name: name, Command: "true", Schedule: process.Schedule{Cron: "@every 1h"}})
	}
	d.end(unix.SIGTERM)
	now := time.Now()
	d.edit("late", func(r map[string]any) { r["next"] = now.Add(-time.Second) })
	d.edit("missed", func(r map[string]any) { r["next"] = now.Add(-90 * time.Minute) })
	d.launch()
	s := d.await("late", "through its run", func(s process.Status) bool { return s.LastRun != nil })
	if s.LastRun.Number != 1 || !s.MissedTime.IsZero() {
		t.Errorf("%+v", s)
	}
	s = d.status("missed")
	if late := now.Sub(s.MissedTime); s.LastRun != nil || late < 25*time.Minute || late > 35*time.Minute {
		t.Errorf("missed by %v: %+v", late, s)
	}
	if !s.NextTime.After(now) || s.State != process.Scheduled {
		t.Errorf("%+v", s)
	}
}

// A machine that was restarted has no groups, no runtime directory and another boot
// id; the state directory is what it was.
func TestRunsThatAMachineRestartEndedAreLost(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, rebootable)
	d.start(process.Spec{Name: "ran", Command: "exec sleep 1000"})
	d.start(process.Spec{Name: "timed", Command: "true", Schedule: process.Schedule{Cron: "@every 1s"}})
	d.finished("done", "exit 3")
	d.reboot(1)
	if s := d.status("ran"); s.State != process.Failed || s.Cause != process.CauseLost || s.Error != "machine restarted" || s.ExitCode != nil || s.Number != 1 {
		t.Errorf("%+v", s)
	}
	if s := d.status("done"); s.Cause != process.CauseExit || !same(s.ExitCode, new(3)) {
		t.Errorf("%+v", s)
	}
	d.await("timed", "run again", func(s process.Status) bool { return s.LastRun != nil && s.LastRun.Cause == process.CauseExit })
	if s, err := d.client().Start(d.context(), process.Spec{Name: "ran"}); err != nil || s.Number != 2 {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestTreesOfNoProcessAreEnded: what nobody knows of would run for ever.
func TestTreesOfNoProcessAreEnded(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "known", Command: "exec sleep 1000"})
	groups := []string{"unknown.1", "known.7", "nameless", "of.nobody"}
	for _, name := range groups {
		dir := filepath.Join(d.runs(), name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		stray := exec.Command("sleep", "1000")
		group, err := os.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer group.Close()
		stray.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(group.Fd())}
		if err := stray.Start(); err != nil {
			t.Fatal(err)
		}
		defer stray.Wait()
	}
	d.killWorker()
	if s := d.status("known"); s.State != process.Running || s.Number != 1 {
		t.Errorf("%+v", s)
	}
	for _, name := range groups {
		eventually(t, "the group "+name+" is gone", func() bool { return gone(filepath.Join(d.runs(), name)) }) // it is ready before
		eventually(t, "it says what it did with "+name, func() bool {
			return strings.Contains(d.log.since(0), name+" belonged to no process")
		})
	}
}
