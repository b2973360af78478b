package digitalocean

import (
	"net/http"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/everleaf/everleaf/internal/solver/dns01/dns01test"
)

func (s *stub) provider(t *testing.T, token string) *Provider {
	t.Helper()
	p, err := New(Config{Token: token, SecretName: "default/do", Clock: clock.RealClock{}, HTTP: s.Transport, Endpoint: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestConformance(t *testing.T) {
	s := newStub(t)
	dns01test.Run(t, dns01test.Server{
		Zone: "example.com.", SubZone: "deep.sub.example.com.", Elsewhere: "_acme-challenge.example.net.",
		Provider: s.provider(t, " "+goodToken+"\r\n"), Patience: 10 * time.Second,
		Unauthorized: s.provider(t, badToken), Forbidden: s.provider(t, readToken),
		Secrets: []string{goodToken, badToken, readToken},
		Values:  s.values, Silence: s.Silence,
		Fail: func(*testing.T) func() {
			return s.Instead(func(w http.ResponseWriter, _ *http.Request) {
				s.refuse(w, http.StatusInternalServerError, "server_error", "Unexpected server-side error")
			})
		},
		Limit: func(*testing.T) func() {
			return s.Instead(func(w http.ResponseWriter, _ *http.Request) {
				s.refuse(w, http.StatusTooManyRequests, "too_many_requests", "API Rate limit exceeded.")
			})
		},
	})
}
