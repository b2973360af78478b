package lifecycle

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
	"github.com/everleaf/everleaf/internal/pki"
)

const (
	hour = time.Hour
	day  = 24 * hour
)

// now is the time of all tables, born when their objects were made.
var (
	now  = time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	born = now.Add(-10 * day)
)

func at(t time.Time) *metav1.Time { return &metav1.Time{Time: t} }

func ptr[T any](v T) *T { return &v }

// key returns one of a few P-256 keys, always the same for a number.
func key(n int) crypto.Signer {
	keysLock.Lock()
	defer keysLock.Unlock()
	if keys[n] == nil {
		keys[n] = must(pki.GenerateKey(pki.KeySpec{Algorithm: pki.ECDSA, Size: 256}))
	}
	return keys[n]
}

var (
	keysLock sync.Mutex
	keys     = map[int]crypto.Signer{}
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// certificate is a Certificate for one name from a CA issuer.
func certificate(change ...func(*cmv1.Certificate)) *cmv1.Certificate {
	crt := &cmv1.Certificate{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "app", Name: "web", UID: "web-uid", Generation: 1, CreationTimestamp: metav1.NewTime(born),
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

// request is what a Certificate has asked for with a key, and nobody has
// answered yet.
func request(crt *cmv1.Certificate, k crypto.Signer, revision int, change ...func(*cmv1.CertificateRequest)) *cmv1.CertificateRequest {
	name := RequestName(crt.Name, revision)
	r := &cmv1.CertificateRequest{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: crt.Namespace, Name: name, UID: types.UID(name + "-uid"), CreationTimestamp: metav1.NewTime(born),
			Annotations: map[string]string{cmv1.CertificateRequestRevisionAnnotationKey: strconv.Itoa(revision)},
			OwnerReferences: []metav1.OwnerReference{
				*metav1.NewControllerRef(crt, cmv1.SchemeGroupVersion.WithKind(cmv1.CertificateKind)),
			},
		},
		Spec: cmv1.CertificateRequestSpec{
			Request: must(pki.BuildRequest(TemplateOf(&crt.Spec), k)), IssuerRef: crt.Spec.IssuerRef,
			Duration: crt.Spec.Duration, IsCA: crt.Spec.IsCA, Usages: crt.Spec.Usages,
		},
	}
	for _, f := range change {
		f(r)
	}
	return r
}

func requestIs(kind cmv1.CertificateRequestConditionType, status cmmeta.ConditionStatus, reason, message string, when time.Time) func(*cmv1.CertificateRequest) {
	return func(r *cmv1.CertificateRequest) {
		r.Status.Conditions = append(r.Status.Conditions, cmv1.CertificateRequestCondition{
			Type: kind, Status: status, Reason: reason, Message: message, LastTransitionTime: at(when),
		})
	}
}

// failedAt is a request that its issuer has refused.
func failedAt(when time.Time, message string) func(*cmv1.CertificateRequest) {
	return func(r *cmv1.CertificateRequest) {
		requestIs(cmv1.CertificateRequestConditionReady, cmmeta.ConditionFalse, cmv1.CertificateRequestReasonFailed, message, when)(r)
		r.Status.FailureTime = at(when)
	}
}

// signed is a request that the test's CA has answered with a certificate.
func signed(notBefore, notAfter time.Time) func(*cmv1.CertificateRequest) {
	return func(r *cmv1.CertificateRequest) {
		csr := must(pki.ParseRequest(r.Spec.Request, pki.Limits{}))
		template := must(pki.CertificateFromRequest(csr, pki.SignOptions{NotBefore: notBefore, NotAfter: notAfter, IsCA: r.Spec.IsCA}))
		leaf := must(pki.Sign(template, authority(), csr.PublicKey, key(99)))
		requestIs(cmv1.CertificateRequestConditionReady, cmmeta.ConditionTrue, "Issued", messageIssued, notBefore)(r)
		r.Status.Certificate = pki.EncodeChain(leaf)
	}
}

// authority is the certificate of the test's CA, which ends in ten years.
var authority = sync.OnceValue(func() *x509.Certificate {
	return ca(born.Add(-day), born.Add(3650*day))
})

func ca(notBefore, notAfter time.Time) *x509.Certificate {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: notBefore, NotAfter: notAfter, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign,
	}
	template.Subject.CommonName = "test CA"
	return must(pki.Sign(template, template, key(99).Public(), key(99)))
}

// secretFor is the Secret that the reconciler makes of a request's answer.
func secretFor(c Certificate, r *cmv1.CertificateRequest, k crypto.Signer, change ...func(*corev1.Secret)) *SecretFacts {
	chain := must(pki.ParseChain(r.Status.Certificate, pki.Limits{}))
	meta := MetadataFor(c, pki.FactsOf(chain[0]), r.Spec.IssuerRef)
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: r.Namespace, Name: c.Object.Spec.SecretName, UID: "secret-uid",
			Labels: meta.Labels, Annotations: meta.Annotations, OwnerReferences: meta.OwnerReferences,
		},
		Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{"tls.crt": r.Status.Certificate, "tls.key": must(pki.EncodeKey(k, pki.PKCS8))},
	}
	manage(s)
	for _, f := range change {
		f(s)
	}
	return FactsOf(s, pki.Limits{})
}

