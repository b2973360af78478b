package component

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	clocktesting "k8s.io/utils/clock/testing"
)

// TestWatchErrors: a kind whose CRD is gone is one line, and then one every ten minutes.
func TestWatchErrors(t *testing.T) {
	gone := errors.New("the server could not find the requested resource")
	refused := func(version string) error {
		return fmt.Errorf("failed to list: %w", &url.Error{Op: "Get", URL: "https://10.96.0.1/api?resourceVersion=" + version, Err: &net.OpError{
			Op: "read", Net: "tcp", Source: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 5), Port: 40000 + len(version)}, Err: syscall.ECONNRESET,
		}})
	}
	clock := clocktesting.NewFakePassiveClock(time.Now())
	lines := 0
	w := newWatchErrors(funcr.New(func(string, string) { lines++ }, funcr.Options{}), clock)
	for _, step := range []struct {
		name  string
		after time.Duration
		kind  string
		err   error
		want  int
	}{
		{"the first", 0, "Certificate", gone, 1},
		{"the same", time.Second, "Certificate", gone, 1},
		{"another kind", 0, "Issuer", gone, 2},
		{"another cause", time.Minute, "Certificate", refused("1"), 3},
		{"the same of another address", time.Minute, "Certificate", refused("22"), 3},
		{"another kind meanwhile", 0, "Issuer", gone, 3},
		{"after the watch has worked", 3 * time.Minute, "Certificate", refused("333"), 4},
	} {
		clock.SetTime(clock.Now().Add(step.after))
		w.failed(step.kind, step.err)
		if lines != step.want {
			t.Errorf("%s: %d lines, want %d", step.name, lines, step.want)
		}
	}
	lines = 0
	for range 60 {
		clock.SetTime(clock.Now().Add(time.Minute))
		w.failed("Issuer", gone)
	}
	if lines != 6 {
		t.Errorf("in an hour of tries: %d lines, want 6", lines)
	}
}
