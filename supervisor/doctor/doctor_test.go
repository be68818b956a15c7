package doctor

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

var update = flag.Bool("update", false, "write what comes out into the test data")

// unifiedAt finds a hierarchy of plain files.
func unifiedAt(mount string) func(string) (*cgroup.Hierarchy, error) {
	return func(string) (*cgroup.Hierarchy, error) { return &cgroup.Hierarchy{Mount: mount}, nil }
}

func findNothing(err error) func(string) (*cgroup.Hierarchy, error) {
	return func(string) (*cgroup.Hierarchy, error) { return nil, fmt.Errorf("cgroup: /sys/fs/cgroup: %w", err) }
}

// Each file of testdata is a host, and the report on it.
func TestHostsAreDescribed(t *testing.T) {
	for name, treeOf := range map[string]func(c *Config, dir string) tree{
		"unified": func(c *Config, dir string) tree {
			c.Root, c.Runs, c.Listen = "pm.service", "pm.service/i/p", "127.0.0.1:2323"
			tr := look(*c, unifiedAt(dir+"/cgroup"))
			tr.kill = KillThere // plain directories have none
			return tr
		},
		"undelegated": func(c *Config, dir string) tree {
			c.Root, c.Listen = "u.slice/user@1000.service/app.slice", "[::]:2323"
			tr := look(*c, unifiedAt(dir+"/cgroup"))
			tr.kill = KillThere
			return tr
		},
		// The same host, where the user's own systemd runs.
		"user": func(c *Config, dir string) tree {
			c.Scope = "u.slice/user@1000.service"
			c.User = &UserManager{User: "alice", Unit: "user@1000.service", Runs: true}
			tr := look(*c, unifiedAt(dir+"/cgroup"))
			tr.kill = KillThere
			return tr
		},
		"nosession": func(c *Config, dir string) tree {
			c.Scope = "u.slice/user@1000.service"
			c.User = &UserManager{User: "alice", Unit: "user@1000.service"}
			tr := look(*c, unifiedAt(dir+"/cgroup"))
			tr.kill = KillThere
			return tr
		},
		"low": func(c *Config, dir string) tree {
			c.Root = "a"
			return look(*c, unifiedAt(dir+"/cgroup"))
		},
		// The reasons are those of a real host.
		"hybrid": func(*Config, string) tree {
			bound := func(name, v1 string) lack {
				return lack{Missing: cgroup.Missing{Name: name, Reason: "bound to the v1 hierarchy at /sys/fs/cgroup/" + v1}}
			}
			return tree{
				kind: process.HierarchyHybrid, mount: "/sys/fs/cgroup/unified", root: "/sys/fs/cgroup/unified/pm", kill: KillThere,
				missing: []lack{bound("cpu", "cpu"), bound("memory", "memory"), bound("pids", "pids"), bound("io", "blkio")},
			}
		},
		"legacy":     func(c *Config, _ string) tree { return look(*c, findNothing(cgroup.ErrNoHierarchy)) },
		"legacyroot": func(c *Config, _ string) tree { return look(*c, findNothing(cgroup.ErrNoHierarchy)) },
		"container":  func(c *Config, _ string) tree { return look(*c, findNothing(cgroup.ErrReadOnly)) },
		"forbidden": func(*Config, string) tree {
			return tree{
				kind: process.HierarchyUnified, mount: "/sys/fs/cgroup", root: "/sys/fs/cgroup/user.slice/session-1.scope", runs: "/sys/fs/cgroup/user.slice/session-1.scope",
				rootErr:     &cgroup.Error{Op: "mkdir", Path: "/sys/fs/cgroup/user.slice/session-1.scope/doctor-x", Err: unix.EACCES},
				controllers: []string{"memory", "pids"},
				missing: []lack{
					{Missing: cgroup.Missing{Name: "cpu", Reason: "not enabled in /sys/fs/cgroup/cgroup.subtree_control"}, why: notEnabled, at: "/sys/fs/cgroup"},
					{Missing: cgroup.Missing{Name: "io", Reason: "not in this kernel"}, why: noKernel},
				},
			}
		},
		"unreadable": func(c *Config, dir string) tree {
			c.Root = "a"
			tr := look(*c, unifiedAt(dir+"/cgroup"))
			tr.kill = KillUnknown
			return tr
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			unpack(t, dir, "base")
			want := unpack(t, dir, name)
			c := Config{Proc: dir + "/proc"}
			tr := treeOf(&c, dir)
			c.Runtime = "/run/processmanager"
			r := examine(c, tr)
			r.Findings = drop(r.Findings, "runtime") // of this machine
			got := strings.ReplaceAll(text(r), dir, "$DIR")
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if *update {
				rewrite(t, name, got)
			}
			travels(t, r)
		})
	}
}

