package shim

import (
	"slices"
	"strconv"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
)

// DefaultIssuerAnnotation, with the value true, marks the ClusterIssuer of the
// objects that ask for Certificates and name no issuer.
const DefaultIssuerAnnotation = "everleaf.io/default-issuer"

// Settings are what the options say about the Certificates that are made for
// other objects.
type Settings struct {
	// DefaultIssuer is the issuer of objects that name none. Its name is empty
	// if there is no default.
	DefaultIssuer cmmeta.IssuerReference
	// MarkedIssuers are the names of the ClusterIssuers with
	// DefaultIssuerAnnotation, sorted. One is the default if DefaultIssuer has
	// no name.
	MarkedIssuers []string
	// AutoAnnotations ask for Certificates for an Ingress, if their value is true.
	AutoAnnotations []string
	// ExtraAnnotations are copied to the Certificates.
	ExtraAnnotations []string
	// ExtraProtocols of listeners get Certificates, beside HTTPS and TLS.
	ExtraProtocols []string
	// OmitCovered leaves out the names that a wildcard in the same Certificate
	// covers.
	OmitCovered bool
}

// asks reports whether an object asks for Certificates.
func (s Settings) asks(o Object) bool {
	if namesIssuer(o.Annotations) {
		return true
	}
	if o.Kind != KindIngress {
		return false
	}
	for _, key := range s.AutoAnnotations {
		if isTrue(o.Annotations[key]) {
			return true
		}
	}
	return false
}

// UsesDefault reports whether an object asks for Certificates and names no issuer.
func (s Settings) UsesDefault(o Object) bool { return s.asks(o) && !namesIssuer(o.Annotations) }

// Reads reports whether an annotation of an object decides anything, also as a mistake.
func (s Settings) Reads(annotation string) bool {
	return ours(annotation) || annotation == SecretNameAnnotation || slices.Contains(s.AutoAnnotations, annotation) || slices.Contains(s.ExtraAnnotations, annotation)
}

// namesIssuer reports whether annotations name an issuer.
func namesIssuer(annotations map[string]string) bool {
	_, issuer := annotations[cmv1.IngressIssuerNameAnnotationKey]
	_, clusterIssuer := annotations[cmv1.IngressClusterIssuerNameAnnotationKey]
	return issuer || clusterIssuer
}

// isTrue reports whether a value is one of the words for true.
func isTrue(value string) bool {
	yes, err := strconv.ParseBool(value)
	return err == nil && yes
}

// defaultIssuer is the issuer of objects that name none.
func (s Settings) defaultIssuer() cmmeta.IssuerReference {
	if s.DefaultIssuer.Name == "" && len(s.MarkedIssuers) == 1 {
		return cmmeta.IssuerReference{Name: s.MarkedIssuers[0], Kind: cmv1.ClusterIssuerKind, Group: cmv1.SchemeGroupVersion.Group}
	}
	return s.DefaultIssuer
}
