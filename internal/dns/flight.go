package dns

import (
	"context"
	"sync"
)

// flight lets callers that search for the same key at the same time share one
// search: a hundred challenges in a zone need the zone's servers once.
type flight[V any] struct {
	mu    sync.Mutex
	calls map[string]*call[V]
}

type call[V any] struct {
	done  chan struct{}
	value V
	err   error
	// abandoned reports whether the search ended because its caller gave up.
	abandoned bool
}

// do runs search, or waits for a search already in flight and shares its result.
// If the caller of that search gave up, do runs search after all.
func (f *flight[V]) do(ctx context.Context, key string, search func() (V, error)) (V, error) {
	for {
		f.mu.Lock()
		if c, ok := f.calls[key]; ok {
			f.mu.Unlock()
			select {
			case <-c.done:
			case <-ctx.Done():
				var none V
				return none, ctx.Err()
			}
			if !c.abandoned {
				return c.value, c.err
			}
			continue
		}
		c := &call[V]{done: make(chan struct{})}
		if f.calls == nil {
			f.calls = map[string]*call[V]{}
		}
		f.calls[key] = c
		f.mu.Unlock()
		return f.run(ctx, key, c, search)
	}
}

// run runs a search. If it panics, those who wait for it search themselves.
func (f *flight[V]) run(ctx context.Context, key string, c *call[V], search func() (V, error)) (V, error) {
	c.abandoned = true
	defer func() {
		f.mu.Lock()
		delete(f.calls, key)
		f.mu.Unlock()
		close(c.done)
	}()
	c.value, c.err = search()
	c.abandoned = ctx.Err() != nil
	return c.value, c.err
}
