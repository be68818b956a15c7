package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// A process that floods the smallest log files that may be does not hold up a quiet one.
func TestAFloodOfSmallLogFilesHoldsUpNobody(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	if r := d.pmclient("start", "-name", "meant10M", "-command", "yes", "-log", "-log_max_size", "10"); r.code == 0 ||
		!strings.Contains(r.stderr, "log_max_size: 10 bytes are too few: at least 4096 (4K); 10M are megabytes") {
		t.Errorf("%+v", r)
	}
	d.start(process.Spec{Name: "flood", Logging: process.Logging{Log: true, LogMaxSize: process.MinLogSize, LogMaxFiles: 500}, Command: "exec yes"})
	quiet := d.parrot(process.Spec{Name: "quiet"})
	file := d.state + "/logs/quiet/current"
	for i := range 5 {
		quiet.say("a line\n")
		said := time.Now()
		eventually(t, "the line is in its file", func() bool {
			text, _ := os.ReadFile(file)
			return strings.Count(string(text), "\n") == i+1
		})
		if took := time.Since(said); took > 2*time.Second*time.Duration(slowdown()) {
			t.Errorf("line %d took %v", i, took)
		}
	}
	d.stop("flood")
}

// A log whose directory cannot be used costs what is written meanwhile, which status
// says, and goes on when it can be used again.
func TestALogThatCannotBeWrittenIsSaidAndTriedAgain(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	dir := d.state + "/logs/x"
	if err := os.MkdirAll(d.state+"/logs", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // a file instead of a directory
		t.Fatal(err)
	}
	x := d.parrot(process.Spec{Name: "x"})
	x.say("lost\n")
	s := d.await("x", "said not to be written", func(s process.Status) bool { return s.OutputError != "" })
	if s.State != process.Running || !strings.Contains(s.OutputError, "output is dropped until it can be written: ") || s.LogDropped != 5 {
		t.Errorf("%+v", s)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is written again", func() bool {
		x.say("kept\n")
		return strings.HasSuffix(d.logs("x", 0), "kept\n")
	})
	if s := d.status("x"); s.OutputError != "" {
		t.Errorf("%+v", s)
	}
	if got := d.logs("x", 0); !strings.Contains(got, "bytes of output are missing here") {
		t.Errorf("%q", got)
	}
}

// A prompt is shown to who follows several logs, or wants times, though it has no end.
func TestFollowersAreShownAPrompt(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "a", Logging: process.Logging{Log: true}, Command: "printf 'name? '; sleep 1000"})
	d.start(process.Spec{Name: "b", Logging: process.Logging{Log: true}, Command: "echo started; sleep 1000"})
	for _, args := range []string{"logs -f a b", "logs -f -times a", "logs -f -grep name a"} {
		out := d.following(strings.Fields(args)...)
		eventually(t, args+" shows the prompt", func() bool { return strings.Contains(out(), "name? ") })
	}
}

// following runs the client until the test ends, and returns what it has written so far.
func (d *daemon) following(args ...string) (said func() string) {
	d.t.Helper()
	out := filepath.Join(d.t.TempDir(), "out")
	file, err := os.Create(out)
	if err != nil {
		d.t.Fatal(err)
	}
	defer file.Close()
	cmd := exec.Command(programs.client, append([]string{"-socket", d.socket, "-secret", theSecret}, args...)...)
	cmd.Dir, cmd.Env, cmd.Stdout = d.dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + d.dir}, file
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return func() string {
		text, _ := os.ReadFile(out)
		return string(text)
	}
}
