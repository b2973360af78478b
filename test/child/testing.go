package child

import (
	"net"
	"testing"
)

// Server is a server that a test starts.
type Server interface {
	Stop()
	// Log returns what the server has printed.
	Log() string
}

// Listenable skips a test that cannot listen on an address (ip:port): port 53
// needs root.
func Listenable(tb testing.TB, addrs ...string) {
	tb.Helper()
	for _, addr := range addrs {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			tb.Skipf("needs to listen on %s: %v", addr, err)
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
