package integration

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// seedScript are the command lines of the first description, as they stand there.
// Around them are places that they do not name, in a mount namespace of its own:
// the state directory, /run and /tmp.
const seedScript = `set -e
mount -t tmpfs tmpfs /run
mkdir /run/here
cp "$1" /run/here/processmanager
cp "$2" /run/here/pmclient
mkdir -p /run/lib
mount --bind /run/lib /var/lib
mount -t tmpfs tmpfs /tmp
cd /run/here

./processmanager -socket /tmp/processmanager.sock -secret mysecretkey 2>/run/here/log &
daemon=$!
trap 'kill $daemon 2>/dev/null || :' EXIT
until grep -q 'listening on' /run/here/log; do kill -0 $daemon || { cat /run/here/log >&2; exit 9; }; sleep 0.02; done

./pmclient -socket /tmp/processmanager.sock -secret mysecretkey start -name myprocess -command "echo hello world" -log
until ./pmclient -socket /tmp/processmanager.sock -secret mysecretkey status -name myprocess -format json | grep -q '"completed"'; do :; done
echo ==list
./pmclient -socket /tmp/processmanager.sock -secret mysecretkey list -format json
echo ==status
./pmclient -socket /tmp/processmanager.sock -secret mysecretkey status -name myprocess -format json || [ $? = 3 ] # it is at rest
echo ==stop
./pmclient -socket /tmp/processmanager.sock -secret mysecretkey stop -name myprocess
echo ==restart
./pmclient -socket /tmp/processmanager.sock -secret mysecretkey restart -name myprocess
echo ==delete
./pmclient -socket /tmp/processmanager.sock -secret mysecretkey delete -name myprocess
echo ==end
./pmclient -socket /tmp/processmanager.sock -secret mysecretkey list -format json
kill $daemon
wait $daemon
`

func TestCommandLinesOfTheSeedWorkAsPrinted(t *testing.T) {
	t.Parallel()
	// In a group of its own, for the daemon works below the one it is started in.
	group := newGroup(t)
	if err := os.Mkdir(group, 0o755); err != nil {
		t.Fatal(err)
	}
	defer removeGroup(group)
	dir, err := os.Open(group)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", seedScript, "sh", programs.daemon, programs.client)
	cmd.Cancel = func() error { return os.WriteFile(group+"/cgroup.kill", []byte("1"), 0) }
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/", raceOptions}
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS, UseCgroupFD: true, CgroupFD: int(dir.Fd())}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, fs.ErrPermission) {
		cannot(t, "no mount namespace can be made: %v", err)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if left := pidsIn(group); len(left) > 0 {
		t.Errorf("processes are left:%s", describe(left))
	}
	part := func(from, to string) string {
		_, rest, ok := strings.Cut(string(out), "=="+from+"\n")
		text, _, ok2 := strings.Cut(rest, "=="+to+"\n")
		if !ok || !ok2 {
			t.Fatalf("no part %s in:\n%s", from, out)
		}
		return text
	}
	var all []process.Status
	if err := json.Unmarshal([]byte(part("list", "status")), &all); err != nil || len(all) != 1 || all[0].Name != "myprocess" || !all[0].Log {
		t.Errorf("list: %+v, %v", all, err)
	}
	var s process.Status
	if err := json.Unmarshal([]byte(part("status", "stop")), &s); err != nil || s.State != process.Completed || s.ExitCode == nil || *s.ExitCode != 0 {
		t.Errorf("status: %+v, %v", s, err)
	}
	for from, to := range map[string]string{"stop": "restart", "restart": "delete", "delete": "end"} {
		if text := part(from, to); !strings.Contains(text, "'myprocess'") || strings.Count(text, "\n") != 1 {
			t.Errorf("%s: %q", from, text)
		}
	}
	if !strings.HasSuffix(string(out), "==end\n[]\n") {
		t.Errorf("at the end there is:\n%s", out)
	}
}

// seedLines are the heroscript lines of the first description.
var seedLines = []string{
	`!!process.start name:'myprocess' command:'echo hello world' log:true`,
	`!!process.list format:json`,
	`!!process.status name:'myprocess' format:json`,
	`!!process.stop name:'myprocess'`,
	`!!process.restart name:'myprocess'`,
	`!!process.delete name:'myprocess'`,
	`!!process.start name:'processname' command:'command which can be multiline' log:true deadline:30 cron:'0 0 * * *' jobid:'e42'`,
	`!!process.list format:json`,
	`!!process.status name:'processname' format:json`,
	`!!process.restart name:'processname'`,
	`!!process.stop name:'processname'`,
	`!!process.delete name:'processname'`,
}

func TestHeroscriptLinesOfTheSeedWorkAsPrinted(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	sessions := map[string]func(w *wire) string{
		"with blank lines": func(w *wire) string {
			w.send(theSecret + "\n\n\n" + strings.Join(seedLines, "\n\n\n") + "\n")
			return w.rest()
		},
		"one after the other": func(w *wire) string { // the last is ended by the end of input
			w.send(theSecret + "\n" + strings.Join(seedLines, "\n"))
			return w.rest()
		},
		"with an answer to each": func(w *wire) (all string) {
			w.send(theSecret + "\n")
			all = w.line() + "\n" + w.line() + "\n"
			for _, line := range seedLines {
				w.send(line + "\n\n")
				jobID, payload := w.answer()
				all += "**RESULT** " + jobID + "\n" + payload + "**ENDRESULT**\n"
			}
			return all + w.rest()
		},
	}
	for name, talk := range sessions {
		text, ok := strings.CutPrefix(talk(d.connect(t)), bannerAsk+"\n"+bannerOK+"\n")
		if !ok {
			t.Fatalf("%s: no banners in %q", name, text)
		}
		if n := strings.Count(text, "**ENDRESULT**\n"); n != len(seedLines) {
			t.Errorf("%s: %d answers to %d lines:\n%s", name, n, len(seedLines), text)
		}
		if strings.Contains(text, "Error") || strings.Contains(text, `"error"`) {
			t.Errorf("%s: an error in\n%s", name, text)
		}
		if !strings.Contains(text, "**RESULT** e42\n") {
			t.Errorf("%s: the jobid is not echoed in\n%s", name, text)
		}
	}
}

func TestNameMayBeGivenInThreeWays(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	for _, name := range [][]string{{"-name", "x"}, {"--name", "x"}, {"--name=x"}, {"x"}} {
		d.mustClient(append([]string{"start", "--command", "exec sleep 1000"}, name...)...)
		for _, verb := range []string{"status", "logs", "restart", "stop", "delete"} {
			d.mustClient(append([]string{verb}, name...)...)
		}
	}
}

func TestConnectionFlagsMayStandBehindTheCommand(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	r := d.execute(programs.client, "list", "-socket", d.socket, "--secret", theSecret, "-format", "json")
	if r.code != 0 || r.stdout != "[]\n" {
		t.Errorf("%+v", r)
	}
}
