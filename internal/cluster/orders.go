package cluster

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/lifecycle/order"
	"github.com/everleaf/everleaf/internal/pki"
)

// Orders answers what Orders there are. Those that have ended are kept as facts.
type Orders struct {
	store[*acmev1.Order, facts.Order]
}

// ReduceOrder is the transform of the cache of Orders.
func ReduceOrder(limits pki.Limits) cache.TransformFunc {
	return func(obj any) (any, error) {
		o, ok := obj.(*acmev1.Order)
		if !ok {
			return obj, nil
		}
		f := facts.OfOrder(o, limits)
		return newEntry(o, f, !f.Ended()), nil
	}
}

// NewOrders returns the Orders of an informer that is not started yet, and sets
// its transform to ReduceOrder.
func NewOrders(informer cache.SharedIndexInformer, limits pki.Limits) (*Orders, error) {
	type item = entry[*acmev1.Order, facts.Order]
	if err := informer.SetTransform(ReduceOrder(limits)); err != nil {
		return nil, err
	}
	err := informer.AddIndexers(cache.Indexers{
		byController: indexed(func(e *item) string { return ownerKey(e.Namespace, e.facts.Owner) }),
		byIssuer: indexed(func(e *item) string {
			if !e.open {
				return ""
			}
			return OwnIssuerKey(e.Namespace, e.object.Spec.IssuerRef)
		}),
		byClass: indexed(func(e *item) string {
			if !e.open {
				return ""
			}
			return order.Class(e.object)
		}),
	})
	if err != nil {
		return nil, err
	}
	return &Orders{store[*acmev1.Order, facts.Order]{informer.GetIndexer(), acmev1.Resource(acmev1.OrderResource)}}, nil
}

// Get returns an Order and whether there is work on it; it is nil if not. The
// error is NotFound if there is no such Order.
func (o *Orders) Get(key types.NamespacedName) (*acmev1.Order, bool, error) { return o.get(key) }

// Facts returns the facts of an Order, nil if there is no such Order.
func (o *Orders) Facts(key types.NamespacedName) *facts.Order {
	item, ok, err := o.indexer.GetByKey(key.String())
	if err != nil || !ok {
		return nil
	}
	return item.(*entry[*acmev1.Order, facts.Order]).facts
}

// ControlledBy returns the facts of the Orders that an object controls.
func (o *Orders) ControlledBy(owner metav1.Object) []*facts.Order {
	return o.facts(byController, ownerKey(owner.GetNamespace(), owner.GetUID()))
}

// OpenOf returns the unfinished Orders of an issuer.
func (o *Orders) OpenOf(issuer cmv1.GenericIssuer) []*acmev1.Order {
	return o.open(byIssuer, KeyOfIssuer(issuer))
}

// OpenOfClass returns the unfinished Orders of a class, see order.Class.
func (o *Orders) OpenOfClass(class string) []*acmev1.Order { return o.open(byClass, class) }
