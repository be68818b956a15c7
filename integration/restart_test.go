package integration

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func TestDefinitionsSurviveARestartOfTheDaemon(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	grace := 1500 * time.Millisecond
	specs := []process.Spec{
		{Name: "plain", Command: "exec sleep 1000"},
		{Name: "full", Command: "echo 'a\n\"b\"\\ž'; exec sleep 1000", Logging: process.Logging{Log: true}, Ending: process.Ending{Deadline: 1000500 * time.Millisecond, StopSignal: 2, StopTimeout: &grace}, JobID: "e42"},
		{Name: "timed", Command: "true", Schedule: process.Schedule{Cron: "0 0 1 1 *"}},
		{Name: "timed-off", Command: "true", Schedule: process.Schedule{Cron: "0 0 1 1 *"}},
		{Name: "done", Command: "exit 3"},
		{Name: "stopped", Command: "exec sleep 1000"},
		{Name: "deleted", Command: "exec sleep 1000"},
	}
	for _, spec := range specs {
		d.start(spec)
	}
	d.said("full", "ž")
	d.rest("done")
	d.stop("stopped")
	d.stop("timed-off")
	if err := d.client().Delete(d.context(), "deleted"); err != nil {
		t.Fatal(err)
	}
	// What a status says of the spec, and of runs that were over.
	fixed := func() map[string]string {
		m := map[string]string{}
		for _, s := range d.list() {
			s.PID, s.CPUPercent, s.CPUPercentSinceStart = 0, nil, nil
			if s.Name == "plain" || s.Name == "full" {
				s.Run, s.LastRun, s.State = process.Run{JobID: s.Run.JobID}, nil, 0
			}
			data, _ := json.Marshal(map[string]any{"spec": process.NewStatus(process.Spec{}, process.Stopped), "s": fmt.Sprintf("%+v", deref(s))})
			m[s.Name] = string(data)
		}
		return m
	}
	before := fixed()
	if code := d.end(syscall.SIGTERM); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	d.checkNothingLeft()
	d.launch()
	after := fixed()
	if len(after) != len(specs)-1 {
		t.Errorf("%d processes, want %d", len(after), len(specs)-1)
	}
	for name, was := range before {
		if after[name] != was {
			t.Errorf("%s was\n%s\nand is\n%s", name, was, after[name])
		}
	}
	for _, name := range []string{"plain", "full"} {
		if s := d.status(name); s.State != process.Stopped || s.Cause != process.CauseShutdown || s.Number != 1 || s.Start.IsZero() || s.CPU == nil {
			t.Errorf("%s: %+v", name, s)
		}
		if s, err := d.client().Start(d.context(), process.Spec{Name: name}); err != nil || s.Number != 2 {
			t.Errorf("start %s: %+v, %v", name, s, err)
		}
	}
	d.said("full", "ž")
	if s := d.status("timed"); s.State != process.Scheduled || s.NextTime.IsZero() {
		t.Errorf("the schedule is not resumed: %+v", s)
	}
	if s := d.status("timed-off"); s.State != process.Stopped || !s.NextTime.IsZero() {
		t.Errorf("a schedule that was stopped is resumed: %+v", s)
	}
}

// deref is a status whose text has values in the place of pointers.
func deref(s process.Status) string {
	data, _ := json.Marshal(s)
	return string(data)
}

func TestScheduleGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "tick", Command: "true", Schedule: process.Schedule{Cron: "@every 1s"}})
	ran := func(after uint64) uint64 {
		s := d.await("tick", "run again", func(s process.Status) bool { return s.LastRun != nil && s.LastRun.Number > after })
		return s.LastRun.Number
	}
	n := ran(0)
	if code := d.end(syscall.SIGINT); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	d.launch()
	ran(n)
}

func TestShutdownEndsEverythingInParallel(t *testing.T) {
	t.Parallel()
	for name, sig := range map[string]syscall.Signal{"SIGTERM": syscall.SIGTERM, "SIGINT": syscall.SIGINT} {
		t.Run(name, func(t *testing.T) {
			d := startDaemon(t, setup{})
			const n = 50
			grace := paced(10 * time.Second)
			for i := range n {
				d.start(process.Spec{Name: fmt.Sprint("slow", i), Ending: process.Ending{StopTimeout: &grace}, Command: "trap 'sleep 1; touch ended$PROCESSMANAGER_NAME; exit 0' TERM; echo up; while :; do sleep 100; done"})
			}
			for i := range n {
				d.said(fmt.Sprint("slow", i), "up")
			}
			began := time.Now()
			if code := d.end(sig); code != 0 {
				t.Errorf("exit code %d", code)
			}
			if took := time.Since(began); took < time.Second || took > n*time.Second*4/5 { // one after another: n seconds
				t.Errorf("it took %v", took)
			}
			if ended, _ := filepath.Glob(d.dir + "/ended*"); len(ended) != n {
				t.Errorf("%d of %d have ended in an orderly way", len(ended), n)
			}
			if !gone(d.cgroup) {
				t.Errorf("the group that the daemon has made is left:%s", d.groupFiles())
			}
		})
	}
}

func TestShutdownAnswersWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "slow", Command: "trap 'touch asked; until [ -e enough ]; do sleep 0.05; done; exit 0' TERM; echo up; while :; do sleep 0.2; done"})
	d.said("slow", "up")
	w, idle := d.session(t), d.session(t)
	w.send("!!process.stop name:slow format:json\n\n!!process.start name:late command:'exec sleep 1000' format:json\n\n")
	eventually(t, "the tree is asked to end", func() bool { return !gone(d.dir + "/asked") })
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, err := idle.r.ReadByte(); err != io.EOF { // the shutdown has begun
		t.Errorf("an idle connection: %v", err)
	}
	if err := os.WriteFile(d.dir+"/enough", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, answer := w.answer(); !strings.Contains(answer, `"stopped"`) {
		t.Errorf("the stop: %s", answer)
	}
	if _, answer := w.answer(); !strings.Contains(answer, `"shutting_down"`) {
		t.Errorf("the start: %s", answer)
	}
	if code := d.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// notTheSame is after how long a signal is another one, not the one before told again.
const notTheSame = 150 * time.Millisecond

func TestSecondSignalEndsTheDaemonAtOnce(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "deaf", Command: "trap 'touch asked' TERM; echo up; until [ -e enough ]; do sleep 0.05; done"})
	d.said("deaf", "up")
	d.hangUp()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the shutdown has begun", func() bool { return !gone(d.dir + "/asked") })
	time.Sleep(notTheSame)
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := d.wait(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	// What it could not end is the next daemon's.
	d.launch()
	d.await("deaf", "known to be running or ended", func(s process.Status) bool { return s.Number == 1 })
	if err := os.WriteFile(d.dir+"/enough", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.client().Delete(d.context(), "deaf"); err != nil {
		t.Error(err)
	}
}

func TestStoreThatCannotBeReadIsRefusedAndCanBeMovedAside(t *testing.T) {
	t.Parallel()
	good := func() []byte {
		d := startDaemon(t, setup{})
		for i := range 30 {
			d.start(process.Spec{Name: fmt.Sprint("p", i), Command: "true # " + strings.Repeat("x", 1000)})
			d.rest(fmt.Sprint("p", i))
		}
		d.end(syscall.SIGTERM)
		data, err := os.ReadFile(d.state + "/processes.db")
		if err != nil {
			t.Fatal(err)
		}
		return data
	}()
	page := os.Getpagesize()
	used := bytes.TrimRight(good, "\x00") // the file grows by more than it holds
	for damage, data := range map[string][]byte{
		"garbage":           bytes.Repeat([]byte("no store "), 5000),
		"short garbage":     []byte("no store\n"),
		"cut in the middle": used[:len(used)/4],
		"cut to a page":     good[:page],
		"no meta pages":     append(make([]byte, 2*page), good[2*page:]...),
		"pages of zeros":    append(bytes.Clone(good[:2*page]), make([]byte, len(good)-2*page)...),
		"pages of ones":     append(bytes.Clone(good[:2*page]), bytes.Repeat([]byte{0xff}, len(good)-2*page)...),
	} {
		t.Run(damage, func(t *testing.T) {
			t.Parallel()
			d := newDaemon(t, setup{})
			store := d.state + "/processes.db"
			if err := errors.Join(os.Mkdir(d.state, 0o700), os.WriteFile(store, data, 0o600)); err != nil {
				t.Fatal(err)
			}
			said := d.refuse()
			if !strings.Contains(said, store) || !strings.Contains(said, "-reset-store") {
				t.Errorf("it says %q", said)
			}
			if now, err := os.ReadFile(store); err != nil || !bytes.Equal(now, data) {
				t.Errorf("what cannot be read was changed: %d bytes were %d, %v", len(now), len(data), err)
			}
			d.launch("-reset-store")
			if all := d.list(); len(all) != 0 {
				t.Errorf("it does not start empty: %+v", all)
			}
			moved, _ := filepath.Glob(store + ".broken-*")
			if len(moved) != 1 {
				t.Fatalf("moved aside: %q", moved)
			}
			if now, err := os.ReadFile(moved[0]); err != nil || !bytes.Equal(now, data) {
				t.Errorf("what was moved aside was changed: %v", err)
			}
			if !d.log.await(0, moved[0], d.ended) {
				t.Error("it does not say where to")
			}
			d.start(process.Spec{Name: "x", Command: "true"})
		})
	}
}

func TestSecondDaemonOfAStateDirectoryIsToldWhoHoldsIt(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "x", Command: "exec sleep 1000"})
	other := newDaemon(t, setup{})
	other.state = d.state
	defer func() { other.state = other.dir }()
	said := other.refuse()
	if !strings.Contains(said, d.state) || !strings.Contains(said, fmt.Sprint("pid ", d.keeper())) {
		t.Errorf("it says %q", said)
	}
	if s := d.status("x"); s.State != process.Running {
		t.Errorf("%+v", s)
	}
}

// A copy of the state directory is the same instance: it must not end the trees of
// the daemon whose state it is a copy of.
func TestCopiedStateDirectoryCannotTouchTheTreesOfTheFirst(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "x", Command: "exec sleep 1000"})
	other := newDaemon(t, setup{})
	if err := os.CopyFS(other.state, os.DirFS(d.state)); err != nil && !strings.Contains(err.Error(), "fifo") {
		t.Logf("copy: %v", err)
	}
	other.cgroup = d.cgroup
	defer func() { other.cgroup = newGroup(t) }()
	if said := other.refuse(); !strings.Contains(said, "in use") && !strings.Contains(said, "lock") && !strings.Contains(said, "held") {
		t.Errorf("it says %q", said)
	}
	if s := d.status("x"); s.State != process.Running || s.Number != 1 {
		t.Errorf("%+v", s)
	}
}
