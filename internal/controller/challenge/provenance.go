package challenge

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/lifecycle/order"
)

// loadProvenance checks that an Order, which an approved request calls for,
// calls for exactly this Challenge. What the caches do not show, because they
// are behind or because it has ended, is looked up live.
func (w *work) loadProvenance(ctx context.Context) error {
	cached := ancestors{
		order: func(_ context.Context, key types.NamespacedName) (*acmev1.Order, error) {
			o, _, err := w.c.Orders.Get(key)
			return o, err
		},
		request: func(_ context.Context, key types.NamespacedName) (*cmv1.CertificateRequest, error) {
			r, _, err := w.c.Requests.Get(key)
			return r, err
		},
	}
	live := ancestors{
		order: func(ctx context.Context, key types.NamespacedName) (*acmev1.Order, error) {
			o := &acmev1.Order{}
			return o, w.c.API.Live(ctx, key, o)
		},
		request: func(ctx context.Context, key types.NamespacedName) (*cmv1.CertificateRequest, error) {
			r := &cmv1.CertificateRequest{}
			return r, w.c.API.Live(ctx, key, r)
		},
	}
	for _, from := range []ancestors{cached, live} {
		o, err := controlling(ctx, w.State.Object, acmev1.OrderKind, from.order)
		if err != nil {
			return err
		}
		w.order, w.Orphan = o, o == nil
		if w.Untrusted, err = w.distrust(ctx, o, from); err != nil || w.Untrusted == "" {
			return err
		}
	}
	return nil
}

// ancestors looks up what a Challenge comes from. What there is no work on is
// nil or NotFound.
type ancestors struct {
	order   func(context.Context, types.NamespacedName) (*acmev1.Order, error)
	request func(context.Context, types.NamespacedName) (*cmv1.CertificateRequest, error)
}

// distrust returns why the Challenge must not be worked on, or "".
func (w *work) distrust(ctx context.Context, o *acmev1.Order, from ancestors) (string, error) {
	if o == nil || w.Account == nil {
		return order.ChallengeProvenance(w.State.Object, o, w.Account), nil
	}
	request, err := controlling(ctx, o, cmv1.CertificateRequestKind, from.request)
	if err != nil {
		return "", err
	}
	if why := order.Provenance(o, request, w.c.Limits); why != "" {
		return why, nil
	}
	return order.ChallengeProvenance(w.State.Object, o, w.Account), nil
}

// controlling returns the object of a kind that controls another, nil if there
// is none.
func controlling[T interface {
	comparable
	client.Object
}](ctx context.Context, o client.Object, kind string, get func(context.Context, types.NamespacedName) (T, error)) (T, error) {
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
