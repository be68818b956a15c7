package integration

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// mostBytes is how large the programs may be.
var mostBytes = map[string]int64{"pmclient": 8 << 20, "processmanager": 20 << 20}

// What make build makes is what people get.
func TestProgramsAreStaticAndSmallAndSayWhatTheyAre(t *testing.T) {
	t.Parallel()
	root := sources(t)
	bin := t.TempDir()
	if out, err := exec.Command("make", "-C", root, "build", "BIN="+bin).CombinedOutput(); err != nil {
		t.Fatalf("make build: %v\n%s", err, out)
	}
	for name, most := range mostBytes {
		path := filepath.Join(bin, name)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() >= most {
			t.Errorf("%s has %d bytes, and fewer than %d are promised", name, info.Size(), most)
		}
		isStatic(t, path)
		for _, arg := range []string{"-version", "--version"} {
			saysWhatItIs(t, path, arg, headCommit(t, root))
		}
	}
}

// isStatic fails the test if a program needs a dynamic linker or a library.
func isStatic(t *testing.T, path string) {
	t.Helper()
	file, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("%s is not static: it has a segment %v", path, p.Type)
		}
	}
	if libraries, err := file.ImportedLibraries(); err != nil || len(libraries) > 0 {
		t.Errorf("%s needs %q, %v", path, libraries, err)
	}
}

func saysWhatItIs(t *testing.T, path, arg, commit string) {
	t.Helper()
	out, err := exec.Command(path, arg).Output()
	if err != nil {
		t.Fatalf("%s %s: %v", path, arg, err)
	}
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		t.Fatal(err)
	}
	facts := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		facts[name] = strings.TrimSpace(value)
	}
	if number := facts[filepath.Base(path)]; !regexp.MustCompile(`^\d+\.\d+\.\d+`).MatchString(number) {
		t.Errorf("%s %s: the version is %q", path, arg, number)
	}
	if got := strings.TrimSuffix(facts["commit"], "-dirty"); got != commit {
		t.Errorf("%s %s: the commit is %q, not %q", path, arg, got, commit)
	}
	if want := runtime.Version() + " linux/"; !strings.HasPrefix(facts["go"], want) {
		t.Errorf("%s %s: Go is %q, not %s", path, arg, facts["go"], want)
	}
	if want := "Linux " + strings.TrimSpace(string(release)); facts["kernel"] != want {
		t.Errorf("%s %s: the kernel is %q, not %q", path, arg, facts["kernel"], want)
	}
	kind, mount, found := strings.Cut(facts["cgroup"], ", v2 at ")
	if _, err := os.Stat(mount + "/cgroup.controllers"); !found || err != nil || kind != "unified" && kind != "hybrid" {
		t.Errorf("%s %s: the hierarchy is %q, %v", path, arg, facts["cgroup"], err)
	}
}

// headCommit is what the programs of these sources say of their commit: unknown, where they
// are no checkout.
func headCommit(t *testing.T, root string) string {
	t.Helper()
	if _, err := os.Stat(root + "/.git"); err != nil {
		return "unknown"
	}
	if _, err := exec.LookPath("git"); err != nil {
		return "unknown"
	}
	out, err := exec.Command("git", "--git-dir="+root+"/.git", "rev-parse", "HEAD").Output()
	if err != nil {
		t.Fatalf("git rev-parse HEAD: %v", err)
	}
	return strings.TrimSpace(string(out))
}
