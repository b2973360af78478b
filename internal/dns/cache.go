package dns

import (
	"time"

	lru "k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/utils/clock"
)

const (
	cacheSize   = 4096
	maxCacheTTL = time.Minute
)

// cache keeps cacheSize values, each for a time.
type cache[V any] struct{ items *lru.LRUExpireCache }

func newCache[V any](c clock.PassiveClock) cache[V] {
	return cache[V]{lru.NewLRUExpireCacheWithClock(cacheSize, c)}
}

func (c cache[V]) get(key string) (V, bool) {
	item, ok := c.items.Get(key)
	value, _ := item.(V)
	return value, ok
}

// put keeps a value for ttl, but at most for maxCacheTTL. It does nothing if ttl
// is 0.
func (c cache[V]) put(key string, value V, ttl time.Duration) {
	if ttl > 0 {
		c.items.Add(key, value, min(ttl, maxCacheTTL))
	}
}

func seconds(n uint32) time.Duration { return time.Duration(n) * time.Second }
