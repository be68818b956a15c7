package integration

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// programs are the binaries under test, and this one.
var programs struct{ daemon, client, self string }

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "role" {
		roles[os.Args[2]](os.Args[3:])
		return
	}
	flag.Parse()
	// They mostly wait. Unless told otherwise, more of them than there are processors.
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		f.Value.Set(fmt.Sprint(4 * runtime.GOMAXPROCS(0)))
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "pm-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if programs.self, err = os.Executable(); err == nil {
		programs.daemon, err = program("PM_BIN", dir, "processmanager")
	}
	if err == nil {
		programs.client, err = program("PMCLIENT_BIN", dir, "pmclient")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// raceOptions keep programs with the race detector from waiting a second at exit.
const raceOptions = "GORACE=atexit_sleep_ms=0"

// program is a binary that was given, or one that is built now.
func program(variable, dir, name string) (string, error) {
	if path := os.Getenv(variable); path != "" {
		return filepath.Abs(path)
	}
	return build(dir, name, raceEnabled)
}

func build(dir, name string, race bool) (string, error) {
	path := filepath.Join(dir, name)
	args := []string{"build", "-o", path}
	if race {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, "../cmd/"+name)...)
	if !race { // as make build does it
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s: %w\n%s", name, err, out)
	}
	return path, nil
}

// plainProgram is the daemon without the race detector, which makes it several times
// slower: for tests of how long something takes.
func plainProgram(t *testing.T) string {
	t.Helper()
	if !raceEnabled {
		return programs.daemon
	}
	path, err := build(t.TempDir(), "processmanager", false)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
