package foreign

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// TestAPIServer: what is said of an error of the API server has nothing that changes from
// one time to the next, and an end of a watch is told from a request that broke off.
func TestAPIServer(t *testing.T) {
	request := func(err error) error {
		return fmt.Errorf("failed to list: %w", &url.Error{Op: "Get", URL: "https://10.96.0.1/api?resourceVersion=7", Err: err})
	}
	reset := &net.OpError{Op: "read", Net: "tcp", Source: &net.TCPAddr{Port: 40000}, Err: syscall.ECONNRESET}
	for name, test := range map[string]struct {
		err   error
		want  string
		ended bool
	}{
		"an answer":         {fmt.Errorf("failed to list: %w", apierrors.NewForbidden(corev1.Resource("secrets"), "a", errors.New("no"))), `secrets "a" is forbidden: no`, false},
		"a reset":           {request(reset), "the API server cannot be reached: connection reset by peer", false},
		"EOF of a request":  {request(io.EOF), "the API server cannot be reached: the connection was closed", false},
		"EOF of a watch":    {io.EOF, "the API server cannot be reached: the connection was closed", true},
		"an outdated watch": {apierrors.NewResourceExpired("too old"), "too old", true},
	} {
		if got := APIServer(test.err); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
		if got := WatchEnded(test.err); got != test.ended {
			t.Errorf("%s: ended %v, want %v", name, got, test.ended)
		}
	}
}
