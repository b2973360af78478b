package order

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// claims let one Order of a class ask for its order at a time: a cache that does
// not show another Order yet does not know which is first. A claim stands until
// the cache shows the URL of the order, or the end of the Order. The zero value
// is ready.
type claims struct {
	mu      sync.Mutex
	holders map[string]holder
}

// holder is the Order that has a claim.
type holder struct {
	key types.NamespacedName
	uid types.UID
}

// take claims a class, and reports whether no other Order has a claim that
// stands.
func (c *claims) take(class string, by holder, stands func(holder) bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if other, ok := c.holders[class]; ok && other.uid != by.uid && stands(other) {
		return false
	}
	if c.holders == nil {
		c.holders = map[string]holder{}
	}
	c.holders[class] = by
	return true
}

// release ends an Order's own claim.
func (c *claims) release(class string, uid types.UID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.holders[class].uid == uid {
		delete(c.holders, class)
	}
}

// holder returns the UID of the Order with a claim, empty without one.
func (c *claims) holder(class string) types.UID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.holders[class].uid
}
