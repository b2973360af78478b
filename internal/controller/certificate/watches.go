package certificate

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/facts"
	core "github.com/everleaf/everleaf/internal/lifecycle/certificate"
	"github.com/everleaf/everleaf/internal/plan"
)

const (
	// indexSecretName holds a Certificate's spec.secretName.
	indexSecretName = "secretName"
	// indexFailedIssuer holds the issuer of a Certificate whose last issuance has
	// failed: only these wait for a change of the issuer, and they are few.
	indexFailedIssuer = "failedIssuer"
	// indexPassword holds the Secrets with the passwords of a Certificate's keystores.
	indexPassword = "keystorePassword"
)

// share is how many workers there are for each of --concurrent-workers. One does
// the work of six of upstream's controllers, in far fewer calls, so that half as
// many workers keep an API server busy; more would only make each call slower,
// and need more streams than a connection to the API server has (100).
const share = 3

// Registration is what the controller is.
func (c *Controller) Registration() controller.Registration {
	return controller.Registration{
		Name: "certificates", Kind: cmv1.CertificateKind, Reconciler: c.driver, Requeue: c.driver.Requeue, Share: share,
		Indexes: []controller.Index{
			{Kind: cmv1.CertificateKind, Name: indexSecretName, Values: secretName},
			{Kind: cmv1.CertificateKind, Name: indexFailedIssuer, Values: failedIssuer},
			{Kind: cmv1.CertificateKind, Name: indexPassword, Values: passwordSecrets},
		},
		Watches: []controller.Watch{
			{Kind: plan.KindSecret, Keys: c.ofSecret},
			{Kind: cmv1.CertificateRequestKind, Keys: controller.Owner(cmv1.CertificateKind)},
			{Kind: cmv1.CertificateKind, Keys: c.sharing},
			{Kind: cmv1.IssuerKind, Keys: c.failedOf},
			{Kind: cmv1.ClusterIssuerKind, Keys: c.failedOf},
		},
	}
}

func secretName(o client.Object) []string {
	if crt, ok := o.(*cmv1.Certificate); ok && crt.Spec.SecretName != "" {
		return []string{crt.Spec.SecretName}
	}
	return nil
}

func passwordSecrets(o client.Object) []string {
	crt, ok := o.(*cmv1.Certificate)
	if !ok {
		return nil
	}
	var names []string
	for _, k := range core.Keystores(&crt.Spec) {
		if k.PasswordSecret != "" && !slices.Contains(names, k.PasswordSecret) {
			names = append(names, k.PasswordSecret)
		}
	}
	return names
}

func failedIssuer(o client.Object) []string {
	crt, ok := o.(*cmv1.Certificate)
	if !ok || crt.Status.LastFailureTime == nil || !facts.OwnIssuer(crt.Spec.IssuerRef) {
		return nil
	}
	ref := crt.Spec.IssuerRef.WithDefaults()
	return []string{issuerKey(ref.Kind, ref.Name)}
}

func issuerKey(kind, name string) string { return kind + "/" + name }

// failedOf are the Certificates of an issuer whose last issuance has failed.
func (c *Controller) failedOf(ctx context.Context, o client.Object) []types.NamespacedName {
	issuer, ok := o.(cmv1.GenericIssuer)
	if !ok {
		return nil
	}
	kind := cmv1.IssuerKind
	if issuer.GetNamespace() == "" {
		kind = cmv1.ClusterIssuerKind
	}
	return c.indexed(ctx, issuer.GetNamespace(), indexFailedIssuer, issuerKey(kind, issuer.GetName()), "")
}

// sharing are the other Certificates with the Secret name of one.
func (c *Controller) sharing(ctx context.Context, o client.Object) []types.NamespacedName {
	crt, ok := o.(*cmv1.Certificate)
	if !ok {
		return nil
	}
	return c.indexed(ctx, crt.Namespace, indexSecretName, crt.Spec.SecretName, crt.Name)
}

// ofSecret are the Certificates that a Secret belongs to: by its name, as a next
// private key, or as the password of a keystore.
func (c *Controller) ofSecret(ctx context.Context, o client.Object) []types.NamespacedName {
	keys := c.indexed(ctx, o.GetNamespace(), indexSecretName, o.GetName(), "")
	keys = append(keys, c.indexed(ctx, o.GetNamespace(), indexPassword, o.GetName(), "")...)
	secret := cluster.FactsIn(o)
	if secret == nil || secret.Labels[cmv1.IsNextPrivateKeySecretLabelKey] != "true" {
		return keys
	}
	for _, owner := range secret.OwnerReferences {
		if owner.Kind == cmv1.CertificateKind {
			keys = append(keys, types.NamespacedName{Namespace: secret.Namespace, Name: owner.Name})
		}
	}
	return keys
}

// indexed are the Certificates that have a value in an index, except the one of a
// name. The empty namespace is all.
func (c *Controller) indexed(ctx context.Context, namespace, index, value, except string) []types.NamespacedName {
	list := &cmv1.CertificateList{}
	if err := c.Cache.List(ctx, list, client.InNamespace(namespace), client.MatchingFields{index: value}); err != nil {
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
