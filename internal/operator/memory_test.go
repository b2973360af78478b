package operator

import (
	"runtime"
	"runtime/metrics"
	"testing"
)

func TestGCPercent(t *testing.T) {
	const mebibyte = 1 << 20
	for live, want := range map[uint64]int{
		0: 200, 1: 200, 10 * mebibyte: 200, 32 * mebibyte: 100, 64 * mebibyte: 50, 100 * mebibyte: 40, 10_000 * mebibyte: 40,
	} {
		if got := gcPercent(live); got != want {
			t.Errorf("%d bytes: %d, want %d", live, got, want)
		}
	}
}

// TestLiveHeapIsMeasured holds that the runtime knows the metric by its name.
func TestLiveHeapIsMeasured(t *testing.T) {
	sample := []metrics.Sample{{Name: liveHeap}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		t.Errorf("%s is %v", liveHeap, sample[0].Value.Kind())
	}
}

// TestAfterGC: a collection is noticed, each time it is asked for.
func TestAfterGC(t *testing.T) {
	collected := make(chan struct{}, 1)
	for range 3 {
		afterGC(collected)
		runtime.GC()
		<-collected
	}
}
