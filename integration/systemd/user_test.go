package systemd

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/freeflowuniverse/processmanager/integration/host"
)

// Where systemd has what is of the ordinary user.
const (
	userSlice   = "/sys/fs/cgroup/user.slice/user-1000.slice"
	userManager = "user@1000.service"
	userRuntime = "user-runtime-dir@1000.service"
)

// linger has the user's systemd run, whether he has a session or not.
func linger(t *testing.T) {
	t.Helper()
	host.Root.Do(t, "loginctl", "enable-linger", host.Tester.Name)
	t.Cleanup(func() { noUser(t) })
	userRuns(t)
}

func userRuns(t *testing.T) {
	t.Helper()
	host.Eventually(t, "the user's systemd runs", func() bool {
		out, _ := host.Tester.Try("systemctl", "--user", "is-system-running")
		return out == "running" || out == "degraded"
	})
}

// noUser ends all that runs for the user.
func noUser(t *testing.T) {
	t.Helper()
	host.Root.Try("loginctl", "disable-linger", host.Tester.Name)
	host.Root.Try("loginctl", "terminate-user", host.Tester.Name)
	host.Root.Try("systemctl", "stop", userManager)
	host.Root.Try("pkill", "-KILL", "-u", host.Tester.Name)
	host.Eventually(t, "nothing runs for the user", func() bool {
		_, err := host.Root.Try("pgrep", "-u", host.Tester.Name)
		return err != nil && atRest(userManager) && atRest(userRuntime)
	})
	host.Root.Try("systemctl", "reset-failed", userManager, userRuntime) // they may start often in these tests
	for _, dir := range []string{"/.local", "/.config"} {
		os.RemoveAll(host.Tester.Home + dir)
	}
}

func atRest(unit string) bool {
	state := host.Property("ActiveState", unit)
	return state == "inactive" || state == "failed"
}

// serveUser starts the user's unit, and ends it after the test with all there is.
func serveUser(t *testing.T) {
	t.Helper()
	linger(t)
	host.Tester.Do(t, "systemctl", "--user", "start", unit)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(host.Journal())
		}
		host.Tester.Do(t, "systemctl", "--user", "stop", unit)
		nothingOfUserIsLeft(t)
	})
}

func nothingOfUserIsLeft(t *testing.T) {
	t.Helper()
	if failed := host.Tester.Do(t, "systemctl", "--user", "list-units", "--failed", "--plain", "--no-legend", "processmanager*"); failed != "" {
		t.Errorf("failed units: %s", failed)
		host.Tester.Try("systemctl", "--user", "reset-failed", "processmanager*")
	}
	host.Eventually(t, "no scope, no group and no process is left", func() bool {
		_, err := host.Root.Try("pgrep", "-x", "processmanager")
		units, _ := host.Tester.Try("systemctl", "--user", "list-units", "--all", "--plain", "--no-legend", "processmanager-*.scope")
		return err != nil && units == "" && len(userScopes()) == 0
	})
}

func userScopes() []string {
	list, _ := filepath.Glob(userSlice + "/" + userManager + "/*/processmanager-*.scope")
	return list
}

// userScope is the group of the user's scope that there is.
func userScope(t *testing.T) string {
	t.Helper()
	list := userScopes()
	if len(list) != 1 {
		t.Fatalf("scopes: %v\n%s", list, host.Journal())
	}
	return list[0]
}

