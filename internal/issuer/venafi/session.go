package venafi

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"sync"
	"time"

	"github.com/Venafi/vcert/v5/pkg/endpoint"
	"k8s.io/apimachinery/pkg/types"

	"github.com/everleaf/everleaf/internal/foreign/vendorapi"
	"github.com/everleaf/everleaf/internal/pki"
)

// refusedOnce and refusedAgain are how long credentials that the server has refused are not
// tried again, the first time and later, as long as they are the same: each try brings the
// account of a user nearer to being locked, and nothing tells when it is unlocked.
const (
	refusedOnce  = 30 * time.Second
	refusedAgain = 5 * time.Minute
)

// session is what is kept of one issuer as long as its spec and its Secrets stay as they
// are: connections, and the token that it has logged in for.
type session struct {
	settings  settings
	transport http.RoundTripper
	// turn is held while somebody logs in: the others wait for the token.
	turn chan struct{}

	mu    sync.Mutex
	login login
}

// login is what a session has logged in for.
type login struct {
	// connect returns a connector that uses a client, nil before the login.
	connect func(*http.Client) endpoint.Connector
	// token identifies the login, and is the token if there is one; until is when it
	// expires, zero if that is not known.
	token string
	until time.Time
	// refused is why the last login was refused, if its credentials rest, which they do
	// until refused.at. refusals counts those in a row.
	refused  *failure
	refusals int
}

// usable reports whether requests can be sent at a time.
func (l login) usable(now time.Time) bool {
	return l.connect != nil && (l.until.IsZero() || now.Add(callTimeout).Before(l.until))
}

// sessions are those of all issuers.
type sessions struct {
	mu       sync.Mutex
	byIssuer map[types.UID]*session
}

// of returns the session of an issuer with settings. Another one with other settings ends.
func (s *sessions) of(issuer types.UID, want settings, c Config) (*session, *failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found := s.byIssuer[issuer]; found != nil && found.settings == want {
		return found, nil
	}
	made, f := newSession(want, c)
	if f != nil {
		return nil, f
	}
	s.end(issuer)
	if s.byIssuer == nil {
		s.byIssuer = map[types.UID]*session{}
	}
	s.byIssuer[issuer] = made
	return made, nil
}

// forget ends the session of an issuer.
func (s *sessions) forget(issuer types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end(issuer)
}

func (s *sessions) end(issuer types.UID) {
	if found := s.byIssuer[issuer]; found != nil {
		if t, ok := found.transport.(*http.Transport); ok {
			t.CloseIdleConnections()
		}
		delete(s.byIssuer, issuer)
	}
}

func newSession(s settings, c Config) (*session, *failure) {
	made := &session{settings: s, transport: c.HTTP, turn: make(chan struct{}, 1)}
	if c.HTTP != nil && s.backend != backendTPP {
		return made, nil
	}
	transport := vendorapi.NewTransport()
	made.transport = transport
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

// known is what is known of the login.
func (s *session) known() login {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.login
}

// keep has others use a login.
func (s *session) keep(l login) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.login = l
}

// discard forgets a login that the server does not take any more.
func (s *session) discard(l login) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.login.token == l.token {
		s.login = login{}
	}
}

// connect returns a login. One that is known is used, unless the server is to be asked
// whether it still counts. Those who need a new one at the same time log in once.
func (s *session) connect(ctx context.Context, how logins, ask bool) (login, *failure) {
	if l := s.known(); !ask && l.usable(how.now()) {
		return l, nil
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return login{}, &failure{kind: unavailable, text: "the login for another request has not been answered in time", err: ctx.Err()}
	}
	l := s.known()
	switch {
	case l.refused != nil && how.now().Before(l.refused.at):
		return login{}, l.refused
	case !ask && l.usable(how.now()):
		return l, nil
	}
	made, f := how.login(ctx, s, l)
	if f != nil && f.kind == refused {
		s.keep(s.rest(l, f, how.now()))
	}
	if f != nil {
		return login{}, f
	}
	s.keep(made)
	return made, nil
}

// rest is what is kept after a refusal, which is for a time if a new try is a login.
func (s *session) rest(before login, f *failure, now time.Time) login {
	if !s.settings.renewable() {
		return login{}
	}
	f.at = now.Add(refusedOnce)
	if before.refusals > 0 {
		f.at = now.Add(refusedAgain)
	}
	return login{refused: f, refusals: before.refusals + 1}
}
