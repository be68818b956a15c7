package integration

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/client"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// own are the files that a daemon makes for itself and that others can delete.
func (d *daemon) own() []string {
	return []string{d.state + "/lock", d.state + "/run/runtime.lock", d.state + "/instance.json", d.state + "/processes.db", d.socket, client.SecretBeside(d.socket)}
}

// asked is the answer of a client that knows no more than the socket.
func (d *daemon) asked(name string) (s process.Status, err error) {
	d.t.Helper()
	secret, err := os.ReadFile(client.SecretBeside(d.socket))
	if err != nil {
		return s, err
	}
	pm, err := client.Dial(d.context(), client.Config{Socket: d.socket, Secret: bytes.TrimSpace(secret)})
	if err != nil {
		return s, err
	}
	defer pm.Close()
	return pm.Status(d.context(), name)
}

// logged is how much of the log of a process the daemon can read.
func (d *daemon) logged(name string) int64 {
	d.t.Helper()
	var size int64
	filepath.WalkDir(d.state+"/logs/"+name, func(path string, e fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".log") {
			if info, err := e.Info(); err == nil {
				size += info.Size()
			}
		}
		return nil
	})
	return size
}

// whole waits until the daemon has all its files, answers where clients look for it, and
// manages the process x, whose output arrives.
func (d *daemon) whole(pid int) {
	d.t.Helper()
	for _, path := range d.own() {
		eventually(d.t, path+" is there", func() bool { return !gone(path) })
	}
	eventually(d.t, "it answers", func() bool {
		s, err := d.asked("x")
		if err == nil && (s.PID != pid || s.State != process.Running || s.Number != 1) {
			d.t.Fatalf("pid %d: %+v", pid, s)
		}
		return err == nil
	})
	size := d.logged("x")
	eventually(d.t, "its output arrives", func() bool { return d.logged("x") > size })
}

// What others can delete, and how.
var deletions = map[string]func(d *daemon) error{
	"socket":            func(d *daemon) error { return os.Remove(d.socket) },
	"socket moved":      func(d *daemon) error { return os.Rename(d.socket, d.socket+".old") },
	"secret":            func(d *daemon) error { return os.Remove(client.SecretBeside(d.socket)) },
	"secret emptied":    func(d *daemon) error { return os.Truncate(client.SecretBeside(d.socket), 0) },
	"lock":              func(d *daemon) error { return os.Remove(d.state + "/lock") },
	"runtime lock":      func(d *daemon) error { return os.Remove(d.state + "/run/runtime.lock") },
	"identity":          func(d *daemon) error { return os.Remove(d.state + "/instance.json") },
	"identity emptied":  func(d *daemon) error { return os.Truncate(d.state+"/instance.json", 0) },
	"store":             func(d *daemon) error { return os.Remove(d.state + "/processes.db") },
	"all but the logs":  func(d *daemon) error { return d.deleteBut("logs") },
	"state emptied":     func(d *daemon) error { return d.deleteBut("") },
	"state deleted":     func(d *daemon) error { return os.RemoveAll(d.state) },
	"state moved":       func(d *daemon) error { return os.Rename(d.state, d.state+".old") },
	"runtime deleted":   func(d *daemon) error { return os.RemoveAll(d.state + "/run") },
	"runtime moved":     func(d *daemon) error { return os.Rename(d.state+"/run", d.state+"/run.old") },
	"FIFO":              func(d *daemon) error { return os.Remove(d.state + "/run/fifo/x.1") },
	"FIFOs moved":       func(d *daemon) error { return os.Rename(d.state+"/run/fifo", d.state+"/fifo.old") },
	"logs":              func(d *daemon) error { return os.RemoveAll(d.state + "/logs") },
	"logs moved":        func(d *daemon) error { return os.Rename(d.state+"/logs", d.state+"/logs.old") },
	"all, and above it": func(d *daemon) error { return os.Rename(d.dir+"/above", d.dir+"/elsewhere") },
}

// deleteBut empties the state directory but for one entry.
func (d *daemon) deleteBut(kept string) error {
	entries, err := os.ReadDir(d.state)
	for _, e := range entries {
		if e.Name() != kept {
			err = errors.Join(err, os.RemoveAll(d.state+"/"+e.Name()))
		}
	}
	return err
}

// Whatever is deleted under a living daemon is there again, so that the worker that comes
// next, the program that comes next and the daemon that comes next manage the same trees.
func TestWhatOthersDeleteIsMadeAgain(t *testing.T) {
	t.Parallel()
	for what, happen := range deletions {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			d := newDaemon(t, setup{NoSecret: true})
			d.state = d.dir + "/above/state"
			d.socket = d.state + "/run/pm.sock"
			d.launch()
			s := d.started()
			if err := happen(d); err != nil && !errors.Is(err, unix.ENOTEMPTY) { // it was faster than we
				t.Fatal(err)
			}
			d.whole(s.PID)
			d.killWorker()
			d.whole(s.PID)
			d.crash()
			d.launch()
			d.whole(s.PID)
			d.end(syscall.SIGTERM)
			if running(s.PID) {
				t.Error("it is not ended")
			}
			for _, path := range []string{d.socket, client.SecretBeside(d.socket)} {
				if !gone(path) {
					t.Errorf("%s is left", path)
				}
			}
		})
	}
}

