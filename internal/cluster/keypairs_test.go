package cluster

import (
	"crypto"
	"crypto/x509"
	"math/big"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/everleaf/everleaf/internal/pki"
)

func caSecret(t *testing.T, version string, key crypto.Signer) *corev1.Secret {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	cert, err := pki.Sign(template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "ca", UID: "u", ResourceVersion: version},
		Data:       map[string][]byte{"tls.crt": pki.EncodeChain(cert), "tls.key": keyPEM(t, key)},
	}
}

func TestKeyPairs(t *testing.T) {
	first, second := newKey(t), newKey(t)
	secret := caSecret(t, "1", first)
	s, client := newSecrets(t, secret)
	pairs := NewKeyPairs(s, pki.Limits{})
	update := func(secret *corev1.Secret) {
		t.Helper()
		if err := client.Tracker().Update(corev1.SchemeGroupVersion.WithResource("secrets"), secret, "ns"); err != nil {
			t.Fatal(err)
		}
	}
	pair := func(step string, want crypto.Signer, wantReads int) {
		t.Helper()
		client.ClearActions()
		got, err := pairs.KeyPair(t.Context(), "ns", "ca")
		switch {
		case want == nil && err == nil:
			t.Errorf("%s: a key pair, want an error", step)
		case want != nil && (err != nil || !pki.PublicKeysEqual(got.Key.Public(), want.Public())):
			t.Errorf("%s: another key, or error %v", step, err)
		}
		if n := reads(client); n != wantReads {
			t.Errorf("%s: %d reads, want %d", step, n, wantReads)
		}
	}
	pair("not cached yet", first, 1)
	pair("still not cached", first, 1)
	s.cached(t, secret)
	pair("cached at the version that was read", first, 0)
	update(caSecret(t, "2", second))
	pair("changed, not seen yet", first, 0)
	s.cached(t, caSecret(t, "2", second))
	pair("changed", second, 1)
	pair("read once", second, 0)
	broken := caSecret(t, "3", first)
	broken.Data["tls.key"] = []byte("none")
	update(broken)
	s.cached(t, broken)
	pair("broken", nil, 1)
	pair("broken, read once", nil, 0)

	if err := client.Tracker().Delete(corev1.SchemeGroupVersion.WithResource("secrets"), "ns", "ca"); err != nil {
		t.Fatal(err)
	}
	if err := s.foreign.GetIndexer().Delete(&metav1.PartialObjectMetadata{ObjectMeta: broken.ObjectMeta}); err != nil {
		t.Fatal(err)
	}
	if _, err := pairs.KeyPair(t.Context(), "ns", "ca"); !apierrors.IsNotFound(err) {
		t.Errorf("gone: error %v, want NotFound", err)
	}
	if len(pairs.pairs) != 0 {
		t.Error("the pair of a Secret that is gone is kept")
	}
}

func TestKeyPairsDropsOthersThatAreGone(t *testing.T) {
	secret := caSecret(t, "1", newKey(t))
	s, _ := newSecrets(t, secret)
	pairs := NewKeyPairs(s, pki.Limits{})
	pairs.pairs["ns/gone"] = versioned{version: "1"}
	if _, err := pairs.KeyPair(t.Context(), "ns", "ca"); err != nil {
		t.Fatal(err)
	}
	if _, ok := pairs.pairs["ns/gone"]; ok || len(pairs.pairs) != 1 {
		t.Errorf("kept: %d", len(pairs.pairs))
	}
}

func TestPrivateKey(t *testing.T) {
	key := newKey(t)
	s, _ := newSecrets(t, caSecret(t, "1", key))
	pairs := NewKeyPairs(s, pki.Limits{})
	got, err := pairs.PrivateKey(t.Context(), "ns", "ca")
	if err != nil || !pki.PublicKeysEqual(got.Public(), key.Public()) {
		t.Errorf("another key, or error %v", err)
	}
	if _, err := pairs.PrivateKey(t.Context(), "ns", "missing"); !apierrors.IsNotFound(err) {
		t.Errorf("error %v, want NotFound", err)
	}
}
