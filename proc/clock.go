package proc

import (
	"bytes"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// BootTime returns the time since the machine was started, sleep included
// (CLOCK_BOOTTIME). It goes on across restarts of the daemon and no one can set it.
func BootTime() time.Duration { return now(unix.CLOCK_BOOTTIME) }

// AwakeTime is BootTime without the time that the machine was asleep (CLOCK_MONOTONIC).
func AwakeTime() time.Duration { return now(unix.CLOCK_MONOTONIC) }

func now(clock int32) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(clock, &t); err != nil {
		panic("proc: clock_gettime: " + err.Error()) // every Linux since 2.6.39 has both
	}
	return time.Duration(t.Nano())
}

// BootID returns the random id of this start of the machine, from
// sys/kernel/random/boot_id. An ID and a BootTime mean nothing under another one.
func BootID(procDir string) (string, error) {
	id, err := os.ReadFile(procDir + "/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	return string(bytes.TrimSpace(id)), nil
}
