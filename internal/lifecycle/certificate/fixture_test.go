package certificate

import (
	"crypto"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/lifecycle/lifecycletest"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

const (
	hour = lifecycletest.Hour
	day  = lifecycletest.Day
)

// The fixtures that all kinds share.
var (
	now       = lifecycletest.Now
	born      = lifecycletest.Born
	at        = lifecycletest.At
	key       = lifecycletest.Key
	requestIs = lifecycletest.RequestIs
	failedAt  = lifecycletest.FailedAt
	signed    = lifecycletest.Signed
	authority = lifecycletest.Authority
	ca        = lifecycletest.CA
	manage    = lifecycletest.Manage
	nextKey   = lifecycletest.NextKey
	eachDump  = lifecycletest.EachDump
)

// newCertificate is lifecycletest's, as the API server has it.
func newCertificate(change ...func(*cmv1.Certificate)) *cmv1.Certificate {
	stored := func(crt *cmv1.Certificate) { crt.ResourceVersion = "7" }
	return lifecycletest.NewCertificate(append([]func(*cmv1.Certificate){stored}, change...)...)
}

// newRequest is what a Certificate has asked for with a key, by the whole of
// its spec.
func newRequest(crt *cmv1.Certificate, k crypto.Signer, revision int, change ...func(*cmv1.CertificateRequest)) *cmv1.CertificateRequest {
	asked := func(r *cmv1.CertificateRequest) {
		r.Spec.Request = must(pki.BuildRequest(TemplateOf(&crt.Spec), k, pki.Limits{}))
		r.Annotations[cmv1.CertificateRequestPrivateKeyAnnotationKey] = "web-k"
	}
	return lifecycletest.NewRequest(crt, k, revision, append([]func(*cmv1.CertificateRequest){asked}, change...)...)
}

// factsOf are the facts of requests.
func factsOf(requests ...*cmv1.CertificateRequest) []*facts.Request {
	known := make([]*facts.Request, len(requests))
	for i, r := range requests {
		known[i] = facts.OfRequest(r, pki.Limits{})
	}
	return known
}

// What plans have confirmed: the Certificate, the target Secret (or that there
// is none), and that there is no next private key of the Certificate's.
var self = confirm(cmv1.CertificateKind, "web", "7", "")

func target(version string) plan.Confirm { return confirm("Secret", "web-tls", version, "") }

func noKey(name string) plan.Confirm { return confirm("Secret", name, "", "web-uid") }

func confirm(kind, name, version string, owner types.UID) plan.Confirm {
	object := types.NamespacedName{Namespace: "app", Name: name}
	return plan.Confirm{Ref: plan.Ref{Kind: kind, NamespacedName: object}, Version: version, Owner: owner}
}

// requestedEvent is sent with each request that is created.
func requestedEvent(name string) plan.Event {
	return plan.Event{
		Reason: "Requested", Message: fmt.Sprintf("Created new CertificateRequest resource %q", name),
		Component: "cert-manager-certificates-request-manager", Verbose: true,
	}
}

var p256 = pki.KeySpec{Algorithm: pki.ECDSA, Size: 256}

func samePlan[T any](t *testing.T, want, got T) {
	t.Helper()
	lifecycletest.SamePlan(t, want, got)
}

func must[T any](v T, err error) T { return lifecycletest.Must(v, err) }

// secretFor is the Secret that the reconciler makes of a request's answer.
func secretFor(c State, r *cmv1.CertificateRequest, k crypto.Signer, change ...func(*corev1.Secret)) *facts.Secret {
	chain := must(pki.ParseChain(r.Status.Certificate, pki.Limits{}))
	meta := MetadataFor(c, pki.FactsOf(chain[0]), r.Spec.IssuerRef)
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: r.Namespace, Name: c.Object.Spec.SecretName, UID: "secret-uid", ResourceVersion: "s7",
			Labels: meta.Labels, Annotations: meta.Annotations, OwnerReferences: meta.OwnerReferences,
		},
		Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{"tls.crt": r.Status.Certificate, "tls.key": must(pki.EncodeKey(k, pki.PKCS8))},
	}
	manage(s)
	for _, f := range change {
		f(s)
	}
	return facts.OfSecret(s, pki.Limits{})
}

// issuedState is a Certificate that was issued when it was made, for 90 days,
// with key 1 and as revision 1.
func issuedState(change ...func(*cmv1.Certificate)) State {
	crt := newCertificate(change...)
	c := State{Object: crt, Backoff: plan.DefaultIssuance}
	r := firstRequest(crt)
	c.Requests = factsOf(r)
	c.Secret = secretFor(c, r, key(1))
	crt.Status = cmv1.CertificateStatus{
		Conditions: []cmv1.CertificateCondition{readyIs(cmmeta.ConditionTrue, "Ready", upToDate, born)},
		NotBefore:  at(born), NotAfter: at(born.Add(90 * day)), RenewalTime: at(born.Add(60 * day)), Revision: ptr.To(1),
	}
	return c
}

// firstRequest is that of issuedState.
func firstRequest(crt *cmv1.Certificate, change ...func(*cmv1.CertificateRequest)) *cmv1.CertificateRequest {
	return newRequest(crt, key(1), 1, append([]func(*cmv1.CertificateRequest){signed(born, born.Add(90*day))}, change...)...)
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
