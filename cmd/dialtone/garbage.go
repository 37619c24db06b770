package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// leastGarbage is how many octets of garbage there may be at any size of the heap.
const leastGarbage = 6 << 20

// boundGarbage has the garbage collector begin when there is half as much garbage as
// there is in use, or leastGarbage. What is in memory is mostly leases, which stay: to
// leave room for as much garbage again, Go's default, costs a sixth more memory at
// 50,000 of them and gains nothing that bench/dhcp shows. But a small heap would be
// collected dozens of times a second while documents are served: bench/files shows a
// tenth more time of the processor for each. Who has nothing to do gives that back: the
// runtime collects every two minutes then, and the heap shrinks.
func boundGarbage() {
	percent, last := 50, time.Time{}
	debug.SetGCPercent(percent)
	afterCollections(func() {
		p, now := 50, time.Now()
		if now.Sub(last) < time.Minute {
			p = garbagePercent(inUse())
		}
		last = now
		if p != percent {
			debug.SetGCPercent(p)
			percent = p
		}
	})
}

// inUse is what the last collection has found in use, in octets.
func inUse() uint64 {
	of := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}}
	metrics.Read(of)
	var sum uint64
	for _, m := range of {
		sum += m.Value.Uint64()
	}
	return sum
}

// garbagePercent is how much garbage there may be for so many octets in use, as [debug.SetGCPercent]
// has it.
func garbagePercent(inUse uint64) int {
	percent := leastGarbage * 100 / max(inUse, 1<<20)
	return max(50, int(percent/10*10)) // in steps: to set it stops the program for a moment
}

// afterCollections calls do after each collection of garbage from now on, unless they
// follow too closely.
func afterCollections(do func()) {
	// What nobody refers to is cleaned up after the next one; something small might be
	// kept together with what somebody does.
	runtime.AddCleanup(new([64]byte), func(struct{}) {
		do()
		afterCollections(do)
	}, struct{}{})
}
