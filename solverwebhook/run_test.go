package solverwebhook

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/everleaf/everleaf/api/acme/webhook/v1alpha1"
)

// resource is a solver that has something to close.
type resource struct {
	name       string
	initialize error
	closing    error
	closed     bool
}

func (r *resource) Name() string { return r.name }

func (r *resource) Initialize(context.Context, *rest.Config) error { return r.initialize }

func (r *resource) Present(context.Context, *v1alpha1.ChallengeRequest) error { return nil }

func (r *resource) CleanUp(context.Context, *v1alpha1.ChallengeRequest) error { return nil }

func (r *resource) Close() error {
	r.closed = true
	return r.closing
}

// Whatever ends Run, nothing that it has opened stays open.
func TestRunCloses(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		first, second resource
		group         string
		want          string
	}{
		"ends":                 {resource{}, resource{}, apiGroup, ""},
		"cannot be closed":     {resource{closing: broken}, resource{}, apiGroup, "close solver first: broken"},
		"cannot be set up":     {resource{}, resource{initialize: broken}, apiGroup, "initialize solver second: broken"},
		"neither":              {resource{closing: broken}, resource{initialize: broken}, apiGroup, "initialize solver second: broken\nclose solver first: broken"},
		"options are rejected": {resource{}, resource{}, "cert-manager.io", `API group "cert-manager.io" belongs to cert-manager: use a group of your own, such as acme.example.org, in GROUP_NAME, in the APIService and as groupName of the issuers`},
	} {
		t.Run(name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			c.first.name, c.second.name = "first", "second"
			err = Run(ctx, Options{GroupName: c.group, Config: &rest.Config{Host: "127.0.0.1:1"}, Listener: listener}, &c.first, &c.second)
			if text(err) != c.want {
				t.Errorf("%v, want %q", err, c.want)
			}
			began := c.group == apiGroup
			if c.first.closed != began || c.second.closed != (began && c.second.initialize == nil) {
				t.Errorf("closed: %t and %t", c.first.closed, c.second.closed)
			}
			if err := listener.(*net.TCPListener).SetDeadline(time.Now()); !errors.Is(err, net.ErrClosed) {
				t.Errorf("the listener is open: %v", err)
			}
		})
	}
}
