package issuer

import (
	"context"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/plan"
)

// share is how many workers there are for each of --concurrent-workers. Some wait
// for ACME servers.
const share = 12

// Registration is what the controller is.
func (c *Controller) Registration() controller.Registration {
	name := "issuers"
	if c.Kind == cmv1.ClusterIssuerKind {
		name = "clusterissuers"
	}
	return controller.Registration{
		Name: name, Kind: c.Kind, Reconciler: c.driver, Requeue: c.driver.Requeue, Share: share,
		Indexes: []controller.Index{{Kind: c.Kind, Name: cluster.IndexSecretRef, Values: c.Issuers.SecretRefs(c.Types.Secrets)}},
		Watches: []controller.Watch{{Kind: plan.KindSecret, Keys: c.driver.Retrying(c.ofSecret)}},
	}
}

// ofSecret returns the issuers that use a Secret.
func (c *Controller) ofSecret(ctx context.Context, o client.Object) []types.NamespacedName {
	return controller.KeysOf(c.Issuers.Using(ctx, c.Kind, o))
}

// hear has an issuer of the kind checked again, at the time of the news.
func (c *Controller) hear(_ context.Context, news controller.IssuerNews) {
	if (news.Issuer.GetNamespace() == "") == (c.Kind == cmv1.ClusterIssuerKind) {
		c.driver.Requeue.WakeAt(client.ObjectKeyFromObject(news.Issuer), news.At)
	}
}
