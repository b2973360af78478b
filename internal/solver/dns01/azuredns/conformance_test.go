package azuredns

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/everleaf/everleaf/internal/solver/dns01/dns01test"
)

// principal is the Config of a service principal.
func (s *server) principal() Config {
	return Config{
		SubscriptionID: subscription, ResourceGroupName: group, Environment: s.cloud.name,
		ClientID: client, ClientSecret: secret, TenantID: tenant, HTTP: s.transport(),
		Getenv: func(string) string { return "" },
	}
}

// ambient is the Config of a Provider with an identity of the environment.
func (s *server) ambient(env map[string]string, id Identity) Config {
	c := s.principal()
	c.ClientID, c.ClientSecret, c.TenantID = "", "", ""
	c.Ambient, c.Identity = true, id
	c.Getenv = func(name string) string { return env[name] }
	return c
}

func provider(t *testing.T, c Config) *Provider {
	t.Helper()
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// at returns the record set at a name, nil if there is none.
func (s *server) at(kind, fqdn string) *storedSet {
	s.mu.Lock()
	defer s.mu.Unlock()
	fqdn = strings.ToLower(fqdn)
	for key, set := range s.sets {
		parts := strings.Split(key, "/")
		name := strings.TrimPrefix(parts[2]+"."+parts[1]+".", "@.")
		if parts[0] == strings.ToLower(kind) && name == fqdn {
			return set
		}
	}
	return nil
}

func (s *server) values(kind, fqdn string) []string {
	var values []string
	if set := s.at(kind, fqdn); set != nil {
		for _, v := range set.values {
			values = append(values, strings.Join(v, ""))
		}
	}
	return values
}

func (s *server) answering(a answer) func(*testing.T) func() {
	return func(*testing.T) func() {
		s.set(func() { s.all = &a })
		return func() { s.set(func() { s.all = nil }) }
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
			s.role = "none"
			forbidden := provider(t, config(func(*Config) {}))
			if _, err := forbidden.Zone(t.Context(), "_acme-challenge.example.com."); err == nil {
				t.Fatal("no permission is needed")
			}
			s.set(func() { s.role = "contributor" })
			right := provider(t, config(func(*Config) {}))
			if _, err := right.Zone(t.Context(), "_acme-challenge.example.com."); err != nil {
				t.Fatal(err)
			}
			s.set(func() { s.role = "none" }) // a forbidden token is replaced
			dns01test.Run(t, dns01test.Server{
				Zone: "example.com.", SubZone: "deep.sub.example.com.", Elsewhere: "_acme-challenge.example.net.",
				Provider: right, Patience: 5 * time.Second, Forbidden: forbidden,
				Unauthorized: provider(t, config(func(c *Config) { c.ClientSecret = "wrong-secret-of-the-client" })),
				Secrets:      []string{secret, "wrong-secret-of-the-client", "eyJ0.token"},
				Values:       func(_ *testing.T, fqdn string) []string { return s.values(kind, fqdn) },
				Fail:         s.answering(armError(http.StatusServiceUnavailable, "ServerBusy", "The service is busy.")),
				Limit: s.answering(answer{
					status: http.StatusTooManyRequests, header: http.Header{"Retry-After": {"17"}},
					body: `{"error":{"code":"TooManyRequests","message":"The request is being throttled."}}`,
				}),
				Silence: func(*testing.T) func() {
					silent := make(chan struct{})
					s.set(func() { s.silent = silent })
					return func() {
						s.set(func() { s.silent = nil })
						close(silent)
					}
				},
			})
		})
	}
}