// The promise of the unit holds for an ordinary user's as well.
func TestUsersUnitLosesNothing(t *testing.T) {
	serveUser(t)
	web := nothingIsLost(t, ofUser)
	top := userScope(t)
	if in := group(t, web); !strings.HasPrefix(in, top+"/") || !strings.Contains(top, "/app.slice/") {
		t.Errorf("the tree is in %s, not below %s", in, top)
	}
	if in := group(t, ofUser.keeper(t)); filepath.Base(in) != unit {
		t.Errorf("the keeper is in %s", in)
	}
	for _, arg := range []string{"-worker", "-hold"} {
		if in := group(t, find(arg)); !strings.HasPrefix(in, top+"/") || filepath.Base(in) != "daemon" {
			t.Errorf("%s is in %s", arg, in)
		}
	}
	if before := ofUser.property("Before", filepath.Base(top)); !slices.Contains(strings.Fields(before), unit) {
		t.Errorf("the end of the user's systemd may end the scope with the unit: it is before %s", before)
	}
	if most := ofUser.property("TasksMax", filepath.Base(top)); most != "infinity" {
		t.Errorf("TasksMax of the scope: %s", most)
	}
	host.Eventually(t, "the status line counts processes", func() bool {
		return ofUser.property("StatusText", unit) == "2 processes: 2 running"
	})
	// SIGKILL in the middle of a stop: the unit's own ExecStopPost ends the rest.
	slow := host.Tester.Start(t, "slow", "trap 'touch /tmp/slow' TERM; while :; do sleep 0.1; done", "-stop_timeout", "60s")
	os.Remove("/tmp/slow")
	pid := ofUser.keeper(t)
	host.Tester.Do(t, "systemctl", "--user", "stop", "--no-block", unit)
	host.Eventually(t, "the process is being stopped", func() bool { return host.Exists("/tmp/slow") })
	kill(t, pid, syscall.SIGKILL)
	host.Eventually(t, "the processes have ended", func() bool { return !host.Alive(slow) && !host.Alive(web) })
	host.Eventually(t, "the unit has stopped", func() bool {
		s := ofUser.property("ActiveState", unit)
		return s == "inactive" || s == "failed"
	})
	host.Tester.Try("systemctl", "--user", "reset-failed", unit)
}

func asExit(err error) int {
	if exit, ok := err.(*exec.ExitError); ok {
		return exit.ExitCode()
	}
	return -1
}

// What ends the user's systemd, such as the machine's shutdown, gives processes their time; and
// its start is the boot of an ordinary user who lingers.
func TestUsersProcessesEndInOrderAndComeBackWithHisSystemd(t *testing.T) {
	serveUser(t)
	host.Tester.Do(t, "systemctl", "--user", "enable", unit)
	polite := host.Tester.Start(t, "polite", `trap 'sleep 1; echo done >/tmp/polite; exit 0' TERM; while :; do sleep 0.1; done`, "-autostart")
	os.Remove("/tmp/polite")
	host.Root.Do(t, "systemctl", "restart", userManager)
	if host.Alive(polite) || !host.Exists("/tmp/polite") {
		t.Errorf("a process was not given the time to end")
	}
	userRuns(t)
	ofUser.answers(t, 0)
	if now := host.Tester.Running(t, "polite"); now == polite {
		t.Errorf("it is still %d", now)
	}
}

// login runs a script in a session of the user's. What it says goes to a file that all may read.
func login(t *testing.T, script string) (cmd *exec.Cmd, said func() string) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "log")
	f, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd = exec.Command("su", "-l", host.Tester.Name, "-c", script)
	cmd.Stdout, cmd.Stderr = f, f
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, func() string { data, _ := os.ReadFile(log); return string(data) }
}

// loginDaemon starts a daemon in a session and waits until it answers. The session ends with it.
func loginDaemon(t *testing.T, command string) (cmd *exec.Cmd, pid int, said func() string) {
	t.Helper()
	os.Remove("/tmp/daemon.pid")
	cmd, said = login(t, "echo $$ >/tmp/daemon.pid.new; mv /tmp/daemon.pid.new /tmp/daemon.pid; exec "+command)
	host.Eventually(t, "the daemon answers", func() bool { _, err := host.Tester.Try("pmclient", "list"); return err == nil })
	pid, err := strconv.Atoi(strings.TrimSpace(host.Read(t, "/tmp/daemon.pid")))
	if err != nil {
		t.Fatal(err)
	}
	return cmd, pid, said
}

