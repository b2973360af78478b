package shim

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/plan"
	"github.com/everleaf/everleaf/internal/validation"
)

// Reasons of events about the objects that Certificates are made for.
const (
	ReasonBadConfig         = "BadConfig"
	ReasonUnknownAnnotation = "UnknownAnnotation"
	ReasonIssuerNotFound    = "IssuerNotFound"
	ReasonNotOwned          = "CertificateNotOwned"
	ReasonWriteFailed       = "WriteFailed"

	ReasonCreate = "CreateCertificate"
	ReasonUpdate = "UpdateCertificate"
	ReasonDelete = "DeleteCertificate"
)

// partOfLabel marks the objects that kubectl may delete because they are no longer
// among those that it applies. A Certificate is never among them.
const partOfLabel = "applyset.kubernetes.io/part-of"

// defaultUsages are those of Certificates for objects without the annotation.
var defaultUsages = []cmv1.KeyUsage{cmv1.UsageDigitalSignature, cmv1.UsageKeyEncipherment}

// Wanted is what an object asks for.
type Wanted struct {
	// Asked reports that the object asks for Certificates. One that does not any
	// more keeps those that it has.
	Asked bool
	// Valid reports that Certificates can be made, changed and deleted: the object
	// has no mistake that concerns all of them.
	Valid bool
	// Issuer is the issuer of the Certificates, if Valid.
	Issuer cmmeta.IssuerReference
	// Certificates are complete except for what the API server adds, in the order
	// in which the object asks for them.
	Certificates []*cmv1.Certificate

	// used are the names of the Secrets that the object refers to.
	used map[string]bool
	// managed are the annotations of Certificates that follow the object.
	managed []string
	// usages reports that the object names the usages.
	usages bool
	// mistakes are the object's.
	mistakes []plan.Event
}

// Want is what an object asks for, by its annotations and its entries for TLS.
func Want(o Object, s Settings) Wanted {
	w := Wanted{used: o.references(), managed: managed(s)}
	if o.Ignored {
		return w
	}
	if unknown := unknownAnnotations(o.Annotations, s); unknown != "" {
		w.mistake(o, ReasonUnknownAnnotation, unknown)
	}
	if !s.asks(o) {
		return w
	}
	w.Asked = true
	if together := contradiction(o.Annotations); together != "" {
		w.mistake(o, ReasonBadConfig, together)
	}
	issuer, errs := issuerOf(o, s)
	if len(errs) > 0 {
		w.mistake(o, ReasonBadConfig, "Could not determine issuer for ingress due to bad annotations: "+strings.Join(errs, ", "))
		return w
	}
	var wanted secrets
	var skipped []string
	switch o.Kind {
	case KindIngress:
		conflict := ""
		if wanted, skipped, conflict = ofIngress(o); conflict != "" {
			w.mistake(o, ReasonBadConfig, conflict)
			return w
		}
	case KindHTTPRoute:
		wanted, skipped = ofHostnames(o)
	default:
		wanted, skipped = ofListeners(o, s)
	}
	for _, why := range skipped {
		w.mistake(o, ReasonBadConfig, why)
	}
	if err := validation.IssuerKind(field.NewPath("spec", "issuerRef"), issuer); err != nil {
		w.mistake(o, ReasonBadConfig, fmt.Sprintf("%s; for an issuer of another group, set the annotation %s", err, cmv1.IssuerGroupAnnotationKey))
		return w
	}
	template := templateOf(o, s, issuer)
	if errs := apply(template.Spec.DeepCopy(), o.Annotations); len(errs) > 0 {
		w.mistake(o, ReasonBadConfig, strings.Join(errs, ", "))
		return w
	}
	w.Valid, w.Issuer = true, issuer
	_, w.usages = o.Annotations[cmv1.UsagesAnnotationKey]
	for _, one := range wanted {
		w.Certificates = append(w.Certificates, certificate(template, one, o, s))
	}
	return w
}

func (w *Wanted) mistake(o Object, reason, message string) {
	w.mistakes = append(w.mistakes, plan.Event{Warning: true, Reason: reason, Message: message, Component: ManagerOf(o.Kind)})
}

