package integration

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func TestFIFOThatIsDeletedCostsNothing(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "x", Logging: process.Logging{Log: true}, Command: "echo one; until [ -e two ]; do sleep 0.02; done; echo two; until [ -e three ]; do sleep 0.02; done; echo three; exit 3"})
	d.said("x", "one")
	fifos, _ := filepath.Glob(d.state + "/run/fifo/*")
	if len(fifos) != 1 {
		t.Fatalf("FIFOs: %q", fifos)
	}
	if err := errors.Join(os.Remove(fifos[0]), os.WriteFile(d.dir+"/two", nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	d.said("x", "two")
	d.killWorker() // the next one gets it from the keeper
	if err := os.WriteFile(d.dir+"/three", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if s := d.rest("x"); !same(s.ExitCode, new(3)) || s.Number != 1 {
		t.Errorf("%+v", s)
	}
	if got := d.logs("x", 10); got != "one\ntwo\nthree\n" {
		t.Errorf("its log is %q", got)
	}
}

func TestRuntimeDirectoryThatIsDeletedIsMadeAnew(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "before", Command: "exec sleep 1000"})
	d.client() // its socket is gone with the directory
	d.removeAll(d.state + "/run")
	touchFile(t, d.state+"/run")
	_, err := d.client().Start(d.context(), process.Spec{Name: "x", Command: "exec sleep 1000"})
	if !isCode(err, process.CodeStart) || !strings.Contains(err.Error(), d.state+"/run") {
		t.Errorf("start: %v", err)
	}
	d.removeAll(d.state + "/run")
	if s, err := d.client().Start(d.context(), process.Spec{Name: "x"}); err != nil || s.State != process.Running {
		t.Errorf("%+v, %v", s, err)
	}
	if s := d.status("before"); s.State != process.Running {
		t.Errorf("%+v", s)
	}
}

// The worker that has a deleted store open writes it anew, at once.
func TestStoreThatIsDeletedIsWrittenAnew(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "before", Command: "exec sleep 1000"})
	d.deleteStore()
	d.start(process.Spec{Name: "after", Command: "exec sleep 1000"})
	for _, name := range []string{"before", "after"} {
		if s := d.status(name); s.State != process.Running {
			t.Errorf("%+v", s)
		}
	}
	d.deleteStore()
	d.killWorker()
	for _, name := range []string{"before", "after"} {
		if s := d.status(name); s.State != process.Running || s.Number != 1 {
			t.Errorf("%+v", s)
		}
	}
}

// Nobody is told that what goes to a file without a name was stored.
func TestStoreThatIsReplacedIsNotWrittenTo(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "before", Command: "exec sleep 1000"})
	store := d.state + "/processes.db"
	data, err := os.ReadFile(store)
	if err == nil {
		err = os.WriteFile(store+".copy", data, 0o600)
	}
	from := d.log.len()
	if err := errors.Join(err, os.Rename(store+".copy", store)); err != nil {
		t.Fatal(err)
	}
	const why = "another file was put in its place"
	if !d.log.await(from, why, d.ended) {
		t.Fatalf("it does not say so: %s", d.log.since(0))
	}
	if _, err := d.client().Start(d.context(), process.Spec{Name: "after", Command: "exec sleep 1000"}); !isCode(err, process.CodeStore) || !strings.Contains(err.Error(), why) {
		t.Errorf("start: %v", err)
	}
	d.removeAll(store)
	d.start(process.Spec{Name: "after", Command: "exec sleep 1000"})
	d.killWorker()
	for _, name := range []string{"before", "after"} {
		if s := d.status(name); s.State != process.Running || s.Number != 1 {
			t.Errorf("%+v", s)
		}
	}
}

// deleteStore deletes the store and waits until the daemon has seen it.
func (d *daemon) deleteStore() {
	d.t.Helper()
	from := d.log.len()
	d.removeAll(d.state + "/processes.db")
	if !d.log.await(from, "deleted the store "+d.state, d.ended) {
		d.t.Fatalf("it does not say so: %s", d.log.since(0))
	}
	if gone(d.state + "/processes.db") {
		d.t.Error("it is not there again")
	}
}

func TestReadOnlyStateDirectoryIsAClearError(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, setup{Private: true, Wrap: []string{"/bin/sh", "-c",
		`[ -e "$TMPDIR/writable" ] || { mkdir -p "$TMPDIR/state" && mount -t tmpfs -o ro,mode=700 tmpfs "$TMPDIR/state"; } && exec "$0" "$@"`}})
	if said := d.refuse(); !strings.Contains(said, "read-only") || !strings.Contains(said, d.state) {
		t.Errorf("it says %q", said)
	}
	if err := os.WriteFile(d.dir+"/writable", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d.launch()
	d.start(process.Spec{Name: "x", Command: "exec sleep 1000"})
}

