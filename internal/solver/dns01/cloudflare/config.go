// Package cloudflare writes dns-01 challenge records into zones of Cloudflare by its
// API v4 (https://developers.cloudflare.com/api). Each value is a record of its own, so
// that writers of other values do not disturb each other.
package cloudflare

import (
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/cloudflare/cloudflare-go"
	"k8s.io/utils/clock"

	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/foreign/vendorapi"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

const (
	// ttl is the least that Cloudflare takes, except for Enterprise zones.
	ttl = 60 * time.Second

	endpoint = "https://api.cloudflare.com/client/v4"

	instantiating = "error instantiating cloudflare challenge solver: "
)

// Config is an issuer's cloudflare stanza with its Secret looked up. It has either an
// API token, or the global API key of a user with the user's e-mail address.
type Config struct {
	Token      string
	Key, Email string
	// SecretName names the Secret in messages, as namespace/name.
	SecretName string

	// Clock gives the time from which Retry-After counts.
	Clock clock.PassiveClock
	// HTTP sends the requests.
	HTTP http.RoundTripper
}

// Provider writes with one credential. It remembers the zones of names.
type Provider struct {
	dns01.Anycast
	api   *cloudflare.API
	clock clock.PassiveClock
	// credential names the credential in messages.
	credential string

	found dns01.Zones[zone] // by name
}

// zone is a zone at Cloudflare. Its id is that of the look-up: records have not had one
// since 2024-11.
type zone struct{ id, name string }

var _ dns01.Provider = (*Provider)(nil)

// New returns the Provider of a Config, or a User fault that says what is wrong with
// the Config.
func New(c Config) (*Provider, error) {
	p := &Provider{clock: c.Clock}
	// The controller retries, and has the rate of requests by the answers.
	options := []cloudflare.Option{
		cloudflare.BaseURL(endpoint), cloudflare.HTTPClient(vendorapi.Client(recorder{c.HTTP})), cloudflare.UserAgent("everleaf"),
		cloudflare.UsingRetryPolicy(0, 0, 0), cloudflare.UsingRateLimit(math.MaxFloat64),
	}
	switch {
	case c.Token != "":
		p.credential = fmt.Sprintf("the API token in secret %q", c.SecretName)
		if err := printable("API token", c.Token, c.SecretName); err != nil {
			return nil, err
		}
	case c.Key == "":
		return nil, invalid("no Cloudflare credential has been given: set apiTokenSecretRef, or apiKeySecretRef and email")
	case c.Email == "":
		return nil, invalid("no Cloudflare email has been given: an API key needs that of its user")
	default:
		p.credential = fmt.Sprintf("the API key of %s in secret %q", c.Email, c.SecretName)
		if err := printable("API key", c.Key, c.SecretName); err != nil {
			return nil, err
		}
		if vendorapi.Unprintable(c.Email) != "" {
			return nil, invalid("the Cloudflare email is invalid (does the email contain a newline?)")
		}
	}
	var err error
	if c.Token != "" {
		p.api, err = cloudflare.NewWithAPIToken(c.Token, options...)
	} else {
		p.api, err = cloudflare.New(c.Key, c.Email, options...)
	}
	if err != nil {
		return nil, invalid("%s", err)
	}
	return p, nil
}

// printable returns a User fault if a credential does not fit into an HTTP header.
func printable(kind, credential, secret string) error {
	if what := vendorapi.Unprintable(credential); what != "" {
		return invalid("the Cloudflare %s is invalid (does the %s contain a newline?): the value in secret %q %s", kind, kind, secret, what)
	}
	return nil
}

func invalid(format string, args ...any) error {
	return fault.New(fault.User, "InvalidConfig", instantiating+format, args...)
}
