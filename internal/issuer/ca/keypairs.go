package ca

import (
	"context"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/everleaf/everleaf/internal/issuer"
	"github.com/everleaf/everleaf/internal/pki"
)

// Cache holds the key pairs of CA issuers, so that signing reads nothing. A pair
// is used as long as the caches show the Secret at the version that it was read
// from.
type Cache struct {
	secrets issuer.Secrets
	limits  pki.Limits
	mu      sync.Mutex
	pairs   map[string]versioned
}

type versioned struct {
	version string
	pair    KeyPair
	err     error
}

var _ KeyPairs = (*Cache)(nil)

// NewCache returns a Cache. The limits hold for the keys and certificates of CAs.
func NewCache(secrets issuer.Secrets, limits pki.Limits) *Cache {
	return &Cache{secrets: secrets, limits: limits, pairs: map[string]versioned{}}
}

// KeyPair implements KeyPairs.
func (c *Cache) KeyPair(ctx context.Context, namespace, name string) (KeyPair, error) {
	key := namespace + "/" + name
	cached := c.secrets.Version(namespace, name)
	c.mu.Lock()
	known, ok := c.pairs[key]
	c.mu.Unlock()
	if ok && cached != "" && known.version == cached {
		return known.pair, known.err
	}
	secret, err := c.secrets.Live(ctx, namespace, name)
	if err != nil {
		return KeyPair{}, err
	}
	if secret == nil {
		c.forget(key)
		return KeyPair{}, apierrors.NewNotFound(corev1.Resource("secrets"), name)
	}
	read := versioned{version: secret.ResourceVersion}
	read.pair, read.err = ParseKeyPair(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey], c.limits)
	c.mu.Lock()
	defer c.mu.Unlock()
	for other := range c.pairs {
		if ns, n, _ := strings.Cut(other, "/"); c.secrets.Version(ns, n) == "" {
			delete(c.pairs, other)
		}
	}
	c.pairs[key] = read
	return read.pair, read.err
}

func (c *Cache) forget(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pairs, key)
}
