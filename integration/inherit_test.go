package integration

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/client"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// inheritance is what a run's shell sees of itself, with as little in between as
// can be: /proc/$$ is the leader.
const inheritance = `
umask; pwd; ulimit -Sn
cat /proc/$$/oom_score_adj
cut -d' ' -f5,6 /proc/$$/stat; echo $$
readlink /proc/$$/fd/0
env
exec sleep 1000`

func TestRunInheritsWhatIsPromisedAndNothingElse(t *testing.T) {
	t.Parallel()
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	// Whoever starts the daemon has left all kinds of things to it.
	d := startDaemon(t, setup{
		Wrap: []string{"/bin/sh", "-c", `umask 077; renice -n 5 $$ > renice; trap '' HUP INT USR1 PIPE QUIT RTMIN; ulimit -Sn 200
			echo 100 > /proc/self/oom_score_adj; exec "$0" "$@"`, programs.self, "role", "blocked"},
		Files: []*os.File{file, file, file},
		Env: []string{"LANG=C.UTF-8", "LC_ALL=C", "TZ=UTC", "USER=u", "LOGNAME=l", "SHELL=/bin/sh",
			"NOTIFY_SOCKET=/n", "LISTEN_FDS=1", "PROCESSMANAGER_SECRET=env-secret", "LD_LIBRARY_PATH=/l", "OTHER=x", "CREDENTIALS_DIRECTORY=/c"},
	})
	d.start(process.Spec{Name: "x", Command: inheritance, JobID: "e42"})
	d.said("x", "PROCESSMANAGER_NAME")
	lines := strings.Split(strings.TrimSpace(d.logs("x", 1000)), "\n")
	if len(lines) < 12 {
		t.Fatalf("%q", lines)
	}
	pid := lines[5]
	for i, c := range []struct{ what, want string }{
		{"umask", "0022"}, {"working directory", d.dir}, {"open files", "200"}, {"oom_score_adj", "0"},
		{"group and session", pid + " " + pid},
	} {
		if lines[i] != c.want {
			t.Errorf("%s: %q, want %q", c.what, lines[i], c.want)
		}
	}
	if lines[6] != "/dev/null" {
		t.Errorf("stdin is %s", lines[6])
	}
	got := slices.DeleteFunc(lines[7:], func(line string) bool { // the shell's own
		return strings.HasPrefix(line, "PWD=") || strings.HasPrefix(line, "OLDPWD=") || strings.HasPrefix(line, "_=") || strings.HasPrefix(line, "SHLVL=")
	})
	slices.Sort(got)
	want := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + d.dir, "TMPDIR=" + d.dir, "LANG=C.UTF-8", "LC_ALL=C", "TZ=UTC", "USER=u", "LOGNAME=l", "SHELL=/bin/sh",
		"PROCESSMANAGER_NAME=x", "PROCESSMANAGER_RUN=1", "PROCESSMANAGER_JOBID=e42"}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("environment\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	leader := d.status("x").PID
	eventually(t, "the shell has become its sleep", func() bool { return cmdline(leader) == "sleep 1000" })
	for _, mask := range []string{"SigBlk", "SigIgn"} {
		if got := statusField(leader, mask); got != "0000000000000000" {
			t.Errorf("%s is %s", mask, got)
		}
	}
	if fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", leader)); err != nil || len(fds) != 3 {
		t.Errorf("descriptors %v, %v", fds, err)
	}
	if keeper, run := niceOf(t, d.keeper()), niceOf(t, leader); keeper != 5 || run != 0 && os.Geteuid() == 0 {
		t.Errorf("nice: the keeper has %d, the run %d", keeper, run)
	}
	stat := procStat(leader)
	if stat[2] != strconv.Itoa(leader) || stat[3] != strconv.Itoa(leader) || stat[4] != "0" {
		t.Errorf("pid %d has group %s, session %s, terminal %s", leader, stat[2], stat[3], stat[4])
	}
}

func niceOf(t *testing.T, pid int) int {
	t.Helper()
	n, err := unix.Getpriority(unix.PRIO_PROCESS, pid) // the system call gives 20 - nice
	if err != nil {
		t.Fatal(err)
	}
	return 20 - n
}

// statusField is a line of /proc/PID/status.
func statusField(pid int, name string) string {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, after, _ := strings.Cut(string(data), name+":\t")
	value, _, _ := strings.Cut(after, "\n")
	return value
}

// The directory is that of the daemon when the process was registered, and stays
// when the next daemon has another.
func TestWorkingDirectoryIsThatOfTheRegistration(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, setup{Wrap: []string{"/bin/sh", "-c", `mkdir -p "$TMPDIR/first"; cd "$TMPDIR/first"; exec "$0" "$@"`}})
	d.launch()
	if s := d.finished("x", "pwd"); s.Dir != d.dir+"/first" {
		t.Errorf("%+v", s)
	}
	if got := d.logs("x", 1); got != d.dir+"/first\n" {
		t.Errorf("it runs in %q", got)
	}
	d.end(syscall.SIGTERM)
	d.setup.Wrap = nil
	d.launch()
	if _, err := d.client().Start(d.context(), process.Spec{Name: "x"}); err != nil {
		t.Fatal(err)
	}
	d.rest("x")
	if got := d.logs("x", 1); got != d.dir+"/first\n" {
		t.Errorf("it runs in %q", got)
	}
	if err := os.Remove(d.dir + "/first"); err != nil {
		t.Fatal(err)
	}
	_, err := d.client().Start(d.context(), process.Spec{Name: "x"})
	if !isCode(err, process.CodeStart) || !strings.Contains(fmt.Sprint(err), "chdir") {
		t.Errorf("without its directory: %v", err)
	}
	if s := d.status("x"); s.State != process.Failed || s.Cause != process.CauseStart || !strings.Contains(s.Error, "chdir") || s.Number != 3 {
		t.Errorf("%+v", s)
	}
	d.nobodyLeft("x", 3)
}

