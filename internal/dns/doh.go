package dns

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"golang.org/x/net/http/httpproxy"

	"github.com/everleaf/everleaf/internal/propagation"
)

const (
	mediaType = "application/dns-message"
	// maxRest bounds the Retry-After of a resolver: the other resolvers may be worse.
	maxRest = 10 * time.Minute
	// defaultRest is the wait after HTTP 429 without Retry-After.
	defaultRest = 10 * time.Second
)

// newHTTPClient returns the client of one DNS over HTTPS server. It keeps connections,
// obeys HTTPS_PROXY and NO_PROXY, and follows no redirect: a query is for the server
// that the user has named.
func newHTTPClient(dial dialFunc, config *tls.Config) *http.Client {
	proxy := httpproxy.FromEnvironment().ProxyFunc()
	return &http.Client{
		Transport: &http.Transport{
			Proxy:           func(r *http.Request) (*url.URL, error) { return proxy(r.URL) },
			TLSClientConfig: config,
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				return dialAbsolute(ctx, dial, network, address)
			},
			ForceAttemptHTTP2:      true,
			MaxIdleConnsPerHost:    parallel,
			IdleConnTimeout:        time.Minute,
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// exchangeHTTPS sends a query as the body of a POST (RFC 8484 section 4.1).
func (u *upstream) exchangeHTTPS(ctx context.Context, query []byte) ([]byte, error) {
	if r := u.resting.Load(); r != nil && u.clock.Now().Before(r.until) {
		return nil, r.says
	}
	ctx, cancel := context.WithTimeout(ctx, encryptedFactor*u.transport.timeout())
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, u.url.String(), bytes.NewReader(query))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", mediaType)
	request.Header.Set("Accept", mediaType)
	response, err := u.http.Do(request)
	if err != nil {
		return nil, u.explain(err)
	}
	defer response.Body.Close()
	kind := contentType(response.Header.Get("Content-Type"))
	if response.StatusCode != http.StatusOK || kind != mediaType {
		says := &failed{propagation.HTTPFailure, fmt.Sprintf("answers HTTP %d (%s)", response.StatusCode, kind), nil}
		if wait := retryAfter(response, u.clock.Now()); wait > 0 {
			u.resting.Store(&rest{u.clock.Now().Add(wait), says})
		}
		return nil, says
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxMessage+1))
	switch {
	case isTimeout(err):
		return nil, err
	case err != nil:
		return nil, &failed{propagation.Malformed, "closes the connection in the middle of its answer", err}
	case len(answer) > maxMessage, !answers(answer, query):
		return nil, errStray
	default:
		return answer, nil
	}
}

// retryAfter is how long a server that is overloaded is not asked.
func retryAfter(r *http.Response, now time.Time) time.Duration {
	var wait time.Duration
	switch r.StatusCode {
	case http.StatusTooManyRequests:
		wait = defaultRest
	case http.StatusServiceUnavailable:
	default:
		return 0
	}
	after := r.Header.Get("Retry-After")
	if n, err := strconv.Atoi(after); err == nil && n >= 0 {
		wait = time.Duration(min(n, int(maxRest/time.Second))) * time.Second
	} else if at, err := http.ParseTime(after); err == nil {
		wait = at.Sub(now)
	}
	return min(wait, maxRest)
}

// token is a media type without parameters (RFC 9110 section 8.3.1), of a bounded length.
var token = regexp.MustCompile(`^[a-z0-9!#$&^_.+-]{1,40}/[a-z0-9!#$&^_.+-]{1,60}$`)

// contentType returns the media type in a header, for a message.
func contentType(header string) string {
	kind, _, _ := mime.ParseMediaType(header)
	if !token.MatchString(kind) {
		return "no content type"
	}
	return kind
}

// certificateSays says what is wrong with a resolver's certificate.
func certificateSays(err error, host string) string {
	var (
		name      x509.HostnameError
		authority x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &name):
		if _, bad := netip.ParseAddr(host); bad == nil {
			return "has a certificate that is not for the IP address " + host + ": use the name that is in it"
		}
		return "has a certificate that is not for " + host + ": use the name that is in it"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "has a certificate that has expired or is not valid yet"
	case errors.As(err, &authority):
		return "has a certificate from an authority that this machine does not trust"
	default:
		return "has a certificate that cannot be verified"
	}
}