func drop(findings []process.Finding, subject string) (kept []process.Finding) {
	for _, f := range findings {
		if f.Subject != subject {
			kept = append(kept, f)
		}
	}
	return kept
}

// text is a report as the test data have it.
func text(r process.Report) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s at %q, root %q, Linux %q: has %q, lacks %q\n", r.Hierarchy, r.Mount, r.Root, r.Kernel, r.Controllers, r.Missing)
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%-8s %-18s %s\n", f.Level, f.Subject, f.Found)
		if f.Mend != "" {
			fmt.Fprintf(&b, "%27s %s\n", "mend:", f.Mend)
		}
	}
	return b.String()
}

// travels checks that a report is the same behind a connection.
func travels(t *testing.T, r process.Report) {
	t.Helper()
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var back process.Report
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(r, back) {
		t.Errorf("sent %+v, came %+v", r, back)
	}
	if strings.Contains(string(data), ":null") {
		t.Errorf("a list is null: %s", data)
	}
}

// unpack writes the files of a data file below dir, and returns what is wanted.
// A file begins at a line "-- path --".
func unpack(t *testing.T, dir, name string) (want string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "\n-- ")
	for section := range strings.SplitSeq(rest, "\n-- ") {
		file, body, ok := strings.Cut(section, " --\n")
		if !ok {
			file = strings.TrimSuffix(section, " --")
		} else if body != "" && !strings.HasSuffix(body, "\n") {
			body += "\n"
		}
		if file == "want" {
			return body
		}
		put(t, dir, file, body)
	}
	return ""
}

// put writes a file of a fixture. <proc>/self is a link to a pid, as in the kernel's.
func put(t *testing.T, dir, file, body string) {
	t.Helper()
	file = strings.Replace(file, "proc/self/", "proc/1/", 1)
	path := filepath.Join(dir, file)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(body), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("1", dir+"/proc/self"); err != nil && !os.IsExist(err) && !os.IsNotExist(err) {
		t.Fatal(err)
	}
}

func rewrite(t *testing.T, name, want string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const head = "-- want --\n"
	before, _, _ := strings.Cut(string(data), head)
	if err := os.WriteFile(path, []byte(before+head+want), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestWithoutProcNothingIsClaimed(t *testing.T) {
	r := Examine(Config{Proc: t.TempDir() + "/none"})
	if r.OK() || len(r.Findings) != 1 {
		t.Errorf("got\n%s", text(r))
	}
	travels(t, r)
}

func TestARootOfAnotherFileSystemIsAProblem(t *testing.T) {
	dir := t.TempDir()
	e := exam{tree: look(Config{Root: dir}, unifiedAt("/sys/fs/cgroup/unified"))}
	want := "no group can be made below " + dir + ": " + dir + " is not below cgroup v2, which is mounted at /sys/fs/cgroup/unified"
	if got := e.root(); len(got) != 1 || got[0].Level != process.LevelProblem || got[0].Found != want {
		t.Errorf("got  %+v\nwant %s", got, want)
	}
}

// Nothing is asked of an ordinary user that he may not do, and each mend names who may.
func TestMendsOfAUserSayWhoDoesThem(t *testing.T) {
	const manager = "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service"
	e := exam{
		Config: Config{User: &UserManager{User: "alice", Unit: "user@1000.service", Runs: true}},
		tree:   tree{mount: "/sys/fs/cgroup", runs: manager + "/app.slice/processmanager-x.scope/processmanager-x/p"},
	}
	for at, want := range map[string]string{
		manager:                "as root: systemctl set-property user@1000.service TasksMax=infinity",
		manager + "/app.slice": "systemctl --user set-property app.slice TasksMax=infinity",
		"/sys/fs/cgroup/user.slice/user-1000.slice": "as root: systemctl set-property user-1000.slice TasksMax=infinity",
	} {
		if got := e.mendPidsMax(at); got != want {
			t.Errorf("%s: %s, want %s", at, got, want)
		}
	}
	for at, want := range map[string]string{
		"/sys/fs/cgroup/user.slice": "Delegate=cpu cpuset io memory pids", // systemd has not been told
		manager:                     ": systemctl restart user@1000.service",
	} {
		got := e.mendLack(lack{Missing: cgroup.Missing{Name: "io"}, why: notEnabled, at: at})
		if !strings.HasPrefix(got, "as root, ") || !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", at, got, want)
		}
	}
}
