package cluster

import (
	"context"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/lifecycle/order"
)

// The caches' indexes: a reconcile costs the same with a hundred and with a
// hundred thousand objects.
const (
	// IndexController holds the UID of the controlling owner.
	IndexController = "controller"
	// IndexIssuer holds IssuerKey of the issuer that is referred to.
	IndexIssuer = "issuer"
	// IndexOrderClass holds lifecycle.OrderClass.
	IndexOrderClass = "orderClass"
	// IndexDNSName holds the name that a Challenge is about, in lower case.
	IndexDNSName = "dnsName"
	// IndexSecretRef holds namespace/name of the Secrets that an issuer uses, see
	// Issuers.SecretRefs.
	IndexSecretRef = "secretRef"
)

// IssuerKey names an issuer for IndexIssuer.
func IssuerKey(namespace string, ref cmmeta.IssuerReference) string {
	if facts.IssuerKind(ref) == cmv1.ClusterIssuerKind {
		namespace = ""
	}
	return namespace + "/" + ref.Name
}

// issuerKeyOf is IssuerKey for issuers of ours, empty for others.
func issuerKeyOf(namespace string, ref cmmeta.IssuerReference) string {
	if !facts.OwnIssuer(ref) {
		return ""
	}
	return IssuerKey(namespace, ref)
}

// KeyOfIssuer is IssuerKey of an issuer itself.
func KeyOfIssuer(issuer cmv1.GenericIssuer) string {
	return issuer.GetNamespace() + "/" + issuer.GetName()
}

// AddIndexes registers the indexes of the kinds that are cached.
func AddIndexes(ctx context.Context, indexer client.FieldIndexer, cached map[Kind]client.Object) error {
	for _, i := range []struct {
		kind   Kind
		name   string
		values client.IndexerFunc
	}{
		{Order, IndexController, controllerUID},
		{Challenge, IndexController, controllerUID},
		{Order, IndexIssuer, issuerOf(func(o *acmev1.Order) cmmeta.IssuerReference { return o.Spec.IssuerRef })},
		{Challenge, IndexIssuer, issuerOf(func(o *acmev1.Challenge) cmmeta.IssuerReference { return o.Spec.IssuerRef })},
		{Order, IndexOrderClass, one(order.Class)},
		{Challenge, IndexDNSName, one(func(o *acmev1.Challenge) string { return strings.ToLower(o.Spec.DNSName) })},
	} {
		object, ok := cached[i.kind]
		if !ok {
			continue
		}
		if err := indexer.IndexField(ctx, object, i.name, i.values); err != nil {
			return err
		}
	}
	return nil
}

// one makes an index of a single string, left out if it is empty.
func one[T client.Object](value func(T) string) client.IndexerFunc {
	return func(o client.Object) []string {
		typed, ok := o.(T)
		if !ok {
			return nil
		}
		if v := value(typed); v != "" {
			return []string{v}
		}
		return nil
	}
}

func issuerOf[T client.Object](ref func(T) cmmeta.IssuerReference) client.IndexerFunc {
	return one(func(o T) string {
		return issuerKeyOf(o.GetNamespace(), ref(o))
	})
}

func controllerUID(o client.Object) []string {
	if owner := metav1.GetControllerOf(o); owner != nil {
		return []string{string(owner.UID)}
	}
	return nil
}

// ControlledBy is the list option for what an object controls.
func ControlledBy(owner client.Object) client.ListOption {
	return client.MatchingFields{IndexController: string(owner.GetUID())}
}

// ControllerOf is the key of the object that controls o, if it is of a kind.
func ControllerOf(o client.Object, kind string) []types.NamespacedName {
	owner := metav1.GetControllerOf(o)
	if owner == nil || owner.Kind != kind {
		return nil
	}
	return []types.NamespacedName{{Namespace: o.GetNamespace(), Name: owner.Name}}
}
