package local_test

import (
	"testing"
	"time"
)

// until repeats check until it is true, for at most 30 s.
func until(t *testing.T, what string, check func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !check() {
		if time.Now().After(deadline) {
			t.Fatalf("waited 30 s for %s", what)
		}
		<-time.After(20 * time.Millisecond)
	}
}
