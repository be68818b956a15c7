package integration

import (
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/client"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// What stands in the directory of the FIFOs and is none is not the daemon's to remove,
// nor is what a link leads to.
func TestOnlyFIFOsAreRemoved(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, setup{})
	runtime := d.state + "/run"
	fifos := runtime + "/fifo"
	precious := d.dir + "/precious"
	for _, dir := range []string{fifos, precious} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+"/file", []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mkfifo(dir+"/gone.1", 0o600); err != nil {
			t.Fatal(err)
		}
	}
	os.Symlink(precious, fifos+"/link.1")
	d.launch()
	d.start(process.Spec{Name: "job", Command: "sleep 1000"})
	// A second signal, of another kind, ends all at once.
	d.start(process.Spec{Name: "stubborn", Command: "trap '' TERM; echo ready; while :; do sleep 1000; done"})
	d.said("stubborn", "ready")
	if _, err := os.Lstat(fifos + "/gone.1"); err == nil {
		t.Error("the FIFO of a run that is no more is still there")
	}
	if err := d.cmd.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	d.end(unix.SIGINT)
	for _, path := range []string{fifos + "/file", fifos + "/link.1", precious + "/file", precious + "/gone.1"} {
		if _, err := os.Lstat(path); err != nil {
			t.Error(err)
		}
	}

	os.Rename(fifos, fifos+".old")
	os.Symlink(precious, fifos)
	defer os.Remove(fifos)
	if said := d.refuse(); !strings.Contains(said, fifos+" is a link") {
		t.Errorf("said %q", said)
	}
	for _, path := range []string{precious + "/file", precious + "/gone.1"} {
		if _, err := os.Lstat(path); err != nil {
			t.Error(err)
		}
	}
}

// Any user can take a TCP port while no daemon runs. The next one comes back to its trees
// all the same, and listens when the port is free.
func TestAPortThatAnotherHasDoesNotKeepTheDaemonAway(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, setup{})
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	address := taken.Addr().String()
	d.setup.Args = []string{"-listen", address}
	if said := d.refuse(); !strings.Contains(said, "address already in use") {
		t.Errorf("at the first start it says %q", said)
	}
	d.setup.Args = nil
	d.launch()
	d.start(process.Spec{Name: "p", Command: "exec sleep 1000"})
	pid := d.status("p").PID
	d.crash()
	d.setup.Args = []string{"-listen", address}
	from := d.log.len()
	d.launch()
	if s := d.status("p"); s.PID != pid {
		t.Errorf("%+v", s)
	}
	if !d.log.await(from, "nobody can connect to "+address, d.ended) {
		t.Errorf("it says %q", d.log.since(from))
	}
	taken.Close()
	if !d.log.await(from, "listening on "+address, d.ended) {
		t.Fatalf("it says %q", d.log.since(from))
	}
	eventually(t, "a telnet client is asked for the secret", func() bool {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return false
		}
		defer conn.Close()
		conn.SetReadDeadline(time.Now().Add(time.Second))
		got := make([]byte, 256)
		n, _ := conn.Read(got)
		return strings.Contains(string(got[:n]), "Welcome")
	})
}

// Who can write the program that an upgrade brings in can run commands as the daemon.
func TestAnUpgradeTakesNoProgramOfOthers(t *testing.T) {
	t.Parallel()
	d, replace := ownProgram(t, setup{})
	path := d.setup.Wrap[2]
	path = path[strings.Index(path, `"`)+1:]
	path = path[:strings.Index(path, `"`)]
	worker := d.worker()
	refused := func(want string) {
		t.Helper()
		if r := d.pmclient("upgrade"); r.code != 1 || !strings.Contains(r.stderr, want) {
			t.Errorf("got %+v, want %q", r, want)
		}
		if d.worker() != worker {
			t.Error("the worker was replaced")
		}
	}
	replace(programs.daemon)
	os.Chmod(path, 0o757)
	refused("chmod go-w " + path)
	os.Chmod(path, 0o755)
	if os.Geteuid() == 0 {
		os.Chown(path, 65534, 65534)
		refused("belongs to user 65534")
		os.Chown(path, 0, 0)
	}
	d.mustClient("upgrade")
}

// As a shell's <(command) is given. The daemon keeps no other descriptor of its caller.
func TestTheSecretMayComeFromADescriptor(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w.WriteString(theSecret + "\n")
	w.Close()
	d := newDaemon(t, setup{NoSecret: true, Args: []string{"-secret-file", "/dev/fd/3"}, Files: []*os.File{r}})
	d.launch()
	pm, err := client.Dial(d.context(), client.Config{Socket: d.socket, Secret: []byte(theSecret)})
	if err != nil {
		t.Fatal(err)
	}
	pm.Close()
}

// The logs may be on another disk.
func TestLogsMayBeALink(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, setup{})
	elsewhere := d.dir + "/elsewhere"
	for _, dir := range []string{d.state, elsewhere} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	os.Symlink(elsewhere, d.state+"/logs")
	d.launch()
	d.start(process.Spec{Name: "job", Command: "echo hello", Logging: process.Logging{Log: true}})
	d.said("job", "hello")
	if _, err := os.Stat(elsewhere + "/job"); err != nil {
		t.Error(err)
	}
	os.Chmod(elsewhere, 0o777)
	d.crash()
	if said := d.refuse(); !strings.Contains(said, "chmod go-w "+elsewhere) {
		t.Errorf("said %q", said)
	}
	os.Chmod(elsewhere, 0o700)
	d.launch()
}
