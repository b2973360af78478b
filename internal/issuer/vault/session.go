package vault

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"
	"k8s.io/utils/clock"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/fault"
)

const (
	// maxMargin is how long before the end of its lease a token is used last, or a tenth of
	// the lease if that is less: a request takes time, and clocks differ.
	maxMargin = 30 * time.Second
	// refusedOnce and refusedAgain are how long credentials that Vault has refused are not
	// tried again, the first time and later. Vault locks out who fails five times in a
	// quarter of an hour, even with better credentials.
	refusedOnce  = 30 * time.Second
	refusedAgain = 5 * time.Minute
	// settling is how long a token is not replaced again that has replaced one which Vault
	// had refused: if it is refused too, the reason is not its age.
	settling = time.Minute
)

// session is a token that is in use. All but uses is constant.
type session struct {
	client *api.Client
	token  string
	// expires is when the token is no longer used, zero if nothing but Vault ends it.
	expires time.Time
	// limited reports that Vault counts the uses of the token; uses is how many are left.
	limited bool
	uses    int
	// settles is until when the session is not replaced for a refusal that does not say
	// that its token is invalid.
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

	mu      sync.Mutex
	session *session
	flight  *flight
	// refused is what came of the last log-in if Vault has refused it or has named a time for
	// the next one, until then; refusals counts those that Vault has refused in a row.
	refused      error
	refusedUntil time.Time
	refusals     int
}

// flight is a log-in that runs, for all that wait for it.
type flight struct {
	done chan struct{}
	err  error
	// cut reports that the time of the request was over that the log-in ran for: others
	// have their own.
	cut bool
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
	for {
		c.mu.Lock()
		now := c.clock.Now()
		if s := c.session; s != nil && (s == not || s.over(now)) {
			c.session = nil
		} else if s != nil {
			s.spend(uses)
			c.mu.Unlock()
			return s, nil
		}
		if c.refused != nil && now.Before(c.refusedUntil) {
			defer c.mu.Unlock()
			return nil, c.refused
		}
		f := c.flight
		if f == nil {
			f = &flight{done: make(chan struct{})}
			c.flight = f
			c.mu.Unlock()
			// Its own session serves who has logged in, also if the log-in has taken
			// longer than the lease.
			return c.fly(ctx, f, now, not != nil, uses)
		}
		c.mu.Unlock()
		select {
		case <-f.done:
		case <-ctx.Done():
			return nil, fault.New(fault.Transient, cmv1.EventReasonVaultInitError, "%s: no answer in time", host(c.spec.Server)).Because(ctx.Err())
		}
		if f.err != nil && !f.cut {
			return nil, f.err
		}
	}
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

// fly logs in. again says that it is because the token so far was refused, uses that the
// session is for a request that counts as a use.
func (c *connection) fly(ctx context.Context, f *flight, now time.Time, again, uses bool) (s *session, err error) {
	// It stands if the log-in panics.
	err = fault.New(fault.Transient, cmv1.EventReasonVaultInitError, "%s: the log-in was not finished", host(c.spec.Server))
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.land(ctx, f, s, err)
		if err == nil {
			if again {
				s.settles = now.Add(settling)
			}
			s.spend(uses)
		}
	}()
	s, err = c.logIn(ctx, now)
	return s, err
}

// land ends a flight with what has come of it. c.mu is held.
func (c *connection) land(ctx context.Context, f *flight, s *session, err error) {
	c.flight, c.refused, f.err, f.cut = nil, nil, err, ctx.Err() != nil
	switch {
	case err == nil:
		c.session, c.refusals = s, 0
	case errors.Is(err, errRefused):
		wait := refusedOnce
		if c.refusals > 0 {
			wait = refusedAgain
		}
		c.refused, c.refusedUntil = err, c.clock.Now().Add(wait)
		c.refusals++
	default:
		// The time of a fault that names none is long over.
		c.refused, c.refusedUntil = err, fault.Of(err).At
	}
	close(f.done)
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
