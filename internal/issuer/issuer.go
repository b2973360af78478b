// Package issuer says what an issuer type is. Each type is a package of its own
// beneath this one, and one entry of a Registry.
package issuer

import (
	"context"
	"crypto"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/types"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/lifecycle/request"
	"github.com/everleaf/everleaf/internal/pki"
)

// Type is a type of issuer, such as ca. One that is a Signer too answers
// requests itself; ACME's are answered by Orders.
type Type interface {
	// Name is the type's in the API.
	Name() facts.IssuerType
	// Secrets names the Secrets that decide whether an issuer works, in its
	// Secret namespace, sorted and each once: an event of one has the issuer
	// checked.
	Secrets(spec *cmv1.IssuerSpec) []string
	// Check makes an issuer ready, or says why it is not. Errors are fault.Errors
	// with the reason and message of the Ready condition; the account of the
	// result counts even then. An error without a class is the API server's.
	Check(ctx context.Context, i Issuer) (Status, error)
}

// Signer issues certificates. Errors are fault.Errors: Permanent fails the
// request, all others leave it pending.
//
// A CA that takes longer than a call is never waited for: Sign asks it once and returns
// a pending outcome. Then
//   - its annotations are stored in the object that asks, before anything else is
//     written: what names the request at the CA, so that it is never made twice;
//   - Sign is called again at its time, with the annotations in the request: by this
//     process, or by another one right after its start, which knows nothing else;
//   - nothing is asked any more once the object is gone, and the context of a Sign that
//     is under way ends with the object. The CA is not asked to withdraw anything.
type Signer interface {
	Sign(ctx context.Context, r Request) (request.Outcome, error)
}

// ErrRefused is among the causes of an error of Sign if the server refuses the issuer's
// credentials, or what they would do: the issuer is not as ready as it says.
var ErrRefused = errors.New("the server refuses the credentials of the issuer")

// Ordering is implemented by Signers whose CA makes an order of a request, which a person
// may have to approve or somebody has to pay. What a cache shows is not enough to ask such a
// CA: an approval may have been followed by a denial, and another process may have asked
// already.
type Ordering interface {
	Signer
	// Orders marks the type.
	Orders()
}

// Remote is implemented by types that ask a foreign server. One that does not answer
// delays only the issuers that need it: controllers bound how many of their workers ask
// one server, and for how long.
type Remote interface {
	// Server names the server of an issuer in the words of a message, such as "the
	// Vault server vault.example.com:8200". Issuers with equal names share what there
	// is of a server's places.
	Server(spec *cmv1.IssuerSpec) string
}

// BareSigner is implemented by Signers that take a Request with Bare. They answer such a
// request at once: no outcome is pending.
type BareSigner interface {
	Signer
	// SignsBare marks the type.
	SignsBare()
}

// Forgetter is implemented by types that remember something of issuers.
type Forgetter interface {
	// Forget drops what is remembered of an issuer that is gone or has become
	// another type's.
	Forget(issuer types.UID)
}

// Issuer is an Issuer or ClusterIssuer to be checked.
type Issuer struct {
	UID types.UID
	// Name is the issuer's own, without a namespace for a ClusterIssuer.
	Name types.NamespacedName
	// Namespace holds the issuer's Secrets.
	Namespace string
	// Spec is not to be changed.
	Spec *cmv1.IssuerSpec
	// Account is what an earlier check has left of an ACME account.
	Account acmev1.ACMEIssuerStatus
	// Ready reports that the earlier check succeeded, for any spec.
	Ready bool
	// Now is the time of the check.
	Now time.Time
}

// Status is what a check has found.
type Status struct {
	// Reason and Message are the Ready condition's.
	Reason, Message string
	// Event is the message of an event with the reason Ready that announces the
	// issuer; empty for the condition's reason and message.
	Event string
	// Account is what the status keeps of an ACME account, nil for other types.
	Account *acmev1.ACMEIssuerStatus
	// AccountReady reports that the account has come into use by this check.
	AccountReady bool
	// Until is when the issuer has to be checked again, zero for never.
	Until time.Time
}

