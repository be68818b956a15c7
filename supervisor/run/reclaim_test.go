package run

import (
	"errors"
	"slices"
	"testing"

	"github.com/freeflowuniverse/processmanager/cgroup"
)

// reclaimGroup gives so much memory away, and then no more.
type reclaimGroup struct {
	Group
	left  uint64
	asked []uint64
}

func (g *reclaimGroup) Reclaim(bytes uint64) error {
	g.asked = append(g.asked, bytes)
	if g.left < bytes {
		g.left = 0
		return cgroup.ErrReclaimedLess
	}
	g.left -= bytes
	return nil
}

// Between two steps somebody can end it, so that no wait for the kernel is without a bound.
func TestReclaimGoesInSteps(t *testing.T) {
	const most = 1 << 62
	for _, c := range []struct {
		left, bytes uint64
		steps       int // until it is to stop
		done        uint64
		asked       []uint64
		err         error
	}{
		{1 << 30, 4096, most, 4096, []uint64{4096}, nil},
		{1 << 30, 2*reclaimStep + 1, most, 2*reclaimStep + 1, []uint64{reclaimStep, reclaimStep, 1}, nil},
		{1 << 30, 1 << 40, 2, 2 * reclaimStep, []uint64{reclaimStep, reclaimStep}, nil},
		{reclaimStep + 5, 1 << 40, most, reclaimStep, []uint64{reclaimStep, reclaimStep}, cgroup.ErrReclaimedLess},
	} {
		g, steps := &reclaimGroup{left: c.left}, c.steps
		done, err := NewMeter("/proc", g, 0).Reclaim(c.bytes, func() bool { steps--; return steps >= 0 })
		if done != c.done || !slices.Equal(g.asked, c.asked) || !errors.Is(err, c.err) {
			t.Errorf("%+v: %d, %v, asked for %v", c, done, err, g.asked)
		}
	}
}
