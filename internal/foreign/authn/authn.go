// Package authn keeps what a log-in to a foreign server has given, for all who need it: many
// requests at once log in once, and credentials that the server has refused rest.
package authn

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// The rests of credentials that a server has refused, the first time and later. Servers lock
// out who fails some times in a quarter of an hour, even with better credentials, and no
// event says when an account is unlocked.
const (
	RefusedOnce  = 30 * time.Second
	RefusedAgain = 5 * time.Minute
)

// Settling is how long a session is not replaced again that has replaced one which the server
// had refused: if it is refused too, the reason is not its age. Whoever keeps sessions holds
// to it.
const Settling = time.Minute

var (
	// ErrNotInTime means that the log-in for another request has not been answered in the
	// time of this one.
	ErrNotInTime = errors.New("the log-in for another request has not been answered in time")
	// ErrUnfinished means that the log-in for another request has panicked.
	ErrUnfinished = errors.New("the log-in for another request was not finished")
)

// Rest is the error of a log-in before whose time none is tried again.
type Rest struct {
	// Err is the error of the last log-in.
	Err   error
	Until time.Time
}

// Error implements error.
func (r *Rest) Error() string { return r.Err.Error() }

// Unwrap returns the error of the last log-in.
func (r *Rest) Unwrap() error { return r.Err }

// Keeper keeps the session of one set of credentials at one server. It is safe for
// concurrent use.
type Keeper[S any] struct {
	// Now is the clock.
	Now func() time.Time
	// Next says what the error of a log-in means for the next one: the server has refused the
	// credentials, or it takes none before a time, which is zero if it names none.
	Next func(err error) (refused bool, notBefore time.Time)

	mu      sync.Mutex
	kept    bool
	session S
	flight  *flight
	// rest is until when no log-in is tried, nil without one; refusals counts those in a row
	// that were refused.
	rest     *Rest
	refusals int
}

// flight is a log-in that runs, for all that wait for it.
type flight struct {
	done chan struct{}
	err  error
	// cut reports that the time of the request was over that the log-in ran for: others
	// have their own.
	cut bool
}

// Get returns the session if fits takes it, or else that of a new log-in, which is one for
// all that need it at a time; it serves the request that has logged in, whether it fits or not.
// fresh has a session count that comes of a log-in which ends after the call, and no other.
// fits is called by one at a time. logIn gets the session so far, which is zero if there is
// none. The error is logIn's, a *Rest, ErrNotInTime or ErrUnfinished.
func (k *Keeper[S]) Get(ctx context.Context, fresh bool, fits func(S) bool, logIn func(ctx context.Context, before S) (S, error)) (S, error) {
	var none S
	for {
		k.mu.Lock()
		if k.kept && !fresh && fits(k.session) {
			defer k.mu.Unlock()
			return k.session, nil
		}
		if k.rest != nil && k.Now().Before(k.rest.Until) {
			defer k.mu.Unlock()
			return none, k.rest
		}
		f := k.flight
		if f == nil {
			f = &flight{done: make(chan struct{}), err: ErrUnfinished}
			k.flight = f
			before := k.session
			k.mu.Unlock()
			return k.fly(ctx, f, before, logIn)
		}
		k.mu.Unlock()
		select {
		case <-f.done:
		case <-ctx.Done():
			return none, fmt.Errorf("%w: %w", ErrNotInTime, ctx.Err())
		}
		if f.err != nil && !f.cut {
			return none, f.err
		}
		fresh = fresh && f.err != nil
	}
}

// Drop forgets the session if it is one that is.
func (k *Keeper[S]) Drop(is func(S) bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.kept && is(k.session) {
		k.forget()
	}
}

// forget forgets the session. k.mu is held.
func (k *Keeper[S]) forget() {
	var none S
	k.session, k.kept = none, false
}

// fly logs in.
func (k *Keeper[S]) fly(ctx context.Context, f *flight, before S, logIn func(context.Context, S) (S, error)) (s S, err error) {
	// It stands if logIn panics.
	err = ErrUnfinished
	defer func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		err = k.land(s, err)
		k.flight, f.err, f.cut = nil, err, ctx.Err() != nil
		close(f.done)
	}()
	return logIn(ctx, before)
}

// land notes what has come of a log-in, and returns the error for all who wait for it. k.mu is
// held.
func (k *Keeper[S]) land(s S, err error) error {
	k.rest = nil
	if err == nil {
		k.session, k.kept, k.refusals = s, true, 0
		return nil
	}
	if errors.Is(err, ErrUnfinished) {
		return err
	}
	now := k.Now()
	refused, until := k.Next(err)
	if refused {
		k.forget()
		until = now.Add(RefusedOnce)
		if k.refusals > 0 {
			until = now.Add(RefusedAgain)
		}
		k.refusals++
	}
	if until.After(now) {
		k.rest = &Rest{Err: err, Until: until}
		return k.rest
	}
	return err
}
