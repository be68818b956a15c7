package keeper

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/proc"
)

// What a start costs with and without the message to the keeper, wait included.

func BenchmarkSpawnBare(b *testing.B) {
	group, err := os.Open(testGroup(b))
	if err != nil {
		b.Fatal(err)
	}
	defer group.Close()
	var spawns time.Duration
	for b.Loop() {
		start := time.Now()
		id, err := proc.Spawn(proc.Command{Argv: []string{"/bin/true"}, Group: group})
		if err != nil {
			b.Fatal(err)
		}
		spawns += time.Since(start)
		if _, err := unix.Wait4(id.PID, nil, 0, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(spawns.Nanoseconds())/float64(b.N), "ns/spawn")
}

func BenchmarkSpawnThroughKeeper(b *testing.B) {
	k := startKeeper(b, behaviour{})
	c, _ := k.hello(0)
	r := request{Op: "benchmark spawn", Argv: []string{"/bin/true"}, Group: testGroup(b), N: b.N}
	b.ResetTimer()
	a := c.must(r)
	b.ReportMetric(float64(a.Took.Nanoseconds())/float64(b.N), "ns/op")
	b.ReportMetric(float64(a.Spawns.Nanoseconds())/float64(b.N), "ns/spawn")
}

// BenchmarkMessage is the way to the keeper and back alone.
func BenchmarkMessage(b *testing.B) {
	k := startKeeper(b, behaviour{})
	c, _ := k.hello(0)
	a := c.must(request{Op: "benchmark message", N: b.N})
	b.ReportMetric(float64(a.Took.Nanoseconds())/float64(b.N), "ns/op")
}