// What the daemon was started with and does not need is let go: a pipe ends, a lock is
// free, a file system can be unmounted; also of the programs that it becomes later.
func TestTheDaemonKeepsNothingOfItsCaller(t *testing.T) {
	t.Parallel()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	path := t.TempDir() + "/lock"
	lock, err := os.Create(path)
	if err == nil {
		err = unix.Flock(int(lock.Fd()), unix.LOCK_EX)
	}
	if err != nil {
		t.Fatal(err)
	}
	d, replace := ownProgram(t, setup{Files: []*os.File{writer, lock}})
	writer.Close()
	lock.Close()
	reader.SetReadDeadline(time.Now().Add(patience))
	if n, err := reader.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the pipe does not end: %d, %v", n, err)
	}
	again, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if err := unix.Flock(int(again.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		t.Errorf("the lock: %v", err)
	}
	d.start(process.Spec{Name: "x", Command: "exec sleep 1000"})
	var before string // of the first upgrade: the first keeper has its program open twice
	for _, program := range []string{otherProgram(t), programs.daemon, otherProgram(t)} {
		replace(program)
		d.upgraded()
		d.status("x")
		eventually(t, "the former worker's link is closed", func() bool { return strings.Count(d.held(), "socket") == 2 })
		if before == "" {
			before = d.held()
		}
		eventually(t, "the keeper holds what it held:\n"+before, func() bool { return d.held() == before })
	}
	for _, pid := range []int{d.keeper(), d.worker()} {
		if dir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)); err != nil || dir != "/" {
			t.Errorf("pid %d is in %s, %v", pid, dir, err)
		}
	}
	if s := d.status("x"); s.Dir != d.dir {
		t.Errorf("its directory is %s", s.Dir)
	}
}

// held is what the keeper has open, without the numbers that differ.
func (d *daemon) held() string {
	d.t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", d.keeper())
	entries, err := os.ReadDir(dir)
	if err != nil {
		d.t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		to, _ := os.Readlink(dir + "/" + e.Name())
		kind, _, _ := strings.Cut(to, ":[")
		all = append(all, strings.TrimSuffix(kind, " (deleted)"))
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// Sockets that systemd has handed over are not the caller's, and stay.
func TestTheSocketsOfSystemdStay(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/handed"
	var files []*os.File
	for i := range 3 {
		f, err := os.Create(fmt.Sprint(file, i))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files = append(files, f)
	}
	d := startDaemon(t, setup{Files: files, Wrap: []string{"/bin/sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=2 exec "$0" "$@"`}})
	held := d.held()
	for i, want := range []bool{true, true, false} {
		if strings.Contains(held, fmt.Sprint(file, i)) != want {
			t.Errorf("descriptor %d is held: %v", 3+i, !want)
		}
	}
	d.start(process.Spec{Name: "x", Command: "exec sleep 1000"})
	for _, pid := range []int{d.worker(), d.status("x").PID} {
		files, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		for _, f := range files {
			if to, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, f.Name())); strings.HasPrefix(to, file) {
				t.Errorf("pid %d has %s", pid, to)
			}
		}
	}
}

// A daemon that is started in a directory that is gone, with signals blocked and ignored,
// starts, upgrades and ends like any other.
func TestTheStateOfTheCallerHindersNobody(t *testing.T) {
	t.Parallel()
	d, replace := ownProgram(t, setup{})
	d.end(syscall.SIGTERM)
	d.setup.Wrap = append([]string{"/bin/sh", "-c", `trap '' HUP TERM INT CHLD USR1; mkdir gone && cd gone && rmdir ../gone && exec "$0" "$@"`,
		programs.self, "role", "blocked"}, d.setup.Wrap...)
	d.launch()
	d.start(process.Spec{Name: "x", Command: "pwd; exec sleep 1000", Logging: process.Logging{Log: true}})
	d.said("x", "/\n")
	if s := d.finished("y", "exit 3"); !same(s.ExitCode, new(3)) {
		t.Errorf("%+v", s)
	}
	pid := d.status("x").PID
	for _, program := range []string{otherProgram(t), programs.daemon} {
		replace(program)
		d.upgraded()
		if s := d.status("x"); s.PID != pid || s.State != process.Running {
			t.Errorf("%+v", s)
		}
		if s := d.finished("z", "exit 4"); !same(s.ExitCode, new(4)) {
			t.Errorf("%+v", s)
		}
		if err := d.client().Delete(d.context(), "z"); err != nil {
			t.Error(err)
		}
	}
	if code := d.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// A process that the daemon runs is of the same user and could read its environment.
func TestTheSecretIsInNoEnvironment(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{NoSecret: true, Env: []string{"PROCESSMANAGER_SECRET=env-secret", "LANG=C"}})
	eventually(t, "there is a worker", func() bool { return d.worker() != 0 })
	for _, pid := range []int{d.keeper(), d.worker()} {
		environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil || strings.Contains(string(environ), "env-secret") || !strings.Contains(string(environ), "LANG=C") {
			t.Errorf("pid %d has %q, %v", pid, environ, err)
		}
	}
	pm, err := client.Dial(d.context(), client.Config{Socket: d.socket, Secret: []byte("env-secret")})
	if err != nil {
		t.Fatal(err)
	}
	pm.Close()
}
