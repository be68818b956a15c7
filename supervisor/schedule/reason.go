package schedule

import "time"

// Why times were missed, for people.
const (
	NoDaemon     = "no daemon ran"
	MachineOff   = "the machine was off"
	MachineSlept = "the machine slept"
	ClockSet     = "the clock was set forward"
	HeldUp       = "the daemon was held up"
)

// Reason says why a daemon that runs looks at the clock too late, by how far three clocks have
// gone on since it looked last: that of the wall; the one that counts from the start of the
// machine, which nobody sets; and the one that stands still besides while the machine sleeps.
// Where there is more than one cause it is the one that took the most time.
func Reason(wall, boot, awake time.Duration) string {
	set, slept := wall-boot, boot-awake
	switch {
	case set > slept && set > awake:
		return ClockSet
	case slept > awake:
		return MachineSlept
	}
	return HeldUp
}
