package facts

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/pki"
)

// Request is what decisions need to know of a CertificateRequest. Its signing
// request and its certificate are parsed once per version of the object.
type Request struct {
	Namespace, Name string
	UID             types.UID
	CreatedAt       time.Time
	Deleting        bool
	// Owner is the UID of the controlling object, empty without one.
	Owner types.UID
	// Revision of the Certificate that it was made for, 0 if there is none that
	// is valid.
	Revision int
	// KeySecret names the Secret of the private key, empty without one.
	KeySecret string
	IssuerRef cmmeta.IssuerReference
	// IssuerVersion is that of the issuer when the request was made, empty if it is
	// not known.
	IssuerVersion string
	// FailedAttempts is how many attempts in a row have failed before the one that
	// has made the request.
	FailedAttempts int
	// Row is the row of issuances that the request belongs to.
	Row Row
	// IsCA, Usages and Duration stand beside the signing request; no usages and
	// no duration mean the defaults.
	IsCA     bool
	Usages   []string
	Duration time.Duration
	// CSR is what is in the signing request, CSRError why it cannot be read.
	CSR      pki.RequestFacts
	CSRError string
	// Failure is how the request ended without a certificate, or nil.
	Failure *Failure
	// Issued reports that it ended with a certificate.
	Issued bool
	// Approved reports whether it may be signed.
	Approved bool
	// Waiting is the message of a Ready condition that says neither that the
	// request has ended nor nothing.
	Waiting string
	// Answer describes the certificate, if there is one. HasCA reports that the
	// issuer has returned certificates of the CA with it.
	Answer Answer
	HasCA  bool
}

// Failure is how a request ended without a certificate.
type Failure struct {
	Reason, Message string
	At              time.Time
	// Refused reports that the request was denied, or is invalid: the issuer has not
	// tried to sign it.
	Refused bool
}

// Answer describes the certificate that an issuer has returned.
type Answer struct {
	// Digest is SHA-256 over the PEM, zero without a certificate.
	Digest [sha256.Size]byte
	// Key identifies the leaf's public key, NotAfter is the leaf's.
	Key      pki.KeyDigest
	NotAfter time.Time
	// Error is why the chain cannot be read.
	Error string
}

// AnswerOf describes a chain in PEM, the leaf first.
func AnswerOf(chain []byte, limits pki.Limits) Answer {
	if len(chain) == 0 {
		return Answer{}
	}
	a := Answer{Digest: sha256.Sum256(chain)}
	c, err := chains.of(chain, limits)
	a.Error, a.Key, a.NotAfter = err, c.leaf.KeyDigest, c.leaf.NotAfter
	return a
}

// OfRequest derives the facts of a CertificateRequest.
func OfRequest(r *cmv1.CertificateRequest, limits pki.Limits) *Request {
	f := &Request{
		Namespace: Shared(r.Namespace), Name: r.Name, UID: r.UID,
		CreatedAt: r.CreationTimestamp.Time, Deleting: r.DeletionTimestamp != nil,
		KeySecret: r.Annotations[cmv1.CertificateRequestPrivateKeyAnnotationKey],
		IssuerRef: cmmeta.IssuerReference{
			Name: Shared(r.Spec.IssuerRef.Name), Kind: Shared(r.Spec.IssuerRef.Kind), Group: Shared(r.Spec.IssuerRef.Group),
		},
		IssuerVersion: Shared(r.Annotations[IssuerVersionAnnotation]), FailedAttempts: failedAttempts(r), Row: rowOf(r),
		IsCA: r.Spec.IsCA, Usages: sharedList(Words(r.Spec.Usages)),
		Failure: failureOf(r),
		Answer:  AnswerOf(r.Status.Certificate, limits),
		HasCA:   len(r.Status.CA) > 0,
	}
	if owner := metav1.GetControllerOfNoCopy(r); owner != nil {
		f.Owner = owner.UID
	}
	if n, err := strconv.Atoi(r.Annotations[cmv1.CertificateRequestRevisionAnnotationKey]); err == nil && n > 0 {
		f.Revision = n
	}
	if r.Spec.Duration != nil {
		f.Duration = r.Spec.Duration.Duration
	}
	f.CSR, f.CSRError = requests.of(r.Spec.Request, limits)
	ready := condition.Find(r.Status.Conditions, cmv1.CertificateRequestConditionReady)
	f.Issued = f.Failure == nil && ready != nil && ready.Status == cmmeta.ConditionTrue
	f.Approved = condition.Approved(r)
	if ready != nil && !f.Ended() {
		f.Waiting = cmp.Or(ready.Message, ready.Reason)
	}
	return f
}

// Ended reports whether the request will not be signed any more.
func (r *Request) Ended() bool { return r.Issued || r.Failure != nil }

// failureOf is how a request ended without a certificate, or nil. Denied wins:
// some issuers sign denied requests anyway.
func failureOf(r *cmv1.CertificateRequest) *Failure {
	found, refused := condition.Refused(r.Status.Conditions), false
	for _, kind := range []cmv1.CertificateRequestConditionType{
		cmv1.CertificateRequestConditionInvalidRequest, cmv1.CertificateRequestConditionDenied,
	} {
		if condition.True(r.Status.Conditions, kind) {
			found, refused = condition.Find(r.Status.Conditions, kind), true
		}
	}
	if found == nil {
		return failureWithoutCondition(r)
	}
	f := &Failure{
		Reason: found.Reason, Message: found.Message, At: r.CreationTimestamp.Time,
		Refused: refused || found.Reason == cmv1.CertificateRequestReasonDenied,
	}
	if f.Reason == "" {
		f.Reason = string(found.Type)
	}
	switch {
	case r.Status.FailureTime != nil:
		f.At = r.Status.FailureTime.Time
	case found.LastTransitionTime != nil:
		f.At = found.LastTransitionTime.Time
	}
	return f
}

// failureWithoutCondition is how a request has failed whose issuer, not one of ours,
// has reported the time of it only, or nil.
func failureWithoutCondition(r *cmv1.CertificateRequest) *Failure {
	ref := r.Spec.IssuerRef
	if r.Status.FailureTime == nil || OwnIssuer(ref) || condition.Find(r.Status.Conditions, cmv1.CertificateRequestConditionReady) != nil {
		return nil
	}
	return &Failure{
		Reason: cmv1.CertificateRequestReasonFailed, At: r.Status.FailureTime.Time,
		Message: fmt.Sprintf("%s.%s %q has reported a failure without a reason: CertificateRequest %q has status.failureTime, but no condition Ready; see the controller of the issuer",
			ref.Kind, ref.Group, ref.Name, r.Name),
	}
}

// Words are usages in the API's words.
func Words(usages []cmv1.KeyUsage) []string {
	if usages == nil {
		return nil
	}
	w := make([]string, len(usages))
	for i, u := range usages {
		w[i] = string(u)
	}
	return w
}
