package proc

import (
	"bufio"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Prepare puts right what this process would hand down to every child and was
// itself handed down. Call it first thing in main, before goroutines and files.
//
// All descriptors above 2 are marked close-on-exec; those that CloseInherited has left
// stay open here. Signals
// that were ignored, by nohup for example, get a handler that does nothing, so that
// an exec resets them; SIGPIPE gets one too, or a closed stderr would end this process.
// The umask becomes 022. The signal mask is left alone: see ForkExec.
func Prepare() error {
	if err := unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("close_range: %w", err)
	}
	if err := handleIgnored(); err != nil {
		return fmt.Errorf("reset ignored signals: %w", err)
	}
	unix.Umask(0o022)
	return nil
}

// handleIgnored gives every ignored signal a handler that does nothing: for this
// process that is the same, and exec turns it into the default.
func handleIgnored() error {
	ignored, err := ignoredSignals()
	if err != nil {
		return err
	}
	drop := make(chan os.Signal, 1) // nobody receives: Notify drops what does not fit
	for _, s := range append(ignored, syscall.SIGPIPE) {
		signal.Notify(drop, s)
	}
	// What is left are signals that the Go runtime will not handle (32, 33).
	ignored, err = ignoredSignals()
	if err != nil {
		return err
	}
	for _, s := range ignored {
		if err := defaultAction(s); err != nil {
			return fmt.Errorf("signal %d: %w", int(s), err)
		}
	}
	return nil
}

// ignoredSignals reads SigIgn from /proc/self/status, in which bit n-1 is signal n.
func ignoredSignals() ([]syscall.Signal, error) {
	const path = "/proc/self/status"
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		hex, ok := strings.CutPrefix(lines.Text(), "SigIgn:")
		if !ok {
			continue
		}
		bits, err := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
		if err != nil {
			return nil, fmt.Errorf("%s: SigIgn: %w", path, err)
		}
		var ignored []syscall.Signal
		for n := 1; bits != 0; n, bits = n+1, bits>>1 {
			if bits&1 != 0 {
				ignored = append(ignored, syscall.Signal(n))
			}
		}
		return ignored, nil
	}
	return nil, fmt.Errorf("%s: no SigIgn: %w", path, lines.Err())
}

// defaultAction resets one signal behind the Go runtime's back.
func defaultAction(s syscall.Signal) error {
	var action struct { // the kernel's struct sigaction; all zero is SIG_DFL
		handler, flags, restorer uintptr
		mask                     uint64
	}
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
