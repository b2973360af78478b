package azuredns

import (
	"net/http"
	"testing"
	"time"

	"github.com/everleaf/everleaf/internal/solver/dns01/azuredns/azurednstest"
	"github.com/everleaf/everleaf/internal/solver/dns01/dns01test"
)

func (s *server) answering(a azurednstest.Answer) func(*testing.T) func() {
	return func(*testing.T) func() {
		s.Do(func() { s.All = &a })
		return func() { s.Do(func() { s.All = nil }) }
	}
}

func TestConformance(t *testing.T) {
	for zoneType, kind := range map[string]string{publicZone: "dnsZones", privateZone: "privateDnsZones"} {
		t.Run(zoneType, func(t *testing.T) {
			s := newServer(t, publicCloud)
			config := func(edit func(*Config)) Config {
				c := s.principal()
				c.ZoneType = zoneType
				edit(&c)
				return c
			}
			// The token of this Provider has no permissions.
			s.Role = "none"
			forbidden := provider(t, config(func(*Config) {}))
			if _, err := forbidden.Zone(t.Context(), "_acme-challenge.example.com."); err == nil {
				t.Fatal("no permission is needed")
			}
			s.Do(func() { s.Role = "contributor" })
			right := provider(t, config(func(*Config) {}))
			if _, err := right.Zone(t.Context(), "_acme-challenge.example.com."); err != nil {
				t.Fatal(err)
			}
			s.Do(func() { s.Role = "none" }) // a forbidden token is replaced
			dns01test.Run(t, dns01test.Server{
				Zone: "example.com.", SubZone: "deep.sub.example.com.", Elsewhere: "_acme-challenge.example.net.",
				Provider: right, Patience: 5 * time.Second, Forbidden: forbidden,
				Unauthorized: provider(t, config(func(c *Config) { c.ClientSecret = "wrong-secret-of-the-client" })),
				Secrets:      []string{secret, "wrong-secret-of-the-client", "eyJ0.token"},
				Values:       func(_ *testing.T, fqdn string) []string { return s.values(kind, fqdn) },
				Fail:         s.answering(azurednstest.ARMError(http.StatusServiceUnavailable, "ServerBusy", "The service is busy.")),
				Limit: s.answering(azurednstest.Answer{
					Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"17"}},
					Body: `{"error":{"code":"TooManyRequests","message":"The request is being throttled."}}`,
				}),
				Silence: func(*testing.T) func() {
					silent := make(chan struct{})
					s.Do(func() { s.Silent = silent })
					return func() {
						s.Do(func() { s.Silent = nil })
						close(silent)
					}
				},
			})
		})
	}
}
