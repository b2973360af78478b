package operator

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// gcHeadroom is how much garbage may gather before it is collected. A small
	// heap is collected seldom, which saves CPU, and a large one does not grow to
	// twice its size.
	gcHeadroom = 32 << 20
	// leastGCPercent bounds the work of the collector for very large heaps, and
	// mostGCPercent the garbage of very small ones.
	leastGCPercent, mostGCPercent = 40, 200

	liveHeap = "/gc/heap/live:bytes"
)

// gcPercent is the GOGC of a heap with so many live bytes.
func gcPercent(live uint64) int {
	if live == 0 {
		return mostGCPercent
	}
	return int(min(max(100*gcHeadroom/live, leastGCPercent), mostGCPercent))
}

// tuneGC adapts the garbage collector to the size of the heap until ctx ends, after each
// collection: a heap that fills with the lists of a start would be three times as large
// as what is in it before a timer looked at it. A user who sets GOGC or GOMEMLIMIT
// decides instead.
func tuneGC(ctx context.Context) error {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	sample, last := []metrics.Sample{{Name: liveHeap}}, 0
	collected := make(chan struct{}, 1)
	for {
		metrics.Read(sample)
		if percent := gcPercent(sample[0].Value.Uint64()); percent != last {
			debug.SetGCPercent(percent)
			last = percent
		}
		afterGC(collected)
		select {
		case <-collected:
		case <-ctx.Done():
			return nil
		}
	}
}

// marker is an object that the next collection frees. It has a pointer, because the
// runtime puts small objects without one together, and frees them together.
type marker struct{ _ *byte }

// afterGC sends to a channel, which has room for it, after the next collection.
func afterGC(collected chan struct{}) {
	runtime.AddCleanup(&marker{}, func(c chan struct{}) { c <- struct{}{} }, collected)
}
