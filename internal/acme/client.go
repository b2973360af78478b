package acme

import (
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/foreign"
)

// Actions are the names of requests in metrics, the values of cert-manager's
// label "action", which has none for renewal information.
const (
	actionDiscover      = "discover"
	actionRegister      = "register_account"
	actionAccount       = "get_registration"
	actionUpdateAccount = "update_registration"
	actionNewOrder      = "authorize_order"
	actionOrder         = "get_order"
	actionFinalize      = "create_order_cert"
	actionCertificate   = "fetch_cert"
	actionAlternate     = "list_cert_alternates"
	actionAuthorization = "get_authorization"
	actionAccept        = "accept_challenge"
	actionRenewalInfo   = "get_renewal_info"
)

// actionNonce is the action of a Problem if the request for a nonce failed. In
// metrics it counts under the request that needed the nonce.
const actionNonce = "new_nonce"

// maxNonceRetries is how often a request is repeated for a bad nonce.
const maxNonceRetries = 5

// ErrNoAccount is returned by a request that needs an account if none is
// registered.
var ErrNoAccount = errors.New("the ACME account is not registered")

// Config configures a Client.
type Config struct {
	// DirectoryURL is the URL of the server's directory. If its scheme is
	// https, the client uses no other scheme.
	DirectoryURL string
	// Key is the account key: RSA, or ECDSA on P-256, P-384 or P-521.
	Key crypto.Signer
	// AccountURL identifies the account in requests. It may be empty before
	// Register.
	AccountURL string
	// HTTPClient sends the requests; nil means http.DefaultClient. Its
	// CheckRedirect and Jar are ignored.
	HTTPClient *http.Client
	// UserAgent is the header of each request (RFC 8555 section 6.1); empty
	// means "everleaf".
	UserAgent string
	// Clock measures the age of nonces and of the directory. Problem.RetryAfter
	// and the like are times on this clock. Nil means the system's clock.
	Clock clock.PassiveClock
	// Observe, if set, is called after each request, when the response's header
	// has arrived. If no response arrived, status is 0. action is one of
	// cert-manager's names, such as "authorize_order".
	Observe func(action, method, host, scheme string, status int, d time.Duration)
}

// Client sends the requests of one account key to one server. It is safe for
// concurrent use.
type Client struct {
	directoryURL string
	key          crypto.Signer
	http         *http.Client
	userAgent    string
	clock        clock.PassiveClock
	observe      func(action, method, host, scheme string, status int, d time.Duration)

	nonces    noncePool
	directory directoryCache

	mu         sync.Mutex
	accountURL string
}

// New returns a client. It sends nothing. If c is invalid, each request returns
// the error.
func New(c Config) *Client {
	base := c.HTTPClient
	if base == nil {
		base = http.DefaultClient
	}
	client := &Client{
		directoryURL: c.DirectoryURL,
		key:          c.Key,
		http:         &http.Client{Transport: base.Transport, Timeout: base.Timeout, CheckRedirect: checkRedirect},
		userAgent:    c.UserAgent,
		clock:        c.Clock,
		observe:      c.Observe,
		accountURL:   c.AccountURL,
		directory:    directoryCache{lock: make(chan struct{}, 1)},
	}
	if client.userAgent == "" {
		client.userAgent = "everleaf"
	}
	if client.clock == nil {
		client.clock = clock.RealClock{}
	}
	if client.observe == nil {
		client.observe = func(string, string, string, string, int, time.Duration) {}
	}
	return client
}

// AccountURL returns the URL of the account, empty before Register.
func (c *Client) AccountURL() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.accountURL
}

func (c *Client) setAccountURL(u string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.accountURL = u
}

// request is one signed request.
type request struct {
	action string
	url    string
	// payload is encoded as JSON; nil makes a POST-as-GET.
	payload any
	// accept is the requested media type; empty means JSON.
	accept string
	// newAccount embeds the public key, because no account exists yet.
	newAccount bool
}

// post signs and sends a request. It repeats the request if the server rejects
// the nonce.
func (c *Client) post(ctx context.Context, r request) (*response, error) {
	u, err := c.parseURL(r.url)
	if err != nil {
		return nil, err
	}
	kid := ""
	if !r.newAccount {
		if kid = c.AccountURL(); kid == "" {
			return nil, ErrNoAccount
		}
	}
	payload := []byte{} // jose leaves the member out for nil
	if r.payload != nil {
		if payload, err = json.Marshal(r.payload); err != nil {
			return nil, fault.New(fault.Permanent, "InvalidRequest", "the request cannot be written as JSON").Because(err)
		}
	}
	replay, err := c.nonce(ctx, r.action)
	if err != nil {
		return nil, err
	}
	for attempt := 0; ; attempt++ {
		body, err := sign(c.key, kid, r.url, replay.value, payload)
		if err != nil {
			return nil, err
		}
		answer, fresh, err := c.exchange(ctx, r.action, http.MethodPost, u, body, r.accept)
		if p := ProblemOf(err); p == nil || !p.Has(TypeBadNonce) || attempt == maxNonceRetries {
			c.nonces.put(fresh, c.clock.Now())
			c.askIfAlive(ctx, r.action, p)
			return answer, err
		}
		c.nonces.drop(replay.since)
		if isBase64URL(fresh) {
			replay = pooledNonce{value: fresh, since: c.clock.Now()}
		} else if replay, err = c.nonce(ctx, r.action); err != nil {
			return nil, err
		}
	}
}

