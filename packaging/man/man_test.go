package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/cmd/pmclient/commands"
	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/supervisor/config"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

var day = time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)

// made are the pages by their names.
func made(t *testing.T) map[string]string {
	t.Helper()
	if _, err := os.Stat("../../go.mod"); err != nil {
		t.Skip("the source tree is not here")
	}
	files, err := pages(day)
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]string{}
	for path, text := range files {
		byName[strings.TrimPrefix(path, "man/")] = text
	}
	return byName
}

// tags fails the test unless a page has an item for the tag.
func tags(t *testing.T, page, tag string) {
	t.Helper()
	if !strings.Contains(page, "\n.It "+tag+"\n") && !strings.Contains(page, "\n.It "+tag+" ") {
		t.Errorf("no item is about %s", tag)
	}
}

func TestThePageOfTheDaemonHasEveryFlag(t *testing.T) {
	page := made(t)["processmanager.8"]
	for i := range config.Flags {
		f := &config.Flags[i]
		value, _ := f.Value()
		tags(t, page, flagTag("", f.Name, value))
		if !strings.Contains(page, ".Op "+flagTag("", f.Name, value)+"\n") {
			t.Errorf("-%s is not in the synopsis", f.Name)
		}
		if env := f.Env(); env != "" {
			tags(t, page, "Ev "+env)
		}
		if value != "" && !strings.Contains(flat(page), flat(prose("Default: "+f.Default))) {
			t.Errorf("-%s: the default %q is not told", f.Name, f.Default)
		}
	}
}

func TestThePageOfTheClientHasEveryCommandAndFlag(t *testing.T) {
	page := made(t)["pmclient.1"]
	for _, c := range commands.All() {
		tags(t, page, "Cm "+argument(c.Name))
		for _, f := range c.Flags {
			tags(t, page, flagTag(f.Short, f.Name, f.Value))
		}
	}
	for _, p := range append(commands.Connection, commands.Version) {
		tags(t, page, flagTag("", p.Name, p.Value))
	}
	for _, e := range commands.Exits {
		tags(t, page, fmt.Sprint(e.Code))
	}
}

func TestTheLanguagesPageHasEveryVerbAndParameter(t *testing.T) {
	page := made(t)["heroscript.5"]
	for _, v := range verbs.All() {
		tags(t, page, "Cm !!"+v.Name)
		for _, p := range v.AllParams() {
			tags(t, page, keyTag(p.Name, p.Value))
		}
	}
	for _, heading := range []string{".Ss Grammar", "at most 256 parameters"} {
		if !strings.Contains(flat(page), heading) {
			t.Errorf("%q is missing", heading)
		}
	}
}

// Each field is told with what the table knows of it, in both forms.
func TestFieldsAreToldWithUnitAndDefault(t *testing.T) {
	for name, page := range made(t) {
		if name == "processmanager.8" {
			continue
		}
		groups := map[process.Group]bool{}
		for _, g := range groupTitles {
			groups[g.group] = true
		}
		for i := range process.Fields {
			f := &process.Fields[i]
			if !groups[f.Group] {
				t.Fatalf("the group %s of %s has no title", f.Group, f.Name)
			}
			tag := keyTag(f.Name, f.Value)
			if name == "pmclient.1" {
				tag = flagTag("", f.Name, f.Value)
			}
			_, fields, _ := strings.Cut(page, "\n.Sh FIELDS OF A DEFINITION\n")
			_, about, found := strings.Cut(fields, "\n.It "+tag+"\n")
			about, _, _ = strings.Cut(about, "\n.It ")
			if !found {
				t.Errorf("%s: no item is about %s", name, tag)
				continue
			}
			want := []string{f.Default}
			if f.Value != "" {
				tags(t, page, "Ar "+argument(f.Value))
			}
			if r := resource(f.Name); r != nil {
				want = append(want, r.Takes())
			}
			if !f.Live {
				want = append(want, "A change takes a restart.")
			}
			for _, want := range append(want, f.Choices...) {
				if !strings.Contains(flat(about), flat(prose(want))) {
					t.Errorf("%s: %s: %q is not told in %q", name, f.Name, want, about)
				}
			}
		}
	}
}

// flat is text on one line.
func flat(text string) string { return strings.Join(strings.Fields(text), " ") }

