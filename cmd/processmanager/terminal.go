package main

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/keeper"
)

// startedFrom is what the signals of a terminal mean to this daemon. Who starts it by hand
// expects of it what other programs do: that it ends with its terminal, unless nohup or
// setsid was before it. It must be called before proc.Prepare, which handles what was ignored.
func startedFrom() keeper.Terminal {
	switch has, err := proc.HasTerminal("/proc", os.Getpid()); {
	case !has || err != nil: // what is not known is taken for a service
		return keeper.Terminal{}
	case signal.Ignored(unix.SIGHUP):
		return keeper.Terminal{Hangup: keeper.HangupIgnored, Quits: true}
	}
	return keeper.Terminal{Hangup: keeper.HangupEnds, Quits: true}
}

// aboutTerminal tells whoever has started the daemon by hand what ends it; empty: it is a
// service.
func aboutTerminal(t keeper.Terminal) string {
	switch {
	case t.Hangup == keeper.HangupEnds:
		return `started from a terminal: closing that, or Ctrl-C, ends all processes in order, Ctrl-\ kills them at once; for a daemon that stays, put nohup or setsid before it`
	case t.Quits:
		return `started from a terminal, and goes on when that is closed (SIGHUP is ignored, as nohup has it); Ctrl-C ends all processes in order, Ctrl-\ kills them at once`
	}
	return ""
}