// manage has SecretManager own all that a Secret holds.
func manage(s *corev1.Secret) {
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
		Manager: SecretManager, Operation: metav1.ManagedFieldsOperationApply,
		FieldsV1: &metav1.FieldsV1{Raw: must(json.Marshal(fields))},
	}}
}

// nextKey is a Secret with a next private key.
func nextKey(name string, k crypto.Signer, change ...func(*corev1.Secret)) *SecretFacts {
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "app", Name: name, CreationTimestamp: metav1.NewTime(born)},
		Data:       map[string][]byte{"tls.key": must(pki.EncodeKey(k, pki.PKCS8))},
	}
	for _, f := range change {
		f(s)
	}
	return FactsOf(s, pki.Limits{})
}

// issuedState is a Certificate that was issued when it was made, for 90 days,
// with key 1 and as revision 1.
func issuedState(change ...func(*cmv1.Certificate)) Certificate {
	crt := certificate(change...)
	c := Certificate{Object: crt, Backoff: DefaultBackoff}
	r := request(crt, key(1), 1, signed(born, born.Add(90*day)))
	c.Requests = []*cmv1.CertificateRequest{r}
	c.Secret = secretFor(c, r, key(1))
	crt.Status = cmv1.CertificateStatus{
		Conditions: []cmv1.CertificateCondition{readyIs(cmmeta.ConditionTrue, "Ready", upToDate, born)},
		NotBefore:  at(born), NotAfter: at(born.Add(90 * day)), RenewalTime: at(born.Add(60 * day)), Revision: ptr(1),
	}
	return c
}

const upToDate = "Certificate is up to date and has not expired"

func readyIs(status cmmeta.ConditionStatus, reason, message string, since time.Time) cmv1.CertificateCondition {
	return cmv1.CertificateCondition{
		Type: cmv1.CertificateConditionReady, Status: status, Reason: reason, Message: message,
		LastTransitionTime: at(since), ObservedGeneration: 1,
	}
}

func issuingIs(status cmmeta.ConditionStatus, reason, message string, since time.Time) cmv1.CertificateCondition {
	c := readyIs(status, reason, message, since)
	c.Type = cmv1.CertificateConditionIssuing
	return c
}

// samePlan compares whole plans; objects are told by their names.
func samePlan[T any](t *testing.T, want, got T) {
	t.Helper()
	opts := cmp.Options{
		cmpopts.EquateEmpty(),
		cmp.Transformer("request", func(r *cmv1.CertificateRequest) string { return r.Name }),
		cmp.Transformer("secret", func(s *SecretFacts) string { return s.Name }),
		cmp.Transformer("order", func(o *acmev1.Order) string {
			if o == nil {
				return ""
			}
			return o.Name + " replaces " + o.Annotations[OrderReplacesAnnotation]
		}),
		cmp.Transformer("challenge", func(c *acmev1.Challenge) string { return c.Name }),
	}
	if diff := cmp.Diff(want, got, opts); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
}
