package podcertificate

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"time"

	certificatesv1beta1 "k8s.io/api/certificates/v1beta1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/pki"
)

// Kind is the API's name of the kind.
const Kind = "PodCertificateRequest"

// Object is a PodCertificateRequest of certificates.k8s.io, of any version: v1beta1 has
// all fields of v1.
type Object = certificatesv1beta1.PodCertificateRequest

// List is a list of Objects.
type List = certificatesv1beta1.PodCertificateRequestList

// Ended reports whether nothing is done for a request any more.
func Ended(r *Object) bool {
	for _, c := range r.Status.Conditions {
		switch c.Type {
		case certificatesv1beta1.PodCertificateRequestConditionTypeIssued,
			certificatesv1beta1.PodCertificateRequestConditionTypeDenied,
			certificatesv1beta1.PodCertificateRequestConditionTypeFailed:
			return c.Status != metav1.ConditionFalse
		}
	}
	return false
}

// errNoKey is of a request that was made for v1beta1 by a kubelet of Kubernetes 1.35, and
// is read as v1.
var errNoKey = errors.New("the request has no stubPKCS10Request: kubelets make it from Kubernetes 1.36 on")

// PublicKey is the key that the certificate is for. The API server has verified that
// the kubelet that asks has its private key. It is nil if the type of the key is not
// known.
func PublicKey(r *Object) (crypto.PublicKey, error) {
	if len(r.Spec.StubPKCS10Request) > 0 {
		csr, err := x509.ParseCertificateRequest(r.Spec.StubPKCS10Request)
		if err != nil {
			return nil, err
		}
		return csr.PublicKey, nil
	}
	// Kubelets of Kubernetes 1.35 name the key only.
	if key := r.Spec.PKIXPublicKey; len(key) > 0 {
		return x509.ParsePKIXPublicKey(key)
	}
	return nil, errNoKey
}

// SigningRequest is the PEM of the request that the pod's key has signed and that names
// nothing else, nil if there is none.
func SigningRequest(r *Object) []byte {
	if len(r.Spec.StubPKCS10Request) == 0 {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: r.Spec.StubPKCS10Request})
}

// Duration is how long the certificate is to be valid: as long as it may be.
func Duration(r *Object) time.Duration {
	if r.Spec.MaxExpirationSeconds == nil {
		return defaultDuration
	}
	return time.Duration(*r.Spec.MaxExpirationSeconds) * time.Second
}

// defaultDuration is what the API server sets if a pod asks for none.
const defaultDuration = 24 * time.Hour

// Wanted is what the certificate is for: the SPIFFE ID of the pod's service account, and
// nothing that the pod's author can choose. The certificate is good for both sides of TLS.
func Wanted(r *Object, trustDomain string, key crypto.PublicKey) pki.Template {
	usages := []string{string(cmv1.UsageDigitalSignature)}
	if _, ok := key.(*rsa.PublicKey); ok {
		usages = append(usages, string(cmv1.UsageKeyEncipherment))
	}
	return pki.Template{
		URIs:   []string{"spiffe://" + trustDomain + "/ns/" + r.Namespace + "/sa/" + r.Spec.ServiceAccountName},
		Usages: append(usages, string(cmv1.UsageServerAuth), string(cmv1.UsageClientAuth)),
	}
}
