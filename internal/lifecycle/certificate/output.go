package certificate

import (
	"encoding/pem"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/pki"
)

// What a Secret holds is decided here: its data and its metadata, when they are
// written and when they are compared with what is there. Drift is in drift.go,
// keystores are in keystores.go.

// Material is what the data of a Secret are made of, in PEM: the certificate and
// those of its issuers, its key, and the certificates of the CA, empty if the issuer
// returns none.
type Material struct{ Chain, Key, CA []byte }

// Present is the material that a Secret with data has. A CA of others, where the issuer
// returns none, is not part of it.
func (c State) Present(data map[string][]byte) Material {
	m := Material{Chain: data[corev1.TLSCertKey], Key: data[corev1.TLSPrivateKeyKey]}
	if c.returnsCA() {
		m.CA = data[cmmeta.TLSCAKey]
	}
	return m
}

// formatKeys are the entries of additional output formats.
var formatKeys = map[cmv1.CertificateOutputFormatType]string{
	cmv1.CertificateOutputFormatDER:         cmv1.CertificateOutputFormatDERKey,
	cmv1.CertificateOutputFormatCombinedPEM: cmv1.CertificateOutputFormatCombinedPEMKey,
}

// dataKeys are the entries that a spec wants in its Secret, sorted. ca reports
// whether the issuer returns certificates of the CA, trusted whether they can be parsed.
func dataKeys(spec *cmv1.CertificateSpec, ca, trusted bool) []string {
	keys := []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey}
	if ca {
		keys = append(keys, cmmeta.TLSCAKey)
	}
	for _, f := range spec.AdditionalOutputFormats {
		if key, ok := formatKeys[f.Type]; ok {
			keys = append(keys, key)
		}
	}
	for _, k := range Keystores(spec) {
		keys = append(keys, k.Keystore)
		if ca && trusted {
			keys = append(keys, k.Truststore)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// Data are the entries that a spec wants in its Secret. passwords are those of the
// keystores, by their entries. Keystores among present that fit, and those without a
// password, are taken as they are; present may be nil. The error is a *fault.Error or a *pki.DataError.
func Data(spec *cmv1.CertificateSpec, m Material, passwords map[string][]byte, present map[string][]byte, limits pki.Limits, now time.Time) (map[string][]byte, error) {
	data := map[string][]byte{corev1.TLSCertKey: m.Chain, corev1.TLSPrivateKeyKey: m.Key}
	if len(m.CA) > 0 {
		data[cmmeta.TLSCAKey] = m.CA
	}
	for _, f := range spec.AdditionalOutputFormats {
		switch f.Type {
		case cmv1.CertificateOutputFormatDER:
			if block, _ := pem.Decode(m.Key); block != nil {
				data[cmv1.CertificateOutputFormatDERKey] = block.Bytes
			}
		case cmv1.CertificateOutputFormatCombinedPEM:
			data[cmv1.CertificateOutputFormatCombinedPEMKey] = slices.Concat(m.Key, []byte("\n"), m.Chain)
		default:
			return nil, unwritable("failed to add additional output formats to Secret: unknown additional output format %q", f.Type)
		}
	}
	stores, err := encodeKeystores(spec, m, passwords, present, limits, now)
	maps.Copy(data, stores)
	return data, err
}

// SecretMetadata is what a Certificate wants on its Secret besides the data.
type SecretMetadata struct {
	Labels, Annotations map[string]string
	OwnerReferences     []metav1.OwnerReference
}

// MetadataFor is the metadata of a Secret with a leaf that an issuer has
// issued. The issuer's reference is written as the request has it, with
// nothing filled in; none is written of a leaf that came without one.
func MetadataFor(c State, leaf pki.LeafFacts, issuer cmmeta.IssuerReference) SecretMetadata {
	m := TemporaryMetadata(c, leaf)
	if issuer == (cmmeta.IssuerReference{}) {
		return m
	}
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
