package issuer

import (
	"context"
	"strconv"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

// Secrets reads the Secrets of issuers.
type Secrets interface {
	// Version is the resourceVersion that the caches show, empty if they show no
	// such Secret.
	Version(namespace, name string) string
	// Live reads a Secret from the API server, nil if there is none.
	Live(ctx context.Context, namespace, name string) (*corev1.Secret, error)
}

// Identity is which issuer something is for.
type Identity struct {
	UID types.UID
	// Name is the issuer's own, without a namespace for a ClusterIssuer.
	Name types.NamespacedName
	// Namespace holds the issuer's Secrets.
	Namespace string
}

// Identity is that of the issuer to be checked.
func (i Issuer) Identity() Identity { return Identity{i.UID, i.Name, i.Namespace} }

// Identity is that of the issuer that is asked.
func (r Request) Identity() Identity { return Identity{r.IssuerUID, r.IssuerName, r.Namespace} }

// Reading reads the Secrets of one issuer, each once.
type Reading struct {
	secrets Secrets
	of      Identity
	found   map[string]*corev1.Secret
}

// Secret reads a Secret from the API server, nil if there is none. It is not to be changed.
func (r *Reading) Secret(ctx context.Context, name string) (*corev1.Secret, error) {
	if secret := r.found[name]; secret != nil {
		return secret, nil
	}
	secret, err := r.secrets.Live(ctx, r.of.Namespace, name)
	if secret != nil && err == nil {
		r.found[name] = secret
	}
	return secret, err
}

// Where says, as the end of a sentence about a Secret that does not exist, why it is looked
// for in a namespace. Nothing has to be said for an Issuer, whose own namespace it is.
func (r *Reading) Where() string {
	if r.of.Name.Namespace != "" {
		return ""
	}
	return "; the Secrets of ClusterIssuers must be in namespace " + strconv.Quote(r.of.Namespace) + ", the cluster resource namespace"
}

// versions are the resourceVersions of the Secrets that were read.
func (r *Reading) versions() map[string]string {
	versions := map[string]string{}
	for name, secret := range r.found {
		versions[name] = secret.ResourceVersion
	}
	return versions
}

// Kept keeps what a type has made of the spec of an issuer and of its Secrets, such as
// connections, for as long as neither says anything else. R is what was read, V what was made
// of it. It is safe for concurrent use.
type Kept[R, V any] struct {
	Secrets Secrets
	// Read reads what a spec and the Secrets that it names say, with errors of the type's own.
	Read func(ctx context.Context, of Identity, spec *cmv1.IssuerSpec, secrets *Reading) (R, error)
	// Same reports whether what was read says the same.
	Same func(a, b R) bool
	// New makes a value. The spec is not to be changed, and stays as it is.
	New func(of Identity, spec *cmv1.IssuerSpec, read R) (V, error)
	// End ends a value that is no longer kept.
	End func(V)

	mu   sync.Mutex
	kept map[types.UID]*kept[R, V]
	// reads counts the readings that have begun.
	reads uint64
}

type kept[R, V any] struct {
	of       Identity
	spec     *cmv1.IssuerSpec
	versions map[string]string
	read     R
	value    V
	// began is which reading it comes from.
	began uint64
}

// is reports whether a value is that of an issuer with a spec.
func (k *kept[R, V]) is(of Identity, spec *cmv1.IssuerSpec) bool {
	return k != nil && k.of == of && equality.Semantic.DeepEqual(k.spec, spec)
}

// current reports whether the caches show the Secrets of a value as they were read.
func (k *kept[R, V]) current(secrets Secrets) bool {
	for name, version := range k.versions {
		if secrets.Version(k.of.Namespace, name) != version {
			return false
		}
	}
	return true
}

// Of returns the value of an issuer with a spec. fresh has its Secrets read in any case, or else
// they are if the caches show others than those that were read. The error is that of Read or New.
func (k *Kept[R, V]) Of(ctx context.Context, of Identity, spec *cmv1.IssuerSpec, fresh bool) (V, error) {
	k.mu.Lock()
	if found := k.kept[of.UID]; !fresh && found.is(of, spec) && found.current(k.Secrets) {
		defer k.mu.Unlock()
		return found.value, nil
	}
	k.reads++
	began := k.reads
	k.mu.Unlock()
	var none V
	secrets := &Reading{secrets: k.Secrets, of: of, found: map[string]*corev1.Secret{}}
	read, err := k.Read(ctx, of, spec, secrets)
	if err != nil {
		return none, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	found := k.kept[of.UID]
	switch {
	case found.is(of, spec) && found.began > began:
		// A slow answer may be from before a change that the value shows.
		return found.value, nil
	case found.is(of, spec) && k.Same(found.read, read):
		found.versions, found.began = secrets.versions(), began
		return found.value, nil
	}
	made := &kept[R, V]{of: of, spec: spec.DeepCopy(), versions: secrets.versions(), read: read, began: began}
	if made.value, err = k.New(of, made.spec, read); err != nil {
		return none, err
	}
	if found != nil {
		k.End(found.value)
	}
	if k.kept == nil {
		k.kept = map[types.UID]*kept[R, V]{}
	}
	k.kept[of.UID] = made
	return made.value, nil
}

// Forget ends the value of an issuer.
func (k *Kept[R, V]) Forget(issuer types.UID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if found := k.kept[issuer]; found != nil {
		k.End(found.value)
		delete(k.kept, issuer)
	}
}
