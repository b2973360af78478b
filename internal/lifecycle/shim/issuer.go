package shim

import (
	"fmt"
	"strings"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/facts"
)

// issuerOf is the issuer of an object's Certificates. The errors say why there is none.
func issuerOf(o Object, s Settings) (cmmeta.IssuerReference, []string) {
	ref := s.defaultIssuer()
	issuer, namesIssuer := o.Annotations[cmv1.IngressIssuerNameAnnotationKey]
	clusterIssuer, namesClusterIssuer := o.Annotations[cmv1.IngressClusterIssuerNameAnnotationKey]
	kind, hasKind := o.Annotations[cmv1.IssuerKindAnnotationKey]
	group, hasGroup := o.Annotations[cmv1.IssuerGroupAnnotationKey]
	if namesIssuer {
		ref.Name, ref.Kind = issuer, cmv1.IssuerKind
	}
	if namesClusterIssuer {
		ref.Name, ref.Kind = clusterIssuer, cmv1.ClusterIssuerKind
	}
	if hasKind {
		ref.Kind = kind
	}
	if hasGroup {
		ref.Group = group
	}
	var errs []string
	if ref.Name == "" {
		reason := "failed to determine issuer name to be used for ingress resource"
		if len(s.MarkedIssuers) > 1 && !namesIssuer && !namesClusterIssuer {
			reason += fmt.Sprintf(" (several ClusterIssuers have the annotation %s: %s)", DefaultIssuerAnnotation, strings.Join(s.MarkedIssuers, ", "))
		}
		errs = append(errs, reason)
	}
	for _, other := range []struct {
		set        bool
		one, other string
	}{
		{namesIssuer, cmv1.IngressIssuerNameAnnotationKey, cmv1.IngressClusterIssuerNameAnnotationKey},
		{hasGroup, cmv1.IngressClusterIssuerNameAnnotationKey, cmv1.IssuerGroupAnnotationKey},
		{hasKind, cmv1.IngressClusterIssuerNameAnnotationKey, cmv1.IssuerKindAnnotationKey},
	} {
		if namesClusterIssuer && other.set {
			errs = append(errs, fmt.Sprintf("both %q and %q may not be set", other.one, other.other))
		}
	}
	return ref, errs
}

// Issuer is what is known of the issuer that an object names.
type Issuer struct {
	// Missing reports that there is no such issuer.
	Missing bool
	// Namesake reports that the other kind of issuer has one of this name: a
	// ClusterIssuer, or an Issuer in the namespace.
	Namesake bool
}

// Namesake is the reference to the other kind of issuer with the same name, false
// if the reference is not to an issuer of ours.
func Namesake(ref cmmeta.IssuerReference) (cmmeta.IssuerReference, bool) {
	if !facts.OwnIssuer(ref) {
		return ref, false
	}
	ref = ref.WithDefaults()
	if ref.Kind == cmv1.IssuerKind {
		ref.Kind = cmv1.ClusterIssuerKind
	} else {
		ref.Kind = cmv1.IssuerKind
	}
	return ref, true
}

// mistaken says that an object names an issuer of the wrong kind, "" if not.
func (i Issuer) mistaken(ref cmmeta.IssuerReference, namespace string) string {
	switch {
	case !i.Missing || !i.Namesake:
		return ""
	case ref.WithDefaults().Kind == cmv1.ClusterIssuerKind:
		return fmt.Sprintf("ClusterIssuer %s not found; an Issuer %s exists in %s: name it in the annotation %s",
			ref.Name, ref.Name, namespace, cmv1.IngressIssuerNameAnnotationKey)
	default:
		return fmt.Sprintf("Issuer %s not found in %s; a ClusterIssuer %s exists: name it in the annotation %s",
			ref.Name, namespace, ref.Name, cmv1.IngressClusterIssuerNameAnnotationKey)
	}
}
