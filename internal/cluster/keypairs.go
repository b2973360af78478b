package cluster

import (
	"context"
	"crypto"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/everleaf/everleaf/internal/issuer/ca"
	"github.com/everleaf/everleaf/internal/issuer/selfsigned"
	"github.com/everleaf/everleaf/internal/pki"
)

// KeyPairs holds the key pairs of CA issuers, so that signing reads nothing. A
// pair is used as long as the caches show the Secret at the version that it
// was read from.
type KeyPairs struct {
	secrets *Secrets
	limits  pki.Limits
	mu      sync.Mutex
	pairs   map[string]versioned
}

type versioned struct {
	version string
	pair    ca.KeyPair
	err     error
}

var (
	_ ca.KeyPairs     = (*KeyPairs)(nil)
	_ selfsigned.Keys = (*KeyPairs)(nil)
)

// NewKeyPairs returns a KeyPairs.
func NewKeyPairs(secrets *Secrets, limits pki.Limits) *KeyPairs {
	return &KeyPairs{secrets: secrets, limits: limits, pairs: map[string]versioned{}}
}

// KeyPair implements ca.KeyPairs.
func (k *KeyPairs) KeyPair(ctx context.Context, namespace, name string) (ca.KeyPair, error) {
	key := namespace + "/" + name
	cached := k.secrets.Version(namespace, name)
	k.mu.Lock()
	known, ok := k.pairs[key]
	k.mu.Unlock()
	if ok && cached != "" && known.version == cached {
		return known.pair, known.err
	}
	secret, err := k.live(ctx, namespace, name)
	if err != nil {
		return ca.KeyPair{}, err
	}
	read := versioned{version: secret.ResourceVersion}
	read.pair, read.err = ca.ParseKeyPair(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey], k.limits)
	k.mu.Lock()
	defer k.mu.Unlock()
	for name := range k.pairs {
		if ns, n, _ := strings.Cut(name, "/"); k.secrets.Version(ns, n) == "" {
			delete(k.pairs, name)
		}
	}
	k.pairs[key] = read
	return read.pair, read.err
}

// Forget drops what is known of a Secret that is gone.
func (k *KeyPairs) Forget(namespace, name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.pairs, namespace+"/"+name)
}

// PrivateKey implements selfsigned.Keys; it reads the Secret each time.
func (k *KeyPairs) PrivateKey(ctx context.Context, namespace, name string) (crypto.Signer, error) {
	secret, err := k.live(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	return pki.ParseKey(secret.Data[corev1.TLSPrivateKeyKey], k.limits)
}

func (k *KeyPairs) live(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	secret, err := k.secrets.Live(ctx, namespace, name)
	if err == nil && secret == nil {
		k.Forget(namespace, name)
		return nil, apierrors.NewNotFound(corev1.Resource("secrets"), name)
	}
	return secret, err
}
