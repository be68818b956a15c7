package packages

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/freeflowuniverse/processmanager/integration/host"
)

// installed has the given package on this host, freshly installed, and purges it after the test.
func installed(t *testing.T) {
	t.Helper()
	t.Cleanup(func() { host.Root.Do(t, "dpkg", "--purge", "processmanager") })
	host.Root.Do(t, "dpkg", "-i", given)
}

// version is what dpkg takes for installed, with the state of that.
func version() string {
	out, _ := host.Root.Try("dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", "processmanager")
	return out
}

func TestInstallationBringsUpADaemonThatRootsClientReaches(t *testing.T) {
	installed(t)
	pid := daemon(t)
	if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); exe != program {
		t.Errorf("the daemon is %s, %v", exe, err)
	}
	host.Root.Do(t, "systemctl", "is-enabled", unit)
	if out := host.Root.Do(t, "pmclient", "list", "-format", "json"); out != "[]" {
		t.Errorf("a fresh installation runs %s", out)
	}
	host.Root.Do(t, "getent", "group", "processmanager")
	for path, mode := range map[string]os.FileMode{
		secret: 0o600, "/etc/processmanager": os.ModeDir | 0o755, "/etc/processmanager/processmanager.conf": 0o644,
		"/var/lib/processmanager": os.ModeDir | 0o700, "/run/processmanager": os.ModeDir | 0o711,
	} {
		info, err := os.Lstat(path)
		if err != nil {
			t.Error(err)
		} else if info.Mode() != mode || info.Sys().(*syscall.Stat_t).Uid != 0 {
			t.Errorf("%s is %v of user %d", path, info.Mode(), info.Sys().(*syscall.Stat_t).Uid)
		}
	}
	first := host.Read(t, secret)
	if len(strings.TrimSpace(first)) < 32 {
		t.Errorf("the secret is %d bytes long", len(first))
	}
	host.Root.Do(t, "dpkg", "--purge", "processmanager")
	host.Root.Do(t, "dpkg", "-i", given)
	if host.Read(t, secret) == first {
		t.Error("two installations have the same secret")
	}
}

// The example says what it is for, and its definition is one that the daemon takes.
func TestExampleIsADefinitionThatHolds(t *testing.T) {
	installed(t)
	host.Root.Do(t, "cp", "/etc/processmanager/example.hero.sample", "/etc/processmanager/web.hero")
	t.Cleanup(func() { os.Remove("/etc/processmanager/web.hero") })
	if out := host.Root.Do(t, "pmclient", "apply", "-dry-run"); !strings.Contains(out, "web") {
		t.Errorf("apply -dry-run says %s", out)
	}
}

// throughout has two processes live through what happens: one that stays and one that ends
// after it, whose exit code only its parent can tell.
func throughout(t *testing.T, happens func()) {
	t.Helper()
	os.Remove("/run/end")
	stays := host.Root.Start(t, "stays", "exec sleep 100000")
	ends := host.Root.Start(t, "ends", "while [ ! -e /run/end ]; do sleep 0.1; done; exit 7")
	keeper, before := daemon(t), host.Read(t, secret)
	happens()
	if now := daemon(t); now != keeper {
		t.Errorf("the daemon was %d and is %d", keeper, now)
	}
	for name, pid := range map[string]int{"stays": stays, "ends": ends} {
		if s := host.Root.Status(t, name); s.Status != "running" || s.PID != pid {
			t.Errorf("%s was %d and is %+v", name, pid, s)
		}
	}
	if now := host.Read(t, secret); now != before {
		t.Errorf("the secret is another one")
	}
	host.Write(t, "/run/end", "", 0o600)
	host.Eventually(t, "the exit of a process is seen", func() bool {
		s := host.Root.Status(t, "ends")
		return s.Last != nil && s.Last.Code != nil && *s.Last.Code == 7
	})
	host.Root.Do(t, "pmclient", "delete", "stays,ends")
}

// workerLine is how the command line of the daemon's worker begins.
const workerLine = "^processmanager -worker"

// runsWhatIsInstalled fails the test if the worker is not the program on disk. (The keeper
// replaces itself only by a program that speaks another protocol.)
func runsWhatIsInstalled(t *testing.T) {
	t.Helper()
	disk, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	running, err := os.Stat("/proc/" + host.Root.Do(t, "pgrep", "-f", workerLine) + "/exe")
	if err != nil || !os.SameFile(disk, running) {
		t.Errorf("the daemon that runs is not the one that is installed: %v", err)
	}
}

func TestUpgradeAndDowngradeKeepTreesAndTheirExits(t *testing.T) {
	installed(t)
	before := version()
	host.Write(t, "/etc/processmanager/example.hero.sample", "# changed by the administrator\n", 0o644)
	next := later(t)
	throughout(t, func() { host.Root.Do(t, "dpkg", "-i", next) })
	if now := version(); now != "installed 1000.1-1" {
		t.Errorf("installed is %s", now)
	}
	runsWhatIsInstalled(t)
	if now := host.Read(t, "/etc/processmanager/example.hero.sample"); !strings.HasPrefix(now, "# changed") {
		t.Errorf("the upgrade has overwritten a file in /etc")
	}
	throughout(t, func() { host.Root.Do(t, "dpkg", "-i", given) }) // the store has the same format
	if now := version(); now != before {
		t.Errorf("installed is %s, before the upgrade %s", now, before)
	}
	runsWhatIsInstalled(t)
}