// askIfAlive finds out who says that an order or a part of it does not exist, if
// the answer has no problem document: the CA, if it answers for the account.
func (c *Client) askIfAlive(ctx context.Context, action string, p *Problem) {
	if p == nil || p.Type != "" || p.Status != http.StatusNotFound && p.Status != http.StatusGone {
		return
	}
	switch action {
	case actionOrder, actionAuthorization, actionFinalize, actionAccept:
		account, err := c.Account(ctx)
		p.alive = err == nil && account.Status == StatusValid
	}
}

// nonce takes a nonce from the pool, or requests one from the server if the
// pool is empty.
func (c *Client) nonce(ctx context.Context, action string) (pooledNonce, error) {
	if n, ok := c.nonces.take(c.clock.Now()); ok {
		return n, nil
	}
	directory, err := c.Directory(ctx)
	if err != nil {
		return pooledNonce{}, err
	}
	u, err := c.parseURL(directory.NewNonce)
	if err != nil {
		return pooledNonce{}, err
	}
	_, fresh, err := c.exchange(ctx, action, http.MethodHead, u, nil, "")
	if err == nil && !isBase64URL(fresh) {
		err = &ServerError{Host: u.Host, What: "gave no nonce"}
	}
	if err != nil {
		if p := ProblemOf(err); p != nil {
			p.action = actionNonce
		}
		c.suspectDirectory(err)
		return pooledNonce{}, err
	}
	return pooledNonce{value: fresh, since: c.clock.Now()}, nil
}

// exchange sends one HTTP request and reads the whole response, up to its
// limit. A response without a success status is an error. The returned nonce is
// valid even with an error.
func (c *Client) exchange(ctx context.Context, action, method string, u *url.URL, body []byte, accept string) (*response, string, error) {
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), reader)
	if err != nil {
		return nil, "", &ServerError{Host: u.Host, What: "named a URL that cannot be used"}
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/jose+json")
	}
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	req.Header.Set("User-Agent", c.userAgent)
	req.Header.Set("Accept-Language", "en")

	start := c.clock.Now()
	resp, err := c.http.Do(req)
	if err != nil {
		c.observe(action, method, u.Host, u.Scheme, 0, c.clock.Since(start))
		return nil, "", networkError(u, err)
	}
	defer resp.Body.Close()
	c.observe(action, method, u.Host, u.Scheme, resp.StatusCode, c.clock.Since(start))
	answer, err := c.receive(action, resp)
	return answer, resp.Header.Get("Replay-Nonce"), err
}

func (c *Client) receive(action string, resp *http.Response) (*response, error) {
	u := resp.Request.URL
	again := foreign.RetryAfter(resp.Header, c.clock.Now())
	switch {
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return nil, &ServerError{Host: u.Host, What: "answers with a redirect where ACME allows none"}
	case resp.StatusCode < 200 || resp.StatusCode >= 300:
		p := readProblem(u, resp)
		p.action = action
		p.RetryAfter = again
		return nil, p
	}
	data, err := readBody(u, resp.Body, maxBody)
	if err != nil {
		return nil, err
	}
	return &response{url: u, status: resp.StatusCode, header: resp.Header, body: data, retryAfter: again}, nil
}

// parseURL checks a URL from the server or from a stored resource. Its scheme
// must not be weaker than the directory's.
func (c *Client) parseURL(raw string) (*url.URL, error) {
	directory, err := c.parseDirectoryURL()
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(raw)
	if err != nil || len(raw) > maxURL || u.Host == "" || u.User != nil || !schemeAllowed(directory.Scheme, u.Scheme) {
		return nil, &ServerError{Host: directory.Host, What: "named a URL that cannot be used"}
	}
	return u, nil
}

// SameHost reports whether two URLs are of one host and port. A URL that cannot
// be parsed has none.
func SameHost(a, b string) bool {
	x, errX := url.Parse(a)
	y, errY := url.Parse(b)
	return errX == nil && errY == nil && x.Host == y.Host
}

func (c *Client) parseDirectoryURL() (*url.URL, error) {
	u, err := url.Parse(c.directoryURL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fault.New(fault.User, "InvalidURL", "the ACME server's URL must be an absolute https URL")
	}
	return u, nil
}
