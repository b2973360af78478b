package challenge

import (
	"context"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/controller"
	core "github.com/everleaf/everleaf/internal/lifecycle/challenge"
	"github.com/everleaf/everleaf/internal/plan"
)

// workersShare is large because the workers wait for foreign servers.
const workersShare = 8

// Registration returns what makes this a controller.
func (c *Controller) Registration() controller.Registration {
	return controller.Registration{
		Name: "challenges", Kind: acmev1.ChallengeKind, Share: workersShare, Reconciler: c, Requeue: c.Requeue, First: c.recall,
		Indexes: []controller.Index{
			{Kind: acmev1.ChallengeKind, Name: cluster.IndexController, Values: cluster.ControllerUID},
			{Kind: acmev1.ChallengeKind, Name: cluster.IndexIssuer, Values: issuerKey},
			{Kind: acmev1.ChallengeKind, Name: cluster.IndexDNSName, Values: cluster.DNSName},
			{Kind: cmv1.IssuerKind, Name: cluster.IndexSecretRef, Values: c.IssuerSecrets},
			{Kind: cmv1.ClusterIssuerKind, Name: cluster.IndexSecretRef, Values: c.IssuerSecrets},
		},
		Watches: []controller.Watch{
			{Kind: acmev1.OrderKind, Keys: c.ofOrder},
			{Kind: cmv1.IssuerKind, Keys: c.ofIssuer},
			{Kind: cmv1.ClusterIssuerKind, Keys: c.ofIssuer},
			{Kind: plan.KindSecret, Keys: c.ofSecret},
		},
	}
}

// issuerKey is the value of cluster.IndexIssuer.
func issuerKey(o client.Object) []string {
	challenge, ok := o.(*acmev1.Challenge)
	if !ok {
		return nil
	}
	if key := cluster.OwnIssuerKey(challenge.Namespace, challenge.Spec.IssuerRef); key != "" {
		return []string{key}
	}
	return nil
}

// ofOrder returns the Challenges that an Order controls.
func (c *Controller) ofOrder(ctx context.Context, o client.Object) []types.NamespacedName {
	return c.list(ctx, func(*acmev1.Challenge) bool { return true }, client.InNamespace(o.GetNamespace()), cluster.ControlledBy(o))
}

// ofIssuer returns the Challenges of an issuer that may have something to do,
// and ends their waits: what failed because of the issuer can succeed now.
func (c *Controller) ofIssuer(ctx context.Context, o client.Object) []types.NamespacedName {
	return c.Retry(c.list(ctx, core.HasFinalizer, client.MatchingFields{
		cluster.IndexIssuer: o.GetNamespace() + "/" + o.GetName(),
	}))
}

// ofSecret returns the Challenges of the issuers that use a Secret, and ends
// their waits.
func (c *Controller) ofSecret(ctx context.Context, o client.Object) []types.NamespacedName {
	var keys []types.NamespacedName
	for _, kind := range []string{cmv1.IssuerKind, cmv1.ClusterIssuerKind} {
		for _, issuer := range c.Issuers.Using(ctx, kind, o) {
			keys = append(keys, c.ofIssuer(ctx, issuer)...)
		}
	}
	return keys
}

// list returns the keys of the Challenges that are taken. A list from a cache
// fails only if the cache does not exist; then there are no Challenges.
func (c *Controller) list(ctx context.Context, take func(*acmev1.Challenge) bool, options ...client.ListOption) []types.NamespacedName {
	list := &acmev1.ChallengeList{}
	if err := c.Cache.List(ctx, list, options...); err != nil {
		return nil
	}
	var keys []types.NamespacedName
	for i := range list.Items {
		if take(&list.Items[i]) {
			keys = append(keys, client.ObjectKeyFromObject(&list.Items[i]))
		}
	}
	return keys
}