func TestTenThousandLeftoversDoNoHarm(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, setup{})
	for _, dir := range []string{d.state + "/run/fifo", d.state + "/logs"} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 10_000 {
		err := errors.Join(unix.Mkfifo(fmt.Sprintf("%s/run/fifo/left.%d", d.state, i+1), 0o600),
			os.WriteFile(fmt.Sprintf("%s/left%d", d.state, i), nil, 0o600),
			os.WriteFile(fmt.Sprintf("%s/run/left%d", d.state, i), nil, 0o600))
		if err != nil {
			t.Fatal(err)
		}
	}
	d.launch()
	d.start(process.Spec{Name: "left", Command: "exec sleep 1000"})
	if fifos, _ := os.ReadDir(d.state + "/run/fifo"); len(fifos) != 1 {
		t.Errorf("%d FIFOs, want that of the one run", len(fifos))
	}
	if files, _ := filepath.Glob(d.state + "/left*"); len(files) != 10_000 {
		t.Errorf("%d of the files that are not the daemon's are there", len(files))
	}
}

func TestTooFewDescriptorsAreAClearError(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{Wrap: []string{"/bin/sh", "-c", `ulimit -n 64 && exec "$0" "$@"`}})
	var refused error
	started := 0
	for ; started < 100 && refused == nil; started++ {
		_, refused = d.client().Start(d.context(), process.Spec{Name: fmt.Sprint("x", started), Command: "exec sleep 1000"})
	}
	if !isCode(refused, process.CodeStart) || !strings.Contains(refused.Error(), unix.EMFILE.Error()) {
		t.Fatalf("start %d with few descriptors: %v", started, refused)
	}
	for i := range started - 1 {
		if s := d.status(fmt.Sprint("x", i)); s.State != process.Running {
			t.Errorf("%+v", s)
		}
	}
	d.stop("x0")
	if err := d.client().Delete(d.context(), "x1"); err != nil {
		t.Error(err)
	}
	d.start(process.Spec{Name: "again", Command: "exec sleep 1000"})
	d.killWorker()
	if s := d.status("x2"); s.State != process.Running || s.Number != 1 {
		t.Errorf("%+v", s)
	}
}

// inMounts calls f in the mount namespace of a private daemon.
func (d *daemon) inMounts(f func() error) {
	d.t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/mnt", d.keeper()))
		if err == nil {
			defer ns.Close()
			err = unix.Unshare(unix.CLONE_FS)
		}
		if err == nil {
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNS)
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		d.t.Fatal(err)
	}
}

// turnReadOnly makes the state directory read-only for everything that is opened from
// now on. The kernel refuses to do more while the store is open.
func (d *daemon) turnReadOnly() {
	d.t.Helper()
	d.inMounts(func() error {
		return errors.Join(unix.Mount(d.state, d.state, "", unix.MS_BIND, ""),
			unix.Mount("", d.state, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""))
	})
}

func (d *daemon) turnWritable() {
	d.t.Helper()
	d.inMounts(func() error { return unix.Unmount(d.state, unix.MNT_DETACH) })
}

