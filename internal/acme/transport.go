package acme

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"time"

	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/pki"
)

// TransportOptions are an issuer's settings for HTTPS.
type TransportOptions struct {
	// CABundle is PEM. If it is not empty, its certificates replace the
	// system's roots.
	CABundle []byte
	// MaxBundleSize is the largest accepted CABundle in bytes; 0 means that of
	// pki.DefaultLimits.
	MaxBundleSize int
	// SkipTLSVerify disables verification of the server's certificate.
	SkipTLSVerify bool
}

// HTTPClient returns an HTTP client for ACME servers. It uses the proxies from
// the environment and these timeouts: 30 s to connect, 10 s for the TLS
// handshake, 90 s for a whole request. A CABundle without certificates, or one that
// is too large, is a User error.
func HTTPClient(opts TransportOptions) (*http.Client, error) {
	config := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: opts.SkipTLSVerify, // the user asked for it
	}
	if limit := cmp.Or(opts.MaxBundleSize, pki.DefaultLimits.MaxBundleSize); len(opts.CABundle) > limit {
		return nil, fault.New(fault.User, "InvalidCABundle", "the CA bundle for the ACME server has %d bytes, more than the %d that are accepted (--max-bundle-size)", len(opts.CABundle), limit)
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

// checkRedirect allows redirects of GET and HEAD to the same scheme or to
// https. It never allows them for signed requests: the signature covers the
// URL, so that no honest server could accept the request elsewhere.
func checkRedirect(next *http.Request, via []*http.Request) error {
	if via[0].Method == http.MethodPost {
		return http.ErrUseLastResponse
	}
	if len(via) > 3 || !schemeAllowed(via[0].URL.Scheme, next.URL.Scheme) {
		return errRedirect
	}
	return nil
}

// schemeAllowed reports whether a server given by a URL of one scheme may refer
// to a URL of another: never from https to http.
func schemeAllowed(given, other string) bool {
	return other == "https" || given == "http" && other == "http"
}