// templateOf is what all Certificates of an object have in common, without what
// annotations set.
func templateOf(o Object, s Settings, issuer cmmeta.IssuerReference) *cmv1.Certificate {
	template := &cmv1.Certificate{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: o.Namespace, Labels: maps.Clone(o.Labels), Annotations: annotationsOf(o, s), OwnerReferences: []metav1.OwnerReference{owner(o)},
		},
		Spec: cmv1.CertificateSpec{IssuerRef: issuer, Usages: slices.Clone(defaultUsages)},
	}
	delete(template.Labels, partOfLabel)
	return template
}

// owner is the reference to an object that controls its Certificates.
func owner(o Object) metav1.OwnerReference {
	version, kind := VersionKind(o.Kind).ToAPIVersionAndKind()
	return metav1.OwnerReference{
		APIVersion: version, Kind: kind, Name: o.Name, UID: o.UID, Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(true),
	}
}

// certificate is the Certificate of a Secret.
func certificate(template *cmv1.Certificate, wanted secret, o Object, s Settings) *cmv1.Certificate {
	c := template.DeepCopy()
	c.Name, c.Spec.SecretName = wanted.name, wanted.name
	for _, host := range wanted.hosts {
		if isAddress(host) {
			c.Spec.IPAddresses = append(c.Spec.IPAddresses, host)
		} else {
			c.Spec.DNSNames = append(c.Spec.DNSNames, host)
		}
	}
	// Nothing is wrong with the annotations: it would have been with the template.
	_ = apply(&c.Spec, o.Annotations)
	if s.OmitCovered {
		c.Spec.DNSNames = withoutCovered(c.Spec.DNSNames, c.Spec.CommonName)
	}
	return c
}

// managed are the annotations of Certificates that follow the object.
func managed(s Settings) []string {
	return append([]string{
		acmev1.ACMECertificateHTTP01IngressNameOverride, acmev1.ACMECertificateHTTP01IngressClassOverride,
		acmev1.ACMECertificateHTTP01IngressClassNameOverride, cmv1.IssueTemporaryCertificateAnnotationKey,
		acmev1.ACMECertificateHTTP01ParentRefKind, acmev1.ACMECertificateHTTP01ParentRefName, acmev1.ACMECertificateHTTP01ParentRefNamespace,
	}, s.ExtraAnnotations...)
}

// annotationsOf are the annotations of an object's Certificates, nil if there are none.
func annotationsOf(o Object, s Settings) map[string]string {
	found := map[string]string{}
	for _, key := range s.ExtraAnnotations {
		if value, ok := o.Annotations[key]; ok {
			found[key] = value
		}
	}
	if isTrue(o.Annotations[cmv1.IssueTemporaryCertificateAnnotationKey]) {
		found[cmv1.IssueTemporaryCertificateAnnotationKey] = "true"
	}
	if o.Annotations[acmev1.IngressEditInPlaceAnnotationKey] == "true" {
		found[acmev1.ACMECertificateHTTP01IngressNameOverride] = o.Name
		found[cmv1.IssueTemporaryCertificateAnnotationKey] = "true"
	}
	if class := o.Annotations[acmev1.IngressACMEIssuerHTTP01IngressClass]; class != "" {
		found[acmev1.ACMECertificateHTTP01IngressClassOverride] = class
	}
	if class := o.Annotations[acmev1.IngressACMEIssuerHTTP01IngressClassName]; class != "" {
		found[acmev1.ACMECertificateHTTP01IngressClassNameOverride] = class
	}
	fallback := o.Kind == KindListenerSet && isTrue(o.Annotations[acmev1.ListenerSetHTTP01ParentRefFallbackEnabled])
	switch {
	case fallback, o.Kind == KindHTTPRoute && o.Parent.Name != "":
		found[acmev1.ACMECertificateHTTP01ParentRefKind] = KindGateway
		found[acmev1.ACMECertificateHTTP01ParentRefName] = o.Parent.Name
		found[acmev1.ACMECertificateHTTP01ParentRefNamespace] = o.Parent.Namespace
	case o.Kind == KindGateway, o.Kind == KindListenerSet:
		found[acmev1.ACMECertificateHTTP01ParentRefKind] = o.Kind
		found[acmev1.ACMECertificateHTTP01ParentRefName] = o.Name
	}
	if len(found) == 0 {
		return nil
	}
	return found
}
