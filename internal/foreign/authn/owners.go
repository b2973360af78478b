package authn

import (
	"maps"
	"sync"
	"time"
)

// UnderWay is longer than a request takes. What one makes that is still under way for an
// owner that was forgotten is not kept: nobody would forget it again.
const UnderWay = 10 * time.Minute

// Owners keeps one value for each owner, such as the connections of an issuer. It is safe
// for concurrent use.
type Owners[K comparable, V any] struct {
	// Now is the clock.
	Now func() time.Time
	// End ends a value that is no longer kept.
	End func(V)

	mu   sync.Mutex
	kept map[K]V
	// forgotten are the owners that were forgotten, for the time of UnderWay.
	forgotten map[K]time.Time
}

// Of returns the value of an owner, and whether there is one. look is called with it while
// nobody else sees it.
func (o *Owners[K, V]) Of(owner K, look func(V) bool) (V, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	v, ok := o.kept[owner]
	if !ok || !look(v) {
		var none V
		return none, false
	}
	return v, true
}

// Keep returns the value of an owner if look takes it, or else a new one, which is kept in
// its place. exists reports that the owner is known to exist now, even if it was forgotten: the
// value that a request makes for one that was forgotten is for that request only. The error is
// that of newValue.
func (o *Owners[K, V]) Keep(owner K, exists bool, look func(V) bool, newValue func() (V, error)) (V, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if exists {
		delete(o.forgotten, owner)
	}
	before, found := o.kept[owner]
	if found && look(before) {
		return before, nil
	}
	made, err := newValue()
	if err != nil {
		return made, err
	}
	if _, gone := o.forgotten[owner]; gone {
		return made, nil
	}
	if found {
		o.End(before)
	}
	if o.kept == nil {
		o.kept = map[K]V{}
	}
	o.kept[owner] = made
	return made, nil
}

// Forget ends the value of an owner.
func (o *Owners[K, V]) Forget(owner K) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if v, found := o.kept[owner]; found {
		o.End(v)
		delete(o.kept, owner)
	}
	now := o.Now()
	maps.DeleteFunc(o.forgotten, func(_ K, at time.Time) bool { return now.Sub(at) >= UnderWay })
	if o.forgotten == nil {
		o.forgotten = map[K]time.Time{}
	}
	o.forgotten[owner] = now
}
