package integration

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/store"
)

// firstStore puts a store that a program of the first format wrote into the state
// directory of a daemon that was not started yet, and is what is in it.
func (d *daemon) firstStore() []byte {
	d.t.Helper()
	packed, err := os.Open("testdata/format-1.db.gz")
	if err != nil {
		d.t.Fatal(err)
	}
	defer packed.Close()
	z, err := gzip.NewReader(packed)
	if err != nil {
		d.t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err == nil {
		err = os.MkdirAll(d.state, 0o700)
	}
	if err == nil {
		err = os.WriteFile(d.storePath(), data, 0o600)
	}
	if err != nil {
		d.t.Fatal(err)
	}
	return data
}

func (d *daemon) storePath() string { return store.In(d.state) }

// contents is what a file that nobody writes to holds.
func contents(t *testing.T, path string) store.Contents {
	t.Helper()
	s, c, err := store.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return c
}

// Definitions, targets and last runs of the first format are there in this one.
func TestAStoreOfTheFirstFormatIsTakenOver(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, setup{})
	d.firstStore()
	was := contents(t, d.storePath())
	d.launch()
	states := map[string]process.State{
		"cronoff": process.Stopped, "done": process.Completed, "failed": process.Failed, "killed": process.Failed, "late": process.Failed,
		"nightly": process.Scheduled, "odd": process.Completed, "off": process.Stopped, "utc": process.Scheduled,
		"server": process.Failed, // it ran when the file was copied
	}
	check := func() {
		t.Helper()
		all := d.list()
		if len(all) != len(states) {
			t.Errorf("%d processes, not %d", len(all), len(states))
		}
		for _, s := range all {
			if want, ok := states[s.Name]; !ok || s.State != want {
				t.Errorf("%s is %v, not %v", s.Name, s.State, want)
			}
		}
		if s := d.status("killed"); s.Cause != process.CauseSignal || s.Signal != process.KILL || s.Number != 1 || s.CPU == nil || *s.CPU != 1624 {
			t.Errorf("%+v", s)
		}
		if s := d.status("odd"); s.Command != "printf 'a\\nb'\n# é \"q\"" || s.StopSignal != process.Signal(syscall.SIGINT) || s.StopTimeout == nil || *s.StopTimeout != 0 || s.Deadline != time.Second/2 {
			t.Errorf("%+v", s)
		}
		if s := d.status("nightly"); s.Run.JobID != "n1" || s.Deadline != 30*time.Second || !s.NextTime.After(time.Now()) {
			t.Errorf("%+v", s)
		}
		eventually(t, "the history of server has its lost run", func() bool {
			text := d.mustClient("runs", "-format", "json", "server")
			return strings.Contains(text, `"run":1,"job_id":"e42"`) && strings.Contains(text, `"cause":"lost"`)
		})
	}
	check()
	eventually(t, "the events tell of the run that was lost", func() bool {
		return strings.Contains(d.mustClient("events"), "server ended run 2 (lost)")
	})
	eventually(t, "the log tells of the new format", func() bool { return strings.Contains(d.log.since(0), "is in a new format") })
	if now := contents(t, d.storePath()+".format-1"); !reflect.DeepEqual(now, was) {
		t.Errorf("in the copy is\n%+v\nand was\n%+v", now, was)
	}
	d.end(syscall.SIGTERM)
	d.launch()
	check()
	if strings.Count(d.log.since(0), "is in a new format") != 1 {
		t.Errorf("it is migrated twice:\n%s", d.log.since(0))
	}
	if s, err := d.client().Start(d.context(), process.Spec{Name: "server"}); err != nil || s.Number != 3 || s.State != process.Running {
		t.Errorf("%+v, %v", s, err)
	}
	if err := d.client().Delete(d.context(), "killed"); err != nil {
		t.Error(err)
	}
}

// The program before a worker that is not ready may have to go on: it finds its store as
// it left it.
func TestAWorkerThatIsNotReadyWritesNothing(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, setup{})
	file := d.dir + "/crash"
	d.setup.Env = []string{"PROCESSMANAGER_CRASH_FILE=" + file}
	was := d.firstStore()
	crashing{d, file}.arm("panic always " + supervisor.PointTaken)
	d.spawn()
	for range 3 {
		from := d.log.len()
		if !d.log.await(from, "has ended", d.ended) {
			t.Fatal(d.log.since(0))
		}
		if is, err := os.ReadFile(d.storePath()); err != nil || !bytes.Equal(is, was) {
			t.Errorf("the store was written to, %v", err)
		}
		if !gone(d.storePath() + ".format-1") {
			t.Error("it was copied")
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if all := d.list(); len(all) != 10 {
		t.Errorf("then there are %d processes", len(all))
	}
	d.log.forget() // that was ours
}

// forget takes back what was written. Nobody may wait for more of it.
func (b *logBuffer) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = nil
}

