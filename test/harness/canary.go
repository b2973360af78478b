package harness

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

// Lines records a log.
type Lines struct {
	mu    sync.Mutex
	lines []string
}

// Logger returns a logger that writes to the lines, up to a verbosity.
func (l *Lines) Logger(verbosity int) *logr.Logger {
	log := funcr.New(func(prefix, args string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.lines = append(l.lines, prefix+" "+args)
	}, funcr.Options{Verbosity: verbosity})
	return &log
}

// With returns the lines that contain a text.
func (l *Lines) With(text string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []string
	for _, line := range l.lines {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

// N returns the number of lines.
func (l *Lines) N() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.lines)
}

// WantNowhere fails the test if any object of a namespace contains a text:
// events, Secrets, and all kinds of this API.
func (c *Cluster) WantNowhere(tb testing.TB, namespace, text string) {
	tb.Helper()
	for _, list := range []client.ObjectList{
		&cmv1.CertificateList{}, &cmv1.CertificateRequestList{}, &cmv1.IssuerList{},
		&acmev1.OrderList{}, &acmev1.ChallengeList{}, &corev1.EventList{}, &corev1.SecretList{},
	} {
		if err := c.List(tb.Context(), list, client.InNamespace(namespace)); err != nil {
			tb.Fatal(err)
		}
		encoded, err := json.Marshal(list)
		if err != nil {
			tb.Fatal(err)
		}
		if at := strings.Index(string(encoded), text); at >= 0 {
			tb.Errorf("%T holds %q: %s", list, text, encoded[max(0, at-300):min(len(encoded), at+300)])
		}
	}
}