// begin starts a process through a client that knows no more than the socket.
func (d *daemon) begin(spec process.Spec) process.Status {
	d.t.Helper()
	secret, err := os.ReadFile(client.SecretBeside(d.socket))
	if err != nil {
		d.t.Fatal(err)
	}
	pm, err := client.Dial(d.context(), client.Config{Socket: d.socket, Secret: bytes.TrimSpace(secret)})
	if err != nil {
		d.t.Fatal(err)
	}
	defer pm.Close()
	s, err := pm.Start(d.context(), spec)
	if err != nil {
		d.t.Fatal(err)
	}
	return s
}

// started starts the process x, which writes all the time.
func (d *daemon) started() process.Status {
	d.t.Helper()
	s := d.begin(process.Spec{Name: "x", Logging: process.Logging{Log: true}, Dir: "/", Command: "while :; do echo line; sleep 0.05; done"})
	eventually(d.t, "it has a log", func() bool { return d.logged("x") > 0 })
	return s
}

// The new socket reaches the worker that is there, also when the keeper has become
// another program meanwhile; what stands in the former one's connections goes on.
func TestASocketThatWasDeletedSurvivesUpgrades(t *testing.T) {
	t.Parallel()
	d, replace := ownProgram(t, setup{NoSecret: true})
	s := d.started()
	for i, by := range []string{otherProgram(t), programs.daemon, programs.daemon} {
		if err := os.Remove(d.socket); err != nil {
			t.Fatal(err)
		}
		d.whole(s.PID)
		replace(by)
		d.upgraded()
		d.whole(s.PID)
		if err := errors.Join(os.Remove(d.socket), os.Remove(client.SecretBeside(d.socket)), os.Remove(d.state+"/lock")); err != nil {
			t.Fatal(err)
		}
		d.whole(s.PID)
		other := newDaemon(t, setup{})
		other.state = d.state
		if said := other.refuse(); !strings.Contains(said, fmt.Sprint("pid ", d.keeper())) {
			t.Errorf("upgrade %d: a second daemon says %q", i+1, said)
		}
		other.state = other.dir
	}
}

// Somebody else's file in the place of the socket is not ours to delete.
func TestAFileInThePlaceOfTheSocketStays(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{NoSecret: true})
	s := d.started()
	from := d.log.len()
	foreign, err := net.Listen("unix", d.dir+"/foreign")
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	if err := os.Rename(d.dir+"/foreign", d.socket); err != nil {
		t.Fatal(err)
	}
	if !d.log.await(from, "somebody listens on "+d.socket, d.ended) {
		t.Fatalf("it does not say so: %s", d.log.since(from))
	}
	if err := os.WriteFile(d.dir+"/file", []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(d.dir+"/file", d.socket); err != nil {
		t.Fatal(err)
	}
	if !d.log.await(from, d.socket+" is there and is not a socket", d.ended) {
		t.Fatalf("it does not say so: %s", d.log.since(from))
	}
	if got, _ := os.ReadFile(d.socket); string(got) != "precious" {
		t.Fatalf("it holds %q", got)
	}
	if err := os.Rename(d.socket, d.dir+"/file"); err != nil {
		t.Fatal(err)
	}
	d.whole(s.PID)
	if err := os.Rename(d.dir+"/file", d.socket); err != nil {
		t.Fatal(err)
	}
	if code := d.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if got, _ := os.ReadFile(d.socket); string(got) != "precious" {
		t.Errorf("at its end it deletes a file of others: %q", got)
	}
	os.Remove(d.socket)
}

// The group above those of the runs is empty now and then, and can be removed then, by
// one who tidies up.
func TestTheGroupOfTheRunsIsMadeAgain(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	runs := d.runs()
	enabled, err := os.ReadFile(runs + "/cgroup.subtree_control")
	if err != nil {
		t.Fatal(err)
	}
	for _, next := range []func(){func() {}, d.killWorker, func() { d.crash(); d.launch() }} {
		if err := unix.Rmdir(runs); err != nil {
			t.Fatal(err)
		}
		next()
		if s := d.finished("x", "exit 3"); !same(s.ExitCode, new(3)) {
			t.Errorf("%+v", s)
		}
		if now, err := os.ReadFile(runs + "/cgroup.subtree_control"); string(now) != string(enabled) {
			t.Errorf("controllers %q, were %q, %v", now, enabled, err)
		}
		if err := d.client().Delete(d.context(), "x"); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Rmdir(runs); err != nil {
		t.Fatal(err)
	}
	if code := d.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// What cannot be made again is said once and tried again.
func TestWhatCannotBeMadeAgainIsTriedAgain(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, setup{NoSecret: true})
	d.socket = d.state + "/run/pm.sock"
	d.launch()
	s := d.started()
	from := d.log.len()
	if err := errors.Join(os.Rename(d.state, d.state+".old"), os.WriteFile(d.state, []byte("precious"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"/lock is not there any more and cannot be made again: ", "pm.sock is not there any more and cannot be made again: ", "the store "} {
		if !d.log.await(from, want, d.ended) {
			t.Fatalf("it does not say %q: %s", want, d.log.since(from))
		}
	}
	if got, _ := os.ReadFile(d.state); string(got) != "precious" {
		t.Errorf("a file of others holds %q", got)
	}
	if err := os.Remove(d.state); err != nil {
		t.Fatal(err)
	}
	d.whole(s.PID)
	if n := strings.Count(d.log.since(from), "/state/lock is not there"); n != 1 {
		t.Errorf("said %d times:\n%s", n, d.log.since(from))
	}
}
