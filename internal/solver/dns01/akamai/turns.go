package akamai

import (
	"context"
	"sync"
)

// turns has the users of a name take turns.
type turns struct {
	mu   sync.Mutex
	busy map[string]*turn
}

// turn is one name's: who has put a value into taken has the turn. users has and wait for it.
type turn struct {
	taken chan struct{}
	users int
}

// take waits for the turn at a name. The error is the context's.
func (t *turns) take(ctx context.Context, name string) (done func(), err error) {
	t.mu.Lock()
	if t.busy == nil {
		t.busy = map[string]*turn{}
	}
	at, ok := t.busy[name]
	if !ok {
		at = &turn{taken: make(chan struct{}, 1)}
		t.busy[name] = at
	}
	at.users++
	t.mu.Unlock()

	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if at.users--; at.users == 0 {
			delete(t.busy, name)
		}
	}
	select {
	case at.taken <- struct{}{}:
		return func() { <-at.taken; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