// Request asks for a certificate that may be signed now: it is approved, and its
// issuer is ready. It is the same for all kinds of the API that ask for one.
type Request struct {
	// CSR is the signing request, in PEM. With Bare it may be empty.
	CSR []byte
	// Bare is asked for in the place of what CSR says, for BareSigners; nil for CSR.
	Bare *Bare
	// Usages are the API's words; none means the default ones.
	Usages []string
	IsCA   bool
	// Duration is how long the certificate is to be valid; zero means the default.
	Duration time.Duration
	// Key is the Secret with the private key of the signing request; its name is
	// empty if the request names none. KeyAnnotation is the annotation that names it.
	Key           types.NamespacedName
	KeyAnnotation string
	// Kind and Name are those of the object that asks: CertificateRequests and
	// CertificateSigningRequests have annotations of different keys for one thing.
	Kind, Name string
	// Annotations are those of the object that asks, not to be changed.
	Annotations map[string]string
	// Created is when the object was created.
	Created time.Time
	// Issuer is the spec of the issuer that it refers to, not to be changed.
	Issuer *cmv1.IssuerSpec
	// IssuerUID and IssuerName identify it; the name has no namespace for a
	// ClusterIssuer. IssuerAnnotations are not to be changed.
	IssuerUID         types.UID
	IssuerName        types.NamespacedName
	IssuerAnnotations map[string]string
	// Namespace holds the issuer's Secrets.
	Namespace string
	// Now is the time of the decision.
	Now time.Time
}

// Bare asks for a certificate without a signing request that says what it is for.
type Bare struct {
	// Wanted has the subject and the names.
	Wanted pki.Template
	// Key is the public key. Who has made the request has verified that the private key is
	// in the right hands.
	Key crypto.PublicKey
}

// Registry holds the issuer types of a program, each with a name of its own.
type Registry []Type

// Of returns the type that a spec configures, and whether there is one.
func (r Registry) Of(spec *cmv1.IssuerSpec) (Type, bool) {
	name := facts.TypeOf(spec)
	for _, t := range r {
		if t.Name() == name {
			return t, true
		}
	}
	return nil, false
}

// Secrets names the Secrets that decide whether an issuer works, see Type.
func (r Registry) Secrets(spec *cmv1.IssuerSpec) []string {
	if t, ok := r.Of(spec); ok {
		return t.Secrets(spec)
	}
	return nil
}

// Check has an issuer checked by its type. All other types forget it.
func (r Registry) Check(ctx context.Context, i Issuer) (Status, error) {
	checked, ok := r.Of(i.Spec)
	for _, t := range r {
		if f, remembers := t.(Forgetter); remembers && t != checked {
			f.Forget(i.UID)
		}
	}
	if !ok {
		return Status{}, fault.New(fault.User, cmv1.IssuerReasonInvalidConfig,
			"%s: nothing is signed, and the requests for it are left alone", facts.WithoutType(facts.TypeOf(i.Spec)))
	}
	return checked.Check(ctx, i)
}

// Sign has a request signed by its issuer's type.
func (r Registry) Sign(ctx context.Context, q Request) (request.Outcome, error) {
	t, _ := r.Of(q.Issuer)
	signer, ok := t.(Signer)
	if !ok {
		return request.Outcome{}, fault.New(fault.User, cmv1.EventReasonIssuerNotReady,
			"This version of everleaf cannot sign with issuers of type %s", facts.TypeOf(q.Issuer))
	}
	return signer.Sign(ctx, q)
}

// Server names the foreign server that an issuer of a spec asks, empty if it asks none.
func (r Registry) Server(spec *cmv1.IssuerSpec) string {
	t, _ := r.Of(spec)
	if remote, ok := t.(Remote); ok {
		return remote.Server(spec)
	}
	return ""
}

// Orders reports whether the type that a spec configures is Ordering.
func (r Registry) Orders(spec *cmv1.IssuerSpec) bool {
	t, _ := r.Of(spec)
	_, ok := t.(Ordering)
	return ok
}

// SignsBare reports whether the type that a spec configures is a BareSigner.
func (r Registry) SignsBare(spec *cmv1.IssuerSpec) bool {
	t, _ := r.Of(spec)
	_, ok := t.(BareSigner)
	return ok
}

// ForgetAs has the type that a spec configures forget an issuer. The others may have begun to
// remember it: an issuer can become one of another type.
func (r Registry) ForgetAs(spec *cmv1.IssuerSpec, uid types.UID) {
	t, _ := r.Of(spec)
	if f, ok := t.(Forgetter); ok {
		f.Forget(uid)
	}
}

// Forget has all types forget an issuer.
func (r Registry) Forget(uid types.UID) {
	for _, t := range r {
		if f, ok := t.(Forgetter); ok {
			f.Forget(uid)
		}
	}
}
