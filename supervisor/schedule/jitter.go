package schedule

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Jitter is how much later than its times a process runs: less than most, always the same
// for a process of a host, and another for another. So thousands that are due at midnight do
// not all begin then. machine is what tells hosts apart: /etc/machine-id.
//
// The times themselves stay: who looks at a clock that is behind by the jitter sees them
// come late, and nothing else changes.
func Jitter(most time.Duration, name, machine string) time.Duration {
	if most == 0 { // as a rule
		return 0
	}
	sum := sha256.Sum256([]byte(machine + "\x00" + name))
	jitter, _ := bits.Mul64(binary.BigEndian.Uint64(sum[:]), uint64(most)) // as a part of most
	return time.Duration(jitter)
}

// CheckJitter reports why its times cannot have such a jitter: a run would begin after the
// time that comes next.
func (s *Schedule) CheckJitter(most time.Duration) error {
	if closest := s.closest(); most > closest {
		return process.Errorf(process.CodeInvalid, "jitter: %s is longer than the %s between two times of the schedule", process.ShortDuration(most), process.ShortDuration(closest))
	}
	return nil
}

// closest is how far from each other two of its times are at least, where clocks do not
// change; at most a day.
func (s *Schedule) closest() time.Duration {
	if s.every > 0 || s.reboot {
		return min(cmp.Or(s.every, day*time.Second), day*time.Second)
	}
	first, _ := s.fields.clockFrom(0)
	least, at := day, first
	for least > 1 {
		next, ok := s.fields.clockFrom(at + 1)
		if !ok { // the first of the next day
			least = min(least, first+day-at)
			break
		}
		least, at = min(least, next-at), next
	}
	return time.Duration(least) * time.Second
}
