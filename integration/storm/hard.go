package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A hard place is one in which the daemon may refuse what it is asked for, because it
// lacks something: descriptors (-files), or a disk that takes what is written (-disk).
// It must not lose or invent anything for that, nor harm a tree.

// disks are what can be wrong with the disk of the state directory, by the names of -disk.
var disks = map[string]func(d *disk, while time.Duration) error{
	"fills":   (*disk).fill,
	"freezes": (*disk).freeze,
}

// hard reports whether the daemon may refuse.
func (o *options) hard() bool { return o.files > 0 || o.disk != "" }

// inNamespace runs this program again in a mount namespace of its own, for what it
// mounts there goes with it. It returns the exit code.
func inNamespace(args []string, stdout, stderr io.Writer) int {
	cmd := exec.Command("/proc/self/exe", args[1:]...)
	cmd.Env = append(os.Environ(), namespaceEnv+"=1")
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		for {
			select {
			case s := <-signals:
				cmd.Process.Signal(s)
			case <-ended:
				return
			}
		}
	}()
	cmd.Wait()
	return cmd.ProcessState.ExitCode()
}

const namespaceEnv = "STORM_NAMESPACE"

// disk is a small ext4 file system at the state directory.
type disk struct{ dir string }

func mountDisk(image, dir string) (*disk, error) {
	const script = `truncate -s 48M "$0" && mkfs.ext4 -q -m 0 "$0" && mkdir "$1" && mount -o loop "$0" "$1" && chmod 700 "$1" && rmdir "$1/lost+found"`
	if out, err := exec.Command("/bin/sh", "-c", script, image, dir).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("mount a disk at %s: %w\n%s", dir, err, out)
	}
	return &disk{dir}, nil
}

func (d *disk) unmount() { unix.Unmount(d.dir, unix.MNT_DETACH) }

// fill leaves no block free for a while.
func (d *disk) fill(while time.Duration) error {
	path := d.dir + "/fill"
	defer os.Remove(path)
	f, err := os.Create(path)
	if errors.Is(err, unix.ENOSPC) {
		err = nil
	}
	if err != nil {
		return err
	}
	if f != nil {
		defer f.Close()
		for block := make([]byte, 1<<16); len(block) > 0; {
			if _, err := f.Write(block); err != nil {
				block = block[:len(block)/2]
			}
		}
	}
	time.Sleep(while)
	return nil
}

// freeze has everybody who writes wait for a while. Another process thaws the disk: after
// that time, or when this one ends, however it does.
func (d *disk) freeze(while time.Duration) error {
	cmd := exec.Command("/bin/sh", "-c", `fsfreeze -f "$0" && timeout "$1" cat >/dev/null; fsfreeze -u "$0"`, d.dir, fmt.Sprintf("%.3f", while.Seconds()))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	hold, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	defer hold.Close()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("freeze %s: %w\n%s", d.dir, err, out)
	}
	return nil
}

// troubleDisk makes the disk bad, again and again, until ctx ends. When it returns it is good.
func (s *storm) troubleDisk(ctx context.Context) {
	happen := disks[s.options.disk]
	random := rand.New(rand.NewPCG(s.seed, 1<<32))
	for s.killer.wait(ctx, milliseconds(random, 200, 2500)) {
		while := milliseconds(random, 500, 4000)
		s.journal.notef("the disk %s for %v", s.options.disk, while)
		if err := happen(s.onDisk, while); err != nil {
			s.journal.failf("%w", err)
			return
		}
		s.troubles++
	}
}
