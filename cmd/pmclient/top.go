package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/freeflowuniverse/processmanager/supervisor/client"
	"github.com/freeflowuniverse/processmanager/supervisor/top"
	"github.com/freeflowuniverse/processmanager/supervisor/top/tty"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// topCommand is a view of all processes on this terminal.
func topCommand(ctx context.Context, conn connection, args []string, stdin io.Reader, stdout *output) error {
	f := quietFlags("top")
	conn.register(f)
	words, err := parseWords(f, args)
	if err != nil {
		return err
	}
	if len(words) > 0 {
		return usageOf("top", "top takes no arguments: / filters what it shows")
	}
	in, ok := stdin.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) || !stdout.terminal {
		return usageOf("top", "top needs a terminal: list and figures are for scripts")
	}
	c, err := conn.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, stop := signal.NotifyContext(ctx, unix.SIGHUP)
	defer stop()

	fd := int(in.Fd())
	cooked, err := term.MakeRaw(fd)
	if err != nil {
		return err
	}
	defer term.Restore(fd, cooked)
	resized, quiet := resizes()
	defer quiet()
	return watch(ctx, c, screen.Terminal{
		Keys: keys(in),
		Out:  stdout.raw,
		Size: func() (width, height int) {
			width, height, _ = term.GetSize(fd)
			return width, height
		},
		Resized: resized,
		Type:    os.Getenv("TERM"),
		NoColor: os.Getenv("NO_COLOR") != "",
		Suspend: func() error { return suspend(fd, cooked) },
	})
}

// watch shows all processes. A daemon that has gone is waited for as long as by who follows
// events.
func watch(ctx context.Context, c *client.Client, t screen.Terminal) error {
	err := tty.Watch(ctx, c, t, top.Options{
		Title: top.Title(),
		Comes: func(err error) bool {
			return errors.Is(err, client.ErrConnectionLost) || errors.Is(err, client.ErrNoDaemon)
		},
		Away: client.AwayLimit,
	})
	if errors.Is(err, tty.ErrDumb) {
		return usageOf("top", "%w: list and figures need none", err)
	}
	return err
}

// keys are what is typed; closed when nobody is there any more. A read that is under way at
// the end ends with the program.
func keys(in io.Reader) <-chan []byte {
	typed := make(chan []byte)
	go func() {
		defer close(typed)
		for {
			buf := make([]byte, 256)
			n, err := in.Read(buf)
			if n > 0 {
				typed <- buf[:n]
			}
			if err != nil {
				return
			}
		}
	}()
	return typed
}

// stopTime is how soon a stop takes hold. Where no shell is there to bring this back the kernel
// does not stop it.
const stopTime = 200 * time.Millisecond

// suspend stands still in the background until a shell brings this back.
func suspend(fd int, cooked *term.State) error {
	back := make(chan os.Signal, 1)
	signal.Notify(back, unix.SIGCONT)
	defer signal.Stop(back)
	if err := term.Restore(fd, cooked); err != nil {
		return err
	}
	if err := unix.Kill(0, unix.SIGTSTP); err != nil {
		return os.NewSyscallError("kill", err)
	}
	select {
	case <-back:
	case <-time.After(stopTime):
	}
	_, err := term.MakeRaw(fd)
	return err
}