// The daemon's signals and what both programs read of their environment are in no table: the
// sources are asked.
func TestPagesNameSignalsAndVariables(t *testing.T) {
	all := made(t)
	for _, name := range found(t, regexp.MustCompile(`unix\.(SIG[A-Z0-9]+)`), "../../supervisor/keeper/signals.go", "../../supervisor/keeper/terminal.go") {
		if !strings.Contains(all["processmanager.8"], ".Dv "+name) && !strings.Contains(all["processmanager.8"], "Dv "+name) {
			t.Errorf("processmanager(8) does not name %s", name)
		}
	}
	var sources []string
	for _, dir := range []string{"cmd", "supervisor", "telnet", "heroscript", "proc", "cgroup"} {
		err := filepath.WalkDir("../../"+dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
				sources = append(sources, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	// crashEnv is for tests of the daemon.
	text := strings.ReplaceAll(all["processmanager.8"]+all["pmclient.1"]+all["heroscript.5"], "Ev ", "") + "PROCESSMANAGER_CRASH_FILE"
	for _, name := range found(t, regexp.MustCompile(`(?:[Gg]etenv|LookupEnv)\("([A-Z_]+)"\)|= "(PROCESSMANAGER_[A-Z_]+[A-Z])"`), sources...) {
		if !strings.Contains(text, name) {
			t.Errorf("no page names the variable %s", name)
		}
	}
}

// found is what the first group of a pattern that matches has matched in files.
func found(t *testing.T, pattern *regexp.Regexp, files ...string) (all []string) {
	t.Helper()
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range pattern.FindAllStringSubmatch(string(text), -1) {
			all = append(all, strings.Join(match[1:], ""))
		}
	}
	if len(all) == 0 {
		t.Errorf("%v is nowhere in %q", pattern, files)
	}
	return all
}

// mandoc has nothing to say, and shows what was written.
func TestPagesAreClean(t *testing.T) {
	made(t)
	if _, err := exec.LookPath("mandoc"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("mandoc is not here (apt-get install mandoc): %v", err)
	}
	dir := t.TempDir()
	if err := write(dir, fmt.Sprint(day.Unix())); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("mandoc", "-T", "lint", "processmanager.8", "pmclient.1", "heroscript.5")
	cmd.Dir = dir + "/man"
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("mandoc -T lint: %v\n%s", err, out)
	}
	for page, lines := range map[string][]string{
		"processmanager.8": {"PROCESSMANAGER(8)", "-socket-mode MODE", "January 31, 2026"},
		"pmclient.1":       {"-restart WHEN", "-n, -limit LINES", "$ pmclient log -f web", "start NAME… [-- PROGRAM ARGUMENT…]"},
		"heroscript.5":     {"restart:WHEN", "!!process.start", `| '"' { `},
	} {
		cmd := exec.Command("mandoc", "-T", "utf8", page)
		cmd.Dir = dir + "/man"
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", page, err)
		}
		text := regexp.MustCompile(".\b").ReplaceAllString(string(out), "") // bold and underlined
		for _, line := range lines {
			if !strings.Contains(text, line) {
				t.Errorf("%s does not show %q", page, line)
			}
		}
	}
}

// What most readers of a page have is groff, by man. Debian calls it groff-base.
func TestPagesAreNoBSDsForGroff(t *testing.T) {
	made(t)
	if _, err := exec.LookPath("groff"); err != nil {
		t.Skipf("groff is not here (apt-get install groff-base): %v", err)
	}
	dir := t.TempDir()
	if err := write(dir, fmt.Sprint(day.Unix())); err != nil {
		t.Fatal(err)
	}
	for page, manual := range map[string]string{
		"processmanager.8": "System Manager's Manual", "pmclient.1": "General Commands Manual", "heroscript.5": "File Formats Manual",
	} {
		cmd := exec.Command("groff", "-mdoc", "-T", "utf8", "-w", "w", page)
		cmd.Dir = dir + "/man"
		var said strings.Builder
		cmd.Stderr = &said
		out, err := cmd.Output()
		if err != nil || said.Len() > 0 {
			t.Errorf("%s: %v: %s", page, err, said.String())
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		if first, last := lines[0], lines[len(lines)-1]; !strings.Contains(first, "  "+manual+"  ") || !strings.HasPrefix(last, "Linux ") {
			t.Errorf("%s begins with %q and ends with %q", page, first, last)
		}
	}
}
