package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

const (
	// referenceTTL is how long a permission is remembered: a request for ACME asks for
	// it at each step. A refusal ends a request, and is always fresh.
	referenceTTL = 10 * time.Second
	// maxReferences bounds the permissions that are remembered.
	maxReferences = 1_000
)

// References answers whether those who make CertificateSigningRequests may use an
// Issuer: they need the verb reference on the resource signers of its namespace.
// CertificateSigningRequests have no namespace, and everybody who may create them could
// use every Issuer otherwise.
type References struct {
	core    kubernetes.Interface
	allowed *cache.LRUExpireCache
}

// NewReferences returns a References.
func NewReferences(core kubernetes.Interface, c clock.PassiveClock) *References {
	return &References{core: core, allowed: cache.NewLRUExpireCacheWithClock(maxReferences, c)}
}

// May reports whether whoever has made a request may use an Issuer.
func (r *References) May(ctx context.Context, by *certificatesv1.CertificateSigningRequestSpec, namespace, issuer string) (bool, error) {
	for _, name := range []string{issuer, "*"} {
		allowed, err := r.ask(ctx, question(by, namespace, name))
		if allowed || err != nil {
			return allowed, err
		}
	}
	return false, nil
}

func question(by *certificatesv1.CertificateSigningRequestSpec, namespace, name string) authorizationv1.SubjectAccessReviewSpec {
	q := authorizationv1.SubjectAccessReviewSpec{
		User: by.Username, Groups: by.Groups, UID: by.UID,
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Group: cmv1.GroupName, Resource: "signers", Verb: "reference", Version: "*", Namespace: namespace, Name: name,
		},
	}
	for key, value := range by.Extra {
		if q.Extra == nil {
			q.Extra = map[string]authorizationv1.ExtraValue{}
		}
		q.Extra[key] = authorizationv1.ExtraValue(value)
	}
	return q
}

func (r *References) ask(ctx context.Context, q authorizationv1.SubjectAccessReviewSpec) (bool, error) {
	encoded, err := json.Marshal(q)
	if err != nil {
		return false, err
	}
	if _, ok := r.allowed.Get(string(encoded)); ok {
		return true, nil
	}
	review, err := r.core.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{Spec: q}, metav1.CreateOptions{})
	if err != nil {
		return false, fmt.Errorf("ask whether %q may use Issuer %s/%s: %w", q.User, q.ResourceAttributes.Namespace, q.ResourceAttributes.Name, err)
	}
	if review.Status.Allowed {
		r.allowed.Add(string(encoded), true, referenceTTL)
	}
	return review.Status.Allowed, nil
}
