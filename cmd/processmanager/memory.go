package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// memoryRest is for giveBackMemory: longer than somebody who looks again and again pauses.
	memoryRest = 2 * time.Second
	// memoryLeast is what is worth a collection, in bytes.
	memoryLeast = 2 << 20
)

// giveBackMemory has this program return to the kernel what it needed for a moment, such as
// for a list of 10,000 processes, when it has come to rest: nothing was collected for so long. The runtime would keep as much as
// was in use at the next collection, half as much again as what is needed. A program that does
// nothing collects nothing, and is not woken.
func giveBackMemory(rest time.Duration) {
	timer := time.AfterFunc(rest, func() {
		if m := readMemory(); m.idle() > max(memoryLeast, m.live/8) {
			debug.FreeOSMemory()
		}
	})
	afterCollections(func() { timer.Reset(rest) })
}

// memory is what the heap takes, in bytes.
type memory struct {
	objects, free uint64 // free: spans without an object, that the kernel has not got back
	live          uint64 // of the objects, those that the last collection has found in use
}

// idle is about what the kernel could have back.
func (m memory) idle() uint64 { return m.free + m.objects - min(m.live, m.objects) }

func readMemory() memory {
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/free:bytes"}, {Name: "/gc/heap/live:bytes"}}
	metrics.Read(samples)
	return memory{objects: samples[0].Value.Uint64(), free: samples[1].Value.Uint64(), live: samples[2].Value.Uint64()}
}

// afterCollections calls do after each collection of garbage, from a goroutine of the runtime.
func afterCollections(do func()) {
	type garbage struct{ _ *int } // with a pointer: the smallest objects without one share their memory
	var again func(*garbage)
	again = func(g *garbage) {
		runtime.SetFinalizer(g, again)
		do()
	}
	runtime.SetFinalizer(new(garbage), again)
}
