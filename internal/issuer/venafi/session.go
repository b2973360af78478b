package venafi

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/Venafi/vcert/v5/pkg/endpoint"

	"github.com/everleaf/everleaf/internal/foreign/authn"
	"github.com/everleaf/everleaf/internal/foreign/vendorapi"
	"github.com/everleaf/everleaf/internal/pki"
)

// session is what is kept of one issuer as long as its spec and its Secrets stay as they
// are: connections, and the token that it has logged in for.
type session struct {
	settings  settings
	transport http.RoundTripper
	kept      authn.Keeper[login]
	// replaces reports that the next login replaces one which the server has refused.
	replaces atomic.Bool
}

// login is what a session has logged in for.
type login struct {
	// connect returns a connector that uses a client, nil before the login.
	connect func(*http.Client) endpoint.Connector
	// token identifies the login, and is the token if there is one; until is when it
	// expires, zero if that is not known.
	token string
	until time.Time
	// settles is until when the login is not replaced.
	settles time.Time
}

// usable reports whether requests can be sent at a time.
func (l login) usable(now time.Time) bool {
	return l.connect != nil && (l.until.IsZero() || now.Add(callTimeout).Before(l.until))
}

// end ends the idle connections of a session.
func (s *session) end() {
	if t, ok := s.transport.(*http.Transport); ok {
		t.CloseIdleConnections()
	}
}

// newSession returns a session of settings. The error is a *failure.
func newSession(s settings, c Config) (*session, error) {
	made := &session{settings: s, transport: c.HTTP}
	made.kept = authn.Keeper[login]{Now: c.Clock.Now, Next: made.nextLogin}
	if c.HTTP != nil && s.backend != backendTPP {
		return made, nil
	}
	transport := vendorapi.NewTransport()
	made.transport = transport
	// What is before a server of one's own may be slow: a call has one limit for all of it.
	transport.DialContext = (&net.Dialer{Timeout: callTimeout, KeepAlive: 30 * time.Second}).DialContext
	transport.TLSHandshakeTimeout = callTimeout
	config := transport.TLSClientConfig
	if s.backend == backendTPP {
		// IIS asks for a client certificate of some directories only once the request
		// is there, which HTTP/2 does not allow (RFC 9113 section 9.2.1).
		config.Renegotiation, transport.ForceAttemptHTTP2 = tls.RenegotiateOnceAsClient, false
	}
	if s.caBundle != "" {
		if limit := cmp.Or(c.Limits.MaxBundleSize, pki.DefaultLimits.MaxBundleSize); len(s.caBundle) > limit {
			return nil, misconfigured("the CA bundle of spec.venafi.tpp has %d bytes, and %d are the limit", len(s.caBundle), limit)
		}
		// As with cert-manager, what is no certificate is skipped.
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM([]byte(s.caBundle)) {
			return nil, misconfigured("the CA bundle of spec.venafi.tpp has no certificate in PEM")
		}
	}
	return made, nil
}

// discard forgets a login that the server does not take any more. It reports false for one
// that settles, which stays.
func (s *session) discard(l login, now time.Time) bool {
	if now.Before(l.settles) {
		return false
	}
	s.kept.Drop(func(kept login) bool {
		is := kept.token == l.token
		if is {
			s.replaces.Store(true)
		}
		return is
	})
	return true
}

// connect returns a login. One that is known is used, unless the server is to be asked
// whether it still counts.
func (s *session) connect(ctx context.Context, how logins, ask bool) (login, *failure) {
	fits := func(l login) bool { return l.usable(how.now()) }
	l, err := s.kept.Get(ctx, ask, fits, func(ctx context.Context, before login) (login, error) {
		made, f := how.login(ctx, s, before)
		switch {
		case f != nil && f.kind == refused:
			s.discard(before, how.now())
			return login{}, f
		case f != nil:
			return login{}, f
		case s.settings.renewable() && made.token != before.token && s.replaces.Swap(false):
			made.settles = how.now().Add(authn.Settling)
		}
		return made, nil
	})
	if err != nil {
		return login{}, failureOf(err)
	}
	return l, nil
}

// nextLogin is what the error of a login means for the next one: credentials rest if a new
// try is a login with them.
func (s *session) nextLogin(err error) (bool, time.Time) {
	f := failureOf(err)
	return f.kind == refused && s.settings.renewable(), f.at
}

// failureOf is the failure of a login.
func failureOf(err error) *failure {
	var f *failure
	if !errors.As(err, &f) {
		return &failure{kind: unavailable, text: err.Error(), err: err}
	}
	return f
}
