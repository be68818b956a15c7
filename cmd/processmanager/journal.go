package main

import (
	"fmt"
	"io"
	"log"
	"os"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// What a line of the log begins with. systemd's journal knows program and time already, and
// takes a priority (sd-daemon(3)).
const (
	ownName = "processmanager: "

	priorityError   = "<3>" // the daemon does not start, or ends for it
	priorityWarning = "<4>" // something is wrong, and the daemon goes on
	priorityNotice  = "<6>"
)

// newLogger writes lines of this program to w, which is standard error in the end.
func newLogger(w io.Writer) *log.Logger {
	prefix := ownName
	if isJournal(os.Stderr, os.Getenv("JOURNAL_STREAM")) {
		prefix = priorityNotice
	}
	return log.New(screen.LineWriter(w), prefix, 0)
}

// isJournal reports whether a file is systemd's journal: stream, from $JOURNAL_STREAM, says
// which one the service was started with.
func isJournal(f *os.File, stream string) bool {
	var s unix.Stat_t
	return stream != "" && unix.Fstat(int(f.Fd()), &s) == nil && stream == fmt.Sprintf("%d:%d", s.Dev, s.Ino)
}

// warning is the logger for what is wrong.
func warning(l *log.Logger) *log.Logger { return at(priorityWarning, l) }

// at is the logger with another priority, where there are any.
func at(priority string, l *log.Logger) *log.Logger {
	if l.Prefix() == ownName {
		return l
	}
	return log.New(l.Writer(), priority, 0)
}
