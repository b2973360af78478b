package ca

import (
	"context"
	"crypto"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/everleaf/everleaf/internal/pki"
)

// secrets is an API server with one Secret, ns/ca, and a cache of it.
type secrets struct {
	live   *corev1.Secret
	cached string
	reads  int
}

func (s *secrets) Version(_, name string) string {
	if name != "ca" {
		return ""
	}
	return s.cached
}

func (s *secrets) Live(_ context.Context, namespace, name string) (*corev1.Secret, error) {
	s.reads++
	if namespace != "ns" || name != "ca" {
		return nil, nil
	}
	return s.live, nil
}

func caSecret(t *testing.T, version string, pair KeyPair) *corev1.Secret {
	t.Helper()
	encoded, err := pki.EncodeKey(pair.Key, pki.PKCS8)
	if err != nil {
		t.Fatal(err)
	}
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "ca", UID: "u", ResourceVersion: version},
		Data:       map[string][]byte{"tls.crt": pki.EncodeChain(pair.Chain...), "tls.key": encoded},
	}
}

func TestCache(t *testing.T) {
	first, second := newCA(t, "root", KeyPair{}, pki.SignOptions{}), newCA(t, "root", KeyPair{}, pki.SignOptions{})
	s := &secrets{live: caSecret(t, "1", first)}
	pairs := NewCache(s, pki.Limits{})
	pair := func(step string, want crypto.Signer, wantReads int) {
		t.Helper()
		s.reads = 0
		got, err := pairs.KeyPair(t.Context(), "ns", "ca")
		switch {
		case want == nil && err == nil:
			t.Errorf("%s: a key pair, want an error", step)
		case want != nil && (err != nil || !pki.PublicKeysEqual(got.Key.Public(), want.Public())):
			t.Errorf("%s: another key, or error %v", step, err)
		}
		if s.reads != wantReads {
			t.Errorf("%s: %d reads, want %d", step, s.reads, wantReads)
		}
	}
	pair("not cached yet", first.Key, 1)
	pair("still not cached", first.Key, 1)
	s.cached = "1"
	pair("cached at the version that was read", first.Key, 0)
	s.live = caSecret(t, "2", second)
	pair("changed, not seen yet", first.Key, 0)
	s.cached = "2"
	pair("changed", second.Key, 1)
	pair("read once", second.Key, 0)
	s.live, s.cached = caSecret(t, "3", first), "3"
	s.live.Data["tls.key"] = []byte("none")
	pair("broken", nil, 1)
	pair("broken, read once", nil, 0)

	s.live, s.cached = nil, ""
	if _, err := pairs.KeyPair(t.Context(), "ns", "ca"); !apierrors.IsNotFound(err) {
		t.Errorf("gone: error %v, want NotFound", err)
	}
	if len(pairs.pairs) != 0 {
		t.Error("the pair of a Secret that is gone is kept")
	}
}

func TestCacheDropsOthersThatAreGone(t *testing.T) {
	s := &secrets{live: caSecret(t, "1", newCA(t, "root", KeyPair{}, pki.SignOptions{})), cached: "1"}
	pairs := NewCache(s, pki.Limits{})
	pairs.pairs["ns/gone"] = versioned{version: "1"}
	if _, err := pairs.KeyPair(t.Context(), "ns", "ca"); err != nil {
		t.Fatal(err)
	}
	if _, ok := pairs.pairs["ns/gone"]; ok || len(pairs.pairs) != 1 {
		t.Errorf("kept: %d", len(pairs.pairs))
	}
}
