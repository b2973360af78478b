package dns

import (
	"context"
	"errors"
	"slices"
	"time"
)

// inTurn has the resolvers try, one after the other, until one succeeds, and returns
// what it found. The next one also begins if those before it have not answered for
// half a timeout: a resolver without a route would delay every look-up. If none
// succeeds, inTurn returns the zero value and the errors, in the order of the
// configuration.
func inTurn[T any](ctx context.Context, r *Resolver, try func(context.Context, *upstream) (T, error)) (T, []error) {
	type result struct {
		of    *upstream
		value T
		err   error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		none     T
		waiting  = r.inOrder()
		results  = make(chan result, len(waiting))
		errs     = map[*upstream]error{}
		running  []*upstream // in the order in which they began
		patience = r.transport.timeout() / 2
		slow     = time.NewTimer(patience)
	)
	defer slow.Stop()
	next := func() {
		// The first is asked in any case, so that there is an error.
		if len(waiting) == 0 || ctx.Err() != nil && len(errs) > 0 {
			return
		}
		u := waiting[0]
		waiting, running = waiting[1:], append(running, u)
		slow.Reset(patience)
		go func() {
			got := result{of: u}
			defer func() { results <- got }()
			defer recovered(&got.err)
			got.value, got.err = try(ctx, u)
		}()
	}
	for next(); len(running) > 0; {
		select {
		case <-slow.C:
			next()
		case got := <-results:
			at := slices.Index(running, got.of)
			if got.err == nil {
				for _, slower := range running[:at] {
					slower.demote()
				}
				return got.value, nil
			}
			running = slices.Delete(running, at, at+1)
			errs[got.of] = got.err
			if isSilent(got.err) && ctx.Err() == nil {
				got.of.demote()
			}
			next()
		}
	}
	var failures []error
	for _, u := range r.upstreams {
		if err := errs[u]; err != nil {
			failures = append(failures, err)
		}
	}
	return none, failures
}

// isSilent reports whether an error is that a resolver gave no answer.
func isSilent(err error) bool {
	var no *noAnswer
	return errors.As(err, &no)
}

// inOrder returns the resolvers in the order in which they are asked.
func (r *Resolver) inOrder() []*upstream {
	out := slices.Clone(r.upstreams)
	slices.SortStableFunc(out, func(a, b *upstream) int {
		switch {
		case a.last() == b.last():
			return 0
		case b.last():
			return -1
		default:
			return 1
		}
	})
	return out
}