func TestAStoreOfALaterFormatIsRefusedAsItIs(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.finished("p", "true")
	d.end(syscall.SIGTERM)
	d.put("meta", "format", "3: so says a later program")
	was, err := os.ReadFile(d.storePath())
	if err != nil {
		t.Fatal(err)
	}
	said := d.refuse()
	if _, why, found := strings.Cut(said, "processmanager: the store "); !found || strings.Count(why, "\n") != 1 || !strings.Contains(why, `"3: so says a later program"`) {
		t.Errorf("it says %q", said)
	}
	if is, err := os.ReadFile(d.storePath()); err != nil || !bytes.Equal(is, was) {
		t.Errorf("it was written to, %v", err)
	}
	d.put("meta", "format", "2")
	d.launch()
	if s := d.status("p"); s.State != process.Completed {
		t.Errorf("%+v", s)
	}
}

// asOfTheFirstFormat makes what a daemon that was killed has left what a program of the
// first format would have: the store, the attributes of the groups, and the instance.
func (d *daemon) asOfTheFirstFormat(t *testing.T) {
	d.t.Helper()
	records := map[string][]byte{}
	for _, p := range contents(t, d.storePath()).Processes {
		spec := map[string]any{
			"Name": p.Spec.Name, "Command": p.Spec.Command, "Dir": p.Dir, "Log": p.Spec.Log, "Deadline": p.Spec.Deadline, "Cron": p.Spec.Cron,
			"JobID": p.Job, "LogMaxSize": p.Spec.LogMaxSize, "LogBlock": p.Spec.LogBlock,
		}
		if p.Spec.StopTimeout != nil {
			spec["StopTimeout"] = *p.Spec.StopTimeout
		}
		if p.Spec.StopSignal != 0 {
			spec["StopSignal"] = p.Spec.StopSignal
		}
		pid, start, _ := strings.Cut(p.Origin.Keeper, ":")
		keeper := map[string]int{}
		keeper["pid"], _ = strconv.Atoi(pid)
		keeper["start"], _ = strconv.Atoi(start)
		r := map[string]any{
			"Spec": spec, "Up": p.Up, "Run": p.Run, "Origin": map[string]any{"Boot": p.Origin.Boot, "Keeper": keeper},
			"JobID": p.JobID, "Owed": p.Owed, "Removed": p.Removed, "Next": p.Next, "Missed": p.Missed,
		}
		if p.State != 0 {
			r["At"] = p.State
		}
		if p.Last != nil {
			r["Last"] = p.Last
		}
		var err error
		if records[p.Spec.Name], err = json.Marshal(r); err != nil {
			d.t.Fatal(err)
		}
	}
	db, err := bolt.Open(d.storePath()+".first", 0o600, &bolt.Options{Timeout: patience})
	if err != nil {
		d.t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		meta, err := tx.CreateBucket([]byte("meta"))
		if err != nil {
			return err
		}
		all, err := tx.CreateBucket([]byte("processes"))
		for name, r := range records {
			err = errors.Join(err, all.Put([]byte(name), r))
		}
		return errors.Join(err, meta.Put([]byte("format"), []byte("1")))
	})
	if err := errors.Join(err, db.Close(), os.Rename(d.storePath()+".first", d.storePath())); err != nil {
		d.t.Fatal(err)
	}

	ends, err := filepath.Glob(d.runs() + "/*")
	if err != nil {
		d.t.Fatal(err)
	}
	for _, group := range ends {
		const attr = "user.processmanager.end"
		data := make([]byte, 4096)
		n, err := unix.Getxattr(group, attr, data)
		if err != nil {
			continue
		}
		end := map[string]any{}
		if err := json.Unmarshal(data[:n], &end); err != nil {
			d.t.Fatal(err)
		}
		end["Then"] = map[any]int{"": 0, "stop": 1, "start": 2, "remove": 3}[end["Then"]]
		data, err = json.Marshal(end)
		if err := errors.Join(err, unix.Setxattr(group, attr, data, 0)); err != nil {
			d.t.Fatal(err)
		}
	}

	instance := map[string]any{}
	data, err := os.ReadFile(d.state + "/instance.json")
	if err == nil {
		err = json.Unmarshal(data, &instance)
	}
	delete(instance, "From")
	if err == nil {
		data, err = json.Marshal(instance)
	}
	if err := errors.Join(err, os.WriteFile(d.state+"/instance.json", data, 0o600)); err != nil {
		d.t.Fatal(err)
	}
}

