package facts

import (
	"fmt"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
)

// OwnIssuer reports whether a reference is to an issuer of ours.
func OwnIssuer(r cmmeta.IssuerReference) bool {
	r = r.WithDefaults()
	return r.Group == cmv1.SchemeGroupVersion.Group && (r.Kind == cmv1.IssuerKind || r.Kind == cmv1.ClusterIssuerKind)
}

// IssuerType is what kind of issuer a spec configures.
type IssuerType string

// The issuer types of the API.
const (
	IssuerUnset      IssuerType = ""
	IssuerACME       IssuerType = "acme"
	IssuerCA         IssuerType = "ca"
	IssuerSelfSigned IssuerType = "selfsigned"
	IssuerVault      IssuerType = "vault"
	IssuerVenafi     IssuerType = "venafi"
)

// TypeOf returns the one type that an issuer's spec configures.
func TypeOf(spec *cmv1.IssuerSpec) IssuerType {
	switch {
	case spec.ACME != nil:
		return IssuerACME
	case spec.CA != nil:
		return IssuerCA
	case spec.SelfSigned != nil:
		return IssuerSelfSigned
	case spec.Vault != nil:
		return IssuerVault
	case spec.Venafi != nil:
		return IssuerVenafi
	default:
		return IssuerUnset
	}
}

// Issuer is what a request needs to know of the issuer that it names.
type Issuer struct {
	Spec *cmv1.IssuerSpec
	// Supported reports that this version has issuers of its type.
	Supported bool
	// Left reports that somebody else answers the requests for its type.
	Left bool
	// Orders reports that its CA makes an order of each request, see issuer.Ordering.
	Orders bool
	Ready  bool
	// Message is that of the Ready condition, empty if there is none yet.
	Message string
}

// Unserved reports whether the issuer has a type that this version does not have, and
// nobody else answers the requests for it: they wait for the version, or for the
// installation of cert-manager, that does.
func (i *Issuer) Unserved() bool {
	return i != nil && !i.Supported && !i.Left && TypeOf(i.Spec) != IssuerUnset
}

// WithoutType says of an issuer that this version does not have its type.
func WithoutType(of IssuerType) string {
	return fmt.Sprintf("This version of everleaf has no issuers of type %q", of)
}

// IssuerVersionAnnotation holds, on a CertificateRequest, the version of the
// issuer that it was made for.
const IssuerVersionAnnotation = "everleaf.io/issuer-version"

// IssuerVersion identifies an issuer's spec: it differs between two issuers of one
// name, and changes with the spec only.
func IssuerVersion(issuer metav1.Object) string {
	return string(issuer.GetUID()) + "/" + strconv.FormatInt(issuer.GetGeneration(), 10)
}

// OwnSecrets names the Secrets with an issuer's own private keys: that of its CA,
// or that of its ACME account.
func OwnSecrets(spec *cmv1.IssuerSpec) []string {
	var names []string
	if spec.CA != nil {
		names = append(names, spec.CA.SecretName)
	}
	if spec.ACME != nil {
		names = append(names, spec.ACME.PrivateKey.Name)
	}
	return names
}
