package dns01

import "sync"

// Zones remembers the zone of each name, for the life of a Provider. The zero value is
// ready, and safe for concurrent use.
type Zones[Z any] struct {
	mu    sync.Mutex
	found map[string]Z
}

// Get returns the zone of a name, or false if it is not known.
func (z *Zones[Z]) Get(name string) (Z, bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	zone, ok := z.found[name]
	return zone, ok
}

// Put notes the zone of a name.
func (z *Zones[Z]) Put(name string, zone Z) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.found == nil {
		z.found = map[string]Z{}
	}
	z.found[name] = zone
}

// Forget has the zone of a name looked for again: it may have gone, or been made anew.
func (z *Zones[Z]) Forget(name string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	delete(z.found, name)
}
