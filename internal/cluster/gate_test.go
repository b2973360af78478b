package cluster

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// fakeStore is a cache that has seen everything up to a version.
type fakeStore struct {
	version string
	items   map[string]*metav1.PartialObjectMetadata
}

func (s *fakeStore) LastStoreSyncResourceVersion() string { return s.version }

func (s *fakeStore) GetByKey(key string) (any, bool, error) {
	item, ok := s.items[key]
	return item, ok, nil
}

func (s *fakeStore) set(key string, uid types.UID, deleting bool) {
	item := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{UID: uid}}
	if deleting {
		item.DeletionTimestamp = &metav1.Time{}
	}
	s.items = map[string]*metav1.PartialObjectMetadata{key: item}
}

func TestGate(t *testing.T) {
	owner := Owner{Kind: Certificate, NamespacedName: types.NamespacedName{Namespace: "ns", Name: "one"}}
	other := Owner{Kind: Certificate, NamespacedName: types.NamespacedName{Namespace: "ns", Name: "two"}}
	for _, test := range []struct {
		name string
		do   func(*Gate, *fakeStore)
		want Kind
	}{
		{"nothing written", func(*Gate, *fakeStore) {}, ""},
		{"cache never filled", func(g *Gate, s *fakeStore) {
			s.version = ""
			g.Wrote(owner, Secret, "5")
		}, Secret},
		{"cache older", func(g *Gate, _ *fakeStore) { g.Wrote(owner, Secret, "101") }, Secret},
		{"cache as new", func(g *Gate, _ *fakeStore) { g.Wrote(owner, Secret, "100") }, ""},
		{"compared as numbers", func(g *Gate, s *fakeStore) {
			s.version = "1000"
			g.Wrote(owner, Secret, "999")
		}, ""},
		{"the newest write counts", func(g *Gate, _ *fakeStore) {
			g.Wrote(owner, Secret, "101")
			g.Wrote(owner, Secret, "99")
		}, Secret},
		{"of another owner", func(g *Gate, _ *fakeStore) { g.Wrote(other, Secret, "101") }, ""},
		{"of a kind that is not cached", func(g *Gate, _ *fakeStore) { g.Wrote(owner, Order, "101") }, ""},
		{"deleted, still cached", func(g *Gate, s *fakeStore) {
			s.set("ns/key", "a", false)
			g.Deleted(owner, Secret, "ns/key", "a")
		}, Secret},
		{"deleted, cached as being deleted", func(g *Gate, s *fakeStore) {
			s.set("ns/key", "a", true)
			g.Deleted(owner, Secret, "ns/key", "a")
		}, ""},
		{"deleted, another of its name cached", func(g *Gate, s *fakeStore) {
			s.set("ns/key", "b", false)
			g.Deleted(owner, Secret, "ns/key", "a")
		}, ""},
		{"deleted and gone", func(g *Gate, _ *fakeStore) { g.Deleted(owner, Secret, "ns/key", "a") }, ""},
		{"one of two deleted still cached", func(g *Gate, s *fakeStore) {
			s.set("ns/key", "a", false)
			g.Deleted(owner, Secret, "ns/other", "b")
			g.Deleted(owner, Secret, "ns/key", "a")
		}, Secret},
	} {
		t.Run(test.name, func(t *testing.T) {
			store := &fakeStore{version: "100"}
			g := NewGate(map[Kind]Store{Secret: store})
			test.do(g, store)
			if got := g.Behind(owner); got != test.want {
				t.Errorf("Behind is %q, want %q", got, test.want)
			}
		})
	}
}

// TestGateForgets holds that nothing stays in memory once it has been seen.
func TestGateForgets(t *testing.T) {
	owner := Owner{Kind: Order, NamespacedName: types.NamespacedName{Namespace: "ns", Name: "one"}}
	orders, secrets := &fakeStore{version: "10"}, &fakeStore{version: "10"}
	g := NewGate(map[Kind]Store{Order: orders, Secret: secrets})
	g.Wrote(owner, Order, "11")
	g.Wrote(owner, Secret, "12")
	if g.Behind(owner) == "" {
		t.Fatal("both caches are older than the writes")
	}
	orders.version = "12"
	if got := g.Behind(owner); got != Secret {
		t.Fatalf("Behind is %q, want Secret", got)
	}
	secrets.version = "12"
	if got := g.Behind(owner); got != "" {
		t.Fatalf("Behind is %q, want none", got)
	}
	if len(g.pending) != 0 {
		t.Errorf("still remembered: %v", g.pending)
	}
	orders.version = "9" // a relist from a server that lags
	if got := g.Behind(owner); got != "" {
		t.Errorf("what was seen once is behind again: %q", got)
	}
}
