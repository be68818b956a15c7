package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/systemd"
)

// The holder is the process that keeps the scope of our trees alive while no run does:
// systemd removes a scope some 20 ms after its last process, with all groups in it. It is a
// program that only waits. The worker would not do: it can be killed while its only run ends.
const (
	holderArg = "-hold-scope"  // with the user whose systemd it is, the scope's name and the units that it is to be before
	holdArg   = "-hold"        // with the scope's name
	attachArg = "-enter-scope" // with the user whose systemd it is, the scope's name and a group below
)

// scopeLimit is how long systemd may take for a scope; on a busy machine that boots, seconds.
const scopeLimit = 30 * time.Second

// newScope has a new holder ask systemd for a scope around itself, and returns the scope's
// group and the holder. The holder talks to systemd because what that takes in memory is
// gone with its exec.
func newScope(h *cgroup.Hierarchy, name string, host systemd.Manager, before string) (scope cgroup.Group, holder proc.ID, err error) {
	args := []string{holderArg, host.User, name}
	if before != "" {
		args = append(args, before)
	}
	cmd := holderCommand(args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return scope, holder, err
	}
	if err := cmd.Start(); err != nil {
		return scope, holder, err
	}
	defer func() {
		if err != nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
	}()
	data, err := io.ReadAll(out) // to its exec, or its end
	said := string(data)
	if err == nil && said == "" {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return scope, holder, fmt.Errorf("the holder of %s has ended without a word: %w", name, err)
	}
	if text, failed := strings.CutPrefix(said, "error "); failed {
		return scope, holder, errors.New(strings.TrimSpace(text))
	}
	group, err := h.Self(cmd.Process.Pid)
	if err != nil {
		return scope, holder, err
	}
	if scope = h.Group(group); scope.Name() != name {
		return scope, holder, fmt.Errorf("systemd has made %s, and its process is in %s", name, scope)
	}
	holder, err = identify(cmd.Process.Pid)
	return scope, holder, err
}

// startHolder starts a holder in a group of a scope that is there.
func startHolder(group cgroup.Group, name string) (holder proc.ID, err error) {
	dir, err := group.Dir()
	if err != nil {
		return holder, err
	}
	defer dir.Close()
	cmd := holderCommand(holdArg, name)
	cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(dir.Fd())
	if err := cmd.Start(); err != nil {
		return holder, err
	}
	return identify(cmd.Process.Pid)
}

// holderCommand is a process in a session of its own, so that no terminal ends it. It has
// nothing to collect and nothing to do side by side.
func holderCommand(args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Args[0] = "processmanager"
	cmd.Dir = "/"
	cmd.Env = []string{"GOMAXPROCS=1", "GOGC=off", "GOTRACEBACK=none"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd
}

func identify(pid int) (proc.ID, error) { return proc.Identify("/proc", pid) }

// holdScope is the holder: it asks for the scope, says how that went, and becomes the program
// that waits.
func holdScope(user, name string, before []string) error {
	host := systemd.Manager{Run: "/run", User: user}
	ctx, cancel := context.WithTimeout(context.Background(), scopeLimit)
	defer cancel()
	err := host.StartScope(ctx, systemd.Scope{
		Name: name, Description: "Processes of processmanager", PID: os.Getpid(), Before: before,
	})
	if err != nil {
		fmt.Printf("error %s\n", strings.ReplaceAll(err.Error(), "\n", " "))
		return err
	}
	fmt.Println("done")
	unix.CloseOnExec(1) // the keeper waits for that: a process in the middle of its exec is not moved as a whole
	return syscall.Exec("/proc/self/exe", []string{"processmanager", holdArg, name}, os.Environ())
}

// waitForSignal is the holder, once there is a scope: a signal ends it.
func waitForSignal() {
	for {
		unix.Pause()
	}
}

// attachSelf has systemd move this process into a group of a scope. A program of its own asks
// for it, as the holder does for the scope.
func attachSelf(host systemd.Manager, scope, group string) error {
	out, err := holderCommand(attachArg, host.User, scope, group).CombinedOutput()
	if text := strings.TrimSpace(string(out)); err != nil && text != "" {
		return errors.New(strings.TrimPrefix(text, "processmanager: "))
	}
	return err
}

// attachParent is that program.
func attachParent(user, scope, group string) error {
	ctx, cancel := context.WithTimeout(context.Background(), scopeLimit)
	defer cancel()
	return systemd.Manager{Run: "/run", User: user}.Attach(ctx, scope, group, os.Getppid())
}
