package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/freeflowuniverse/processmanager/cmd/pmclient/commands"
	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// execCommand runs a command in the foreground: its output is ours as it comes, and its exit
// code too. The first SIGINT, SIGTERM or SIGHUP stops the tree, the second one kills it, and
// with the third we end, which has the daemon do the rest.
func execCommand(ctx context.Context, conn connection, args []string, stdout *output) error {
	verb, _ := verbs.Lookup(commands.ExecVerb)
	action, err := parseVerb(verb, &conn, args)
	if err != nil {
		return ourFault(err)
	}
	name, given := action.Get("name")
	if !given {
		name.Value = process.ExecName()
		action.Params = append(action.Params, heroscript.Param{Key: "name", Value: name.Value})
	}
	caught := make(chan os.Signal, 3)
	signal.Notify(caught, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(caught)
	c, err := conn.dial(ctx)
	if err != nil {
		return ourFault(err)
	}
	defer c.Close()
	ctx, hangUp := context.WithCancelCause(ctx)
	defer hangUp(nil)
	go endOn(ctx, caught, conn, name.Value, hangUp)

	answer := verbs.Run(ctx, follower{c, stdout.raw}, action)
	failed, said := answer.Tell(stdout)
	failed = errors.Join(said, failed)
	var by signalled
	switch {
	case errors.As(context.Cause(ctx), &by):
		return coded(process.ExitSignal + int(by))
	case errors.Is(failed, errUnread), errors.Is(failed, syscall.EPIPE):
		return coded(process.ExitSignal + int(syscall.SIGPIPE))
	}
	if failed == nil {
		failed = oddEnd(answer.Waited())
	}
	return codeOf(answer, failed)
}

// oddEnd says how a run ended that neither its program nor a stop has ended; nil: it did not.
func oddEnd(list []process.Waited) error {
	for _, w := range list {
		switch w.Cause {
		case process.CauseExit, process.CauseSignal, process.CauseStop:
		default:
			return errors.New(verbs.HowItEnded(w))
		}
	}
	return nil
}

// signalled is that a signal has ended the watch.
type signalled syscall.Signal

func (s signalled) Error() string { return fmt.Sprintf("ended by %v", syscall.Signal(s)) }

// endOn ends the tree at signals, until ctx ends. Where it cannot ask the daemon to, it hangs
// up: that ends the tree as well.
func endOn(ctx context.Context, caught <-chan os.Signal, conn connection, name string, hangUp context.CancelCauseFunc) {
	for n := 1; ; n++ {
		var by signalled
		select {
		case sig := <-caught:
			by = signalled(sig.(syscall.Signal))
		case <-ctx.Done():
			return
		}
		if n > 2 {
			os.Exit(process.ExitSignal + int(by))
		}
		go func() {
			if end(ctx, conn, name, n > 1) == nil {
				return
			}
			select { // it may be over just now
			case <-time.After(time.Second):
				hangUp(by)
			case <-ctx.Done():
			}
		}()
	}
}

// end asks the daemon to end a tree, over a connection of its own.
func end(ctx context.Context, conn connection, name string, kill bool) error {
	c, err := conn.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if kill {
		_, err = c.Signal(ctx, name, process.Signal(syscall.SIGKILL), true)
	} else {
		_, err = c.Stop(ctx, name)
	}
	return err
}
