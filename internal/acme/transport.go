package acme

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"time"

	"github.com/everleaf/everleaf/internal/fault"
)

// TransportOptions are an issuer's settings for HTTPS.
type TransportOptions struct {
	// CABundle is PEM. If it is not empty, its certificates replace the
	// system's roots.
	CABundle []byte
	// SkipTLSVerify turns the check of the server's certificate off.
	SkipTLSVerify bool
}

// HTTPClient returns a client for ACME servers: proxies from the environment,
// 30 s to connect, 10 s for the TLS handshake, 90 s for a request as a whole.
// A CABundle in which no certificate is found is a User error.
func HTTPClient(opts TransportOptions) (*http.Client, error) {
	config := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: opts.SkipTLSVerify, //nolint:gosec // the user asked for it
	}
	if len(opts.CABundle) > 0 {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(opts.CABundle) {
			return nil, fault.New(fault.User, "InvalidCABundle", "the CA bundle for the ACME server has no PEM certificate in it")
		}
	}
	dialer := &net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Client{
		Timeout: 90 * time.Second,
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            dialer.DialContext,
			TLSClientConfig:        config,
			TLSHandshakeTimeout:    10 * time.Second,
			ForceAttemptHTTP2:      true,
			MaxIdleConnsPerHost:    16,
			IdleConnTimeout:        90 * time.Second,
			MaxResponseHeaderBytes: 256 << 10,
		},
	}, nil
}

// checkRedirect follows a redirect of a GET or HEAD to the same scheme or to
// https. A signed request is never sent to another place: its signature names
// the URL, so no honest server could accept it there.
func checkRedirect(next *http.Request, via []*http.Request) error {
	if via[0].Method == http.MethodPost {
		return http.ErrUseLastResponse
	}
	if len(via) > 3 || !schemeAllowed(via[0].URL.Scheme, next.URL.Scheme) {
		return errRedirect
	}
	return nil
}

// schemeAllowed reports whether a server that was given by a URL of one scheme
// may send us to another: never from https to anything less.
func schemeAllowed(given, other string) bool {
	return other == "https" || given == "http" && other == "http"
}
