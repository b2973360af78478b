// Package lifecycletest holds the fixtures that the tests of the lifecycle's
// packages share. It imports none of them, so that their internal tests can
// import it.
package lifecycletest

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/pki"
)

// The units of the tables.
const (
	Hour = time.Hour
	Day  = 24 * Hour
)

// Now is the time of all tables, Born when their objects were made.
var (
	Now  = time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	Born = Now.Add(-10 * Day)
)

// At is a time as the API has it.
func At(t time.Time) *metav1.Time { return &metav1.Time{Time: t} }

// Ptr returns a pointer to a value.
func Ptr[T any](v T) *T { return &v }

// Key returns one of a few P-256 keys, always the same for a number.
func Key(n int) crypto.Signer {
	keysLock.Lock()
	defer keysLock.Unlock()
	if keys[n] == nil {
		keys[n] = Must(pki.GenerateKey(pki.KeySpec{Algorithm: pki.ECDSA, Size: 256}))
	}
	return keys[n]
}

var (
	keysLock sync.Mutex
	keys     = map[int]crypto.Signer{}
)

// Must panics on an error.
func Must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// NewCertificate is a Certificate for one name from a CA issuer.
func NewCertificate(change ...func(*cmv1.Certificate)) *cmv1.Certificate {
	crt := &cmv1.Certificate{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "app", Name: "web", UID: "web-uid", Generation: 1, CreationTimestamp: metav1.NewTime(Born),
		},
		Spec: cmv1.CertificateSpec{
			SecretName: "web-tls", DNSNames: []string{"web.example.com"},
			IssuerRef:  cmmeta.IssuerReference{Name: "ca", Kind: cmv1.ClusterIssuerKind},
			PrivateKey: &cmv1.CertificatePrivateKey{Algorithm: cmv1.ECDSAKeyAlgorithm, Size: 256},
		},
	}
	for _, f := range change {
		f(crt)
	}
	return crt
}

// NewRequest is what a Certificate has asked for with a key, and nobody has
// answered yet.
func NewRequest(crt *cmv1.Certificate, k crypto.Signer, revision int, change ...func(*cmv1.CertificateRequest)) *cmv1.CertificateRequest {
	name := fmt.Sprintf("%s-%d", crt.Name, revision)
	template := pki.Template{CommonName: crt.Spec.CommonName, LiteralSubject: crt.Spec.LiteralSubject, DNSNames: crt.Spec.DNSNames, IPAddresses: crt.Spec.IPAddresses}
	r := &cmv1.CertificateRequest{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: crt.Namespace, Name: name, UID: types.UID(name + "-uid"), CreationTimestamp: metav1.NewTime(Born),
			Annotations: map[string]string{cmv1.CertificateRequestRevisionAnnotationKey: strconv.Itoa(revision)},
			OwnerReferences: []metav1.OwnerReference{
				*metav1.NewControllerRef(crt, cmv1.SchemeGroupVersion.WithKind(cmv1.CertificateKind)),
			},
		},
		Spec: cmv1.CertificateRequestSpec{
			Request: Must(pki.BuildRequest(template, k, pki.Limits{MaxCertificateSize: 1 << 20})), IssuerRef: crt.Spec.IssuerRef,
			Duration: crt.Spec.Duration, IsCA: crt.Spec.IsCA, Usages: crt.Spec.Usages,
		},
	}
	for _, f := range change {
		f(r)
	}
	return r
}

// RequestIs adds a condition to a request.
func RequestIs(kind cmv1.CertificateRequestConditionType, status cmmeta.ConditionStatus, reason, message string, when time.Time) func(*cmv1.CertificateRequest) {
	return func(r *cmv1.CertificateRequest) {
		r.Status.Conditions = append(r.Status.Conditions, cmv1.CertificateRequestCondition{
			Type: kind, Status: status, Reason: reason, Message: message, LastTransitionTime: At(when),
		})
	}
}

// FailedAt is a request that its issuer has refused.
func FailedAt(when time.Time, message string) func(*cmv1.CertificateRequest) {
	return func(r *cmv1.CertificateRequest) {
		RequestIs(cmv1.CertificateRequestConditionReady, cmmeta.ConditionFalse, cmv1.CertificateRequestReasonFailed, message, when)(r)
		r.Status.FailureTime = At(when)
	}
}

// Signed is a request that the test's CA has answered with a certificate.
func Signed(notBefore, notAfter time.Time) func(*cmv1.CertificateRequest) {
	return func(r *cmv1.CertificateRequest) {
		csr := Must(pki.ParseRequest(r.Spec.Request, pki.Limits{}))
		template := Must(pki.CertificateFromRequest(csr, pki.SignOptions{NotBefore: notBefore, NotAfter: notAfter, IsCA: r.Spec.IsCA}))
		leaf := Must(pki.Sign(template, Authority(), csr.PublicKey, Key(99)))
		RequestIs(cmv1.CertificateRequestConditionReady, cmmeta.ConditionTrue, "Issued", "Certificate fetched from issuer successfully", notBefore)(r)
		r.Status.Certificate = pki.EncodeChain(leaf)
	}
}

// Authority is the certificate of the test's CA, which ends in ten years.
var Authority = sync.OnceValue(func() *x509.Certificate {
	return CA(Born.Add(-Day), Born.Add(3650*Day))
})

// CA makes a CA's certificate.
func CA(notBefore, notAfter time.Time) *x509.Certificate {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: notBefore, NotAfter: notAfter, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign,
	}
	template.Subject.CommonName = "test CA"
	return Must(pki.Sign(template, template, Key(99).Public(), Key(99)))
}

