package shim

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

// brought returns an existing Certificate as the object asks for it. What the object
// says nothing about goes if it has been written for the object before, and else
// stays as somebody else has set it; so do the fields that no annotation sets.
func (w Wanted) brought(existing, wanted *cmv1.Certificate, written Written) *cmv1.Certificate {
	c := existing.DeepCopy()
	for _, rest := range w.leftovers(existing, wanted) {
		if written.has(rest.path) {
			rest.remove(c)
		}
	}
	if !maps.Equal(c.Labels, wanted.Labels) {
		c.Labels = wanted.Labels
	}
	for _, key := range w.managed {
		if value, ok := wanted.Annotations[key]; ok {
			metav1.SetMetaDataAnnotation(&c.ObjectMeta, key, value)
		}
	}
	from, to := &wanted.Spec, &c.Spec
	to.SecretName, to.CommonName = from.SecretName, from.CommonName
	if !to.IssuerRef.Equal(from.IssuerRef) {
		to.IssuerRef = from.IssuerRef
	}
	to.DNSNames, to.IPAddresses = from.DNSNames, from.IPAddresses
	to.Duration, to.RenewBefore, to.RevisionHistoryLimit = from.Duration, from.RenewBefore, from.RevisionHistoryLimit
	if !sameKey(to.PrivateKey, from.PrivateKey) {
		to.PrivateKey = from.PrivateKey
	}
	if w.usages {
		to.Usages = from.Usages
	}
	if from.Subject != nil {
		to.Subject = from.Subject
	}
	if from.EmailAddresses != nil {
		to.EmailAddresses = from.EmailAddresses
	}
	if from.SecretTemplate != nil {
		to.SecretTemplate = from.SecretTemplate
	}
	if from.RenewBeforePercentage != nil {
		to.RenewBeforePercentage = from.RenewBeforePercentage
	}
	return c
}

// sameKey reports whether two private keys are asked for alike. Ed25519 keys have one size.
func sameKey(a, b *cmv1.CertificatePrivateKey) bool {
	var one, other cmv1.CertificatePrivateKey
	if a != nil {
		one = *a
	}
	if b != nil {
		other = *b
	}
	if one.Algorithm == cmv1.Ed25519KeyAlgorithm && other.Algorithm == cmv1.Ed25519KeyAlgorithm {
		one.Size, other.Size = 0, 0
	}
	return one == other
}

// fresh returns an existing Certificate as it would be if the object made it now, to
// compare the two.
func (w Wanted) fresh(existing, wanted *cmv1.Certificate) *cmv1.Certificate {
	c := existing.DeepCopy()
	c.Spec = *wanted.Spec.DeepCopy()
	if len(existing.Spec.Usages) == 0 && !w.usages {
		c.Spec.Usages = nil
	}
	if existing.Spec.IssuerRef.Equal(wanted.Spec.IssuerRef) {
		c.Spec.IssuerRef = existing.Spec.IssuerRef
	}
	if sameKey(existing.Spec.PrivateKey, wanted.Spec.PrivateKey) {
		c.Spec.PrivateKey = existing.Spec.PrivateKey
	}
	return c
}

// adopted returns a Certificate that nobody controls with the object as its owner,
// nil if it is not what the object would make: somebody has made it for another
// purpose, or another tool manages it.
func (w Wanted) adopted(existing, wanted *cmv1.Certificate) *cmv1.Certificate {
	for key, value := range existing.Labels {
		if own, ok := wanted.Labels[key]; !ok || own != value {
			return nil
		}
	}
	if !equality.Semantic.DeepEqual(existing.Spec, w.fresh(existing, wanted).Spec) {
		return nil
	}
	c := w.brought(existing, wanted, Written{})
	of := wanted.OwnerReferences[0]
	// A reference without the mark of the controller, or to an object that is gone, stays where it is.
	c.OwnerReferences = append(slices.DeleteFunc(c.OwnerReferences, func(r metav1.OwnerReference) bool { return r.UID == of.UID }), of)
	return c
}

// stranger says that a Certificate of a name that an object wants is not its own.
func (w Wanted) stranger(o Object, existing, wanted *cmv1.Certificate) string {
	way := fmt.Sprintf("give this %s another secretName or drop the issuer annotation to share the Secret", o.Kind)
	switch o.Kind {
	case KindGateway, KindListenerSet:
		way = fmt.Sprintf("give the listeners of this %s another certificateRef or drop the issuer annotation to share the Secret", o.Kind)
	case KindHTTPRoute:
		way = fmt.Sprintf("give this %s another name of a Secret by the annotation %s, or drop the issuer annotation to share the Secret", o.Kind, SecretNameAnnotation)
	}
	if controller := metav1.GetControllerOfNoCopy(existing); controller != nil {
		return fmt.Sprintf("Certificate %s belongs to %s %s; %s", existing.Name, controller.Kind, controller.Name, way)
	}
	return fmt.Sprintf("Certificate %s exists and belongs to no %s; it is left alone, because it is not what this %s asks for (it differs in %s); delete it to have it made for this %s, or %s",
		existing.Name, o.Kind, o.Kind, strings.Join(w.differences(existing, wanted), ", "), o.Kind, way)
}

// differences names in what a Certificate that nobody controls is not what an object
// would make.
func (w Wanted) differences(existing, wanted *cmv1.Certificate) []string {
	have, want := existing.Spec, w.fresh(existing, wanted).Spec
	var names []string
	for _, part := range []struct {
		name       string
		have, want any
	}{
		{"issuerRef", have.IssuerRef, want.IssuerRef},
		{"secretName", have.SecretName, want.SecretName},
		{"dnsNames", have.DNSNames, want.DNSNames},
		{"ipAddresses", have.IPAddresses, want.IPAddresses},
	} {
		if !equality.Semantic.DeepEqual(part.have, part.want) {
			names = append(names, part.name)
		}
	}
	if len(names) > 0 {
		return names
	}
	if !equality.Semantic.DeepEqual(have, want) {
		return []string{"other fields of its spec"}
	}
	return []string{"its labels"}
}
