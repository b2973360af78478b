package certificate

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/pki"
)

// SecretMetadata is what a Certificate wants on its Secret besides the data.
type SecretMetadata struct {
	Labels, Annotations map[string]string
	OwnerReferences     []metav1.OwnerReference
}

// MetadataFor is the metadata of a Secret with a leaf that an issuer has
// issued. The issuer's reference is written as the request has it, with
// nothing filled in.
func MetadataFor(c State, leaf pki.LeafFacts, issuer cmmeta.IssuerReference) SecretMetadata {
	m := TemporaryMetadata(c, leaf)
	m.Annotations[cmv1.IssuerNameAnnotationKey] = issuer.Name
	m.Annotations[cmv1.IssuerKindAnnotationKey] = issuer.Kind
	m.Annotations[cmv1.IssuerGroupAnnotationKey] = issuer.Group
	return m
}

// TemporaryMetadata is the metadata of a Secret with a temporary certificate,
// which no issuer has issued.
func TemporaryMetadata(c State, leaf pki.LeafFacts) SecretMetadata {
	m := SecretMetadata{
		Labels:      map[string]string{},
		Annotations: map[string]string{},
	}
	if t := c.Object.Spec.SecretTemplate; t != nil {
		maps.Copy(m.Labels, t.Labels)
		maps.Copy(m.Annotations, t.Annotations)
	}
	// What has this label is deleted with the issuance.
	delete(m.Labels, cmv1.IsNextPrivateKeySecretLabelKey)
	m.Labels[cmv1.PartOfCertManagerControllerLabelKey] = "true"
	maps.Copy(m.Annotations, secretAnnotations(leaf))
	m.Annotations[cmv1.CertificateNameKey] = c.Object.Name
	if c.OwnSecret {
		m.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(c.Object, cmv1.SchemeGroupVersion.WithKind(cmv1.CertificateKind))}
	}
	return m
}

// PresentMetadata is the metadata that the Certificate wants on its Secret as
// it is, without another issuance.
func PresentMetadata(c State) SecretMetadata {
	a := c.Secret.Annotations
	return MetadataFor(c, *c.Secret.Leaf, cmmeta.IssuerReference{
		Name: a[cmv1.IssuerNameAnnotationKey], Kind: a[cmv1.IssuerKindAnnotationKey], Group: a[cmv1.IssuerGroupAnnotationKey],
	})
}

// secretOutdated reports whether the Secret's metadata is not what the spec
// wants, or not ours: what we do not own would stay when the spec drops it.
func secretOutdated(c State) bool {
	if _, ok := c.Secret.Annotations[cmv1.IssuerNameAnnotationKey]; !ok {
		// Not issued by this API: somebody's own certificate, which is used
		// as it is.
		return false
	}
	want, s := PresentMetadata(c), c.Secret
	owned := slices.ContainsFunc(s.OwnerReferences, func(r metav1.OwnerReference) bool { return r.UID == c.Object.UID })
	return !facts.ContainsAll(s.Labels, want.Labels) || !facts.ContainsAll(s.Annotations, want.Annotations) ||
		!slices.Equal(s.Managed.Labels, slices.Sorted(maps.Keys(want.Labels))) ||
		!slices.Equal(s.Managed.Annotations, slices.Sorted(maps.Keys(want.Annotations))) ||
		!slices.Contains(s.Managed.Data, corev1.TLSCertKey) || !slices.Contains(s.Managed.Data, corev1.TLSPrivateKeyKey) ||
		(c.OwnSecret && !owned) ||
		slices.Contains(s.Managed.Owners, c.Object.UID) != c.OwnSecret
}
