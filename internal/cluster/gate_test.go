package cluster

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/plan"
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
	subject := plan.Ref{Kind: cmv1.CertificateKind, NamespacedName: types.NamespacedName{Namespace: "ns", Name: "one"}}
	other := plan.Ref{Kind: cmv1.CertificateKind, NamespacedName: types.NamespacedName{Namespace: "ns", Name: "two"}}
	for _, test := range []struct {
		name string
		do   func(*Gate, *fakeStore)
		want string
	}{
		{"nothing written", func(*Gate, *fakeStore) {}, ""},
		{"cache never filled", func(g *Gate, s *fakeStore) {
			s.version = ""
			g.Wrote(subject, plan.KindSecret, "5")
		}, plan.KindSecret},
		{"cache older", func(g *Gate, _ *fakeStore) { g.Wrote(subject, plan.KindSecret, "101") }, plan.KindSecret},
		{"cache as new", func(g *Gate, _ *fakeStore) { g.Wrote(subject, plan.KindSecret, "100") }, ""},
		{"compared as numbers", func(g *Gate, s *fakeStore) {
			s.version = "1000"
			g.Wrote(subject, plan.KindSecret, "999")
		}, ""},
		{"the newest write counts", func(g *Gate, _ *fakeStore) {
			g.Wrote(subject, plan.KindSecret, "101")
			g.Wrote(subject, plan.KindSecret, "99")
		}, plan.KindSecret},
		{"the cache goes back, as etcd was restored", func(g *Gate, s *fakeStore) {
			g.Wrote(subject, plan.KindSecret, "101")
			s.version = "60"
		}, ""},
		{"the cache goes back, and then there is a write", func(g *Gate, s *fakeStore) {
			g.Wrote(subject, plan.KindSecret, "101")
			s.version = "60"
			g.Wrote(subject, plan.KindSecret, "61")
		}, plan.KindSecret},
		{"the cache goes back, and on to the new write", func(g *Gate, s *fakeStore) {
			g.Wrote(subject, plan.KindSecret, "101")
			s.version = "60"
			g.Wrote(subject, plan.KindSecret, "61")
			s.version = "61"
		}, ""},
		{"the cache goes back, with a write of another owner", func(g *Gate, s *fakeStore) {
			g.Wrote(subject, plan.KindSecret, "101")
			s.version = "60"
			g.Wrote(other, plan.KindSecret, "61")
		}, ""},
		{"the cache goes back, and what was deleted is there again", func(g *Gate, s *fakeStore) {
			g.Deleted(subject, plan.KindSecret, "ns/key", "a")
			s.set("ns/key", "a", false)
			s.version = "60"
		}, ""},
		{"of another owner", func(g *Gate, _ *fakeStore) { g.Wrote(other, plan.KindSecret, "101") }, ""},
		{"of a kind that is not cached", func(g *Gate, _ *fakeStore) { g.Wrote(subject, acmev1.OrderKind, "101") }, ""},
		{"deleted, still cached", func(g *Gate, s *fakeStore) {
			s.set("ns/key", "a", false)
			g.Deleted(subject, plan.KindSecret, "ns/key", "a")
		}, plan.KindSecret},
		{"deleted, cached as being deleted", func(g *Gate, s *fakeStore) {
			s.set("ns/key", "a", true)
			g.Deleted(subject, plan.KindSecret, "ns/key", "a")
		}, ""},
		{"deleted, another of its name cached", func(g *Gate, s *fakeStore) {
			s.set("ns/key", "b", false)
			g.Deleted(subject, plan.KindSecret, "ns/key", "a")
		}, ""},
		{"deleted and gone", func(g *Gate, _ *fakeStore) { g.Deleted(subject, plan.KindSecret, "ns/key", "a") }, ""},
		{"one of two deleted still cached", func(g *Gate, s *fakeStore) {
			s.set("ns/key", "a", false)
			g.Deleted(subject, plan.KindSecret, "ns/other", "b")
			g.Deleted(subject, plan.KindSecret, "ns/key", "a")
		}, plan.KindSecret},
	} {
		t.Run(test.name, func(t *testing.T) {
			store := &fakeStore{version: "100"}
			g := NewGate(map[string]Store{plan.KindSecret: store})
			test.do(g, store)
			if got := g.Behind(subject); got != test.want {
				t.Errorf("Behind is %q, want %q", got, test.want)
			}
		})
	}
}

// TestGateForgets holds that nothing stays in memory once it has been seen.
func TestGateForgets(t *testing.T) {
	subject := plan.Ref{Kind: acmev1.OrderKind, NamespacedName: types.NamespacedName{Namespace: "ns", Name: "one"}}
	orders, secrets := &fakeStore{version: "10"}, &fakeStore{version: "10"}
	g := NewGate(map[string]Store{acmev1.OrderKind: orders, plan.KindSecret: secrets})
	g.Wrote(subject, acmev1.OrderKind, "11")
	g.Wrote(subject, plan.KindSecret, "12")
	if g.Behind(subject) == "" {
		t.Fatal("both caches are older than the writes")
	}
	orders.version = "12"
	if got := g.Behind(subject); got != plan.KindSecret {
		t.Fatalf("Behind is %q, want Secret", got)
	}
	secrets.version = "12"
	if got := g.Behind(subject); got != "" {
		t.Fatalf("Behind is %q, want none", got)
	}
	if len(g.pending) != 0 {
		t.Errorf("still remembered: %v", g.pending)
	}
	orders.version = "9" // a relist from a server that lags
	if got := g.Behind(subject); got != "" {
		t.Errorf("what was seen once is behind again: %q", got)
	}
}
