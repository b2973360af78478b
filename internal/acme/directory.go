package acme

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"time"
)

// directoryAge is how long a directory is cached.
const directoryAge = time.Hour

// Directory lists the URLs of the server's resources (RFC 8555 section 7.1.1).
type Directory struct {
	NewNonce   string `json:"newNonce"`
	NewAccount string `json:"newAccount"`
	NewOrder   string `json:"newOrder"`
	// RenewalInfo is what the URL of a certificate's renewal information begins with
	// (RFC 9773 section 4.1), empty if the server has none.
	RenewalInfo string `json:"renewalInfo"`
	Meta        Meta   `json:"meta"`
}

// Meta is the server's metadata (RFC 8555 section 7.1.1 and the ACME profiles
// draft).
type Meta struct {
	TermsOfService          string `json:"termsOfService"`
	ExternalAccountRequired bool   `json:"externalAccountRequired"`
	// CAAIdentities are the domain names that the server takes for its own in CAA
	// records (RFC 8659).
	CAAIdentities []string `json:"caaIdentities"`
	// Profiles maps the names of the server's profiles to descriptions.
	Profiles map[string]string `json:"profiles"`
}

// directoryCache holds the last directory. Its lock is a channel, so that a
// waiter can give up when its context ends.
type directoryCache struct {
	lock    chan struct{}
	value   Directory
	fetched time.Time // zero if there is no valid directory
}

// Directory returns the server's directory, cached for at most an hour.
func (c *Client) Directory(ctx context.Context) (Directory, error) {
	return c.directoryNotOlder(ctx, directoryAge)
}

func (c *Client) directoryNotOlder(ctx context.Context, age time.Duration) (Directory, error) {
	cache := &c.directory
	select {
	case cache.lock <- struct{}{}:
	case <-ctx.Done():
		u, err := c.parseDirectoryURL()
		if err != nil {
			return Directory{}, err
		}
		return Directory{}, networkError(u, ctx.Err())
	}
	defer func() { <-cache.lock }()

	if cache.fetched.IsZero() || c.clock.Since(cache.fetched) > age {
		d, err := c.fetchDirectory(ctx)
		if err != nil {
			return Directory{}, err
		}
		cache.value, cache.fetched = d, c.clock.Now()
	}
	d := cache.value
	d.Meta.Profiles = maps.Clone(d.Meta.Profiles)
	return d, nil
}

func (c *Client) fetchDirectory(ctx context.Context) (Directory, error) {
	u, err := c.parseDirectoryURL()
	if err != nil {
		return Directory{}, err
	}
	answer, _, err := c.exchange(ctx, actionDiscover, http.MethodGet, u, nil, "application/json")
	if err != nil {
		return Directory{}, notDirectory(u, err)
	}
	var d Directory
	if err := answer.decode(&d, "a directory"); err != nil {
		return Directory{}, notDirectory(u, err)
	}
	for _, required := range []struct{ name, url string }{
		{"newNonce", d.NewNonce}, {"newAccount", d.NewAccount}, {"newOrder", d.NewOrder},
	} {
		if _, err := c.parseURL(required.url); err != nil {
			return Directory{}, notDirectory(u, &ServerError{Host: u.Host, What: "has a directory without a usable " + required.name + " URL"})
		}
	}
	return d, nil
}

// notDirectory has an error name the URL that a user has given, if the answer shows
// that the URL may be wrong. A password or a query in the URL is left out.
func notDirectory(u *url.URL, err error) error {
	shown := (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
	var server *ServerError
	if errors.As(err, &server) {
		return &ServerError{Host: server.Host, What: server.What + " at " + shown + ": check spec.acme.server"}
	}
	p := ProblemOf(err)
	if p == nil || p.rateLimited() || p.Status >= http.StatusInternalServerError ||
		p.Status == http.StatusRequestTimeout || p.Status == http.StatusTooEarly {
		return err
	}
	if p.directory = shown; u.Scheme == "http" && p.Status == http.StatusBadRequest {
		p.directoryHint = "; the server may want https"
	}
	return err
}

// suspectDirectory drops the cached directory if the cause of an error could be
// an endpoint that has moved.
func (c *Client) suspectDirectory(err error) {
	var network *NetworkError
	var server *ServerError
	p := ProblemOf(err)
	moved := p != nil && (p.Status == http.StatusNotFound || p.Status == http.StatusMethodNotAllowed || p.Status == http.StatusGone)
	if !moved && !errors.As(err, &network) && !errors.As(err, &server) {
		return
	}
	c.directory.lock <- struct{}{}
	c.directory.fetched = time.Time{}
	<-c.directory.lock
}
