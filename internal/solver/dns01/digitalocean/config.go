// Package digitalocean writes dns-01 challenge records into domains of DigitalOcean by its
// API v2 (https://docs.digitalocean.com/reference/api). Each value is a record of its own,
// so that writers of other values do not disturb each other.
package digitalocean

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/digitalocean/godo"
	"k8s.io/utils/clock"

	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/foreign/vendorapi"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

const (
	// ttl is the least that DigitalOcean takes.
	ttl = 30 * time.Second

	endpoint = "https://api.digitalocean.com/"

	instantiating = "error instantiating digitalocean challenge solver: "
)

// Config is an issuer's digitalocean stanza with its Secret looked up.
type Config struct {
	// Token is a personal access token. White space around it is ignored.
	Token string
	// SecretName names the Secret in messages, as namespace/name.
	SecretName string

	// Clock gives the time from which Retry-After counts.
	Clock clock.PassiveClock
	// HTTP sends the requests.
	HTTP http.RoundTripper
	// Endpoint is the URL of the API without its version; empty is DigitalOcean's.
	Endpoint string
}

// Provider writes with one token. It remembers the domains of names.
type Provider struct {
	dns01.Anycast
	domains godo.DomainsService
	clock   clock.PassiveClock
	// credential names the token in messages.
	credential string

	found dns01.Zones[string] // the domain, by name
}

var _ dns01.Provider = (*Provider)(nil)

// New returns the Provider of a Config, or a User fault that says what is wrong with
// the Config.
func New(c Config) (*Provider, error) {
	token := strings.TrimSpace(c.Token)
	if token == "" {
		return nil, invalid("the DigitalOcean token in secret %q is empty", c.SecretName)
	}
	if what := vendorapi.Unprintable(token); what != "" {
		return nil, invalid("the DigitalOcean token in secret %q %s", c.SecretName, what)
	}
	if c.Endpoint == "" {
		c.Endpoint = endpoint
	}
	client, err := godo.New(vendorapi.Client(c.HTTP), godo.SetBaseURL(c.Endpoint),
		godo.SetRequestHeaders(map[string]string{"Authorization": "Bearer " + token}))
	if err != nil {
		return nil, invalid("%s", err)
	}
	client.UserAgent = "everleaf"
	return &Provider{
		domains: client.Domains, clock: c.Clock,
		credential: fmt.Sprintf("the token in secret %q", c.SecretName),
	}, nil
}

func invalid(format string, args ...any) error {
	return fault.New(fault.User, "InvalidConfig", instantiating+format, args...)
}
