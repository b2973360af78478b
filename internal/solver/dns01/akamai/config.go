// Package akamai writes dns-01 challenge records into zones of Akamai Edge DNS by its Zone
// Management API v2 (https://techdocs.akamai.com/edge-dns/reference), as an API client with
// EdgeGrid signatures (https://techdocs.akamai.com/developer/docs/edgegrid).
//
// The SDK's package edgegrid signs the requests, and its package session sends them. Its package dns
// is not used: it has a package for tests in it, one lock for all writers, and no way to
// see the headers of an answer.
package akamai

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/akamai/AkamaiOPEN-edgegrid-golang/v12/pkg/edgegrid"
	"k8s.io/utils/clock"

	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/foreign/vendorapi"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

const (
	// ttl is that of new record sets.
	ttl = 300 * time.Second

	instantiating = "error instantiating akamai challenge solver: "

	// prefix begins all messages about Edge DNS.
	prefix = "edgedns: "
)

// Config is an issuer's akamai stanza with its Secrets looked up.
type Config struct {
	// Host is the API client's host, such as akab-xxxx.luna.akamaiapis.net.
	Host string
	// ClientToken, ClientSecret and AccessToken are the credentials of the API client.
	ClientToken, ClientSecret, AccessToken Credential

	// Clock gives the time from which Retry-After counts.
	Clock clock.PassiveClock
	// HTTP sends the requests.
	HTTP http.RoundTripper
	// Endpoint is the URL of the API; empty is https at the host.
	Endpoint string

	// turns has those who change one name's record set take turns: a change replaces all
	// of its values.
	turns *turns
}

// Credential is the value of an entry of a Secret. SecretName names the Secret in
// messages, as namespace/name.
type Credential struct{ Value, SecretName string }

// Provider writes with one API client. It remembers the zones of names.
type Provider struct {
	dns01.Anycast
	signer   edgegrid.Config
	endpoint string
	http     http.RoundTripper
	clock    clock.PassiveClock
	turns    *turns
	// client names the API client in messages.
	client string

	found dns01.Zones[string] // the zone, by name
}

var _ dns01.Provider = (*Provider)(nil)

// New returns the Provider of a Config, or a User fault that says what is wrong with
// the Config.
func New(c Config) (*Provider, error) {
	host := strings.TrimSuffix(strings.TrimPrefix(c.Host, "https://"), "/")
	if u, err := url.Parse("https://" + host); err != nil || host == "" || u.Host != host || u.Hostname() == "" {
		return nil, invalid("serviceConsumerDomain %q is not the host of an API client, such as akab-xxxx.luna.akamaiapis.net", c.Host)
	}
	var secrets []string
	for _, credential := range []struct {
		name string
		Credential
	}{{"client token", c.ClientToken}, {"client secret", c.ClientSecret}, {"access token", c.AccessToken}} {
		what := vendorapi.Unprintable(credential.Value)
		if strings.TrimSpace(credential.Value) == "" {
			what = "is empty"
		}
		if what != "" {
			return nil, invalid("the Akamai %s in secret %q %s", credential.name, credential.SecretName, what)
		}
		if name := fmt.Sprintf("%q", credential.SecretName); len(secrets) == 0 || secrets[len(secrets)-1] != name {
			secrets = append(secrets, name)
		}
	}
	if c.Endpoint == "" {
		c.Endpoint = "https://" + host
	}
	if c.turns == nil {
		c.turns = &turns{}
	}
	return &Provider{
		signer: edgegrid.Config{
			Host: host, ClientToken: c.ClientToken.Value, ClientSecret: c.ClientSecret.Value, AccessToken: c.AccessToken.Value,
			MaxBody: edgegrid.MaxBodySize,
		},
		endpoint: c.Endpoint, http: c.HTTP, clock: c.Clock, turns: c.turns,
		client: fmt.Sprintf("the API client of %s in secret %s", host, strings.Join(secrets, ", ")),
	}, nil
}

func invalid(format string, args ...any) error {
	return fault.New(fault.User, "InvalidConfig", instantiating+format, args...)
}
