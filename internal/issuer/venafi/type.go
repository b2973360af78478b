// Package venafi has certificates issued by Certificate Manager of CyberArk, formerly
// Venafi: by a server of one's own (TPP), by the SaaS, and by Next-Gen Trust Security
// (NGTS). The protocol is vcert's; what it lacks, exchange adds.
package venafi

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/issuer"
	"github.com/everleaf/everleaf/internal/pki"
)

// Type is the issuer type venafi.
type Type struct {
	config   Config
	how      logins
	sessions issuer.Kept[settings, *session]
	doubt    doubt
	objects  objects
}

var (
	_ issuer.Type      = (*Type)(nil)
	_ issuer.Ordering  = (*Type)(nil)
	_ issuer.Remote    = (*Type)(nil)
	_ issuer.Forgetter = (*Type)(nil)
)

// Config is how Certificate Manager is asked.
type Config struct {
	UserAgent string
	Limits    pki.Limits
	Clock     clock.PassiveClock
	// HTTP asks the SaaS and NGTS; nil is the network.
	HTTP http.RoundTripper
	// Observe counts a call that verifies credentials or gets a token for them, and
	// whether it has succeeded. It may be nil.
	Observe func(ok bool, d time.Duration)
	// ObserveCall counts another call, by one of cert-manager's names: ping,
	// read_zone_configuration, request_certificate or retrieve_certificate. It may be nil.
	ObserveCall func(call string, d time.Duration)
}

// The calls that ObserveCall counts.
const (
	callPing     = "ping"
	callZone     = "read_zone_configuration"
	callRequest  = "request_certificate"
	callRetrieve = "retrieve_certificate"
)

// New returns a Type that reads Secrets.
func New(secrets issuer.Secrets, c Config) *Type {
	if c.Observe == nil {
		c.Observe = func(bool, time.Duration) {}
	}
	if c.ObserveCall == nil {
		c.ObserveCall = func(string, time.Duration) {}
	}
	return &Type{
		config: c, how: logins{now: c.Clock.Now, observe: c.Observe, userAgent: c.UserAgent},
		sessions: issuer.Kept[settings, *session]{
			Secrets: secrets, Read: load, Same: func(a, b settings) bool { return a == b }, End: (*session).end,
			New: func(_ issuer.Identity, _ *cmv1.IssuerSpec, s settings) (*session, error) { return newSession(s, c) },
		},
	}
}

// Name implements issuer.Type.
func (*Type) Name() facts.IssuerType { return facts.IssuerVenafi }

// Orders implements issuer.Ordering: a person may have to approve a request, and licences
// count certificates.
func (*Type) Orders() {}

// Secrets implements issuer.Type.
func (*Type) Secrets(spec *cmv1.IssuerSpec) []string {
	all := slices.DeleteFunc(names(spec.Venafi), func(name string) bool { return name == "" })
	slices.Sort(all)
	return slices.Compact(all)
}

// Server implements issuer.Remote.
func (*Type) Server(spec *cmv1.IssuerSpec) string {
	host, _ := place(urlOf(spec.Venafi))
	name := "the Certificate Manager server " + host
	if of(spec.Venafi) != backendNGTS {
		return name
	}
	host, path := place(tokenURLOf(spec.Venafi.NGTS))
	if usualHost, usualPath := place(ngtsTokenURL); host != usualHost || path != usualPath {
		// A tenant's own endpoint that does not answer delays nobody else at the server.
		name += " with the token endpoint " + host + path
	}
	return name
}

// place is host and path of a URL, for the eye.
func place(text string) (host, path string) {
	u, err := parseURL(text)
	if err != nil || u.Host == "" {
		return strings.ToLower(text), ""
	}
	return strings.TrimSuffix(strings.ToLower(u.Host), ":443"), strings.TrimSuffix(u.EscapedPath(), "/")
}

// Forget implements issuer.Forgetter.
func (t *Type) Forget(uid types.UID) { t.sessions.Forget(uid) }

const (
	// started is reason and message of an issuer that is ready.
	started  = "Certificate Manager issuer started"
	verified = "Verified issuer with Certificate Manager server"

	buildingClient = "error building client"
	pinging        = "error pinging Certificate Manager"

	// nextCheck is the shortest wait for the check at the end of a token, which may live for
	// seconds: requests log in themselves.
	nextCheck = time.Minute
)

// Check implements issuer.Type: it verifies the credentials, and that a server of one's
// own has its API up.
func (t *Type) Check(ctx context.Context, i issuer.Issuer) (issuer.Status, error) {
	t.doubt.begin(t.how.now())
	s, err := t.sessions.Of(ctx, i.Identity(), i.Spec, true)
	if err != nil {
		return issuer.Status{}, failureOf(err).ofIssuer(buildingClient)
	}
	l, f := s.connect(ctx, t.how, true)
	if f != nil {
		return issuer.Status{}, f.ofIssuer(buildingClient)
	}
	x := t.exchange(ctx, s, l)
	err = x.call(callPing, l.connect(x.client()).Ping)
	if f := x.failed("", err, "the answer is none of Certificate Manager"); f != nil {
		if f.kind == refused {
			f.kind = declined
		}
		return issuer.Status{}, f.ofIssuer(pinging)
	}
	status := issuer.Status{Reason: started, Message: started, Event: verified}
	if l.until.After(i.Now) {
		status.Until = l.until.Add(time.Second)
		if earliest := i.Now.Add(nextCheck); status.Until.Before(earliest) {
			status.Until = earliest
		}
	}
	return status, nil
}

// exchange is the transport of an operation with a login.
func (t *Type) exchange(ctx context.Context, s *session, l login) *exchange {
	return &exchange{
		ctx: ctx, base: s.transport, now: t.how.now, observe: t.config.ObserveCall, userAgent: t.config.UserAgent,
		secrets: append(s.settings.secrets(), l.token),
	}
}
