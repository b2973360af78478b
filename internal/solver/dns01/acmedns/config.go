// Package acmedns writes dns-01 challenge values to a server of the acme-dns project
// (https://github.com/joohoi/acme-dns), which serves them at names of its own: a CNAME
// record at the challenge's name points there. The server keeps the last two values of an
// account, and has no way to remove one.
package acmedns

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/nrdcg/goacmedns"
	"k8s.io/utils/clock"

	"github.com/everleaf/everleaf/internal/dns/dnsname"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/foreign/vendorapi"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

const (
	// ttl is what acme-dns answers with.
	ttl = time.Second

	instantiating = "error instantiating acmedns challenge solver: "
)

// Config is an issuer's acmeDNS stanza with its Secret looked up.
type Config struct {
	// Host is the URL of the server's API.
	Host string
	// Accounts is the Secret's value: a JSON object with an account, as the server's
	// answer to a registration, for each DNS name.
	Accounts string
	// SecretName names the Secret in messages, as namespace/name.
	SecretName string

	// Clock gives the time from which Retry-After counts.
	Clock clock.PassiveClock
	// HTTP sends the requests.
	HTTP http.RoundTripper
}

// Provider writes with the accounts of one Secret.
type Provider struct {
	client   *goacmedns.Client
	host     string
	accounts map[string]account // by DNS name, in lower case and without the final dot
	secret   string
	clock    clock.PassiveClock
}

// account is what the server answers to a registration.
type account struct {
	goacmedns.Account
	// AllowFrom are the networks from which the server takes updates of the account;
	// all if there are none.
	AllowFrom []string `json:"allowfrom"`
}

var _ dns01.Provider = (*Provider)(nil)

// New returns the Provider of a Config, or a User fault that says what is wrong with
// the Config.
func New(c Config) (*Provider, error) {
	host, err := url.Parse(strings.TrimSpace(c.Host))
	if err != nil || host.Host == "" || host.Scheme != "https" && host.Scheme != "http" {
		return nil, invalid("the host %q is not a URL such as https://auth.example.org", c.Host)
	}
	if host.User != nil {
		return nil, invalid("the host is a URL with a user: the credentials are those of the accounts")
	}
	accounts, err := parse(c.Accounts)
	if err != nil {
		return nil, invalid("the value in secret %q is %s", c.SecretName, err)
	}
	client, err := goacmedns.NewClient(host.String(), goacmedns.WithHTTPClient(vendorapi.Client(recorder{c.HTTP})))
	if err != nil {
		return nil, invalid("the host %q is not a URL", c.Host)
	}
	return &Provider{client: client, host: host.String(), accounts: accounts, secret: fmt.Sprintf("secret %q", c.SecretName), clock: c.Clock}, nil
}

func invalid(format string, args ...any) error {
	return fault.New(fault.User, "InvalidConfig", instantiating+format, args...)
}

// plain is a name without the final dot, in lower case.
func plain(name string) string { return strings.TrimSuffix(dnsname.Canonical(name), ".") }
