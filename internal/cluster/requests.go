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

// ReduceRequest is the transform of the cache of CertificateRequests.
func ReduceRequest(limits pki.Limits) cache.TransformFunc {
	return reduced(func(r *cmv1.CertificateRequest) (*facts.Request, bool) {
		return facts.OfRequest(r, limits), !request.Ended(r)
	})
}

// NewRequests returns the Requests of an informer that is not started yet, and
// sets its transform to ReduceRequest.
func NewRequests(informer cache.SharedIndexInformer, limits pki.Limits) (*Requests, error) {
	type item = entry[*cmv1.CertificateRequest, facts.Request]
	s, err := newStore(informer, cmv1.Resource(cmv1.CertificateRequestResource), ReduceRequest(limits), indexes[*cmv1.CertificateRequest, facts.Request]{
		byIssuer: func(e *item) string { return OwnIssuerKey(e.Namespace, e.facts.IssuerRef) },
		byKeySecret: func(e *item) string {
			if e.facts.KeySecret == "" {
				return ""
			}
			return e.Namespace + "/" + e.facts.KeySecret
		},
	})
	return &Requests{s}, err
}

// OpenWithKey returns the requests that wait and whose private key is in a Secret.
func (r *Requests) OpenWithKey(namespace, secret string) []*cmv1.CertificateRequest {
	return r.open(byKeySecret, namespace+"/"+secret)
}
