package harness

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

// Call is a request to the API server.
type Call struct {
	// Verb is get, list, watch, create, update, patch, apply or delete.
	Verb string
	// Group is the API group, empty for the core group and for paths that are no
	// resources.
	Group string
	// Resource is the plural name, with the subresource after a slash.
	Resource        string
	Namespace, Name string
	At              time.Time
}

// Write reports whether a call is not get, list or watch.
func (c Call) Write() bool { return c.Verb != "get" && c.Verb != "list" && c.Verb != "watch" }

func (c Call) String() string { return c.Verb + " " + c.Resource + " " + c.Name }

// Traffic records the calls to the API server.
type Traffic struct {
	mu    sync.Mutex
	calls []Call
}

// Record records the calls of a configuration's clients.
func (r *Traffic) Record(config *rest.Config) {
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			call := callOf(req)
			r.mu.Lock()
			r.calls = append(r.calls, call)
			r.mu.Unlock()
			return next.RoundTrip(req)
		})
	})
}

// Calls returns the matching calls, in order.
func (r *Traffic) Calls(match func(Call) bool) []Call {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []Call
	for _, c := range r.calls {
		if match(c) {
			found = append(found, c)
		}
	}
	return found
}

// Writes returns the calls in a namespace except get, list and watch.
func (r *Traffic) Writes(namespace string) []Call {
	return r.Calls(func(c Call) bool { return c.Write() && c.Namespace == namespace })
}

// endless is after how long writes that have not ended count as a loop: on a busy
// machine the events of a batch can take minutes.
const endless = 5 * time.Minute

// Settle waits until nothing has been written in a namespace for the duration
// quiet. It fails the test if that does not happen.
func (r *Traffic) Settle(tb testing.TB, namespace string, quiet time.Duration) []Call {
	tb.Helper()
	began := time.Now()
	Eventually(tb, endless, func() error {
		last, writes := began, r.Writes(namespace)
		if len(writes) > 0 && writes[len(writes)-1].At.After(last) {
			last = writes[len(writes)-1].At
		}
		if time.Since(last) < quiet {
			return fmt.Errorf("still written to: %v", writes[max(0, len(writes)-10):])
		}
		return nil
	})
	return r.Writes(namespace)
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// callOf parses a request to the API server: /api/v1 or /apis/GROUP/VERSION,
// then some of namespaces/NAMESPACE, RESOURCE, NAME and SUBRESOURCE.
func callOf(req *http.Request) Call {
	c := Call{At: time.Now()}
	parts := strings.Split(strings.Trim(req.URL.Path, "/"), "/")
	switch {
	case parts[0] == "api" && len(parts) > 2:
		parts = parts[2:]
	case parts[0] == "apis" && len(parts) > 3:
		c.Group, parts = parts[1], parts[3:]
	}
	if parts[0] == "namespaces" && len(parts) > 2 {
		c.Namespace, parts = parts[1], parts[2:]
	}
	c.Resource = parts[0]
	if len(parts) > 1 {
		c.Name = parts[1]
	}
	if len(parts) > 2 {
		c.Resource += "/" + parts[2]
	}
	c.Verb = verbOf(req, c.Name != "")
	return c
}

func verbOf(req *http.Request, named bool) string {
	switch req.Method {
	case http.MethodPost:
		return "create"
	case http.MethodPut:
		return "update"
	case http.MethodDelete:
		return "delete"
	case http.MethodPatch:
		if strings.HasPrefix(req.Header.Get("Content-Type"), "application/apply-patch") {
			return "apply"
		}
		return "patch"
	}
	switch {
	case req.URL.Query().Get("watch") == "true" || req.URL.Query().Get("watch") == "1":
		return "watch"
	case named:
		return "get"
	default:
		return "list"
	}
}
