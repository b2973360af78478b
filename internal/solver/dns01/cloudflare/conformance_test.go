package cloudflare

import (
	"net/http"
	"testing"
	"time"

	"github.com/everleaf/everleaf/internal/solver/dns01/cloudflare/cloudflaretest"
	"github.com/everleaf/everleaf/internal/solver/dns01/dns01test"
)

func TestConformance(t *testing.T) {
	s := newStub(t)
	for name, config := range map[string]Config{"token": {Token: goodToken}, "key": {Key: goodKey, Email: email}} {
		t.Run(name, func(t *testing.T) {
			dns01test.Run(t, dns01test.Server{
				Zone: "example.com.", SubZone: "deep.sub.example.com.", Elsewhere: "_acme-challenge.example.net.",
				Provider: s.provider(t, config), Patience: 10 * time.Second,
				Unauthorized: s.provider(t, Config{Token: badToken}), Forbidden: s.provider(t, Config{Token: readToken}),
				Secrets: []string{goodToken, badToken, readToken, goodKey},
				Values:  s.Values, Silence: s.Silence,
				Fail: func(*testing.T) func() {
					return s.Instead(func(w http.ResponseWriter, _ *http.Request) {
						w.Header().Set("Content-Type", "text/html")
						w.WriteHeader(http.StatusBadGateway)
						_, _ = w.Write([]byte("<html>502 Bad Gateway</html>"))
					})
				},
				Limit: func(*testing.T) func() {
					return s.Instead(func(w http.ResponseWriter, _ *http.Request) {
						w.Header().Set("Retry-After", "300")
						cloudflaretest.Refuse(w, http.StatusTooManyRequests, 971, "Please wait and consider throttling your request speed")
					})
				},
			})
		})
	}
}
