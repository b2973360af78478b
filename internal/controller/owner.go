package controller

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/lifecycle/signingrequest"
)

// Getter reads an object. One that does not exist is nil or NotFound.
type Getter[T client.Object] func(ctx context.Context, key types.NamespacedName) (T, error)

// Cached reads by a cache's Get. An object that is kept as facts is nil.
func Cached[T client.Object](get func(types.NamespacedName) (T, bool, error)) Getter[T] {
	return func(_ context.Context, key types.NamespacedName) (T, error) {
		object, _, err := get(key)
		return object, err
	}
}

// LiveReader reads objects from the API server.
type LiveReader interface {
	Live(ctx context.Context, key types.NamespacedName, into client.Object) error
}

// Live reads from the API server.
func Live[T any, P interface {
	*T
	client.Object
}](api LiveReader) Getter[P] {
	return func(ctx context.Context, key types.NamespacedName) (P, error) {
		object := P(new(T))
		return object, api.Live(ctx, key, object)
	}
}

// Askers read what Orders are for.
type Askers struct {
	Requests Getter[*cmv1.CertificateRequest]
	// Signing reads CertificateSigningRequests as the CertificateRequests that ask for
	// the same. It is nil if they are left alone.
	Signing Getter[*cmv1.CertificateRequest]
}

// Of returns the request that controls an Order, nil if there is none.
func (a Askers) Of(ctx context.Context, o *acmev1.Order) (*cmv1.CertificateRequest, error) {
	found, err := Controlling(ctx, o, cmv1.CertificateRequestKind, a.Requests)
	if found != nil || err != nil || a.Signing == nil {
		return found, err
	}
	return Controlling(ctx, o, signingrequest.Kind, a.Signing)
}

// CachedAskers reads what Orders are for from caches, LiveAskers from the API server.
// signing is nil if CertificateSigningRequests are left alone.
func CachedAskers(requests *cluster.Requests, signing *cluster.SigningRequests) Askers {
	a := Askers{Requests: Cached(requests.Get)}
	if signing != nil {
		a.Signing = signing.Cached
	}
	return a
}

// LiveAskers is described with CachedAskers.
func LiveAskers(api LiveReader, signing *cluster.SigningRequests) Askers {
	a := Askers{Requests: Live[cmv1.CertificateRequest](api)}
	if signing != nil {
		a.Signing = signing.Fetch
	}
	return a
}

// Controlling returns the object of a kind that controls another one, nil if
// there is none: one of the same name with another UID is not it.
func Controlling[T interface {
	comparable
	client.Object
}](ctx context.Context, o client.Object, kind string, get Getter[T]) (T, error) {
	var none T
	owner := metav1.GetControllerOf(o)
	if owner == nil || owner.Kind != kind {
		return none, nil
	}
	found, err := get(ctx, types.NamespacedName{Namespace: o.GetNamespace(), Name: owner.Name})
	switch {
	case apierrors.IsNotFound(err):
		return none, nil
	case err != nil:
		return none, err
	case found == none, found.GetUID() != owner.UID:
		return none, nil
	default:
		return found, nil
	}
}
