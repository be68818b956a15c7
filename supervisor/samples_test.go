package supervisor

import (
	"errors"
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/store"
)

// While a disk hangs, whoever asks again and again whether the daemon is well makes no queue of
// writes for it.
func TestOneWriteAtATimeShowsThatTheStoreIsWell(t *testing.T) {
	var p pulse
	var under []store.Change
	write := func(c store.Change) { under = append(under, c) }
	first := p.beat(write)
	for range 100 {
		if p.beat(write) != first {
			t.Fatal("another one is asked for")
		}
	}
	if len(under) != 1 {
		t.Fatalf("%d are on their way", len(under))
	}
	full := errors.New("disk full")
	under[0].Done(full)
	if <-first.back; first.err != full {
		t.Error(first.err)
	}
	if second := p.beat(write); second == first || len(under) != 2 {
		t.Errorf("%d were begun, and what came of the first is told again", len(under))
	}
}
