// Package request decides what a CertificateRequest needs next.
package request

import (
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

// Manager is the field manager of a status that says no more than an approval,
// and the source of its event.
const Manager = "cert-manager-certificaterequests-approver"

// ManagerOf is the field manager of what an issuer's answer writes, and the
// source of its events: upstream's controller of the issuer's type.
func ManagerOf(i *facts.Issuer) string {
	const manager = "cert-manager-certificaterequests-issuer"
	if i == nil || facts.TypeOf(i.Spec) == facts.IssuerUnset {
		return manager
	}
	return manager + "-" + string(facts.TypeOf(i.Spec))
}

// ApprovalRecheck is the wait before this process asks again for a permission
// to approve that it did not have: no event announces a permission.
const ApprovalRecheck = 5 * time.Minute

// PendingFloor is the shortest wait before an issuer is asked again that will
// have the certificate later.
const PendingFloor = 5 * time.Second

// Plan is what a CertificateRequest needs next.
type Plan = plan.Plan[cmv1.CertificateRequestStatus]

// State is everything that decides what a CertificateRequest needs next.
type State struct {
	// Object is the request; it is not to be changed.
	Object *cmv1.CertificateRequest
	// Key identifies the public key of the signing request, zero if the signing
	// request cannot be read.
	Key pki.KeyDigest
	// Issuer is nil if the one that the request names does not exist.
	Issuer *facts.Issuer
	// OtherKind is the other kind of issuer, IssuerKind or ClusterIssuerKind, if only
	// that one has an issuer of the name that the request may use.
	OtherKind string
	// MayApprove reports that this process approves requests for the issuer.
	MayApprove bool
	// NoPermission reports that this process would approve the request, but lacks
	// the permission.
	NoPermission bool
	// Unannounced reports that this process has sent no event yet of an AnnounceWait.
	Unannounced bool
	// Orders are those that the request controls.
	Orders []*facts.Order
	// Replaced counts the Orders that this process has deleted to replace them, in
	// case the one in their place could not be created yet.
	Replaced int
	// Replaces identifies the certificate that the request's replaces to its CA (RFC 9773
	// section 4.1), empty if there is none, or if the CA is another one.
	Replaces string
	// Outcome is what the issuer has answered, nil before.
	Outcome *Outcome
	// SignNotBefore is when the issuer may be asked again, zero for now: it asked
	// to be left alone until then.
	SignNotBefore time.Time
	// Limits bound the signing request.
	Limits pki.Limits
}

// Outcome is what an issuer has answered: a certificate, or that there is none
// yet.
type Outcome struct {
	// Chain is PEM: the leaf first, then its issuers, without a self-signed root.
	Chain []byte
	// CA is the PEM of the topmost issuer that the type knows, or nil.
	CA []byte
	// Warning is a sentence for a Warning event and the end of the Ready
	// message, or empty: the request was met, but not to the letter.
	Warning string
	// WarningReason is the event's reason.
	WarningReason string
	// Pending says that the certificate takes longer than a call; the other
	// fields are then empty.
	Pending *Pending
}

// Pending is the answer of an issuer that will have the certificate later.
type Pending struct {
	// Until is when to ask the issuer again, PendingFloor after the answer at the
	// earliest.
	Until time.Time
	// Annotations are stored in the request before anything else happens, so that
	// the issuer finds them there when it is asked again, by whatever process:
	// what identifies the request at the CA, for example. Their keys must not
	// begin with cert-manager.io or acme.cert-manager.io: those do not change
	// after creation.
	Annotations map[string]string
	// Message is for the Ready condition. It is the same as long as the same
	// thing is waited for.
	Message string
}

// The actions of a CertificateRequest.
type (
	// Sign asks the issuer for the certificate.
	Sign struct{}
	// KeepState stores annotations in the request: what its issuer must know when
	// it is asked again.
	KeepState struct{ Annotations map[string]string }
	// AnnounceWait reports by its event what the request waits for that no condition
	// says: its approval, or a version that has issuers of its type.
	AnnounceWait struct{}
	// CreateOrder creates the request's Order.
	CreateOrder struct{ Order *acmev1.Order }
	// ReplaceOrder deletes the Order that is Gone at the ACME server and creates
	// another one.
	ReplaceOrder struct {
		Order *acmev1.Order
		Gone  *facts.Order
	}
	// TakeCertificate takes the certificate from the request's Order: the caches
	// hold only facts of it.
	TakeCertificate struct{ Order *facts.Order }
)

func (Sign) String() string            { return "sign" }
func (KeepState) String() string       { return "keep the issuer's state in the annotations" }
func (AnnounceWait) String() string    { return "announce what is waited for" }
func (CreateOrder) String() string     { return "create the Order" }
func (ReplaceOrder) String() string    { return "replace the Order" }
func (TakeCertificate) String() string { return "take the certificate from the Order" }

// Local implements plan.Local.
func (AnnounceWait) Local() {}
