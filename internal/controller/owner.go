package controller

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
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

// Live reads from the API server.
func Live[T any, P interface {
	*T
	client.Object
}](api interface {
	Live(ctx context.Context, key types.NamespacedName, into client.Object) error
},
) Getter[P] {
	return func(ctx context.Context, key types.NamespacedName) (P, error) {
		object := P(new(T))
		return object, api.Live(ctx, key, object)
	}
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
