package component

import (
	"context"
	"sync/atomic"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
)

// NewCache returns manager.Options.NewCache for a manager that ends when ctx does, even if
// the cache has not been filled by then: because the API server is away, or because the
// roles do not allow to list a kind. controller-runtime's manager waits for its cache
// first, and does not look at its context meanwhile.
func NewCache(ctx context.Context) cache.NewCacheFunc {
	return func(config *rest.Config, options cache.Options) (cache.Cache, error) {
		made, err := cache.New(config, options)
		if err != nil {
			return nil, err
		}
		return &endingCache{Cache: made, ending: ctx}, nil
	}
}

// endingCache is a Cache for which a manager waits until ending ends.
type endingCache struct {
	cache.Cache
	ending context.Context
	waited atomic.Bool
}

// WaitForCacheSync implements cache.Informers. The first one that waits is the manager:
// when ending has ended, it goes on, and stops what it then starts. Those that come later
// want to read, and are never told more than is true.
func (c *endingCache) WaitForCacheSync(ctx context.Context) bool {
	if !c.waited.CompareAndSwap(false, true) {
		return c.Cache.WaitForCacheSync(ctx)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer context.AfterFunc(c.ending, cancel)()
	defer cancel()
	return c.Cache.WaitForCacheSync(ctx) || c.ending.Err() != nil
}
