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

// Kind names a kind of object that is cached.
type Kind = string

// The kinds that are cached.
const (
	Certificate        Kind = "Certificate"
	CertificateRequest Kind = "CertificateRequest"
	Issuer             Kind = "Issuer"
	ClusterIssuer      Kind = "ClusterIssuer"
	Order              Kind = "Order"
	Challenge          Kind = "Challenge"
	Secret             Kind = "Secret"
)

// Owner is the object for whose sake something is written.
type Owner = plan.Ref

// Store is what the gate asks of a cache; client-go's Indexer is one.
type Store interface {
	// LastStoreSyncResourceVersion is the newest version that the store has
	// seen of any object of its kind.
	LastStoreSyncResourceVersion() string
	GetByKey(key string) (item any, exists bool, err error)
}

// Gate remembers, per owner, what this process has written. The caches of
// different kinds lag independently: one that shows a fresh status beside an
// old "no such Secret" would start an issuance twice. As long as a cache is
// older than an owner's own writes, nothing is decided for that owner.
type Gate struct {
	mu      sync.Mutex
	stores  map[Kind]Store
	pending map[Owner]map[Kind]*expected
}

// expected is what a cache must have seen.
type expected struct {
	version string
	// gone are deleted objects, by UID.
	gone map[types.UID]string
}

// NewGate returns a gate over the caches.
func NewGate(stores map[Kind]Store) *Gate {
	return &Gate{stores: stores, pending: map[Owner]map[Kind]*expected{}}
}

// Wrote records the resourceVersion of an own write.
func (g *Gate) Wrote(owner Owner, kind Kind, version string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	e := g.expect(owner, kind)
	if e.version == "" || older(e.version, version) {
		e.version = version
	}
}

// Deleted records an own delete. key is namespace/name, or the name.
func (g *Gate) Deleted(owner Owner, kind Kind, key string, uid types.UID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.expect(owner, kind).gone[uid] = key
}

func (g *Gate) expect(owner Owner, kind Kind) *expected {
	kinds := g.pending[owner]
	if kinds == nil {
		kinds = map[Kind]*expected{}
		g.pending[owner] = kinds
	}
	e := kinds[kind]
	if e == nil {
		e = &expected{gone: map[types.UID]string{}}
		kinds[kind] = e
	}
	return e
}

// Behind returns a kind whose cache has not seen all own writes for the owner
// yet, or "". The missing event will come, and is what wakes the owner.
func (g *Gate) Behind(owner Owner) Kind {
	g.mu.Lock()
	defer g.mu.Unlock()
	for kind, e := range g.pending[owner] {
		if !e.seenBy(g.stores[kind]) {
			return kind
		}
		delete(g.pending[owner], kind)
	}
	delete(g.pending, owner)
	return ""
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
