package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/supervisor/client"
	"github.com/freeflowuniverse/processmanager/telnet/lineedit"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// shell is an editing session on this terminal; without one it reads a script.
func shell(ctx context.Context, conn connection, args []string, stdin io.Reader, stdout *output) error {
	f := quietFlags("shell")
	conn.register(f)
	words, err := parseWords(f, args)
	if err != nil {
		return err
	}
	if len(words) > 0 {
		return usageOf("shell", "shell takes no arguments")
	}
	tty, ok := stdin.(*os.File)
	if !ok || !term.IsTerminal(int(tty.Fd())) {
		return runScript(ctx, conn, []string{"-"}, stdin, stdout)
	}
	c, err := conn.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	fd := int(tty.Fd())
	cooked, err := term.MakeRaw(fd)
	if err != nil {
		return err
	}
	defer term.Restore(fd, cooked)

	resized, stop := resizes()
	defer stop()
	err = lineedit.Run(ctx, struct {
		io.Reader
		io.Writer
	}{tty, stdout.raw}, lineedit.Options{
		Execute: func(ctx context.Context, action string, out io.Writer) error {
			return execute(ctx, c, action, lineedit.Columns(tty), out)
		},
		Complete: func(line string, pos int) []string {
			return verbs.Complete(line, pos, func() []string { return names(ctx, c) })
		},
		Views: map[string]lineedit.View{"top": func(ctx context.Context, t screen.Terminal) error {
			return watch(ctx, c, t)
		}},
		Terminal: func() string { return os.Getenv("TERM") },
		Suspend:  func() error { return suspend(fd, cooked) },
		Size: func() (width, height int) {
			width, height, _ = term.GetSize(fd)
			return width, height
		},
		Resized: resized,
	})
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// execute carries out an action of a session. ctx ends at Ctrl-C.
func execute(ctx context.Context, m verbs.Manager, action string, width int, out io.Writer) error {
	answer := verbs.RunText(ctx, m, action)
	answer.Width = width
	if errors.Is(answer.Err, context.Canceled) {
		answer.Err = errors.New(interrupted)
	}
	return answer.Write(out)
}

// resizes returns a channel that has a token when the terminal's size changed.
func resizes() (resized <-chan struct{}, stop func()) {
	tokens, changes, done := make(chan struct{}, 1), make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(changes, unix.SIGWINCH)
	var relay sync.WaitGroup
	relay.Go(func() {
		for {
			select {
			case <-changes:
			case <-done:
				return
			}
			select {
			case tokens <- struct{}{}:
			default:
			}
		}
	})
	return tokens, func() {
		signal.Stop(changes)
		close(done)
		relay.Wait()
	}
}

// completeTime is how long a Tab waits for the daemon: the keys behind it wait too.
const completeTime = 2 * time.Second

func names(ctx context.Context, c *client.Client) (names []string) {
	ctx, cancel := context.WithTimeout(ctx, completeTime)
	defer cancel()
	all, _ := c.List(ctx)
	for _, s := range all {
		names = append(names, s.Name)
	}
	return names
}
