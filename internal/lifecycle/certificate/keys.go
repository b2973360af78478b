package certificate

import (
	"cmp"

	"k8s.io/utils/ptr"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/pki"
)

// IsNextKey reports whether a Secret holds a next private key of a Certificate.
// Its target Secret, or one that was its target before, does not, whatever its
// labels are: such a Secret is deleted when the issuance ends.
func IsNextKey(crt *cmv1.Certificate, s *facts.Secret) bool {
	_, issued := s.Annotations[cmv1.CertificateNameKey]
	return s.Owner == crt.UID && s.Labels[cmv1.IsNextPrivateKeySecretLabelKey] == "true" && s.Name != crt.Spec.SecretName && !issued
}

// KeyNames names the Secrets with the next private key that are known by name.
func KeyNames(c State) []string {
	var names []string
	if name := ptr.Deref(c.Object.Status.NextPrivateKeySecretName, ""); name != "" {
		names = append(names, name)
	}
	for _, r := range c.requestsOf(c.nextRevision()) {
		if r.KeySecret != "" {
			names = append(names, r.KeySecret)
		}
	}
	return names
}

// Changed names what a request has otherwise than it was sent, nil if it serves
// its revision: made again, it would not be otherwise.
func Changed(crt *cmv1.Certificate, made *facts.Request, key pki.KeyDigest, revision int, keyName string) []string {
	var changed mismatches
	changed.add("spec.request", !isFor(made, key))
	if made.CSRError == "" {
		changed = append(changed, requestMismatches(&crt.Spec, made)...)
		// A duration that was added or taken away is no mismatch, but takes effect.
		want := TemplateOf(&crt.Spec).Duration
		oneSet := (want == 0) != (made.Duration == 0)
		changed.add("spec.duration", oneSet && cmp.Or(want, pki.DefaultDuration) != cmp.Or(made.Duration, pki.DefaultDuration))
	}
	changed.add("annotation "+cmv1.CertificateRequestRevisionAnnotationKey, made.Revision != revision)
	changed.add("annotation "+cmv1.CertificateRequestPrivateKeyAnnotationKey, made.KeySecret != keyName)
	changed.add("metadata.ownerReferences", made.Owner != crt.UID)
	return changed
}
