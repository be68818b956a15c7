package schedule

import (
	"testing"
	"time"
)

func TestReasonsAreTold(t *testing.T) {
	const h = time.Hour
	for _, c := range []struct {
		wall, boot, awake time.Duration
		want              string
	}{
		{h, h, time.Second, MachineSlept},
		{h, time.Second, time.Second, ClockSet},
		{h, h, h, HeldUp},
		{30 * h, 2 * h, h, ClockSet},
		{h, 30 * h, h, MachineSlept}, // and its clock went back
		{3 * h, 3*h - time.Second, h, MachineSlept},
	} {
		if got := Reason(c.wall, c.boot, c.awake); got != c.want {
			t.Errorf("%v, %v, %v: %s, want %s", c.wall, c.boot, c.awake, got, c.want)
		}
	}
}
