package main

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor"
)

// crashEnv names a file, for tests. When the worker comes to the supervisor.Point
// whose name is in it, the file is removed and the worker kills itself: once, for
// the workers that follow have the same environment. With "panic" before the name it
// panics instead, where it is, with "panic always" each time; with "hold" it stands still.
const crashEnv = "PROCESSMANAGER_CRASH_FILE"

// crasher is what to do at each point; nil is nothing.
func crasher() func(supervisor.Point) {
	file := os.Getenv(crashEnv)
	if file == "" {
		return nil
	}
	return func(p supervisor.Point) {
		text, err := os.ReadFile(file)
		if err != nil {
			return
		}
		name, panics := strings.CutPrefix(strings.TrimSpace(string(text)), "panic ")
		name, always := strings.CutPrefix(name, "always ")
		name, holds := strings.CutPrefix(name, "hold ")
		if name != string(p) || !always && os.Remove(file) != nil {
			return
		}
		if panics {
			panic("at " + name)
		}
		if holds {
			select {} // until somebody ends it
		}
		unix.Kill(os.Getpid(), unix.SIGKILL)
		select {} // another thread may run on for a moment
	}
}
