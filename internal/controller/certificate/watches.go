package certificate

import (
	"context"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/plan"
)

// indexSecretName holds a Certificate's spec.secretName.
const indexSecretName = "secretName"

// share is how many workers there are for each of --concurrent-workers. One does
// the work of six of upstream's controllers, in far fewer calls, so that half as
// many workers keep an API server busy; more would only make each call slower,
// and need more streams than a connection to the API server has (100).
const share = 3

// Registration is what the controller is.
func (c *Controller) Registration() controller.Registration {
	return controller.Registration{
		Name: "certificates", Kind: cmv1.CertificateKind, Reconciler: c.driver, Requeue: c.driver.Requeue, Share: share,
		Indexes: []controller.Index{{Kind: cmv1.CertificateKind, Name: indexSecretName, Values: secretName}},
		Watches: []controller.Watch{
			{Kind: plan.KindSecret, Keys: c.ofSecret},
			{Kind: cmv1.CertificateRequestKind, Keys: controller.Owner(cmv1.CertificateKind)},
			{Kind: cmv1.CertificateKind, Keys: c.sharing},
		},
	}
}

func secretName(o client.Object) []string {
	if crt, ok := o.(*cmv1.Certificate); ok && crt.Spec.SecretName != "" {
		return []string{crt.Spec.SecretName}
	}
	return nil
}

// sharing are the other Certificates with the Secret name of one.
func (c *Controller) sharing(ctx context.Context, o client.Object) []types.NamespacedName {
	crt, ok := o.(*cmv1.Certificate)
	if !ok {
		return nil
	}
	return c.withSecret(ctx, crt.Namespace, crt.Spec.SecretName, crt.Name)
}

// ofSecret are the Certificates that a Secret belongs to: by its name, or as a
// next private key.
func (c *Controller) ofSecret(ctx context.Context, o client.Object) []types.NamespacedName {
	keys := c.withSecret(ctx, o.GetNamespace(), o.GetName(), "")
	facts := cluster.FactsIn(o)
	if facts == nil || facts.Labels[cmv1.IsNextPrivateKeySecretLabelKey] != "true" {
		return keys
	}
	for _, owner := range facts.OwnerReferences {
		if owner.Kind == cmv1.CertificateKind {
			keys = append(keys, types.NamespacedName{Namespace: facts.Namespace, Name: owner.Name})
		}
	}
	return keys
}

func (c *Controller) withSecret(ctx context.Context, namespace, secret, except string) []types.NamespacedName {
	list := &cmv1.CertificateList{}
	if err := c.Cache.List(ctx, list, client.InNamespace(namespace), client.MatchingFields{indexSecretName: secret}); err != nil {
		return nil
	}
	var keys []types.NamespacedName
	for i := range list.Items {
		if list.Items[i].Name != except {
			keys = append(keys, client.ObjectKeyFromObject(&list.Items[i]))
		}
	}
	return keys
}
