package integration

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/freeflowuniverse/processmanager"

// mayImport is who may import whom, beside the standard library: the rooms of the
// design. A package that is not here may import nothing but that. Paths without
// a dot are of this module.
//
// Change it when the design has changed, not to make the test pass.
var mayImport = map[string]string{
	"telnet/screen":      "",
	"supervisor/border":  "telnet/screen",
	"supervisor/process": "telnet/screen",
	"heroscript":         "",
	"cgroup":             "github.com/containerd/cgroups golang.org/x/sys",
	"proc":               "github.com/prometheus/procfs golang.org/x/sys",
	"supervisor/private": "",

	"heroscript/verbs": "heroscript supervisor/border supervisor/process supervisor/schedule telnet/screen",
	"telnet":           "heroscript supervisor/border telnet/screen",
	"telnet/lineedit":  "heroscript supervisor/border telnet telnet/screen golang.org/x/term",

	"supervisor": "cgroup proc telnet/screen supervisor/border supervisor/clock supervisor/private supervisor/process supervisor/lifecycle " +
		"supervisor/store supervisor/keeper supervisor/kernellog supervisor/logs supervisor/run supervisor/files supervisor/order supervisor/probe supervisor/schedule supervisor/definitions",
	"supervisor/order":     "",
	"supervisor/probe":     "supervisor/process telnet/screen golang.org/x/sys",
	"supervisor/run":       "cgroup proc telnet/screen supervisor/border supervisor/files supervisor/keeper supervisor/lifecycle supervisor/notify supervisor/private supervisor/probe supervisor/process golang.org/x/sys",
	"supervisor/kernellog": "golang.org/x/sys",
	"supervisor/notify":    "telnet/screen golang.org/x/sys",
	"supervisor/lifecycle": "supervisor/process",
	"supervisor/store":     "proc supervisor/files supervisor/private supervisor/process go.etcd.io/bbolt golang.org/x/sys",
	"supervisor/clock":     "proc golang.org/x/sys",
	"supervisor/schedule":  "supervisor/process github.com/robfig/cron",
	"supervisor/doctor":    "cgroup proc supervisor/private supervisor/process telnet supervisor/schedule github.com/prometheus/procfs golang.org/x/sys",
	"supervisor/logs":      "supervisor/border supervisor/process supervisor/files telnet/screen github.com/klauspost/compress golang.org/x/sys",
	"supervisor/files":     "golang.org/x/sys",
	"supervisor/systemd":   "github.com/coreos/go-systemd github.com/godbus/dbus golang.org/x/sys",
	"supervisor/version":   "cgroup",
	"supervisor/top":       "heroscript heroscript/verbs supervisor/border supervisor/process telnet/screen",
	"supervisor/top/tty":   "heroscript/verbs supervisor/border supervisor/top telnet/screen github.com/gdamore/tcell",
	"supervisor/keeper":    "proc golang.org/x/sys",
	"supervisor/client":    "heroscript heroscript/verbs supervisor/private supervisor/process telnet telnet/screen",

	"supervisor/metrics": "supervisor/process github.com/prometheus/client_golang github.com/prometheus/common",

	"supervisor/config": "heroscript/verbs supervisor/client supervisor/private supervisor/process telnet telnet/screen",

	"supervisor/definitions": "heroscript heroscript/verbs supervisor/private supervisor/process",

	"cmd/pmclient":          anything,
	"cmd/pmclient/commands": "heroscript/verbs supervisor/process",
	"cmd/processmanager":    anything,
	"packaging/completions": "supervisor/config",
	"packaging/man":         anything,
	"integration":           anything, // and what is below it
}

const anything = "anything"

func TestImportsGoDownOnly(t *testing.T) {
	all := imports(t)
	for _, pkg := range slices.Sorted(maps.Keys(all)) {
		rule := mayImport[pkg]
		if rule == anything || strings.HasPrefix(pkg, "integration/") {
			continue
		}
		for _, imported := range all[pkg] {
			if !slices.ContainsFunc(strings.Fields(rule), func(may string) bool { return covers(may, imported) }) {
				t.Errorf("%s may not import %s", pkg, imported)
			}
		}
	}
	for pkg := range mayImport {
		if _, ok := all[pkg]; !ok {
			t.Errorf("there is no package %s: take it out of the rules", pkg)
		}
	}
}

// covers reports whether a rule allows an import: of the package itself, or, of
// another module, of any package in it.
func covers(may, imported string) bool {
	return may == imported || thirdParty(may) && strings.HasPrefix(imported, may+"/")
}

// Whoever uses the client library gets no other module with it but the one that reads
// schedules, which needs none itself.
func TestTheClientLibraryPullsInNobody(t *testing.T) {
	all := imports(t)
	seen := map[string]bool{}
	var visit func(pkg string, via []string)
	visit = func(pkg string, via []string) {
		via = append(via, pkg)
		switch {
		case covers("github.com/robfig/cron", pkg):
		case thirdParty(pkg):
			t.Errorf("third-party: %s", strings.Join(via, " -> "))
		case !seen[pkg]:
			seen[pkg] = true
			for _, imported := range all[pkg] {
				visit(imported, slices.Clip(via))
			}
		}
	}
	visit("supervisor/client", nil)
}

// zoneData is the package that embeds the zones: half a megabyte.
const zoneData = "time/tzdata"

// A host may have no zone data, and only the daemon looks at zones.
func TestTheDaemonAloneEmbedsTheZones(t *testing.T) {
	for pkg, imported := range imports(t) {
		if embeds := slices.Contains(imported, zoneData); embeds != (pkg == "cmd/processmanager") {
			t.Errorf("%s embeds zones: %v", pkg, embeds)
		}
	}
}

// Names that say nothing about what is inside.
func TestNoPackageIsCalledUtil(t *testing.T) {
	for pkg := range imports(t) {
		for _, part := range strings.Split(pkg, "/") {
			if slices.Contains([]string{"util", "utils", "common", "types", "helpers", "helper", "misc", "base"}, part) {
				t.Errorf("%s", pkg)
			}
		}
	}
}

func thirdParty(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return strings.Contains(first, ".")
}

// imports is what each package of the module imports outside the standard library, and zoneData,
// whatever the platform it is built for; tests are free. Packages of the module
// go by their directory.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	root := sources(t)
	all := map[string][]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_")):
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		all[dir] = append(all[dir], nil...) // it is there, even if it imports nothing
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			own, ours := strings.CutPrefix(imported, module+"/")
			if (ours || thirdParty(imported) || imported == zoneData) && !slices.Contains(all[dir], own) {
				all[dir] = append(all[dir], own)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// sources is the directory of the module. Where only test binaries are, as in a
// guest machine, there is nothing to look at.
func sources(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("../go.mod")
	if os.IsNotExist(err) {
		t.Skip("the sources are not here")
	}
	if err != nil || !strings.HasPrefix(string(data), "module "+module+"\n") {
		t.Fatalf("../go.mod is not that of %s: %v", module, err)
	}
	return ".."
}
