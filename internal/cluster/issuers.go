package cluster

import (
	"context"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
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
	// clusterResourceNamespace holds the Secrets of ClusterIssuers.
	clusterResourceNamespace string
}

// NewIssuers returns an Issuers.
func NewIssuers(cache client.Reader, clusterResourceNamespace string) *Issuers {
	return &Issuers{cache: cache, clusterResourceNamespace: clusterResourceNamespace}
}

// Get returns the issuer that an object in a namespace refers to, nil if there
// is none or it is not of our kinds. It is not to be changed.
func (i *Issuers) Get(ctx context.Context, namespace string, ref cmmeta.IssuerReference) (cmv1.GenericIssuer, error) {
	if !facts.OwnIssuer(ref) {
		return nil, nil
	}
	issuer := cmv1.GenericIssuer(&cmv1.Issuer{})
	key := types.NamespacedName{Namespace: namespace, Name: ref.Name}
	if ref.WithDefaults().Kind == cmv1.ClusterIssuerKind {
		issuer, key.Namespace = &cmv1.ClusterIssuer{}, ""
	}
	err := i.cache.Get(ctx, key, issuer)
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
		return i.clusterResourceNamespace
	}
	return issuer.GetNamespace()
}

// SecretRefs are the values of IndexSecretRef; secrets names the Secrets of an
// issuer.
func (i *Issuers) SecretRefs(secrets func(*cmv1.IssuerSpec) []string) client.IndexerFunc {
	return func(o client.Object) []string {
		issuer, ok := o.(cmv1.GenericIssuer)
		if !ok {
			return nil
		}
		var keys []string
		for _, name := range secrets(issuer.GetSpec()) {
			keys = append(keys, i.SecretNamespace(issuer)+"/"+name)
		}
		return keys
	}
}

// Using returns the issuers of a kind that use a Secret. They are not to be
// changed. A kind that is not cached, as ClusterIssuers with --namespace, has
// none.
func (i *Issuers) Using(ctx context.Context, kind string, secret client.Object) []cmv1.GenericIssuer {
	var issuers []cmv1.GenericIssuer
	using := client.MatchingFields{IndexSecretRef: secret.GetNamespace() + "/" + secret.GetName()}
	list := client.ObjectList(&cmv1.IssuerList{})
	if kind == cmv1.ClusterIssuerKind {
		list = &cmv1.ClusterIssuerList{}
	}
	if err := i.cache.List(ctx, list, using); err != nil {
		return nil
	}
	_ = meta.EachListItem(list, func(o runtime.Object) error {
		issuers = append(issuers, o.(cmv1.GenericIssuer))
		return nil
	})
	return issuers
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