// A worker that finds the state directory read-only looks after what runs.
func TestStateDirectoryThatTurnsReadOnlyHarmsNoTree(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, setup{Private: true})
	d.setup.Args = []string{"-runtime", d.dir + "/run"}
	d.launch()
	d.start(process.Spec{Name: "before", Command: "exec sleep 1000"})
	d.start(process.Spec{Name: "stopped", Command: "exec sleep 1000"})
	d.start(process.Spec{Name: "seven", Logging: process.Logging{Log: true}, Command: "echo up; until [ -e enough ]; do sleep 0.02; done; exit 7"})
	d.said("seven", "up")
	before := d.status("before")
	d.turnReadOnly()
	from := d.log.len()
	d.killWorker()
	if s := d.status("before"); s.State != process.Running || s.PID != before.PID || s.Number != 1 {
		t.Errorf("was %+v\nis %+v", before, s)
	}
	_, err := d.client().Start(d.context(), process.Spec{Name: "new", Command: "true"})
	if !isCode(err, process.CodeStore) || !strings.Contains(err.Error(), "read-only file system") || !strings.Contains(err.Error(), d.state) {
		t.Errorf("start: %v", err)
	}
	// It is stopped, but the next daemon would not know that.
	if _, err := d.client().Stop(d.context(), "stopped"); !isCode(err, process.CodeStore) {
		t.Errorf("stop: %v", err)
	}
	if s := d.status("stopped"); s.State != process.Stopped || s.Cause != process.CauseStop {
		t.Errorf("%+v", s)
	}
	touchFile(t, d.dir+"/enough")
	if s := d.rest("seven"); s.Cause != process.CauseExit || !same(s.ExitCode, new(7)) {
		t.Errorf("%+v", s)
	}
	if said := d.log.since(from); strings.Count(said, "cannot be written to: read-only file system") != 1 {
		t.Errorf("it does not say so once:\n%s", said)
	}
	d.turnWritable()
	eventually(t, "the exit code is put on disk without anybody's asking", func() bool {
		_, _, last := d.stored("seven")
		return strings.Contains(last, `"exit_code":7`)
	})
	// It is said behind the write.
	eventually(t, "it says that it is over", func() bool { return strings.Contains(d.log.since(from), "can be written to again") })
	if said := d.log.since(from); strings.Count(said, "can be written to again") != 1 {
		t.Errorf("it does not say once that it is over:\n%s", said)
	}
	d.crash() // nobody else knows it any more
	d.launch()
	if s := d.status("before"); s.State != process.Running || s.PID != before.PID {
		t.Errorf("%+v", s)
	}
	if s := d.status("seven"); s.Cause != process.CauseExit || !same(s.ExitCode, new(7)) || s.Number != 1 {
		t.Errorf("%+v", s)
	}
	d.start(process.Spec{Name: "new", Command: "exec sleep 1000"})
}

// What is known of a run that has ended is not known less by the next worker, though
// it could not be stored.
func TestResultThatCouldNotBeStoredOutlivesTheWorker(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, setup{Private: true})
	d.setup.Args = []string{"-runtime", d.dir + "/run"}
	d.launch()
	d.start(process.Spec{Name: "x", Command: "i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done; echo up; exec sleep 1000"})
	d.said("x", "up")
	d.turnReadOnly()
	d.killWorker() // the next one cannot open the store for writing
	if _, err := d.client().Stop(d.context(), "x"); !isCode(err, process.CodeStore) {
		t.Errorf("stop: %v", err)
	}
	before := d.status("x")
	time.Sleep(time.Second) // it did not end when that was noticed
	d.killWorker()
	now := d.rest("x")
	if now.State != process.Stopped || now.Cause != process.CauseStop || now.Signal != before.Signal || !now.Start.Equal(before.Start) {
		t.Errorf("was %+v\nis %+v", before, now)
	}
	if off := now.End.Sub(before.End).Abs(); off > 500*time.Millisecond {
		t.Errorf("its end is %v off", off)
	}
	if before.CPU == nil || now.CPU == nil || *now.CPU < *before.CPU {
		t.Errorf("CPU was %+v\nis %+v", before.Usage, now.Usage)
	}
	d.turnWritable()
	eventually(t, "the result is on disk and the group gone", func() bool {
		_, _, last := d.stored("x")
		return strings.Contains(last, `"cause":"stop"`) && gone(d.group("x", 1))
	})
}

// hardPlaces are what can happen to a daemon's surroundings. Each leaves it so.
var hardPlaces = map[string]struct {
	setup  setup
	happen func(d *daemon)
}{
	"full disk": {setup{Private: true, Wrap: []string{"/bin/sh", "-c",
		`mkdir "$TMPDIR/state" && mount -t tmpfs -o size=1m,mode=700 tmpfs "$TMPDIR/state" && exec "$0" "$@"`}}, (*daemon).fillDisk},
	"read-only state directory": {setup{Private: true}, (*daemon).turnReadOnly},
	"store deleted":             {setup{}, (*daemon).deleteStore},
	"FIFOs deleted":             {setup{}, func(d *daemon) { d.removeAll(d.dir + "/run/fifo") }},
	"few descriptors": {setup{Wrap: []string{"/bin/sh", "-c", `ulimit -n 64 && exec "$0" "$@"`}}, func(d *daemon) {
		var err error
		for i := 0; err == nil; i++ {
			_, err = d.client().Start(d.context(), process.Spec{Name: fmt.Sprint("x", i), Command: "exec sleep 1000"})
		}
	}},
}

