package cluster

import (
	"k8s.io/client-go/tools/cache"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/lifecycle/request"
	"github.com/everleaf/everleaf/internal/pki"
)

// Requests answers what CertificateRequests there are. Those that have ended
// are kept as facts.
type Requests struct {
	store[*cmv1.CertificateRequest, facts.Request]
}

const (
	byController = "controller"
	byIssuer     = "issuer"
	byKeySecret  = "keySecret"
	byClass      = "class"
)

// ReduceRequest is the transform of the cache of CertificateRequests.
func ReduceRequest(limits pki.Limits) cache.TransformFunc {
	return func(obj any) (any, error) {
		r, ok := obj.(*cmv1.CertificateRequest)
		if !ok {
			return obj, nil
		}
		return newEntry(r, facts.OfRequest(r, limits), !request.Ended(r)), nil
	}
}

// NewRequests returns the Requests of an informer that is not started yet, and
// sets its transform to ReduceRequest.
func NewRequests(informer cache.SharedIndexInformer, limits pki.Limits) (*Requests, error) {
	type item = entry[*cmv1.CertificateRequest, facts.Request]
	if err := informer.SetTransform(ReduceRequest(limits)); err != nil {
		return nil, err
	}
	err := informer.AddIndexers(cache.Indexers{
		byController: indexed(func(e *item) string { return ownerKey(e.Namespace, e.facts.Owner) }),
		// Requests that have ended wait for no issuer and no key.
		byIssuer: indexed(func(e *item) string {
			if !e.open {
				return ""
			}
			return OwnIssuerKey(e.Namespace, e.facts.IssuerRef)
		}),
		byKeySecret: indexed(func(e *item) string {
			if !e.open || e.facts.KeySecret == "" {
				return ""
			}
			return e.Namespace + "/" + e.facts.KeySecret
		}),
	})
	if err != nil {
		return nil, err
	}
	return &Requests{store[*cmv1.CertificateRequest, facts.Request]{informer.GetIndexer(), cmv1.Resource(cmv1.CertificateRequestResource)}}, nil
}

// OpenWithKey returns the requests that wait and whose private key is in a Secret.
func (r *Requests) OpenWithKey(namespace, secret string) []*cmv1.CertificateRequest {
	return r.open(byKeySecret, namespace+"/"+secret)
}
