package notify

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// MaxSize is how many bytes a datagram may have. systemd takes as many.
const MaxSize = 4096

// maxStatus is how many characters of a STATUS are kept.
const maxStatus = 200

// Message is what one datagram says. Whatever is not here is ignored, as are values that
// make no sense.
type Message struct {
	Ready     bool // READY=1: it has started, or has reloaded
	Reloading bool // RELOADING=1: it is not ready for a while
	Stopping  bool // STOPPING=1

	HasStatus bool   // STATUS=…
	Status    string // valid UTF-8, cut

	Fed      bool          // WATCHDOG=1
	Trigger  bool          // WATCHDOG=trigger: as if it had not been fed in time
	Watchdog time.Duration // WATCHDOG_USEC=…: how often it is fed from now on; 0: nothing was said

	Errno   int    // ERRNO=…; 0: none
	MainPID string // MAINPID=…, which is refused; cut
}

// Errors of Parse.
var (
	ErrTooLong = errors.New("it is longer than " + strconv.Itoa(MaxSize) + " bytes")
	ErrNUL     = errors.New("it holds a NUL byte")
)

// Parse reads a datagram: lines of KEY=VALUE. Of a key that stands there twice the first
// one counts.
func Parse(data []byte) (m Message, err error) {
	if len(data) > MaxSize {
		return m, ErrTooLong
	}
	data = bytes.TrimRight(data, "\x00") // some send the end of their string
	if bytes.IndexByte(data, 0) >= 0 {
		return m, ErrNUL
	}
	seen := map[string]bool{}
	for line := range strings.SplitSeq(string(data), "\n") {
		key, value, ok := strings.Cut(line, "=")
		if !ok || seen[key] {
			continue
		}
		seen[key] = true
		m.set(key, value)
	}
	return m, nil
}

func (m *Message) set(key, value string) {
	is := value == "1"
	switch key {
	case "READY":
		m.Ready = is
	case "RELOADING":
		m.Reloading = is
	case "STOPPING":
		m.Stopping = is
	case "STATUS":
		m.HasStatus = true
		m.Status = screen.Cut(strings.ToValidUTF8(value, "\uFFFD"), maxStatus)
	case "WATCHDOG":
		m.Fed, m.Trigger = is, value == "trigger"
	case "WATCHDOG_USEC":
		m.Watchdog = microseconds(value)
	case "ERRNO":
		if n, err := strconv.ParseUint(value, 10, 12); err == nil { // MAX_ERRNO is 4095
			m.Errno = int(n)
		}
	case "MAINPID":
		m.MainPID = screen.Cut(strings.ToValidUTF8(value, "\uFFFD"), 16)
	}
}

// microseconds is 0 for what is none, or cannot be.
func microseconds(text string) time.Duration {
	const most = 365 * 24 * time.Hour
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || n > uint64(most/time.Microsecond) {
		return 0
	}
	return time.Duration(n) * time.Microsecond
}