// What runs, logs, waits or ends when a daemon of the first format is killed goes on with
// this one.
func TestRunsOfTheFirstFormatAreAdopted(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	logs := process.Logging{Log: true}
	const heedless = `trap "" TERM; echo up; while :; do sleep 0.1; done`
	grace := func(seconds int) process.Ending {
		return process.Ending{StopTimeout: new(time.Duration(seconds) * time.Second)}
	}
	for _, spec := range []process.Spec{
		{Name: "plain", Command: "exec sleep 1000", JobID: "e:4_2"},
		{Name: "0.odd-1_x@y:2", Logging: logs, Command: `i=0; until [ -e go ]; do i=$((i+1)); echo line $i; done; echo last $i; exit 5`},
		{Name: "deadline", Command: "exec sleep 1000", Ending: process.Ending{Deadline: 4 * time.Second}},
		{Name: "hourly", Command: "true", Schedule: process.Schedule{Cron: "@every 1h"}},
		{Name: "hourly-off", Command: "true", Schedule: process.Schedule{Cron: "@every 1h"}},
		{Name: "off", Command: "exec sleep 1000"},
		{Name: "failed", Command: "exit 3"},
		{Name: "stops", Command: heedless, Logging: logs, Ending: grace(1)},
		{Name: "restarts", Command: heedless, Logging: logs, Ending: grace(1)},
		{Name: "goes", Command: heedless, Logging: logs, Ending: grace(1)},
		{Name: "stops-later", Command: heedless, Logging: logs, Ending: grace(1000)},
	} {
		d.start(spec)
	}
	d.stop("off")
	d.stop("hourly-off")
	d.rest("failed")
	d.said("0.odd-1_x@y:2", "line 1000\n")
	asked := map[string]func(name string) error{
		"stops":       func(name string) error { _, err := d.dial(t).Stop(d.context(), name); return err },
		"restarts":    func(name string) error { _, err := d.dial(t).Restart(d.context(), name, "j2"); return err },
		"goes":        func(name string) error { return d.dial(t).Delete(d.context(), name) },
		"stops-later": func(name string) error { _, err := d.dial(t).Stop(d.context(), name); return err },
	}
	for name := range asked {
		d.said(name, "up")
	}
	for name, ask := range asked {
		go ask(name) // nobody is there to answer
		d.await(name, "being ended", func(s process.Status) bool { return s.State == process.Stopping })
	}
	before := map[string]process.Status{}
	for _, s := range d.list() {
		before[s.Name] = s
	}
	d.crash()
	d.asOfTheFirstFormat(t)
	d.launch()

	for _, name := range []string{"plain", "0.odd-1_x@y:2", "stops-later", "hourly", "hourly-off", "off", "failed"} {
		was, is := before[name], d.status(name)
		if is.State != was.State || is.PID != was.PID || is.Number != was.Number || !is.Start.Equal(was.Start) || is.Run.JobID != was.Run.JobID ||
			!is.NextTime.Equal(was.NextTime) || is.Cause != was.Cause || !same(is.ExitCode, was.ExitCode) || is.Error != was.Error ||
			!reflect.DeepEqual(is.Spec, was.Spec) {
			t.Errorf("it was %+v\nand is %+v", was, is)
		}
	}
	if s := d.rest("stops"); s.State != process.Stopped || s.Number != 1 || s.Cause != process.CauseStop {
		t.Errorf("%+v", s)
	}
	if s := d.await("restarts", "in its next run", func(s process.Status) bool { return s.Number == 2 && s.State == process.Running }); s.Run.JobID != "j2" {
		t.Errorf("%+v", s)
	}
	eventually(t, "the one that was being deleted is gone", func() bool {
		_, err := d.client().Status(d.context(), "goes")
		return errors.Is(err, process.ErrNotFound)
	})
	if s := d.rest("deadline"); s.Cause != process.CauseDeadline || s.Number != 1 || s.Uptime < 4 {
		t.Errorf("%+v", s)
	}
	touchFile(t, d.dir+"/go")
	d.await("0.odd-1_x@y:2", "ended", func(s process.Status) bool { return s.State != process.Running })
	n := 0
	for line := range strings.Lines(d.logs("0.odd-1_x@y:2", 1<<30)) {
		if n++; line != fmt.Sprintf("line %d\n", n) && line != fmt.Sprintf("last %d\n", n-1) {
			t.Fatalf("line %d is %q", n, line)
		}
	}
	unix.Kill(before["stops-later"].PID, unix.SIGKILL)
	if s := d.rest("stops-later"); s.State != process.Stopped || s.Number != 1 || s.Cause != process.CauseStop {
		t.Errorf("%+v", s)
	}
}

// A worker that is not ready has read nothing of what trees say: of a process without a
// log that would be gone with it.
func TestAnUpgradeThatFailsLosesNoOutput(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, setup{})
	file := d.dir + "/crash"
	d.setup.Env = []string{"PROCESSMANAGER_CRASH_FILE=" + file}
	d.launch()
	d.start(process.Spec{Name: "p", Command: `i=0; until [ -e go ]; do i=$((i+1)); echo line $i; sleep 0.01; done; echo last $i`})
	d.said("p", "line 10\n")
	crashing{d, file}.arm("hold " + supervisor.PointTaken)
	if r := d.pmclient("upgrade"); r.code != 1 || !strings.Contains(r.stderr, "the old program goes on") {
		t.Fatalf("%+v", r)
	}
	d.hangUp()
	touchFile(t, d.dir+"/go")
	d.rest("p")
	n := 0
	for line := range strings.Lines(d.logs("p", 1<<30)) {
		if n++; line != fmt.Sprintf("line %d\n", n) && line != fmt.Sprintf("last %d\n", n-1) {
			t.Fatalf("line %d is %q", n, line)
		}
	}
}
