package cluster

import (
	"context"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/facts"
)

// Issuers looks issuers up in the cache.
type Issuers struct {
	cache client.Reader
	// resources is the namespace of the Secrets of ClusterIssuers.
	resources string
}

// NewIssuers returns an Issuers; resources is the cluster resource namespace.
func NewIssuers(cache client.Reader, resources string) *Issuers {
	return &Issuers{cache: cache, resources: resources}
}

// Get returns the issuer that an object in a namespace refers to, nil if there
// is none or it is not of our kinds. It is not to be changed.
func (i *Issuers) Get(ctx context.Context, namespace string, ref cmmeta.IssuerReference) (cmv1.GenericIssuer, error) {
	if !facts.OwnIssuer(ref) {
		return nil, nil
	}
	issuer := cmv1.GenericIssuer(&cmv1.Issuer{})
	key := types.NamespacedName{Namespace: namespace, Name: ref.Name}
	if facts.IssuerKind(ref) == cmv1.ClusterIssuerKind {
		issuer, key.Namespace = &cmv1.ClusterIssuer{}, ""
	}
	err := i.cache.Get(ctx, key, issuer.(client.Object))
	if apierrors.IsNotFound(err) || errors.As(err, new(*cache.ErrResourceNotCached)) {
		// With --namespace there are no ClusterIssuers for us.
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return issuer, nil
}

// SecretNamespace is where an issuer's Secrets are.
func (i *Issuers) SecretNamespace(issuer cmv1.GenericIssuer) string {
	if issuer.GetNamespace() == "" {
		return i.resources
	}
	return issuer.GetNamespace()
}

// IssuerReady reports whether an issuer's Ready condition is True, also for an
// older spec: the condition of an issuer that was just changed counts until it
// has been looked at again.
func IssuerReady(issuer cmv1.GenericIssuer) bool {
	return condition.True(issuer.GetStatus().Conditions, cmv1.IssuerConditionReady)
}

// IssuerMessage is the message of an issuer's Ready condition, empty without one.
func IssuerMessage(issuer cmv1.GenericIssuer) string {
	if c := condition.Find(issuer.GetStatus().Conditions, cmv1.IssuerConditionReady); c != nil {
		return c.Message
	}
	return ""
}
