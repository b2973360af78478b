package azuredns

import (
	"testing"

	"github.com/everleaf/everleaf/internal/solver/dns01/azuredns/azurednstest"
)

const (
	tenant       = azurednstest.Tenant
	client       = azurednstest.Client
	secret       = azurednstest.Secret
	subscription = azurednstest.Subscription
	group        = azurednstest.Group
	resourceID   = azurednstest.ResourceID
	object       = azurednstest.Object
)

// server is a stub of one cloud.
type server struct {
	*azurednstest.Server
	cloud azure
}

func newServer(t *testing.T, c azure) *server {
	t.Helper()
	stub := map[string]azurednstest.Cloud{
		publicCloud.name: azurednstest.Public, governmentCloud.name: azurednstest.Government, chinaCloud.name: azurednstest.China,
	}[c.name]
	return &server{azurednstest.New(t, stub), c}
}

// refuse makes the API answer all requests so.
func (s *server) refuse(a azurednstest.Answer) { s.Do(func() { s.API = &a }) }

// principal is the Config of a service principal.
func (s *server) principal() Config {
	return Config{
		SubscriptionID: subscription, ResourceGroupName: group, Environment: s.cloud.name,
		ClientID: client, ClientSecret: secret, TenantID: tenant, HTTP: s.Transport(),
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

func (s *server) values(kind, fqdn string) []string { return s.At(kind, fqdn).Texts() }

func provider(t *testing.T, c Config) *Provider {
	t.Helper()
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
