package dns

import (
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// cache keeps values for a time. When it is full, it drops expired entries, and
// then any.
type cache[V any] struct {
	clock clock.PassiveClock
	limit int
	mu    sync.Mutex
	items map[string]cached[V]
}

type cached[V any] struct {
	value V
	until time.Time
}

func newCache[V any](c clock.PassiveClock, limit int) *cache[V] {
	return &cache[V]{clock: c, limit: limit, items: map[string]cached[V]{}}
}

func (c *cache[V]) get(key string) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	item, ok := c.items[key]
	if !ok || !c.clock.Now().Before(item.until) {
		var none V
		return none, false
	}
	return item.value, true
}

// put keeps a value for ttl, but at most for maxCacheTTL. It does nothing if ttl
// is 0.
func (c *cache[V]) put(key string, value V, ttl time.Duration) {
	if ttl <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.clock.Now()
	if len(c.items) >= c.limit {
		c.shrink(now)
	}
	c.items[key] = cached[V]{value: value, until: now.Add(min(ttl, maxCacheTTL))}
}

func (c *cache[V]) shrink(now time.Time) {
	for key, item := range c.items {
		if !now.Before(item.until) {
			delete(c.items, key)
		}
	}
	for key := range c.items {
		if len(c.items) < c.limit {
			return
		}
		delete(c.items, key)
	}
}

func seconds(n uint32) time.Duration { return time.Duration(n) * time.Second }
