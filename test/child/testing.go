package child

import (
	"net"
	"os"
	"testing"
)

// Server is a server that a test starts.
type Server interface {
	Stop()
	// Log returns what the server has printed.
	Log() string
}

// Missing ends a test for which something is missing on the machine. It skips the
// test, except where $CI is set: there, nothing may be missing.
func Missing(tb testing.TB, format string, args ...any) {
	tb.Helper()
	if os.Getenv("CI") != "" {
		tb.Fatalf("missing, although $CI is set: "+format, args...)
	}
	tb.Skipf(format, args...)
}

// Listenable skips a test that cannot listen on an address (ip:port): port 53
// needs root.
func Listenable(tb testing.TB, addrs ...string) {
	tb.Helper()
	for _, addr := range addrs {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			Missing(tb, "needs to listen on %s: %v", addr, err)
		}
		l.Close()
	}
}

// StopAtEnd stops a server when the test ends, and logs what the server printed
// if the test has failed.
func StopAtEnd(tb testing.TB, name string, s Server) {
	tb.Helper()
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("%s printed:\n%s", name, s.Log())
		}
		s.Stop()
	})
}
