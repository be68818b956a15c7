package run

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/keeper"
	"github.com/freeflowuniverse/processmanager/supervisor/probe"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// What the group of a run's helper has behind the name of the run's: of its probe, and of what
// is run when it has failed. It is no number, so that it is the group of no run: should the
// worker die, the next one ends whoever is in it.
const (
	helperProbe     = ".probe"
	helperOnFailure = ".on_failure"
)

// IsHelper reports whether a group is that of what was started beside a run.
func IsHelper(group string) bool {
	for _, helper := range []string{helperProbe, helperOnFailure} {
		if of, is := strings.CutSuffix(group, helper); is {
			_, is = ParseName(of)
			return is
		}
	}
	return false
}

const (
	maxWords   = 1 << 10               // bytes of what a helper writes last that are kept
	wordsPause = 2 * time.Millisecond  // between two reads of one that writes much
	killAgain  = 50 * time.Millisecond // between two SIGKILLs to a helper that may be born late
)

// Probe has the shell run a command beside a run, as the run's leader was started but in a
// group of its own. It returns nil when that exits 0, and otherwise an error of one line
// with the last line that it wrote. When ctx ends, or the command has, whoever is still in
// the group is ended. One at a time for each run.
func (h *Host) Probe(ctx context.Context, p Plan, command string) error {
	return h.beside(ctx, p, helperProbe, command, nil)
}

// beside is Probe for a helper of a kind, which has more variables than its run.
func (h *Host) beside(ctx context.Context, p Plan, kind, command string, env []string) (err error) {
	name := Name(p.ID) + kind
	if h.Admit != nil { // that of a former worker may not be gone yet
		if err := h.Admit(name); err != nil {
			return &probe.NotAsked{Err: err}
		}
	}
	group := h.Group(name)
	err = group.Make()
	if errors.Is(err, fs.ErrExist) { // SIGKILL did not end the one before in time
		if group.Remove() != nil {
			return &probe.NotAsked{Err: errors.New("the one before has not ended yet: SIGKILL does not end it")}
		}
		err = group.Make()
	}
	if err != nil {
		return &probe.NotAsked{Err: err}
	}
	words, exit, helpErr := h.help(ctx, p, group, command, env)
	limit := killLimit
	if errors.Is(helpErr, context.Canceled) { // it has had that already
		limit = 0
	}
	removed := endHelper(group, limit)
	switch {
	case errors.Is(helpErr, keeper.ErrKeeperGone):
		select {} // this worker ends, and nothing comes of what it does not know
	case ctx.Err() != nil:
		err = errors.New("it took too long")
		if errors.Is(ctx.Err(), context.Canceled) {
			err = ctx.Err()
		}
	case proc.Passing(helpErr):
		return &probe.NotAsked{Err: helpErr}
	case helpErr != nil:
		return helpErr
	case removed != nil && exit == "":
		return &probe.NotAsked{Err: removed}
	case exit == "":
		return nil
	default:
		err = errors.New(exit)
	}
	if words != "" {
		err = fmt.Errorf("%w: %s", err, words)
	}
	return err
}

// AwaitProbes waits until no probe is under way, when no run is any more. Those that SIGKILL
// does not end are not waited for.
func (h *Host) AwaitProbes() {
	ended := make(chan struct{})
	go func() {
		h.probes.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(killLimit):
	}
}

// help has the keeper start the command and waits for its end. exit is empty for a success.
func (h *Host) help(ctx context.Context, p Plan, group Group, command string, env []string) (words, exit string, err error) {
	c, err := h.command(p, command)
	if err != nil {
		return "", "", err
	}
	c.Env = mergeEnv(c.Env, env)
	if c.Settings != nil {
		c.Settings.Input = "" // that is the run's
	}
	dir, err := group.Dir()
	if err != nil {
		return "", "", err
	}
	defer dir.Close()
	reader, writer, err := wordsPipe()
	if err != nil {
		return "", "", err
	}
	defer reader.Close()
	if err := giveTo(c.Settings, writer); err != nil {
		writer.Close()
		return "", "", err
	}
	heard := make(chan string, 1)
	go func() { heard <- lastWords(reader) }()

	c.Group, c.Output = dir, writer
	unlimited, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	answered, killed := make(chan struct{}), make(chan struct{})
	go func() { // it may be born behind the first SIGKILL
		defer close(killed)
		defer giveUp()
		select {
		case <-answered:
			return
		case <-ctx.Done():
		}
		for end := time.Now().Add(killLimit); time.Now().Before(end); {
			group.Kill()
			select {
			case <-answered:
				return
			case <-time.After(killAgain):
			}
		}
	}()
	x, err := h.Keeper.Help(unlimited, c)
	close(answered)
	<-killed
	writer.Close()
	if err != nil {
		return "", "", err
	}
	group.Kill() // what it has left behind holds the pipe
	select {
	case words = <-heard:
	case <-time.After(killLimit):
	}
	switch {
	case x.Signal != 0:
		exit = "ended by SIG" + strings.TrimPrefix(unix.SignalName(x.Signal), "SIG")
	case x.Code != 0:
		exit = fmt.Sprintf("exit code %d", x.Code)
	}
	return words, exit, nil
}

// endHelper ends who is left in the group of a helper and removes it, within a limit.
func endHelper(group Group, limit time.Duration) error {
	err := RetryPassing(group.Kill)
	for end, pause := time.Now().Add(limit), time.Millisecond; err == nil && time.Now().Before(end); pause = min(2*pause, killAgain) {
		if empty, _ := IsEmpty(group); empty {
			return group.Remove()
		}
		time.Sleep(pause)
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = group.Remove()
	}
	return err
}

// wordsPipe is a pipe whose reader does not block a thread, while its writer blocks, as
// programs expect.
func wordsPipe() (reader, writer *os.File, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, os.NewSyscallError("pipe2", err)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		unix.Close(fds[0])
		unix.Close(fds[1])
		return nil, nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(fds[0]), "pipe"), os.NewFile(uintptr(fds[1]), "pipe"), nil
}

// lastWords reads to the end and returns the last line in which something stands, as text.
// One that writes without end is read slowly.
func lastWords(r io.Reader) string {
	var kept []byte
	buf := make([]byte, 16<<10)
	for {
		n, err := r.Read(buf)
		kept = append(kept, buf[:n]...)
		if more := len(kept) - maxWords; more > 0 {
			kept = append(kept[:0], kept[more:]...)
		}
		if err != nil {
			break
		}
		if n == len(buf) {
			time.Sleep(wordsPause)
		}
	}
	kept = bytes.TrimSpace(kept)
	return screen.Cut(strings.ToValidUTF8(string(kept[bytes.LastIndexByte(kept, '\n')+1:]), "�"), maxWords)
}
