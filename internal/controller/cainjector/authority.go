package cainjector

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/singleflight"
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

	// flights joins the reads of one version of a Secret.
	flights singleflight.Group

	// mu is never held over a call.
	mu sync.Mutex
	// read has the CAs of Secrets that users name; several may name one.
	read  map[types.NamespacedName]authority
	users map[user]types.NamespacedName
}

// user is an object that gets the CA of a Secret.
type user struct{ kind, name string }

// authority is the CA in one version of a Secret, or why it has none.
type authority struct {
	version string
	ca      []byte
	missing error
}

// of returns the CA of a user's source, in PEM. The error is an *injectable.Nothing if
// there is none.
func (a *Authorities) of(ctx context.Context, u user, source injectable.Source) ([]byte, error) {
	if err := a.Scope.Check(source); err != nil {
		a.forget(u)
		return nil, err
	}
	secret := source.Key
	switch source.Kind {
	case injectable.KindAPIServer:
		a.forget(u)
		ca, err := a.APIServer()
		if err == nil && len(ca) == 0 {
			err = &injectable.Nothing{Reason: "the connection to the API server uses no CA of its own"}
		}
		return ca, err
	case injectable.KindCertificate:
		var crt cmv1.Certificate
		err := a.Certificates.Get(ctx, source.Key, &crt)
		if apierrors.IsNotFound(err) {
			a.forget(u)
			return nil, injectable.Missing(source)
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", source, err)
		}
		secret.Name = crt.Spec.SecretName
	}
	a.use(u, secret)
	return a.in(ctx, source, secret)
}

// use notes which Secret an object gets its CA from.
func (a *Authorities) use(u user, secret types.NamespacedName) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before, known := a.users[u]
	if known && before == secret {
		return
	}
	if a.users == nil {
		a.users = map[user]types.NamespacedName{}
	}
	a.users[u] = secret
	a.dropUnused(before)
}

// forget notes that an object gets its CA from no Secret.
func (a *Authorities) forget(u user) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before, known := a.users[u]
	if known {
		delete(a.users, u)
		a.dropUnused(before)
	}
}

// dropUnused drops the CA of a Secret that nobody uses. The lock is held.
func (a *Authorities) dropUnused(secret types.NamespacedName) {
	if !a.used(secret) {
		delete(a.read, secret)
	}
}

func (a *Authorities) used(secret types.NamespacedName) bool {
	for _, s := range a.users {
		if s == secret {
			return true
		}
	}
	return false
}

// known returns the CA in a version of a Secret if it has been read.
func (a *Authorities) known(secret types.NamespacedName, version string) (authority, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	found, ok := a.read[secret]
	return found, ok && found.version == version
}

// keep keeps the CA of a Secret as long as somebody uses it.
func (a *Authorities) keep(secret types.NamespacedName, found authority) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.used(secret) {
		return
	}
	if a.read == nil {
		a.read = map[types.NamespacedName]authority{}
	}
	a.read[secret] = found
}

// drop drops the CA of a Secret that does not exist.
func (a *Authorities) drop(secret types.NamespacedName) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.read, secret)
}

// in returns the CA in a Secret. The data is read once per version of the Secret.
func (a *Authorities) in(ctx context.Context, source injectable.Source, key types.NamespacedName) ([]byte, error) {
	cached := &metav1.PartialObjectMetadata{}
	cached.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	if err := a.Cache.Get(ctx, key, cached); apierrors.IsNotFound(err) {
		a.drop(key)
		return nil, injectable.MissingSecret(source, key)
	} else if err != nil {
		return nil, fmt.Errorf("find Secret %s in the cache: %w", key, err)
	}
	if err := injectable.Allowed(source, key, cached.Annotations); err != nil {
		return nil, err
	}
	if known, ok := a.known(key, cached.ResourceVersion); ok {
		return known.ca, known.missing
	}
	read, err, _ := a.flights.Do(key.String()+"@"+cached.ResourceVersion, func() (any, error) {
		return a.Core.CoreV1().Secrets(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
	})
	if apierrors.IsNotFound(err) {
		return nil, injectable.MissingSecret(source, key)
	}
	if err != nil {
		return nil, fmt.Errorf("read Secret %s: %w", key, err)
	}
	secret := read.(*corev1.Secret)
	// It may be newer than the cache.
	if err := injectable.Allowed(source, key, secret.Annotations); err != nil {
		return nil, err
	}
	found := authority{version: secret.ResourceVersion}
	found.ca, found.missing = injectable.AuthorityIn(key, secret.Data)
	a.keep(key, found)
	return found.ca, found.missing
}
