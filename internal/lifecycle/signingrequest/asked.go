package signingrequest

import (
	"fmt"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/pki"
)

// Kind is the API's name of the kind.
const Kind = "CertificateSigningRequest"

// MinDuration is the shortest life of a certificate that may be asked for.
const MinDuration = 10 * time.Minute

// Object is a CertificateSigningRequest of certificates.k8s.io/v1.
type Object = certificatesv1.CertificateSigningRequest

// Is reports whether a condition of a type is there. That of Approved, Denied and
// Failed cannot be False.
func Is(r *Object, of certificatesv1.RequestConditionType) bool {
	for _, c := range r.Status.Conditions {
		if c.Type == of && c.Status != corev1.ConditionFalse {
			return true
		}
	}
	return false
}

// Ended reports whether nothing is done for a request any more.
func Ended(r *Object) bool {
	return Is(r, certificatesv1.CertificateFailed) || Is(r, certificatesv1.CertificateDenied) || len(r.Status.Certificate) > 0
}

// Approved reports whether a request may be signed.
func Approved(r *Object) bool {
	return Is(r, certificatesv1.CertificateApproved) && !Is(r, certificatesv1.CertificateDenied) && !Is(r, certificatesv1.CertificateFailed)
}

// Duration is how long the certificate is to be valid: what the annotation says,
// else spec.expirationSeconds, else the default.
func Duration(r *Object) (time.Duration, error) {
	d, err := asked(r)
	if d == nil || err != nil {
		return pki.DefaultDuration, err
	}
	return d.Duration, nil
}

// asked is the duration that the request names, nil if it names none.
func asked(r *Object) (*metav1.Duration, error) {
	const annotation = cmv1.CertificateSigningRequestDurationAnnotationKey
	if text, ok := r.Annotations[annotation]; ok {
		d, err := time.ParseDuration(text)
		if err != nil {
			return nil, fmt.Errorf("failed to parse requested duration on annotation %q: %w", annotation, err)
		}
		return &metav1.Duration{Duration: d}, nil
	}
	if r.Spec.ExpirationSeconds != nil {
		return &metav1.Duration{Duration: time.Duration(*r.Spec.ExpirationSeconds) * time.Second}, nil
	}
	return nil, nil
}

// IsCA reports whether the certificate of a CA is asked for.
func IsCA(r *Object) bool {
	return r.Annotations[cmv1.CertificateSigningRequestIsCAAnnotationKey] == "true"
}

// Usages are those that are asked for, in the words of both APIs.
func Usages(r *Object) []cmv1.KeyUsage {
	usages := make([]cmv1.KeyUsage, len(r.Spec.Usages))
	for i, u := range r.Spec.Usages {
		usages[i] = cmv1.KeyUsage(u)
	}
	return usages
}

// KeySecret is the Secret with the private key, for self-signed issuers. namespace is
// that of the issuer's Secrets.
func KeySecret(r *Object, namespace string) types.NamespacedName {
	return types.NamespacedName{Namespace: namespace, Name: r.Annotations[cmv1.CertificateSigningRequestPrivateKeyAnnotationKey]}
}

// Equivalent is the CertificateRequest that asks for the same, in the namespace of the
// issuer's Secrets. It exists nowhere: an Order sees the request in this form that it is
// for, whatever its kind. copied reports whether annotations of a key are copied to
// Orders. A duration that cannot be read is left out.
func Equivalent(r *Object, signer Signer, namespace string, copied func(key string) bool) *cmv1.CertificateRequest {
	same := &cmv1.CertificateRequest{
		TypeMeta: metav1.TypeMeta{APIVersion: certificatesv1.SchemeGroupVersion.String(), Kind: Kind},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: r.Name, UID: r.UID, ResourceVersion: r.ResourceVersion,
			Labels: r.Labels, Annotations: map[string]string{},
		},
		Spec: cmv1.CertificateRequestSpec{Request: r.Spec.Request, IssuerRef: signer.Ref(), Usages: Usages(r), IsCA: IsCA(r)},
	}
	for key, value := range r.Annotations {
		if copied(key) {
			same.Annotations[key] = value
		}
	}
	if d, err := asked(r); err == nil {
		same.Spec.Duration = d
	}
	if Approved(r) {
		same.Status.Conditions = []cmv1.CertificateRequestCondition{
			{Type: cmv1.CertificateRequestConditionApproved, Status: cmmeta.ConditionTrue},
		}
	}
	return same
}