// From a plain shell of an ordinary user the daemon gets a scope of the user's systemd and is
// moved there, which the user himself may not do from a session.
func TestUsersShellGetsAScope(t *testing.T) {
	linger(t)
	cmd, pid, said := loginDaemon(t, "processmanager")
	top := userScope(t)
	if n := strings.Count(said(), ".scope for all processes"); n != 1 || strings.Contains(said(), "linger") {
		t.Errorf("said %d times: %s", n, said())
	}
	if in := group(t, pid); !strings.HasPrefix(in, top+"/") {
		t.Errorf("the keeper is in %s", in)
	}
	web := host.Tester.Start(t, "web", "exec sleep 100000")
	limit(t, web)
	// The next daemon, of another session, finds them.
	kill(t, pid, syscall.SIGKILL)
	cmd.Wait()
	cmd, pid, said = loginDaemon(t, "processmanager")
	if now := host.Tester.Running(t, "web"); now != web || userScope(t) != top {
		t.Errorf("web was %d and is %d: %s", web, now, said())
	}
	if in := group(t, pid); !strings.HasPrefix(in, top+"/") {
		t.Errorf("the next keeper is in %s", in)
	}
	host.Tester.Once(t, "exit 7", 7)
	// From a session there is a fitting answer of the doctor's, too.
	check, checked := login(t, "processmanager -check")
	if err := check.Wait(); err != nil {
		t.Errorf("%v: %s", err, checked())
	}
	kill(t, pid, syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, said())
	}
	if host.Alive(web) {
		t.Error("web lives on")
	}
	nothingOfUserIsLeft(t)
}

// Without lingering everything ends with the last session. That is said.
func TestUserWhoDoesNotLingerIsToldSo(t *testing.T) {
	t.Cleanup(func() { noUser(t) })
	cmd, pid, said := loginDaemon(t, "processmanager")
	web := host.Tester.Start(t, "web", "exec sleep 100000")
	if !strings.Contains(said(), "loginctl enable-linger "+host.Tester.Name) {
		t.Errorf("said: %s", said())
	}
	cmd.Process.Signal(syscall.SIGTERM) // the end of the session
	cmd.Wait()
	host.Eventually(t, "everything has ended", func() bool { return !host.Alive(pid) && !host.Alive(web) })
}

// For who has neither session nor lingering systemd runs nothing. The line that the daemon says
// mends that.
func TestWithoutASystemdOfHisTheUserIsToldWhatMendsIt(t *testing.T) {
	noUser(t)
	t.Cleanup(func() { noUser(t) })
	bare := func(args ...string) *exec.Cmd { // as cron, or su, has it
		cmd := host.Tester.Command("processmanager", args...)
		cmd.Env = cmd.Env[:1:1]
		return cmd
	}
	out, err := bare().CombinedOutput()
	line := "loginctl enable-linger " + host.Tester.Name
	if err == nil || strings.Count(strings.TrimSpace(string(out)), "\n") != 0 || !strings.Contains(string(out), "as root, "+line) {
		t.Fatalf("%v: %s", err, out)
	}
	checked, err := bare("-check").CombinedOutput()
	if words := strings.Join(strings.Fields(string(checked)), " "); err == nil || !strings.Contains(words, "as root: "+line) {
		t.Errorf("the doctor says: %v: %s", err, words)
	}
	host.Root.Do(t, "sh", "-c", line)
	userRuns(t)
	if checked, err := bare("-check").CombinedOutput(); err != nil {
		t.Errorf("the doctor is not content: %v: %s", err, checked)
	}
	cmd := bare()
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	host.Eventually(t, "the daemon answers", func() bool { _, err := host.Tester.Try("pmclient", "list"); return err == nil })
	if in := group(t, host.Tester.Start(t, "web", "exec sleep 100000")); !strings.HasPrefix(in, userScope(t)) {
		t.Errorf("the tree is in %s", in)
	}
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, log.String())
	}
	nothingOfUserIsLeft(t)
}

