package certificaterequest

import (
	"context"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/plan"
)

// share is how many workers there are for each of --concurrent-workers. One does
// the work of six of upstream's controllers, in far fewer calls.
const share = 3

// Registration is what the controller is.
func (c *Controller) Registration() controller.Registration {
	return controller.Registration{
		Name: "certificaterequests", Kind: cmv1.CertificateRequestKind, Reconciler: c.driver, Requeue: c.driver.Requeue, Share: share,
		Indexes: []controller.Index{
			{Kind: cmv1.IssuerKind, Name: cluster.IndexSecretRef, Values: c.Issuers.SecretRefs(c.Signers.Types.Secrets)},
			{Kind: cmv1.ClusterIssuerKind, Name: cluster.IndexSecretRef, Values: c.Issuers.SecretRefs(c.Signers.Types.Secrets)},
		},
		Watches: []controller.Watch{
			{Kind: plan.KindSecret, Keys: c.driver.Retrying(c.ofSecret)},
			{Kind: acmev1.OrderKind, Keys: controller.Owner(cmv1.CertificateRequestKind)},
			{Kind: cmv1.IssuerKind, Keys: c.driver.Retrying(controller.Waiting(c.Requests.OpenOf))},
			{Kind: cmv1.ClusterIssuerKind, Keys: c.driver.Retrying(controller.Waiting(c.Requests.OpenOf))},
		},
	}
}

// ofSecret are the requests that wait and whose private key is in a Secret, and
// those that wait for an issuer that uses it.
func (c *Controller) ofSecret(ctx context.Context, o client.Object) []types.NamespacedName {
	users := controller.WaitingForUsers(c.Issuers, c.Requests.OpenOf, cmv1.IssuerKind, cmv1.ClusterIssuerKind)
	return append(controller.KeysOf(c.Requests.OpenWithKey(o.GetNamespace(), o.GetName())), users(ctx, o)...)
}
