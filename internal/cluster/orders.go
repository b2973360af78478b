package cluster

import (
	"strings"

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
	return reduced(func(o *acmev1.Order) (*facts.Order, bool) {
		f := facts.OfOrder(o, limits)
		return f, !f.Ended()
	})
}

// NewOrders returns the Orders of an informer that is not started yet, and sets
// its transform to ReduceOrder.
func NewOrders(informer cache.SharedIndexInformer, limits pki.Limits) (*Orders, error) {
	type item = entry[*acmev1.Order, facts.Order]
	s, err := newStore(informer, acmev1.Resource(acmev1.OrderResource), ReduceOrder(limits), indexes[*acmev1.Order, facts.Order]{
		byIssuer: func(e *item) string { return OwnIssuerKey(e.Namespace, e.object.Spec.IssuerRef) },
		byClass:  func(e *item) string { return order.Class(e.object) },
		byCertificate: func(e *item) string {
			if name := e.object.Annotations[cmv1.CertificateNameKey]; name != "" {
				return e.Namespace + "/" + name
			}
			return ""
		},
	})
	if err == nil {
		err = informer.AddIndexers(cache.Indexers{byName: func(obj any) ([]string, error) {
			if e, ok := obj.(*item); ok && e.open {
				return order.DNSNames(e.object), nil
			}
			return nil, nil
		}})
	}
	return &Orders{s}, err
}

// OpenOfName returns the unfinished Orders for a DNS name or for its wildcard.
func (o *Orders) OpenOfName(name string) []*acmev1.Order {
	return o.open(byName, strings.ToLower(name))
}

// OpenOfClass returns the unfinished Orders of a class, see order.Class.
func (o *Orders) OpenOfClass(class string) []*acmev1.Order { return o.open(byClass, class) }

// OpenOfCertificate returns the unfinished Orders whose annotations name a Certificate.
func (o *Orders) OpenOfCertificate(namespace, name string) []*acmev1.Order {
	return o.open(byCertificate, namespace+"/"+name)
}