// Where the user's systemd gives no scope, the line that is said starts a daemon.
func TestWithoutDBusTheUserIsToldHowToStartIt(t *testing.T) {
	linger(t)
	hidden := exec.Command("unshare", "--mount", "sh", "-c",
		"mount --bind /dev/null /run/user/1000/systemd/private && mount --bind /dev/null /run/user/1000/bus && "+
			"exec setpriv --reuid=1000 --regid=1000 --clear-groups env -i PATH=$PATH HOME="+host.Tester.Home+" processmanager")
	out, err := hidden.CombinedOutput()
	const line = "systemd-run --user --scope -p Delegate=yes -p TasksMax=infinity processmanager"
	if err == nil || !strings.Contains(string(out), line) || len(userScopes()) > 0 {
		t.Fatalf("%v: %s", err, out)
	}
	cmd, pid, said := loginDaemon(t, line)
	web := host.Tester.Start(t, "web", "exec sleep 100000")
	limit(t, web)
	if in := group(t, web); !strings.Contains(in, userManager+"/app.slice/") {
		t.Errorf("it is in %s: %s", in, said())
	}
	kill(t, pid, syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, said())
	}
	nothingOfUserIsLeft(t)
}

// A service of the system's that runs as an ordinary user has a group of its own.
func TestServiceOfTheSystemThatRunsAsAUserUsesItsOwnGroup(t *testing.T) {
	noUser(t)
	const service = "as-user.service"
	state := host.Tester.Home + "/.local/as-user"
	host.Root.Do(t, "systemd-run", "--unit="+service, "--uid="+host.Tester.Name, "-p", "Delegate=yes", "-p", "KillMode=mixed", "--setenv=HOME="+host.Tester.Home,
		"processmanager", "-state", state, "-secret", "x")
	t.Cleanup(func() {
		host.Root.Do(t, "systemctl", "stop", service)
		noUser(t)
	})
	host.Eventually(t, "the daemon answers", func() bool {
		_, err := host.Tester.Try("pmclient", "-socket", state+"/run/pm.sock", "-secret", "x", "start", "-name", "web", "-command", "exec sleep 100000")
		return err == nil
	})
}

// One without a group of its own to divide gets a scope of the user's systemd. Though the unit is
// the system's, its stop ends what a daemon that was killed in the middle of it has left there.
func TestServiceOfTheSystemThatRunsAsAUserEndsHisScope(t *testing.T) {
	linger(t)
	const service = "as-user.service"
	state := host.Tester.Home + "/.local/as-user"
	host.Root.Do(t, "systemd-run", "--unit="+service, "--uid="+host.Tester.Name, "-p", "KillMode=mixed", "--setenv=HOME="+host.Tester.Home,
		"-p", "ExecStopPost=/usr/bin/processmanager -unit-stopped -state "+state, "/usr/bin/processmanager", "-state", state, "-secret", "x")
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(host.Journal())
		}
		host.Root.Try("systemctl", "stop", service)
		host.Root.Try("systemctl", "reset-failed", service)
	})
	client := func(args ...string) (string, error) {
		return host.Tester.Try("pmclient", append([]string{"-socket", state + "/run/pm.sock", "-secret", "x"}, args...)...)
	}
	os.Remove("/tmp/slow")
	host.Eventually(t, "the daemon answers", func() bool {
		_, err := client("start", "-name", "slow", "-stop_timeout", "60s", "-command", "trap 'touch /tmp/slow' TERM; echo $$ >/tmp/slow.pid; while :; do sleep 0.1; done")
		return err == nil
	})
	host.Eventually(t, "the process runs", func() bool { return host.Exists("/tmp/slow.pid") })
	slow, err := strconv.Atoi(strings.TrimSpace(host.Read(t, "/tmp/slow.pid")))
	if err != nil {
		t.Fatal(err)
	}
	if in := group(t, slow); !strings.HasPrefix(in, userScope(t)+"/") {
		t.Fatalf("it is in %s", in)
	}
	keeper, err := strconv.Atoi(host.Property("MainPID", service))
	if err != nil {
		t.Fatal(err)
	}
	host.Root.Do(t, "systemctl", "stop", "--no-block", service)
	host.Eventually(t, "the process is being stopped", func() bool { return host.Exists("/tmp/slow") })
	kill(t, keeper, syscall.SIGKILL)
	host.Eventually(t, "the process has ended", func() bool { return !host.Alive(slow) })
	host.Eventually(t, "the unit has stopped", func() bool { return atRest(service) })
	nothingOfUserIsLeft(t)
}

