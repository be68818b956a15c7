package run

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/keeper"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// What systemd's own tests and manual say of EnvironmentFile, and what is refused here.
func TestEnvFileIsReadAsSystemdReadsIt(t *testing.T) {
	for text, want := range map[string]string{
		"":                               "",
		"A=1\nB=2\n":                     "A=1|B=2",
		"A=1":                            "A=1",
		"\n\n  A=1  \n":                  "A=1",
		"A=1\r\nB=2\r\n":                 "A=1|B=2",
		"# A=1\n;B=2\n  # C=3\nD=4":      "D=4",
		"A=a # b":                        "A=a # b",
		"nonsense\nA=1":                  "A=1",
		"A=":                             "A=",
		"A= \nB=":                        "A=|B=",
		"A = b":                          "A=b",
		"A=a b\tc ":                      "A=a b\tc",
		`A='a b ' `:                      "A=a b ",
		`A="a b "`:                       "A=a b ",
		`A="a"'b'`:                       "A=ab",
		`A="a" b`:                        "A=ab",
		`A=a"b"`:                         `A=a"b"`,
		`A='a\nb"$x'`:                    `A=a\nb"$x`,
		`A="\"\\\$\` + "`" + `\n"`:       `A="\$` + "`" + `\n`,
		"A='x\ny'\nB=1":                  "A=x\ny|B=1",
		"A=\"x\\\ny\"":                   "A=xy",
		"A=x\\\ny":                       "A=xy",
		`A=x\ \t`:                        "A=x t",
		`A=x\ `:                          "A=x ",
		"# comment \\\n" + "A=1\nB=2":    "A=1|B=2", // since systemd 254
		"A=1\nB=2\nA=3":                  "A=3|B=2",
		"A=\xff\xfe":                     "A=\xff\xfe",
		"_a1=$B ${C} %n `d`":             "_a1=$B ${C} %n `d`",
		"export A=1":                     "line 1: no name",
		"A=1\n\n1B=2":                    "line 3: no name",
		"A-B=1":                          "line 1: no name",
		"=1":                             "line 1: no name",
		"A=1\nB='hunter2\nC=3":           "line 2: a quote of its value is never closed",
		"A=\"hunter2":                    "line 1: a quote of its value is never closed",
		"A=x\x00y":                       "line 1: the value holds a NUL byte",
		"A=1\nhunter2 hunter2=hunter2\n": "line 2: no name",
	} {
		got, err := parseEnvFile([]byte(text))
		said := strings.Join(got, "|")
		if err != nil {
			said = err.Error()
		}
		if said != want && !(err != nil && strings.HasPrefix(said, want) && want != "") || err != nil && strings.Contains(said, "hunter2") {
			t.Errorf("%q: %q, want %q", text, said, want)
		}
	}
}

func FuzzEnvFile(f *testing.F) {
	f.Add([]byte("# c\nA=1\nB='x y'\nC=\"a\\\nb\"\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := parseEnvFile(data)
		if err != nil {
			if len(err.Error()) > 200 || strings.ContainsAny(err.Error(), "\n\x00") {
				t.Errorf("%q", err)
			}
			return
		}
		seen := map[string]bool{}
		for _, e := range all {
			name, value, ok := strings.Cut(e, "=")
			if !ok || !process.IsVariable(name) || strings.IndexByte(value, 0) >= 0 || seen[name] {
				t.Errorf("%q", e)
			}
			seen[name] = true
		}
	})
}

// etc is a directory with users and groups of its own.
func etc(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"passwd": "root:x:0:0:root:/root:/bin/bash\nbroken\nweb:x:1001:1002:Web,,,:/srv/web:/usr/sbin/nologin\nme:x:" +
			fmt.Sprint(os.Geteuid()) + ":" + fmt.Sprint(os.Getegid()) + "::/home/me:\nhuge:x:4294967295:1::/:",
		"group": "root:x:0:\nweb:x:1002:\nadm:x:4:web,other\nssl:x:7:other,web\nnot:x:8:webx,xweb\nown:x:1002:web\nbad:x:y:web\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestAccounts(t *testing.T) {
	a := accounts(etc(t))
	for who, want := range map[string]account{
		"root": {"root", 0, 0, "/root", "/bin/bash"},
		"web":  {"web", 1001, 1002, "/srv/web", "/usr/sbin/nologin"},
		"1001": {"web", 1001, 1002, "/srv/web", "/usr/sbin/nologin"},
		"77":   {uid: 77},
	} {
		if got, err := a.user(who); got != want || err != nil {
			t.Errorf("%s: %+v, %v", who, got, err)
		}
	}
	for _, who := range []string{"nobody-here", "huge", "broken", "we"} {
		if got, err := a.user(who); err == nil || err.Error() != "no such user '"+who+"' in "+string(a)+"/passwd" {
			t.Errorf("%s: %+v, %v", who, got, err)
		}
	}
	for which, want := range map[string]uint32{"ssl": 7, "1234": 1234, "web": 1002} {
		if got, err := a.group(which); got != want || err != nil {
			t.Errorf("%s: %d, %v", which, got, err)
		}
	}
	if _, err := a.group("none"); err == nil || err.Error() != "no such group 'none' in "+string(a)+"/group" {
		t.Error(err)
	}
	if got, err := a.groupsOf("web", 1002); !slices.Equal(got, []uint32{1002, 4, 7}) || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := a.groupsOf("", 5); !slices.Equal(got, []uint32{5}) || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := accounts(t.TempDir()).user("web"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func plan(e process.Environment) Plan {
	return Plan{ID: keeper.RunID{Name: "web", Run: 7}, JobID: "j", Spec: process.Spec{Name: "web", Command: "true", Dir: "/", Environment: e}}
}

// What is later in the order counts, and each variable stands there once.
func TestTheOrderOfTheEnvironment(t *testing.T) {
	dir := etc(t)
	file := dir + "/env"
	if err := os.WriteFile(file, []byte("PATH=/file\nA=file\nHOME=/filehome\nPROCESSMANAGER_RUN=9\nC=file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := &Host{Procfs: "/proc", Etc: dir, Environ: []string{"PATH=/daemon", "HOME=/daemon", "USER=d", "LOGNAME=d", "SHELL=/d", "LANG=C", "TZ=UTC", "TMPDIR=/t", "SECRET=x"}}
	p := plan(process.Environment{Env: "A=env\nB=env\nLANG=de", EnvFile: file})
	for _, test := range []struct {
		user, want string
	}{
		{"", "A=env|B=env|C=file|HOME=/filehome|LANG=de|LOGNAME=d|PATH=/file|PROCESSMANAGER_JOBID=j|PROCESSMANAGER_NAME=web|PROCESSMANAGER_RUN=7|SHELL=/d|TMPDIR=/t|TZ=UTC|USER=d"},
		{"web", "A=env|B=env|C=file|HOME=/filehome|LANG=de|LOGNAME=web|PATH=/file|PROCESSMANAGER_JOBID=j|PROCESSMANAGER_NAME=web|PROCESSMANAGER_RUN=7|SHELL=/usr/sbin/nologin|TMPDIR=/t|TZ=UTC|USER=web"},
		{"77", "A=env|B=env|C=file|HOME=/filehome|LANG=de|PATH=/file|PROCESSMANAGER_JOBID=j|PROCESSMANAGER_NAME=web|PROCESSMANAGER_RUN=7|TMPDIR=/t|TZ=UTC"},
	} {
		var who *account
		if test.user != "" {
			a, err := accounts(dir).user(test.user)
			if err != nil {
				t.Fatal(err)
			}
			who = &a
		}
		env, err := h.environ(&p, who)
		slices.Sort(env)
		if got := strings.Join(env, "|"); got != test.want || err != nil {
			t.Errorf("%s: %v, got\n%s\nwant\n%s", test.user, err, got, test.want)
		}
	}
}

// A run that asks for nothing is started without settings.
func TestAPlainRunHasNoSettings(t *testing.T) {
	h := &Host{Procfs: "/proc", Etc: etc(t)}
	for _, e := range []process.Environment{{}, {Umask: "0022", Stdin: "null", Env: "A=1"}} {
		if c, err := h.command(plan(e), "true"); c.Settings != nil || err != nil {
			t.Errorf("%+v: %+v, %v", e, c.Settings, err)
		}
	}
	for _, e := range []process.Environment{{Umask: "0027"}, {Stdin: "file:/x"}, {Nice: 1}, {OOMScoreAdj: 1}, {NoNewPrivileges: true}, {Rlimits: process.Rlimits{"", "0"}}} {
		if c, err := h.command(plan(e), "true"); c.Settings == nil || err != nil {
			t.Errorf("%+v: no settings, %v", e, err)
		}
	}
}

func TestSettingsOfAUser(t *testing.T) {
	h := &Host{Procfs: "/proc", Etc: etc(t)}
	for _, test := range []struct {
		e    process.Environment
		want string // "user group groups", or the error
	}{
		{process.Environment{User: "web"}, "1001 1002 [1002 4 7]"},
		{process.Environment{User: "web", Group: "ssl"}, "1001 7 [7 4 1002]"},
		{process.Environment{User: "web", Group: "99"}, "1001 99 [99 4 7 1002]"},
		{process.Environment{Group: "adm"}, "- 4 []"},
		{process.Environment{User: "77", Group: "adm"}, "77 4 [4]"},
		{process.Environment{User: "77"}, "user: no user in " + h.Etc + "/passwd has the number 77: give group too"},
		{process.Environment{User: "x"}, "user: no such user 'x' in " + h.Etc + "/passwd"},
		{process.Environment{User: "web", Group: "x"}, "group: no such group 'x' in " + h.Etc + "/group"},
	} {
		c, err := h.command(plan(test.e), "true")
		got := fmt.Sprint(err)
		if failed, ok := errors.AsType[*proc.SpawnError](err); os.Geteuid() != 0 && ok && errors.Is(failed, unix.EPERM) {
			continue // an ordinary user may not, and says so
		}
		if err == nil {
			user := "-"
			if c.Settings.User != nil {
				user = fmt.Sprint(*c.Settings.User)
			}
			got = fmt.Sprint(user, " ", *c.Settings.Group, " ", c.Settings.Groups)
		}
		if got != test.want {
			t.Errorf("%+v: %s, want %s", test.e, got, test.want)
		}
	}
	// Whom the daemon is anyway, an ordinary user needs nothing for.
	c, err := h.command(plan(process.Environment{User: "me"}), "true")
	if err != nil || os.Geteuid() != 0 && c.Settings != nil || !slices.Contains(c.Env, "HOME=/home/me") {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestEnvFilesThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	h := &Host{Procfs: "/proc", Etc: etc(t)}
	if err := os.WriteFile(dir+"/bad", []byte("A=1\nhunter2-x=1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/long", []byte("A="+strings.Repeat("x", maxEnvFile)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(dir+"/fifo", 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		dir + "/missing":       "env_file " + dir + "/missing: no such file or directory",
		"-" + dir + "/missing": "<nil>",
		dir + "/bad":           "env_file " + dir + "/bad: line 2: no name of a variable stands before the '=': letters, digits and _, the first no digit",
		"-" + dir + "/bad":     "env_file " + dir + "/bad: line 2: no name of a variable stands before the '=': letters, digits and _, the first no digit",
		dir + "/fifo":          "env_file " + dir + "/fifo: it is no regular file",
		"/dev/zero":            "env_file /dev/zero: it is no regular file",
		dir:                    "env_file " + dir + ": is a directory",
		dir + "/long":          "env_file " + dir + "/long: it has more than 1024 KiB",
	} {
		if _, err := h.command(plan(process.Environment{EnvFile: path}), "true"); fmt.Sprint(err) != want {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
}

// A file on a disk that hangs is a start that fails.
func TestAFileOfVariablesThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		began := time.Now()
		_, err := within(envFileTime, func() ([]string, error) { <-hang; return nil, nil })
		if took := time.Since(began); err != unix.ETIMEDOUT || took != envFileTime {
			t.Errorf("%v after %v", err, took)
		}
		close(hang)
		if all, err := within(envFileTime, func() ([]string, error) { return []string{"A=1"}, nil }); len(all) != 1 || err != nil {
			t.Errorf("%q, %v", all, err)
		}
	})
}

// All open files there can be is a number that the kernel has.
func TestUnlimitedOpenFiles(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(dir+"/sys/fs", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/sys/fs/nr_open", []byte("1048576\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := &Host{Procfs: dir}
	const all = proc.Unlimited
	for _, c := range []struct{ given, want proc.Rlimit }{
		{proc.Rlimit{Resource: "nofile", Soft: 5, Hard: all}, proc.Rlimit{Resource: "nofile", Soft: 5, Hard: 1048576}},
		{proc.Rlimit{Resource: "nofile", Soft: all, Hard: all}, proc.Rlimit{Resource: "nofile", Soft: 1048576, Hard: 1048576}},
		{proc.Rlimit{Resource: "nofile", Soft: 5, Hard: 1048576}, proc.Rlimit{Resource: "nofile", Soft: 5, Hard: 1048576}},
		{proc.Rlimit{Resource: "core", Soft: 5, Hard: all}, proc.Rlimit{Resource: "core", Soft: 5, Hard: all}},
	} {
		if got, err := h.possible(c.given); got != c.want || err != nil {
			t.Errorf("%+v: %+v, %v", c.given, got, err)
		}
	}
	if _, err := h.possible(proc.Rlimit{Resource: "nofile", Soft: 5, Hard: 1048577}); fmt.Sprint(err) != "rlimit_nofile: 1048577 is above fs.nr_open, which is 1048576" {
		t.Error(err)
	}
}

// What a definition can limit the kernel has by that name.
func TestEveryLimitOfADefinitionCanBeSet(t *testing.T) {
	for _, r := range process.Resources {
		s := proc.Settings{Limits: []proc.Rlimit{{Resource: r.Name, Soft: 0, Hard: 0}}}
		if err := s.Permitted(); err != nil {
			t.Errorf("%s: %v", r.Name, err)
		}
	}
}