// A program that could not read the store does not get into the place of the one that wrote it.
func TestDowngradeBeforeTheStoresFormatIsRefused(t *testing.T) {
	installed(t)
	before := version()
	format := strings.TrimSpace(host.Read(t, "/usr/share/processmanager/store-format"))
	older := variant(t, "0~older-1", func(dir string) {
		rewrite(t, dir+"/DEBIAN/preinst", "-gt "+format, "-gt 1")
		rewrite(t, dir+"/DEBIAN/preinst", "up to format "+format, "up to format 1")
	})
	throughout(t, func() {
		out, err := host.Root.Try("dpkg", "-i", older)
		if err == nil || !strings.Contains(out, "this version reads stores up to format 1") || !strings.Contains(out, "in format "+format) {
			t.Errorf("%v: %s", err, out)
		}
	})
	if now := version(); now != before {
		t.Errorf("installed is %s, was %s", now, before)
	}
	runsWhatIsInstalled(t)
}

// A program that does not work does not replace the one that runs, and dpkg says so.
func TestUpgradeToAProgramThatDoesNotWorkLosesNothing(t *testing.T) {
	installed(t)
	broken := variant(t, "1000-1", func(dir string) { host.Write(t, dir+program, "#!/bin/sh\nexit 1\n", 0o755) })
	throughout(t, func() {
		if out, err := host.Root.Try("dpkg", "-i", broken); err == nil || !strings.Contains(out, "the daemon that runs goes on as it was") {
			t.Errorf("%v: %s", err, out)
		}
		host.Root.Do(t, "dpkg", "-i", later(t))
	})
	runsWhatIsInstalled(t)
}

func TestRemovalEndsTreesInOrderAndKeepsTheirDefinitions(t *testing.T) {
	installed(t)
	os.Remove("/run/polite")
	polite := host.Root.Start(t, "polite", `trap 'sleep 1; echo done >/run/polite; exit 0' TERM; while :; do sleep 0.1; done`)
	before := host.Read(t, secret)
	host.Root.Do(t, "dpkg", "--remove", "processmanager")
	if host.Alive(polite) {
		t.Error("a process lives on after the removal")
	}
	if !host.Exists("/run/polite") {
		t.Error("a process was not given the time to end")
	}
	if out, err := host.Root.Try("pgrep", "-x", "processmanager"); err == nil {
		t.Errorf("daemons live on: %s", out)
	}
	if host.Exists(program) || !host.Exists(secret) || !host.Exists("/var/lib/processmanager/processes.db") {
		t.Error("the removal has left the program, or taken the secret or the state along")
	}
	host.Root.Do(t, "dpkg", "-i", given)
	daemon(t)
	host.Root.Status(t, "polite")
	if now := host.Read(t, secret); now != before {
		t.Error("the secret is another one after a removal and an installation")
	}
}

// Users' daemons come with the package, and end with it.
func TestRemovalEndsUsersDaemonsToo(t *testing.T) {
	installed(t)
	host.Root.Do(t, "loginctl", "enable-linger", "tester")
	t.Cleanup(func() {
		host.Root.Do(t, "loginctl", "disable-linger", "tester")
		host.Root.Try("loginctl", "terminate-user", "tester")
		os.RemoveAll("/home/tester/.local")
	})
	user := []string{"--user", "--machine", "tester@"}
	host.Eventually(t, "tester has a systemd", func() bool {
		_, err := host.Root.Try("systemctl", append(user, "start", unit)...)
		return err == nil
	})
	pid := host.Root.Do(t, "systemctl", append(user, "show", "--value", "-p", "MainPID", unit)...)
	if owner := host.Root.Do(t, "stat", "-c", "%U", "/proc/"+pid); owner != "tester" {
		t.Fatalf("the daemon %s is %s's", pid, owner)
	}
	host.Root.Do(t, "dpkg", "--remove", "processmanager")
	if host.Exists("/proc/" + pid) {
		t.Error("a user's daemon lives on after the removal")
	}
}

func TestPurgeLeavesNothingOver(t *testing.T) {
	before := everything(t)
	installed(t)
	host.Root.Start(t, "web", "exec sleep 100000")
	host.Root.Do(t, "pmclient", "start", "-name", "logs", "-log", "-command", "echo said")
	host.Root.Do(t, "dpkg", "--purge", "processmanager")
	if left := everything(t); !slices.Equal(left, before) {
		for _, path := range left {
			if !slices.Contains(before, path) {
				t.Errorf("left over: %s", path)
			}
		}
		for _, path := range before {
			if !slices.Contains(left, path) {
				t.Errorf("gone: %s", path)
			}
		}
	}
	if units := host.Root.Do(t, "systemctl", "list-units", "--all", "--plain", "--no-legend", "processmanager*"); units != "" {
		t.Errorf("units are left: %s", units)
	}
	if groups, _ := filepath.Glob("/sys/fs/cgroup/*/processmanager*"); len(groups) > 0 {
		t.Errorf("groups are left: %s", groups)
	}
	if _, err := host.Root.Try("getent", "group", "processmanager"); err == nil {
		t.Error("the group is left")
	}
}

