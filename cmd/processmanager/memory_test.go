package main

import (
	"runtime"
	"testing"
	"time"
)

// What was needed for a moment is the kernel's again when nothing happens, and then nothing
// is collected any more.
func TestMemoryIsGivenBack(t *testing.T) {
	const size = 64 << 20
	allocated := func(size int) (all [][]byte) {
		for range size / 4096 {
			all = append(all, make([]byte, 4096))
		}
		return all
	}
	used := allocated(size)
	runtime.GC()
	for readMemory().idle() < size/5 { // less than what has the next collection begin
		allocated(1 << 20)
	}
	const rest = 20 * time.Millisecond
	giveBackMemory(rest)
	for end := time.Now().Add(30 * time.Second); readMemory().idle() > size/8; time.Sleep(rest) {
		if time.Now().After(end) {
			t.Fatalf("it is kept: %+v", readMemory())
		}
	}
	runtime.KeepAlive(used)
	for end := time.Now().Add(30 * time.Second); ; {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		time.Sleep(10 * rest)
		if runtime.ReadMemStats(&after); after.NumForcedGC == before.NumForcedGC {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d collections in %v of rest", after.NumForcedGC-before.NumForcedGC, 10*rest)
		}
	}
}
