package certificatesigningrequest

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/facts"
	core "github.com/everleaf/everleaf/internal/lifecycle/signingrequest"
	"github.com/everleaf/everleaf/internal/plan"
)

// Name is the controller's in metrics and logs.
const Name = "certificatesigningrequests"

var _ controller.Named = (*work)(nil)

// ControllerOf implements controller.Named: every action is the issuer's.
func (w *work) ControllerOf(action plan.Action) string {
	if _, local := action.(plan.Local); local || w.State.Issuer == nil {
		return ""
	}
	return core.Controller(facts.TypeOf(w.State.Issuer.Spec))
}

// Registration is what the controller is.
func (c *Controller) Registration() controller.Registration {
	return controller.Registration{
		Name: Name, Kind: core.Kind, Reconciler: c.driver, Requeue: c.driver.Requeue, Share: 1,
		Indexes: []controller.Index{
			{Kind: cmv1.IssuerKind, Name: cluster.IndexSecretRef, Values: c.Issuers.SecretRefs(c.Signers.Types.Secrets)},
			{Kind: cmv1.ClusterIssuerKind, Name: cluster.IndexSecretRef, Values: c.Issuers.SecretRefs(c.Signers.Types.Secrets)},
		},
		Watches: []controller.Watch{
			{Kind: plan.KindSecret, Keys: c.driver.Retrying(c.ofSecret)},
			{Kind: acmev1.OrderKind, Keys: ofOrder},
			{Kind: cmv1.IssuerKind, Keys: c.driver.Retrying(controller.Waiting(c.Requests.OpenOf))},
			{Kind: cmv1.ClusterIssuerKind, Keys: c.driver.Retrying(controller.Waiting(c.Requests.OpenOf))},
		},
	}
}

// ofOrder is the request that controls an Order. It has no namespace.
func ofOrder(_ context.Context, o client.Object) []types.NamespacedName {
	if owner := metav1.GetControllerOf(o); owner != nil && owner.Kind == core.Kind {
		return []types.NamespacedName{{Name: owner.Name}}
	}
	return nil
}

// ofSecret are the requests that wait and whose private key is in a Secret, and
// those that wait for an issuer that uses it.
func (c *Controller) ofSecret(ctx context.Context, o client.Object) []types.NamespacedName {
	users := controller.WaitingForUsers(c.Issuers, c.Requests.OpenOf, cmv1.IssuerKind, cmv1.ClusterIssuerKind)
	return append(controller.KeysOf(c.Requests.OpenWithKey(o.GetNamespace(), o.GetName())), users(ctx, o)...)
}
