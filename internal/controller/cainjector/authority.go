package cainjector

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/lifecycle/injectable"
)

// Authorities finds the CAs that sources name. All controllers share one.
type Authorities struct {
	Scope injectable.Scope
	// Cache has the metadata of Secrets.
	Cache client.Reader
	// Certificates is a cache, or the API server if Certificates are not watched.
	Certificates client.Reader
	// Core reads the data of Secrets.
	Core kubernetes.Interface
	// APIServer returns the CA of the API server in PEM, nothing if the connection has
	// none of its own.
	APIServer func() ([]byte, error)

	mu sync.Mutex
	// read has the CAs of Secrets, of which several objects may have the same.
	read map[types.NamespacedName]authority
}

// authority is the CA in one version of a Secret, or why it has none.
type authority struct {
	version string
	ca      []byte
	missing error
}

// of returns the CA of a source, in PEM. The error is an *injectable.Nothing if there
// is none.
func (a *Authorities) of(ctx context.Context, source injectable.Source) ([]byte, error) {
	if err := a.Scope.Check(source); err != nil {
		return nil, err
	}
	secret := source.Key
	switch source.Kind {
	case injectable.KindAPIServer:
		ca, err := a.APIServer()
		if err == nil && len(ca) == 0 {
			err = &injectable.Nothing{Reason: "the connection to the API server uses no CA of its own"}
		}
		return ca, err
	case injectable.KindCertificate:
		var crt cmv1.Certificate
		err := a.Certificates.Get(ctx, source.Key, &crt)
		if apierrors.IsNotFound(err) {
			return nil, injectable.Missing(source)
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", source, err)
		}
		secret.Name = crt.Spec.SecretName
	}
	return a.in(ctx, source, secret)
}

// in returns the CA in a Secret. The data is read once per version of the Secret.
func (a *Authorities) in(ctx context.Context, source injectable.Source, key types.NamespacedName) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	cached := &metav1.PartialObjectMetadata{}
	cached.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	if err := a.Cache.Get(ctx, key, cached); apierrors.IsNotFound(err) {
		delete(a.read, key)
		return nil, injectable.MissingSecret(source, key)
	} else if err != nil {
		return nil, fmt.Errorf("find Secret %s in the cache: %w", key, err)
	}
	if err := injectable.Allowed(source, key, cached.Annotations); err != nil {
		return nil, err
	}
	if known, ok := a.read[key]; ok && known.version == cached.ResourceVersion {
		return known.ca, known.missing
	}
	secret, err := a.Core.CoreV1().Secrets(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, injectable.MissingSecret(source, key)
	}
	if err != nil {
		return nil, fmt.Errorf("read Secret %s: %w", key, err)
	}
	// It may be newer than the cache.
	if err := injectable.Allowed(source, key, secret.Annotations); err != nil {
		return nil, err
	}
	found := authority{version: secret.ResourceVersion}
	found.ca, found.missing = injectable.AuthorityIn(key, secret.Data)
	if a.read == nil {
		a.read = map[types.NamespacedName]authority{}
	}
	a.read[key] = found
	return found.ca, found.missing
}
