package main

import (
	"context"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/freeflowuniverse/processmanager/cmd/pmclient/commands"
)

// endTime is how long the end may take after the first signal.
const endTime = 5 * time.Second

// untilSignal is a context that the first signal ends, for a command that has no use of its
// own for signals.
func untilSignal(args []string) (ctx context.Context, stop func()) {
	var conn connection
	if command, _, err := conn.parse(args); err == nil && slices.Contains([]string{"exec", commands.ExecVerb}, command) {
		return context.WithCancel(context.Background())
	}
	ctx, stop = signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() {
		stop() // a second signal ends it at once
		time.Sleep(endTime)
		os.Exit(exitFailed) // it hangs in a read or a write that no signal ends
	})
	return ctx, stop
}
