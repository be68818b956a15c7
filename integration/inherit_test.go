package integration

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

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
		Wrap: []string{"/bin/sh", "-c", `umask 077; trap '' HUP INT USR1 PIPE QUIT RTMIN; ulimit -Sn 200
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
	stat := procStat(leader)
	if stat[2] != strconv.Itoa(leader) || stat[3] != strconv.Itoa(leader) || stat[4] != "0" {
		t.Errorf("pid %d has group %s, session %s, terminal %s", leader, stat[2], stat[3], stat[4])
	}
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
