package cluster

import (
	"context"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/lifecycle/signingrequest"
)

// SigningRequests answers what CertificateSigningRequests of Kubernetes there are for
// issuers of ours. Of all others, and of those that have ended, the cache holds no more
// than the name.
type SigningRequests struct {
	store[*signingrequest.Object, signingrequest.Signer]
	where SigningRequestsConfig
}

// SigningRequestsConfig is how CertificateSigningRequests are read.
type SigningRequestsConfig struct {
	Issuers *Issuers
	// References answers whose requests Issuers may sign, and Live reads from the API
	// server.
	References *References
	Live       client.Reader
	// Copied reports whether annotations of a key are copied to Orders.
	Copied func(key string) bool
}

// reduceSigningRequest is the transform of the cache of CertificateSigningRequests.
var reduceSigningRequest = reduced(func(r *signingrequest.Object) (*signingrequest.Signer, bool) {
	signer, ours := signingrequest.SignerOf(r.Spec.SignerName)
	if !ours {
		return nil, false
	}
	return &signer, !signingrequest.Ended(r)
})

// NewSigningRequests returns the SigningRequests of an informer that is not started yet,
// and sets its transform.
func NewSigningRequests(informer cache.SharedIndexInformer, where SigningRequestsConfig) (*SigningRequests, error) {
	type item = entry[*signingrequest.Object, signingrequest.Signer]
	requests := &SigningRequests{where: where}
	var err error
	requests.store, err = newStore(informer, certificatesv1.Resource("certificatesigningrequests"), reduceSigningRequest, indexes[*signingrequest.Object, signingrequest.Signer]{
		byIssuer: func(e *item) string { return e.facts.Namespace + "/" + e.facts.Name },
		byKeySecret: func(e *item) string {
			if key := signingrequest.KeySecret(e.object, requests.SecretNamespace(*e.facts)); key.Name != "" {
				return key.String()
			}
			return ""
		},
	})
	return requests, err
}

// SecretNamespace is where a signer's Secrets are. It is empty for an Issuer without a
// namespace, which does not exist.
func (r *SigningRequests) SecretNamespace(s signingrequest.Signer) string {
	if s.Kind == cmv1.IssuerKind {
		return s.Namespace
	}
	return r.where.Issuers.clusterResourceNamespace
}

// OpenWithKey returns the requests that wait and whose private key is in a Secret.
func (r *SigningRequests) OpenWithKey(namespace, secret string) []*signingrequest.Object {
	return r.open(byKeySecret, namespace+"/"+secret)
}

// Cached returns a request as the CertificateRequest that asks for the same, in the
// namespace of the key, nil if the cache has none that waits. It is not approved unless
// whoever has made it may use the issuer.
func (r *SigningRequests) Cached(ctx context.Context, key types.NamespacedName) (*cmv1.CertificateRequest, error) {
	object, open, err := r.Get(types.NamespacedName{Name: key.Name})
	if err != nil || !open {
		return nil, err
	}
	return r.equivalent(ctx, key.Namespace, object)
}

// Fetch is Cached for a request as the API server has it.
func (r *SigningRequests) Fetch(ctx context.Context, key types.NamespacedName) (*cmv1.CertificateRequest, error) {
	object := &signingrequest.Object{}
	if err := r.where.Live.Get(ctx, types.NamespacedName{Name: key.Name}, object); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	return r.equivalent(ctx, key.Namespace, object)
}

func (r *SigningRequests) equivalent(ctx context.Context, namespace string, object *signingrequest.Object) (*cmv1.CertificateRequest, error) {
	signer, ours := signingrequest.SignerOf(object.Spec.SignerName)
	if !ours || r.SecretNamespace(signer) != namespace {
		return nil, nil
	}
	same := signingrequest.Equivalent(object, signer, namespace, r.where.Copied)
	may, err := r.MayReference(ctx, object, signer)
	if !may {
		same.Status = cmv1.CertificateRequestStatus{}
	}
	return same, err
}

// MayReference reports whether whoever has made a request may use its issuer. A
// ClusterIssuer is for all.
func (r *SigningRequests) MayReference(ctx context.Context, object *signingrequest.Object, s signingrequest.Signer) (bool, error) {
	if s.Kind == cmv1.ClusterIssuerKind {
		return true, nil
	}
	return r.where.References.May(ctx, &object.Spec, s.Namespace, s.Name)
}
