package metrics

import (
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Writes counts the requests that change something at the API server: all except
// those that get, list or watch. It is a prometheus.Collector.
type Writes struct{ *prometheus.CounterVec }

// NewWrites returns a Writes.
func NewWrites() Writes {
	return Writes{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "everleaf_api_writes_total",
		Help: "Number of requests to the API server other than get, list and watch.",
	}, []string{"verb", "resource"})}
}

// Wrap returns a RoundTripper that counts what next sends.
func (w Writes) Wrap(next http.RoundTripper) http.RoundTripper { return counting{w, next} }

type counting struct {
	Writes
	next http.RoundTripper
}

var verbs = map[string]string{
	http.MethodPost: "create", http.MethodPut: "update", http.MethodPatch: "patch", http.MethodDelete: "delete",
}

// RoundTrip implements http.RoundTripper.
func (c counting) RoundTrip(r *http.Request) (*http.Response, error) {
	if verb := verbs[r.Method]; verb != "" {
		c.WithLabelValues(verb, resource(r.URL.Path)).Inc()
	}
	return c.next.RoundTrip(r)
}

// WrappedRoundTripper is how client-go finds the RoundTripper inside.
func (c counting) WrappedRoundTripper() http.RoundTripper { return c.next }

// resource returns the resource of a path of the API server, such as "secrets" or
// "certificates/status".
func resource(path string) string {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case len(parts) > 2 && parts[0] == "api":
		parts = parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		parts = parts[3:]
	default:
		return "other"
	}
	if len(parts) > 2 && parts[0] == "namespaces" {
		parts = parts[2:]
	}
	if len(parts) > 2 {
		return parts[0] + "/" + parts[2]
	}
	return parts[0]
}