// The group is for the administrator to use: a member gets in when the configuration and the
// secret's mode say so, as docs/packages.md has it, and not before.
func TestMembersOfTheGroupGetInWhenTheAdministratorSaysSo(t *testing.T) {
	installed(t)
	host.Root.Start(t, "web", "exec sleep 100000")
	host.Root.Do(t, "gpasswd", "-a", "tester", "processmanager")
	t.Cleanup(func() { host.Root.Do(t, "gpasswd", "-d", "tester", "processmanager") })
	member := func() (string, error) {
		return host.Root.Try("setpriv", "--reuid", "tester", "--regid", "tester", "--init-groups", "env", "HOME=/home/tester",
			"PROCESSMANAGER_SOCKET=/run/processmanager/pm.sock", "pmclient", "list")
	}
	if out, err := member(); err == nil {
		t.Errorf("a member gets in unasked: %s", out)
	}
	host.Root.Do(t, "sh", "-ec", `echo 'socket-group = processmanager' >>/etc/processmanager/processmanager.conf
		chgrp processmanager /etc/processmanager/secret
		chmod 640 /etc/processmanager/secret
		systemctl restart processmanager`)
	daemon(t)
	if out, err := member(); err != nil || !strings.Contains(out, "web") {
		t.Errorf("a member does not get in: %v, %s", err, out)
	}
	throughout(t, func() { host.Root.Do(t, "dpkg", "-i", later(t)) })
	if out, err := member(); err != nil {
		t.Errorf("a member does not get in after an upgrade: %v, %s", err, out)
	}
}

// What the administrator has added is not the package's to remove.
func TestPurgeLeavesTheAdministratorsOwn(t *testing.T) {
	installed(t)
	host.Write(t, "/etc/processmanager/mine.hero", "!!process.define name:mine command:true\n", 0o644)
	host.Root.Do(t, "gpasswd", "-a", "tester", "processmanager")
	t.Cleanup(func() {
		os.RemoveAll("/etc/processmanager")
		host.Root.Try("groupdel", "processmanager")
	})
	host.Root.Do(t, "dpkg", "--purge", "processmanager")
	if !host.Exists("/etc/processmanager/mine.hero") || host.Exists(secret) {
		t.Error("the administrator's definition is gone, or the secret is not")
	}
	host.Root.Do(t, "getent", "group", "processmanager")
}

// A host on which the daemon cannot start has the package all the same, and is told.
func TestInstallationSaysThatTheDaemonDoesNotStart(t *testing.T) {
	t.Cleanup(func() { host.Root.Do(t, "dpkg", "--purge", "processmanager") })
	host.Root.Do(t, "mkdir", "-p", "/etc/processmanager")
	host.Write(t, secret, "\n", 0o600) // of no use as a secret
	if out := host.Root.Do(t, "dpkg", "-i", given); !strings.Contains(out, "processmanager: its daemon does not start here") {
		t.Errorf("dpkg says %s", out)
	}
	host.Root.Do(t, "rm", secret)
	host.Root.Do(t, "dpkg", "-i", given) // makes one
	daemon(t)
}

// Where systemd does not run, as in a container, the package is installed all the same.
func TestInstallationWithoutSystemdMakesSecretAndGroup(t *testing.T) {
	t.Cleanup(func() { host.Root.Do(t, "dpkg", "--purge", "processmanager") })
	const hidden = "mount -t tmpfs tmpfs /run/systemd && "
	host.Root.Do(t, "unshare", "--mount", "sh", "-c", hidden+"dpkg -i "+given)
	if !host.Exists(secret) {
		t.Error("there is no secret")
	}
	host.Root.Do(t, "getent", "group", "processmanager")
	if state := host.Property("ActiveState", unit); state == "active" {
		t.Errorf("the unit is %s", state)
	}
	host.Root.Do(t, "unshare", "--mount", "sh", "-c", hidden+"dpkg --remove processmanager")
}

// everything is each path where packages and daemons have files, but for what the package
// manager and systemd note for themselves, and backups of the list of groups.
func everything(t *testing.T) (paths []string) {
	t.Helper()
	for _, root := range []string{"/etc", "/usr", "/var", "/run", "/opt", "/srv", "/root", "/home"} {
		err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			if os.IsNotExist(err) { // it has gone meanwhile
				return nil
			}
			if err != nil {
				return err
			}
			for _, other := range []string{"/var/lib/dpkg", "/var/log", "/run/systemd", "/run/user", "/run/udev", "/run/log", "/var/tmp", "/etc/group-", "/etc/gshadow-", "/etc/.pwd.lock", "/run/polite", "/run/end"} {
				if path == other {
					if d.IsDir() {
						return filepath.SkipDir
					}
					return nil
				}
			}
			paths = append(paths, path)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(paths)
	return paths
}