// Manage has SecretManager own all that a Secret holds.
func Manage(s *corev1.Secret) {
	set := func(keys []string) map[string]any {
		m := map[string]any{}
		for _, k := range keys {
			m["f:"+k] = map[string]any{}
		}
		return m
	}
	owners := map[string]any{}
	for _, o := range s.OwnerReferences {
		owners[fmt.Sprintf("k:{\"uid\":%q}", o.UID)] = map[string]any{}
	}
	fields := map[string]any{
		"f:data": set(slices.Collect(maps.Keys(s.Data))),
		"f:metadata": map[string]any{
			"f:labels":          set(slices.Collect(maps.Keys(s.Labels))),
			"f:annotations":     set(slices.Collect(maps.Keys(s.Annotations))),
			"f:ownerReferences": owners,
		},
	}
	s.ManagedFields = []metav1.ManagedFieldsEntry{{
		Manager: facts.SecretManager, Operation: metav1.ManagedFieldsOperationApply,
		FieldsV1: &metav1.FieldsV1{Raw: Must(json.Marshal(fields))},
	}}
}

// NextKey is a Secret with a next private key.
func NextKey(name string, k crypto.Signer, change ...func(*corev1.Secret)) *facts.Secret {
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "app", Name: name, CreationTimestamp: metav1.NewTime(Born)},
		Data:       map[string][]byte{"tls.key": Must(pki.EncodeKey(k, pki.PKCS8))},
	}
	for _, f := range change {
		f(s)
	}
	return facts.OfSecret(s, pki.Limits{})
}

// SamePlan compares whole plans; objects are compared by their names.
func SamePlan[T any](t *testing.T, want, got T) {
	t.Helper()
	opts := cmp.Options{
		cmpopts.EquateEmpty(),
		cmp.Transformer("request", func(r *cmv1.CertificateRequest) string { return r.Name }),
		cmp.Transformer("requestFacts", func(r *facts.Request) string {
			if r == nil {
				return ""
			}
			return fmt.Sprintf("%s, revision %d, issued %t", r.Name, r.Revision, r.Issued)
		}),
		cmp.Transformer("secret", func(s *facts.Secret) string {
			if s == nil {
				return ""
			}
			return s.Name
		}),
		cmp.Transformer("order", func(o *acmev1.Order) string {
			if o == nil {
				return ""
			}
			return o.Name + " replaces " + o.Annotations["everleaf.io/replaced-orders"]
		}),
		cmp.Transformer("challenge", func(c *acmev1.Challenge) string { return c.Name }),
	}
	if diff := cmp.Diff(want, got, opts); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
}

// Authorization is one that offers HTTP-01 and DNS-01.
func Authorization(name string, wildcard bool) acmev1.ACMEAuthorization {
	id := name
	if wildcard {
		id = "wild." + name
	}
	return acmev1.ACMEAuthorization{
		URL: "https://acme/a/" + id, Identifier: name, Wildcard: &wildcard, InitialState: acmev1.Pending,
		Challenges: []acmev1.ACMEChallenge{
			{URL: "https://acme/h/" + id, Type: "http-01", Token: "h-" + id},
			{URL: "https://acme/d/" + id, Type: "dns-01", Token: "d-" + id},
		},
	}
}

// IssuerOf is an issuer that is ready, of a type that is supported.
func IssuerOf(config cmv1.IssuerConfig) *facts.Issuer {
	return &facts.Issuer{Spec: &cmv1.IssuerSpec{IssuerConfig: config}, Supported: true, Ready: true}
}

// The issuers of the tables.
var (
	CAIssuer   = IssuerOf(cmv1.IssuerConfig{CA: &cmv1.CAIssuer{SecretName: "ca"}})
	ACMEIssuer = IssuerOf(cmv1.IssuerConfig{ACME: &acmev1.ACMEIssuer{Server: "https://acme.example", Solvers: []acmev1.ACMEChallengeSolver{RFC2136("ns1")}}})
)

// RFC2136 is a solver with a name server.
func RFC2136(nameserver string) acmev1.ACMEChallengeSolver {
	return acmev1.ACMEChallengeSolver{DNS01: &acmev1.ACMEChallengeSolverDNS01{
		RFC2136: &acmev1.ACMEIssuerDNS01ProviderRFC2136{Nameserver: nameserver},
	}}
}

// RequestCond is a condition that a request has since Now.
func RequestCond(kind cmv1.CertificateRequestConditionType, status cmmeta.ConditionStatus, reason, message string) cmv1.CertificateRequestCondition {
	return cmv1.CertificateRequestCondition{Type: kind, Status: status, Reason: reason, Message: message, LastTransitionTime: At(Now)}
}

// The conditions of decided requests.
var (
	ApprovedCond = RequestCond(cmv1.CertificateRequestConditionApproved, cmmeta.ConditionTrue, "cert-manager.io", "Certificate request has been approved by cert-manager.io")
	DeniedCond   = RequestCond(cmv1.CertificateRequestConditionDenied, cmmeta.ConditionTrue, "policy", "no")
	InvalidCond  = RequestCond(cmv1.CertificateRequestConditionInvalidRequest, cmmeta.ConditionTrue, "Bad", "no")
)

// ReadyCond is a Ready condition since Now.
func ReadyCond(status cmmeta.ConditionStatus, reason, message string) cmv1.CertificateRequestCondition {
	return RequestCond(cmv1.CertificateRequestConditionReady, status, reason, message)
}

// MustOrder panics on an error.
func MustOrder(o *acmev1.Order, err *fault.Error) *acmev1.Order {
	if err != nil {
		panic(err)
	}
	return o
}
