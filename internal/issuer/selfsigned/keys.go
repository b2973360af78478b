package selfsigned

import (
	"context"
	"crypto"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/everleaf/everleaf/internal/pki"
)

// Secrets reads Secrets from the API server, nil if there is none.
type Secrets interface {
	Live(ctx context.Context, namespace, name string) (*corev1.Secret, error)
}

// SecretKeys reads keys from Secrets, each time.
type SecretKeys struct {
	Secrets Secrets
	// Limits bound the keys.
	Limits pki.Limits
}

var _ Keys = SecretKeys{}

// PrivateKey implements Keys.
func (k SecretKeys) PrivateKey(ctx context.Context, namespace, name string) (crypto.Signer, error) {
	secret, err := k.Secrets.Live(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	if secret == nil {
		return nil, apierrors.NewNotFound(corev1.Resource("secrets"), name)
	}
	return pki.ParseKey(secret.Data[corev1.TLSPrivateKeyKey], k.Limits)
}
