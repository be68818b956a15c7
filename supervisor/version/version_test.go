package version

import (
	"os"
	"runtime"
	"strings"
	"testing"
)

func TestEveryFactHasALine(t *testing.T) {
	number, commit = "1.2.3", "abc"
	defer func() { number, commit = "", "" }()
	var b strings.Builder
	if err := Write(&b, "pmclient", "/proc"); err != nil {
		t.Fatal(err)
	}
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	for i, want := range []string{"pmclient  1.2.3", "commit    abc", "go        " + runtime.Version(), "kernel    Linux " + strings.TrimSpace(string(release)), "cgroup    "} {
		if !strings.HasPrefix(lines[i], want) {
			t.Errorf("line %d: %q, want %q", i+1, lines[i], want)
		}
	}
}

// The views of hosts, and what is said of them. The mounts are asked for their type, so the
// views' own are none here, and that is said too.
func TestWhatIsNotThereIsSaid(t *testing.T) {
	dir := t.TempDir()
	if got := kernel(dir); !strings.HasPrefix(got, "unknown: ") {
		t.Errorf("kernel: %q", got)
	}
	if err := os.MkdirAll(dir+"/self", 0o755); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{"mountinfo": "22 1 0:20 / /proc rw - proc proc rw\n", "cgroup": "0::/\n"} {
		if err := os.WriteFile(dir+"/self/"+file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := hierarchy(dir); !strings.HasPrefix(got, "none: ") || strings.Contains(got, "none: cgroup: ") {
		t.Errorf("hierarchy: %q", got)
	}
}

func TestWithoutAStampItIsUnknownOrGitsOwn(t *testing.T) {
	if n := Number(); n == "" {
		t.Error("the number is empty")
	}
	if c := Commit(); c == "" || strings.HasPrefix(c, "-") {
		t.Errorf("the commit is %q", c)
	}
}
