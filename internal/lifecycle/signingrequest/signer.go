package signingrequest

import (
	"strings"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
)

// Signer is the issuer that a signer name of Kubernetes stands for.
type Signer struct {
	// Kind is IssuerKind or ClusterIssuerKind.
	Kind string
	// Namespace is that of an Issuer. It is empty if the signer name has none, and
	// then there is no such Issuer.
	Namespace, Name string
}

// SignerOf reads a signer name: issuers.cert-manager.io/NAMESPACE.NAME or
// clusterissuers.cert-manager.io/NAME. It reports false for all others, which are not
// our business. The name of an issuer may have dots, that of a namespace has none.
func SignerOf(name string) (Signer, bool) {
	resource, issuer, ok := strings.Cut(name, "/")
	if !ok || strings.Contains(issuer, "/") {
		return Signer{}, false
	}
	switch resource {
	case "clusterissuers." + cmv1.GroupName:
		return Signer{Kind: cmv1.ClusterIssuerKind, Name: issuer}, true
	case "issuers." + cmv1.GroupName:
		namespace, name, ok := strings.Cut(issuer, ".")
		if !ok {
			namespace, name = "", issuer
		}
		return Signer{Kind: cmv1.IssuerKind, Namespace: namespace, Name: name}, true
	default:
		return Signer{}, false
	}
}

// String names the issuer as messages do; a ClusterIssuer has nothing before the
// slash.
func (s Signer) String() string { return s.Kind + " " + s.Namespace + "/" + s.Name }

// Ref is the reference to the issuer.
func (s Signer) Ref() cmmeta.IssuerReference {
	return cmmeta.IssuerReference{Name: s.Name, Kind: s.Kind, Group: cmv1.GroupName}
}