// The places of the XDG base directories, for the daemon and its client without a flag.
func TestUsersPlacesAreThoseOfXDG(t *testing.T) {
	linger(t)
	home := filepath.Join(host.Tester.Home, "xdg")
	host.Tester.Do(t, "mkdir", "-p", home+"/config/processmanager", home+"/state")
	t.Cleanup(func() { os.RemoveAll(home) })
	host.Tester.Do(t, "sh", "-c", "umask 077; cd "+home+"/config/processmanager; echo of the configuration >secret; "+
		"echo \"!!process.define name:web command:'exec sleep 100000' autostart:true\" >web.hero")
	places := []string{"XDG_STATE_HOME=" + home + "/state", "XDG_CONFIG_HOME=" + home + "/config"}
	daemon := host.Tester.Command("processmanager")
	daemon.Env = append(daemon.Env, places...)
	var log bytes.Buffer
	daemon.Stdout, daemon.Stderr = &log, &log
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	client := func(args ...string) (string, error) {
		cmd := host.Tester.Command("pmclient", args...)
		cmd.Env = append(cmd.Env, places...)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	host.Eventually(t, "the daemon answers", func() bool { _, err := client("list"); return err == nil })
	if out, err := client("status", "web"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	for _, path := range []string{"/run/user/1000/processmanager/pm.sock", home + "/state/processmanager/instance.json"} {
		if !host.Exists(path) {
			t.Errorf("%s is not there", path)
		}
	}
	if host.Exists("/run/user/1000/processmanager/pm.sock.secret") {
		t.Error("a secret was made besides that of the configuration")
	}
	if out, err := host.Tester.Try("pmclient", "list"); asExit(err) != 77 { // whose configuration is another
		t.Errorf("without that secret: %v: %s", err, out)
	}
	daemon.Process.Signal(syscall.SIGTERM)
	if err := daemon.Wait(); err != nil {
		t.Errorf("%v: %s", err, log.String())
	}
	nothingOfUserIsLeft(t)
}

// Where root has settings for the user's systemd.
const (
	userDropIns = "/etc/systemd/system/user@.service.d"
	userLimits  = "/etc/security/limits.d"
	userPAM     = "/etc/pam.d/systemd-user" // in the place of that of the distribution
)

// givePoor writes files of such settings. After the test there are none.
func givePoor(t *testing.T, settings map[string]string) {
	t.Helper()
	t.Cleanup(func() {
		noUser(t)
		for _, path := range []string{userDropIns, userLimits, userPAM} {
			os.RemoveAll(path)
		}
		host.Root.Do(t, "systemctl", "revert", userManager, "user-1000.slice")
		host.Root.Do(t, "systemctl", "daemon-reload")
	})
	for path, text := range settings {
		host.Root.Do(t, "mkdir", "-p", filepath.Dir(path))
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	host.Root.Do(t, "systemctl", "daemon-reload")
}

// Each mend that the doctor gives to an ordinary user is a line for a shell, his own or root's,
// and works: the doctor is content then.
func TestEachMendThatTheDoctorGivesToAUserWorks(t *testing.T) {
	for name, poor := range map[string]string{
		"fs.inotify.max_user_watches": "100", "fs.pipe-user-pages-soft": "160", "kernel.threads-max": "1500",
	} {
		was := host.Root.Do(t, "sysctl", "-n", name)
		host.Root.Do(t, "sysctl", "-w", name+"="+poor)
		t.Cleanup(func() { host.Root.Do(t, "sysctl", "-w", name+"="+was) })
	}
	givePoor(t, map[string]string{
		userDropIns + "/10-poor.conf": "[Service]\nTasksMax=500\n",
		userLimits + "/10-poor.conf":  host.Tester.Name + " - nofile 512\n" + host.Tester.Name + " - nproc 800\n",
	})
	session, _ := login(t, "exec sleep 100000")
	t.Cleanup(func() { session.Process.Signal(syscall.SIGTERM); session.Wait() })
	userRuns(t)
	mended := untilTheDoctorIsContent(t)
	for subject, of := range map[string]string{
		"io controller": "Delegate=", "lingering": "linger", "open files": "nofile", "processes": "nproc", "inotify": "watches", "pipes": "pages",
	} {
		if !strings.Contains(mended[subject], of) {
			t.Errorf("%s was not mended by %s, or not amiss: %v", subject, of, mended)
		}
	}
	there := host.Read(t, group(t, host.Tester.Start(t, "web", "exec sleep 100000"))+"/cgroup.controllers")
	for _, controller := range []string{"cpu", "cpuset", "io", "memory", "pids"} {
		if !slices.Contains(strings.Fields(there), controller) {
			t.Errorf("a run has the controllers %s, not %s", there, controller)
		}
	}
	host.Tester.Do(t, "systemctl", "--user", "stop", unit)
	nothingOfUserIsLeft(t)
}

// The same line mends a limit where PAM has the last word on it, as above, and where it has none.
func TestMendsOfLimitsGivenToAUserWorkWithoutPAMsLimits(t *testing.T) {
	givePoor(t, map[string]string{
		userDropIns + "/10-poor.conf": "[Service]\nDelegate=cpu io memory pids\nLimitNOFILE=512\nLimitNPROC=800\n",
		userPAM:                       host.Root.Do(t, "grep", "-v", "pam_limits", "/usr/lib/pam.d/systemd-user") + "\n",
	})
	linger(t)
	mended := untilTheDoctorIsContent(t)
	for _, subject := range []string{"open files", "processes"} {
		if mended[subject] == "" {
			t.Errorf("%s was not mended, or not amiss: %v", subject, mended)
		}
	}
	host.Tester.Do(t, "systemctl", "--user", "stop", unit)
	nothingOfUserIsLeft(t)
}

// untilTheDoctorIsContent does what the doctor of the user's unit says, and returns for each
// subject what has mended it.
func untilTheDoctorIsContent(t *testing.T) (mended map[string]string) {
	t.Helper()
	examine := func() (mends map[string]string) {
		t.Helper()
		host.Tester.Try("systemctl", "--user", "start", unit) // a mend may have ended it
		ofUser.answers(t, 0)
		var report struct {
			Controllers []string
			Findings    []struct{ Subject, Level, Found, Mend string }
		}
		out := host.Tester.Do(t, "pmclient", "doctor", "-format", "json")
		if err := json.Unmarshal([]byte(out), &report); err != nil {
			t.Fatal(err)
		}
		mends = map[string]string{}
		for _, f := range report.Findings {
			if f.Level != "ok" {
				mends[f.Subject] = f.Mend
			}
		}
		return mends
	}
	mended = map[string]string{}
	tried := map[string]bool{}
	for mends := examine(); len(mends) > 0; mends = examine() {
		for subject, mend := range mends {
			if tried[mend] {
				t.Fatalf("%s: it was tried, and the doctor says it again: %s", subject, mend)
			}
			tried[mend] = true
			who, line, ok := strings.Cut(mend, ": ")
			if !ok || !strings.HasPrefix(who, "as root") {
				host.Tester.Do(t, "sh", "-c", mend)
			} else {
				host.Root.Do(t, "sh", "-c", line)
			}
			t.Logf("%s: %s", subject, mend)
			for other := range mends {
				if mends[other] == mend { // it mends more than one
					mended[other] += mend + "\n"
				}
			}
			userRuns(t)
			break // and what is left now
		}
	}
	return mended
}
