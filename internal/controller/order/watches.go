package order

import (
	"context"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/controller"
	core "github.com/everleaf/everleaf/internal/lifecycle/order"
)

// share is how many workers there are for each of --concurrent-workers. They
// wait for the answers of ACME servers most of the time, and a server that answers
// may occupy most of them.
const share = 8

// Registration is what the controller is. An Order that ends wakes those that
// waited for it by itself, see wakeClass: as facts it has no class any more.
func (c *Controller) Registration() controller.Registration {
	return controller.Registration{
		Name: "orders", Kind: acmev1.OrderKind, Reconciler: c.driver, Requeue: c.driver.Requeue, Share: share,
		Indexes: []controller.Index{{Kind: acmev1.ChallengeKind, Name: cluster.IndexController, Values: cluster.ControllerUID}},
		Watches: []controller.Watch{
			{Kind: cmv1.IssuerKind, Keys: c.ofIssuer},
			{Kind: cmv1.ClusterIssuerKind, Keys: c.ofIssuer},
			{Kind: cmv1.CertificateKind, Keys: c.overridden},
			{Kind: acmev1.ChallengeKind, Keys: controller.Owner(acmev1.OrderKind)},
		},
	}
}

// ofIssuer returns the unfinished Orders of an issuer, and ends their waits:
// what failed because of the issuer can succeed now.
func (c *Controller) ofIssuer(_ context.Context, o client.Object) []types.NamespacedName {
	issuer, ok := o.(cmv1.GenericIssuer)
	if !ok {
		return nil
	}
	return c.driver.Retry(controller.KeysOf(c.deps.Orders.OpenOf(issuer)))
}

// overridden returns the unfinished Orders of a Certificate that has other annotations for
// the HTTP-01 solver than they have.
func (c *Controller) overridden(_ context.Context, o client.Object) []types.NamespacedName {
	var keys []types.NamespacedName
	for _, order := range c.deps.Orders.OpenOfCertificate(o.GetNamespace(), o.GetName()) {
		if core.OtherOverrides(order, o.GetAnnotations(), c.deps.Copied) {
			keys = append(keys, client.ObjectKeyFromObject(order))
		}
	}
	return keys
}
