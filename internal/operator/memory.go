package operator

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// gcHeadroom is how much garbage may gather before it is collected. A small
	// heap is collected seldom, which saves CPU, and a large one does not grow to
	// twice its size.
	gcHeadroom = 32 << 20
	// leastGCPercent bounds the work of the collector for very large heaps, and
	// mostGCPercent the garbage of very small ones.
	leastGCPercent, mostGCPercent = 40, 200
	// gcInterval is how often the size of the heap is looked at.
	gcInterval = 5 * time.Second

	liveHeap = "/gc/heap/live:bytes"
)

// gcPercent is the GOGC of a heap with so many live bytes.
func gcPercent(live uint64) int {
	if live == 0 {
		return mostGCPercent
	}
	return int(min(max(100*gcHeadroom/live, leastGCPercent), mostGCPercent))
}

// tuneGC adapts the garbage collector to the size of the heap until ctx ends.
// A user who sets GOGC or GOMEMLIMIT decides instead.
func tuneGC(ctx context.Context) error {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	sample := []metrics.Sample{{Name: liveHeap}}
	ticker := time.NewTicker(gcInterval)
	defer ticker.Stop()
	for last := 0; ; {
		metrics.Read(sample)
		if percent := gcPercent(sample[0].Value.Uint64()); percent != last {
			debug.SetGCPercent(percent)
			last = percent
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}
