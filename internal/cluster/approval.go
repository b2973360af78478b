package cluster

import (
	"context"
	"fmt"
	"strings"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
)

const (
	// approvalTTL is how long an answer about a permission is used. Roles change
	// seldom, and a request that waits for a permission is asked about again.
	approvalTTL = time.Minute
	// approvalErrorTTL is how long an error is used in place of an answer: an
	// authorizer that does not answer must not hold a worker for each object.
	approvalErrorTTL = 5 * time.Second
	// maxApprovals bounds the answers that are kept.
	maxApprovals = 10_000
)

// Approval answers whether this process may approve requests for an issuer: it
// needs the verb approve on the signer, as everybody does. Without it, requests
// are left to whoever has it.
type Approval struct {
	core    kubernetes.Interface
	answers *cache.LRUExpireCache
	// kinds has the kinds of other groups.
	kinds *cache.LRUExpireCache
}

// approvalAnswer is what the API server has answered about a signer.
type approvalAnswer struct {
	allowed bool
	err     error
}

// NewApproval returns an Approval.
func NewApproval(core kubernetes.Interface, c clock.PassiveClock) *Approval {
	return &Approval{core: core, answers: cache.NewLRUExpireCacheWithClock(maxApprovals, c), kinds: cache.NewLRUExpireCacheWithClock(maxApprovals, c)}
}

// May reports whether requests in a namespace for an issuer may be approved.
func (a *Approval) May(ctx context.Context, namespace string, ref cmmeta.IssuerReference) (bool, error) {
	kind := a.served(ref.WithDefaults())
	signers := kind.resource + "." + ref.WithDefaults().Group
	name := signers + "/" + ref.Name
	if kind.namespaced {
		name = signers + "/" + namespace + "." + ref.Name
	}
	for _, signer := range []string{signers + "/*", name} {
		allowed, err := a.ask(ctx, signer)
		if allowed || err != nil {
			return allowed, err
		}
	}
	return false, nil
}

// servedKind is how the API server serves a kind of issuers.
type servedKind struct {
	resource   string
	namespaced bool
}

// served says how a kind of issuers is served. One that is not there yet, or whose API
// does not answer, counts as namespaced, with a plural as usual.
func (a *Approval) served(ref cmmeta.IssuerReference) servedKind {
	kind := servedKind{strings.ToLower(ref.Kind) + "s", ref.Kind != cmv1.ClusterIssuerKind}
	if ref.Group == cmv1.GroupName {
		return kind
	}
	of := schema.GroupKind{Group: ref.Group, Kind: ref.Kind}
	if known, ok := a.kinds.Get(of); ok {
		return known.(servedKind)
	}
	if found := a.find(of); found != nil {
		kind = *found
	}
	a.kinds.Add(of, kind, approvalTTL)
	return kind
}

// find asks the API server for a kind, nil if none that answers is served.
func (a *Approval) find(of schema.GroupKind) *servedKind {
	groups, err := a.core.Discovery().ServerGroups()
	if err != nil {
		return nil
	}
	for _, group := range groups.Groups {
		if group.Name != of.Group {
			continue
		}
		for _, version := range group.Versions {
			resources, err := a.core.Discovery().ServerResourcesForGroupVersion(version.GroupVersion)
			if err != nil {
				continue
			}
			for _, r := range resources.APIResources {
				if r.Kind == of.Kind && !strings.Contains(r.Name, "/") {
					return &servedKind{r.Name, r.Namespaced}
				}
			}
		}
	}
	return nil
}

func (a *Approval) ask(ctx context.Context, signer string) (bool, error) {
	if known, ok := a.answers.Get(signer); ok {
		return known.(approvalAnswer).allowed, known.(approvalAnswer).err
	}
	review, err := a.core.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
			Group: cmv1.GroupName, Resource: "signers", Verb: "approve", Name: signer,
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		err = fmt.Errorf("ask for the permission to approve %s: %w", signer, err)
		if ctx.Err() == nil {
			a.answers.Add(signer, approvalAnswer{err: err}, approvalErrorTTL)
		}
		return false, err
	}
	a.answers.Add(signer, approvalAnswer{allowed: review.Status.Allowed}, approvalTTL)
	return review.Status.Allowed, nil
}