func (d *daemon) removeAll(path string) {
	d.t.Helper()
	if err := os.RemoveAll(path); err != nil {
		d.t.Fatal(err)
	}
}

// fillDisk leaves no page of a private state directory free.
func (d *daemon) fillDisk() {
	d.t.Helper()
	d.inMounts(func() error {
		f, err := os.Create(d.state + "/fill")
		for err == nil {
			_, err = f.Write(make([]byte, 4096))
		}
		if !errors.Is(err, unix.ENOSPC) {
			return err
		}
		return f.Close()
	})
}

// One SIGTERM ends all trees in order in each of the hard places, by the worker that
// saw it happen and by one that came later; a second one kills at once.
func TestSignalsEndEverythingInHardPlaces(t *testing.T) {
	t.Parallel()
	for name, place := range hardPlaces {
		for _, replaced := range []bool{false, true} {
			for _, twice := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/worker replaced %v/second signal %v", name, replaced, twice), func(t *testing.T) {
					t.Parallel()
					d := newDaemon(t, place.setup)
					d.setup.Args = []string{"-runtime", d.dir + "/run"}
					d.launch()
					d.start(process.Spec{Name: "polite", Logging: process.Logging{Log: true}, Command: `trap 'touch ended; exit 0' TERM; (setsid sleep 1000 &); echo up; while :; do sleep 1000 & wait; done`})
					d.start(process.Spec{Name: "deaf", Ending: process.Ending{StopTimeout: new(time.Hour)}, Command: `trap 'touch asked' TERM; (setsid sleep 1000 &); echo up; until [ -e asked -a -e ended -a ! -e twice ]; do sleep 0.05; done`})
					if twice {
						touchFile(t, d.dir+"/twice")
					}
					d.said("polite", "up")
					d.said("deaf", "up")
					place.happen(d)
					if replaced {
						d.killWorker()
						d.list() // it has taken over
					}
					d.hangUp()
					if err := d.cmd.Process.Signal(unix.SIGTERM); err != nil {
						t.Fatal(err)
					}
					eventually(t, "the trees are asked to end", func() bool { return !gone(d.dir+"/ended") && !gone(d.dir+"/asked") })
					want := 0
					if twice {
						want = 1
						time.Sleep(notTheSame)
						if err := d.cmd.Process.Signal(unix.SIGTERM); err != nil {
							t.Fatal(err)
						}
					}
					if code := d.wait(); code != want {
						t.Errorf("exit code %d, want %d", code, want)
					}
					if left, _ := os.ReadDir(d.dir + "/run/fifo"); len(left) > 0 {
						t.Errorf("FIFOs are left: %v", left)
					}
				})
			}
		}
	}
}

// TestClockThatIsSteppedHarmsNothing sets the machine's clock an hour forward and back,
// under the worker and between two.
func TestClockThatIsSteppedHarmsNothing(t *testing.T) {
	if os.Getenv("GUEST") == "" {
		t.Skip("the clock of this machine is not ours; guests run it")
	}
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "tree", Command: "setsid sleep 1000 & exec sleep 1000"})
	d.start(process.Spec{Name: "timed", Command: "exit 3", Schedule: process.Schedule{Cron: "@every 1s"}})
	before := d.status("tree")
	deadline := paced(8 * time.Second)
	d.start(process.Spec{Name: "limited", Command: "exec sleep 1000", Ending: process.Ending{Deadline: deadline}})
	for _, step := range []time.Duration{time.Hour, -2 * time.Hour, time.Hour} {
		stepClock(t, step)
		runs := d.status("timed").Number
		d.await("timed", "run by its schedule", func(s process.Status) bool { return s.Number > runs })
		d.killWorker()
		runs = d.status("timed").Number
		d.await("timed", "run by its schedule", func(s process.Status) bool { return s.Number > runs })
		s := d.status("tree")
		if s.State != process.Running || s.PID != before.PID || s.Number != 1 || s.Uptime < before.Uptime || s.Uptime > 600 {
			t.Errorf("was %+v\nis %+v", before, s)
		}
	}
	if s := d.rest("limited"); s.Cause != process.CauseDeadline || s.Uptime < deadline.Seconds() {
		t.Errorf("%+v", s)
	}
}

func stepClock(t *testing.T, by time.Duration) {
	t.Helper()
	now := unix.NsecToTimespec(time.Now().Add(by).UnixNano())
	if err := unix.ClockSettime(unix.CLOCK_REALTIME, &now); err != nil {
		t.Fatal(err)
	}
}
