package cluster

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/facts"
)

// The indexes that several controllers share: a reconcile costs the same with a
// hundred and with a hundred thousand objects.
const (
	// IndexController holds the UID of the controlling owner.
	IndexController = "controller"
	// IndexIssuer holds IssuerKey of the issuer that is referred to.
	IndexIssuer = "issuer"
	// IndexDNSName holds the name that a Challenge is about, in lower case.
	IndexDNSName = "dnsName"
	// IndexSecretRef holds namespace/name of the Secrets that an issuer uses, see
	// Issuers.SecretRefs.
	IndexSecretRef = "secretRef"
)

// IssuerKey names an issuer for IndexIssuer.
func IssuerKey(namespace string, ref cmmeta.IssuerReference) string {
	if ref.WithDefaults().Kind == cmv1.ClusterIssuerKind {
		namespace = ""
	}
	return namespace + "/" + ref.Name
}

// OwnIssuerKey is IssuerKey for issuers of ours, empty for others.
func OwnIssuerKey(namespace string, ref cmmeta.IssuerReference) string {
	if !facts.OwnIssuer(ref) {
		return ""
	}
	return IssuerKey(namespace, ref)
}

// KeyOfIssuer is IssuerKey of an issuer itself.
func KeyOfIssuer(issuer cmv1.GenericIssuer) string {
	return issuer.GetNamespace() + "/" + issuer.GetName()
}

// ControllerUID is the value of IndexController.
func ControllerUID(o client.Object) []string {
	if owner := metav1.GetControllerOf(o); owner != nil {
		return []string{string(owner.UID)}
	}
	return nil
}

// DNSName is the value of IndexDNSName.
func DNSName(o client.Object) []string {
	if c, ok := o.(*acmev1.Challenge); ok {
		return []string{strings.ToLower(c.Spec.DNSName)}
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
