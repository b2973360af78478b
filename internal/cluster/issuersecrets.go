package cluster

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/everleaf/everleaf/internal/lifecycle/issuer"
)

// IssuerSecrets reads and makes the Secrets of issuers, live.
type IssuerSecrets struct {
	Secrets *Secrets
	Writer  *Writer
}

// Read returns a Secret's data, nil if there is no such Secret.
func (s IssuerSecrets) Read(ctx context.Context, namespace, name string) (map[string][]byte, error) {
	secret, err := s.Secrets.Live(ctx, namespace, name)
	if secret == nil || err != nil {
		return nil, err
	}
	return dataOf(secret), nil
}

// dataOf is the data of a Secret that exists, never nil.
func dataOf(secret *corev1.Secret) map[string][]byte {
	if secret.Data == nil {
		return map[string][]byte{}
	}
	return secret.Data
}

// CreateAccountKey makes the Secret of an ACME account key. It reports whether it
// did, false if there is a Secret of this name already.
func (s IssuerSecrets) CreateAccountKey(ctx context.Context, namespace, name, key string, pem []byte) (bool, error) {
	err := s.Writer.CreateUncachedSecret(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name,
			Labels: map[string]string{"app.kubernetes.io/managed-by": "cert-manager"},
		},
		Type: corev1.SecretTypeOpaque,
		Data: map[string][]byte{key: pem},
	}, issuer.ManagerOf(false))
	if apierrors.IsAlreadyExists(err) {
		return false, nil
	}
	return err == nil, err
}
