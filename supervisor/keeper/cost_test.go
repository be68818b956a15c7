package keeper

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/proc"
)

// TestKeeperIsSmall holds a thousand runs and asks the kernel what the keeper weighs.
func TestKeeperIsSmall(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector's own memory is many times the keeper's")
	}
	const runs = 1000
	k := startKeeper(t, behaviour{})
	c, _ := k.hello(0)
	weigh := func() int {
		t.Helper()
		pss, err := proc.Memory("/proc", []int{k.cmd.Process.Pid})
		if err != nil {
			t.Fatal(err)
		}
		return int(pss)
	}
	fifo := k.dir + "/fifo"
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	start := func(i uint64) RunID {
		r := request{Op: "spawn", Run: RunID{"a-process-of-some-name", i}, Argv: []string{"/bin/true"}, Output: fifo}
		c.must(r)
		c.must(request{Op: "exit"})
		return r.Run
	}
	for i := range uint64(500) { // by then code and garbage are in memory
		c.must(request{Op: "drop", Run: start(i)})
	}
	empty := weigh()
	for i := range uint64(runs) {
		start(i)
	}
	each := (weigh() - empty) / runs
	t.Logf("%d KiB with nothing held, %d bytes a run", empty>>10, each)
	if empty > 6<<20 {
		t.Errorf("%d bytes with nothing held", empty)
	}
	if each > 2<<10 {
		t.Errorf("%d bytes a run", each)
	}
}
