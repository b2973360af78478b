// Package byhand makes the objects by which a person asks for one certificate, without a
// Certificate that is renewed, and tells what has become of them. It decides; the caller
// reads and writes.
package byhand

import (
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/pki"
)

// Request is the CertificateRequest for a Certificate, with a PKCS #10 request in PEM.
func Request(crt *cmv1.Certificate, name string, csr []byte) *cmv1.CertificateRequest {
	return &cmv1.CertificateRequest{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: crt.Namespace, Labels: crt.Labels, Annotations: crt.Annotations},
		Spec: cmv1.CertificateRequestSpec{
			Request: csr, Duration: crt.Spec.Duration, IssuerRef: crt.Spec.IssuerRef, IsCA: crt.Spec.IsCA, Usages: crt.Spec.Usages,
		},
	}
}

// SignerName is the signer for an issuer of a resource: resource.group/name, and
// resource.group/namespace.name if the resource is in namespaces.
func SignerName(resource schema.GroupResource, namespaced bool, namespace, name string) string {
	if namespaced {
		name = namespace + "." + name
	}
	return resource.String() + "/" + name
}

// SigningRequest is the CertificateSigningRequest for a Certificate, with a PKCS #10
// request in PEM.
func SigningRequest(crt *cmv1.Certificate, name, signer string, csr []byte) *certificatesv1.CertificateSigningRequest {
	request := &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: crt.Labels, Annotations: map[string]string{}},
		Spec:       certificatesv1.CertificateSigningRequestSpec{Request: csr, SignerName: signer},
	}
	for key, value := range crt.Annotations {
		request.Annotations[key] = value
	}
	if crt.Spec.Duration != nil {
		request.Annotations[cmv1.CertificateSigningRequestDurationAnnotationKey] = crt.Spec.Duration.Duration.String()
	}
	if crt.Spec.IsCA {
		request.Annotations[cmv1.CertificateSigningRequestIsCAAnnotationKey] = "true"
	}
	usages := crt.Spec.Usages
	if len(usages) == 0 {
		for _, word := range pki.DefaultUsages() {
			usages = append(usages, cmv1.KeyUsage(word))
		}
	}
	for _, usage := range usages {
		request.Spec.Usages = append(request.Spec.Usages, certificatesv1.KeyUsage(usage))
	}
	return request
}

// Outcome is what has become of a request: a certificate (PEM), a failure, or neither.
type Outcome struct {
	Certificate []byte
	// Failure is why there will be no certificate.
	Failure string
	// WaitsFor says what the request waits for if there is neither.
	WaitsFor string
}

// OutcomeOf is what has become of a CertificateRequest.
func OutcomeOf(request *cmv1.CertificateRequest) Outcome {
	conditions := request.Status.Conditions
	ready := condition.Find(conditions, cmv1.CertificateRequestConditionReady)
	invalid := condition.Find(conditions, cmv1.CertificateRequestConditionInvalidRequest)
	denied := condition.Find(conditions, cmv1.CertificateRequestConditionDenied)
	switch {
	case ready != nil && ready.Status == cmmeta.ConditionTrue && len(request.Status.Certificate) > 0:
		return Outcome{Certificate: request.Status.Certificate}
	case invalid != nil && invalid.Status == cmmeta.ConditionTrue:
		return Outcome{Failure: reasonAnd(invalid.Reason, invalid.Message)}
	case denied != nil && denied.Status == cmmeta.ConditionTrue:
		return Outcome{Failure: "it was denied: " + reasonAnd(denied.Reason, denied.Message)}
	case condition.Refused(conditions) != nil:
		return Outcome{Failure: reasonAnd(ready.Reason, ready.Message)}
	case ready != nil:
		return Outcome{WaitsFor: reasonAnd(ready.Reason, ready.Message)}
	case !condition.Approved(request):
		return Outcome{WaitsFor: "it has not been approved"}
	default:
		return Outcome{WaitsFor: "its issuer has not answered"}
	}
}

// OutcomeOfSigning is what has become of a CertificateSigningRequest.
func OutcomeOfSigning(request *certificatesv1.CertificateSigningRequest) Outcome {
	approved := false
	for _, c := range request.Status.Conditions {
		if c.Status != corev1.ConditionTrue {
			continue
		}
		switch c.Type {
		case certificatesv1.CertificateFailed:
			return Outcome{Failure: reasonAnd(c.Reason, c.Message)}
		case certificatesv1.CertificateDenied:
			return Outcome{Failure: "it was denied: " + reasonAnd(c.Reason, c.Message)}
		case certificatesv1.CertificateApproved:
			approved = true
		}
	}
	switch {
	case len(request.Status.Certificate) > 0:
		return Outcome{Certificate: request.Status.Certificate}
	case !approved:
		return Outcome{WaitsFor: "it has not been approved: kubectl certificate approve " + request.Name}
	default:
		return Outcome{WaitsFor: "its signer " + request.Spec.SignerName + " has not answered; everleaf and cert-manager answer only with the feature gate ExperimentalCertificateSigningRequestControllers"}
	}
}

func reasonAnd(reason, message string) string {
	if message == "" {
		return reason
	}
	return reason + ": " + message
}
