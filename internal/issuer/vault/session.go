package vault

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/hashicorp/vault/api"
	"k8s.io/utils/clock"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/foreign/authn"
	"github.com/everleaf/everleaf/internal/issuer"
)

// maxMargin is how long before the end of its lease a token is used last, or a tenth of
// the lease if that is less: a request takes time, and clocks differ.
const maxMargin = 30 * time.Second

// session is a token that is in use. All but uses is constant.
type session struct {
	client *api.Client
	token  string
	// expires is when the token is no longer used, zero if nothing but Vault ends it.
	expires time.Time
	// limited reports that Vault counts the uses of the token; uses is how many are left.
	limited bool
	uses    int
	// settles is until when the session is not replaced because its token is refused.
	settles time.Time
}

// connection is one issuer's way to its server: what its spec and its Secrets say, the TCP
// connections, and the token.
type connection struct {
	spec      *cmv1.VaultIssuer
	namespace string
	read      read
	transport *http.Transport
	// bare is a client without token and namespace, for the health.
	bare *api.Client
	// logIn gets a token. now is the time before it was asked for.
	logIn func(ctx context.Context, now time.Time) (*session, error)
	// static reports that the token is in a Secret: there is nothing to log in with.
	static bool
	clock  clock.PassiveClock
	// observe counts calls; it may be nil.
	observe func(call string, status int, took time.Duration)
	kept    authn.Keeper[*session]
}

// use returns a session for one request that counts as a use of its token; not is one that
// must not be used any longer, or nil. It logs in if there is no other, once for all that
// need it at a time.
func (c *connection) use(ctx context.Context, not *session) (*session, error) {
	return c.get(ctx, not, true)
}

// look returns a session without a use of its token. It logs in if there is none.
func (c *connection) look(ctx context.Context, not *session) (*session, error) {
	return c.get(ctx, not, false)
}

func (c *connection) get(ctx context.Context, not *session, uses bool) (*session, error) {
	if not != nil {
		c.kept.Drop(func(s *session) bool { return s == not })
	}
	fits := func(s *session) bool {
		if s.over(c.clock.Now()) {
			return false
		}
		s.spend(uses)
		return true
	}
	s, err := c.kept.Get(ctx, false, fits, func(ctx context.Context, _ *session) (*session, error) {
		now := c.clock.Now()
		s, err := c.logIn(ctx, now)
		if err != nil {
			return nil, err
		}
		if not != nil {
			s.settles = now.Add(authn.Settling)
		}
		s.spend(uses)
		return s, nil
	})
	if err != nil && !errors.As(err, new(*fault.Error)) {
		err = fault.New(fault.Transient, cmv1.EventReasonVaultInitError, "%s: no answer in time", host(c.spec.Server)).Because(err)
	}
	return s, err
}

// nextLogIn is what the error of a log-in means for the next one.
func nextLogIn(err error) (refused bool, notBefore time.Time) {
	return errors.Is(err, issuer.ErrRefused), fault.Of(err).At
}

// over reports whether a session is at its end.
func (s *session) over(now time.Time) bool {
	return s.limited && s.uses <= 0 || !s.expires.IsZero() && !now.Before(s.expires)
}

// spend counts a use of the token, if it is one.
func (s *session) spend(uses bool) {
	if uses && s.limited {
		s.uses--
	}
}

// close ends the idle connections to the server.
func (c *connection) close() { c.transport.CloseIdleConnections() }

// expiry is when a token with a lease is no longer used that was asked for at a time; a
// lease of nothing has no end.
func expiry(asked time.Time, lease time.Duration) time.Time {
	if lease <= 0 {
		return time.Time{}
	}
	return asked.Add(lease - min(lease/10, maxMargin))
}
