package selfsigned

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/everleaf/everleaf/internal/pki"
)

type secrets map[string]*corev1.Secret

func (s secrets) Live(_ context.Context, namespace, name string) (*corev1.Secret, error) {
	return s[namespace+"/"+name], nil
}

func TestSecretKeys(t *testing.T) {
	key, err := pki.GenerateKey(pki.KeySpec{Algorithm: pki.ECDSA, Size: 256})
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := pki.EncodeKey(key, pki.PKCS8)
	if err != nil {
		t.Fatal(err)
	}
	keys := SecretKeys{Secrets: secrets{"ns/web": {Data: map[string][]byte{"tls.key": encoded}}}}
	got, err := keys.PrivateKey(t.Context(), "ns", "web")
	if err != nil || !pki.PublicKeysEqual(got.Public(), key.Public()) {
		t.Errorf("another key, or error %v", err)
	}
	if _, err := keys.PrivateKey(t.Context(), "ns", "missing"); !apierrors.IsNotFound(err) {
		t.Errorf("error %v, want NotFound", err)
	}
}
