package cluster

import (
	"k8s.io/client-go/tools/cache"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
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

// OpenOfClass returns the unfinished Orders of a class, see order.Class.
func (o *Orders) OpenOfClass(class string) []*acmev1.Order { return o.open(byClass, class) }
