package controller

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

// Topic passes news of one kind between controllers of one process, such as an
// ACME account that has become ready. The zero value is ready.
type Topic[T any] struct {
	mu          sync.Mutex
	subscribers []func(context.Context, T)
}

// Subscribe has f called with all that is published from now on. f must return
// soon.
func (t *Topic[T]) Subscribe(f func(context.Context, T)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.subscribers = append(t.subscribers, f)
}

// Publish calls the subscribers. What they ask the API server for is not asked by the
// controller that publishes.
func (t *Topic[T]) Publish(ctx context.Context, news T) {
	t.mu.Lock()
	subscribers := t.subscribers
	t.mu.Unlock()
	ctx = context.WithValue(ctx, nameKey{}, "")
	for _, f := range subscribers {
		f(ctx, news)
	}
}

// Verified is that the ACME server has validated a Challenge. The Challenge's status says
// so later, or never if the Challenge is deleted before.
type Verified struct {
	// Challenge is its UID, Order the Order that controls it.
	Challenge types.UID
	Order     types.NamespacedName
}

// IssuerNews is that an issuer has to be checked again at a time: its account, or its
// credentials, were refused.
type IssuerNews struct {
	Issuer cmv1.GenericIssuer
	At     time.Time
}
