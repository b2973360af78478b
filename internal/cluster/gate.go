// Package cluster is the API server as controllers need it: facts from caches
// that lag, a gate that holds decisions back until the caches have seen this
// process's own writes, writes that are guarded against acting on something
// older than what is there, and events.
package cluster

import (
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/everleaf/everleaf/internal/plan"
)

// Store is what the gate asks of a cache; client-go's Indexer is one.
type Store interface {
	// LastStoreSyncResourceVersion is the newest version that the store has
	// seen of any object of its kind.
	LastStoreSyncResourceVersion() string
	GetByKey(key string) (item any, exists bool, err error)
}

// Gate remembers, per subject, what this process has written: the subject is
// the object whose reconcile wrote it. The caches of
// different kinds lag independently: one that shows a fresh status beside an
// old "no such Secret" would start an issuance twice. As long as a cache is
// older than the own writes for a subject, nothing is decided for it.
type Gate struct {
	mu      sync.Mutex
	stores  map[string]Store
	pending map[plan.Ref]map[string]*expected
	// shown is the version that each cache showed last, by kind.
	shown map[string]string
}

// expected is what a cache must have seen.
type expected struct {
	version string
	// gone are deleted objects, by UID.
	gone map[types.UID]string
}

// NewGate returns a gate over the caches.
func NewGate(stores map[string]Store) *Gate {
	return &Gate{stores: stores, pending: map[plan.Ref]map[string]*expected{}, shown: map[string]string{}}
}

// Wrote records the resourceVersion of an own write.
func (g *Gate) Wrote(subject plan.Ref, kind string, version string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.look(kind)
	e := g.expect(subject, kind)
	if e.version == "" || older(e.version, version) {
		e.version = version
	}
}

// Deleted records an own delete. key is namespace/name, or the name.
func (g *Gate) Deleted(subject plan.Ref, kind string, key string, uid types.UID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.look(kind)
	g.expect(subject, kind).gone[uid] = key
}

func (g *Gate) expect(subject plan.Ref, kind string) *expected {
	kinds := g.pending[subject]
	if kinds == nil {
		kinds = map[string]*expected{}
		g.pending[subject] = kinds
	}
	e := kinds[kind]
	if e == nil {
		e = &expected{gone: map[types.UID]string{}}
		kinds[kind] = e
	}
	return e
}

// Behind returns a kind whose cache has not seen all own writes for the subject
// yet, or "". The missing event will come, and wakes the subject.
func (g *Gate) Behind(subject plan.Ref) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	for kind := range g.pending[subject] {
		g.look(kind)
	}
	for kind, e := range g.pending[subject] {
		if !e.seenBy(g.stores[kind]) {
			return kind
		}
		delete(g.pending[subject], kind)
	}
	delete(g.pending, subject)
	return ""
}

// look forgets the own writes of a kind if its cache has gone back: etcd was restored from a
// backup and has lost them. Its versions may reach theirs again only in hours, and what was
// deleted may be there again; until then nothing would be decided.
func (g *Gate) look(kind string) {
	store := g.stores[kind]
	if store == nil {
		return
	}
	shows, before := store.LastStoreSyncResourceVersion(), g.shown[kind]
	g.shown[kind] = shows
	if before == "" || !older(shows, before) {
		return
	}
	for _, kinds := range g.pending {
		delete(kinds, kind)
	}
}

func (e *expected) seenBy(store Store) bool {
	if store == nil {
		return true
	}
	if e.version != "" && older(store.LastStoreSyncResourceVersion(), e.version) {
		return false
	}
	for uid, key := range e.gone {
		if item, exists, err := store.GetByKey(key); err == nil && exists {
			object, err := meta.Accessor(item)
			if err == nil && object.GetUID() == uid && object.GetDeletionTimestamp() == nil {
				return false
			}
		}
	}
	return true
}

// older compares resourceVersions, which are decimal numbers (KEP-5504). One
// that is not a number says nothing, so it is taken for older.
func older(a, b string) bool {
	order, err := resourceversion.CompareResourceVersion(a, b)
	return err != nil || order < 0
}
