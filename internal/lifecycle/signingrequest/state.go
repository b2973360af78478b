// Package signingrequest decides what a CertificateSigningRequest of Kubernetes needs
// next whose signer name stands for an issuer of ours.
package signingrequest

import (
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/lifecycle/request"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

// Controller is the name of cert-manager's controller of the requests for issuers of a
// type. It is empty as long as the type is not known.
func Controller(of facts.IssuerType) string {
	if of == facts.IssuerUnset {
		return ""
	}
	return "certificatesigningrequests-issuer-" + string(of)
}

// ManagerOf is the field manager of what is written for a request to an issuer, and the
// source of its events.
func ManagerOf(i *facts.Issuer) string {
	if i == nil || facts.TypeOf(i.Spec) == facts.IssuerUnset {
		return "cert-manager-certificatesigningrequests-issuer"
	}
	return "cert-manager-" + Controller(facts.TypeOf(i.Spec))
}

// Plan is what a CertificateSigningRequest needs next.
type Plan = plan.Plan[certificatesv1.CertificateSigningRequestStatus]

// State is everything that decides what a CertificateSigningRequest needs next.
type State struct {
	// Object is the request; it is not to be changed.
	Object *Object
	// Signer is the issuer that its signer name stands for.
	Signer Signer
	// Issuer is nil if there is none of that name.
	Issuer *facts.Issuer
	// Namespace holds the issuer's Secrets, the Secrets of self-signed requests, and the
	// Orders.
	Namespace string
	// MayReference reports that whoever has made the request may use the Issuer. Of a
	// ClusterIssuer nobody asks that.
	MayReference bool
	// Announced is the last wait that an event has reported in this process.
	Announced Wait
	// Orders are those that the request controls.
	Orders []*facts.Order
	// Replaced counts the Orders that this process has deleted to replace them, in
	// case the one in their place could not be created yet.
	Replaced int
	// Outcome is what the issuer has answered, nil before.
	Outcome *request.Outcome
	// SignNotBefore is when the issuer may be asked again, zero for now.
	SignNotBefore time.Time
	// Copied reports whether annotations of a key are copied to Orders.
	Copied func(key string) bool
	// Limits bound the signing request.
	Limits pki.Limits
}

// Wait is what a request waits for. No condition says it: events do.
type Wait struct{ Reason, Message string }

// The actions of a CertificateSigningRequest.
type (
	// Sign asks the issuer for the certificate.
	Sign struct{}
	// KeepState stores annotations in the request: what its issuer must know when
	// it is asked again.
	KeepState struct{ Annotations map[string]string }
	// Announce reports by its event what the request waits for.
	Announce struct{ Wait Wait }
	// CreateOrder creates the request's Order.
	CreateOrder struct{ Order *acmev1.Order }
	// ReplaceOrder deletes the Order that is Gone at the ACME server, or that holds no
	// certificate for the request, and creates another one.
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
func (Announce) String() string        { return "announce what the request waits for" }
func (CreateOrder) String() string     { return "create the Order" }
func (ReplaceOrder) String() string    { return "replace the Order" }
func (TakeCertificate) String() string { return "take the certificate from the Order" }

// Local implements plan.Local.
func (Announce) Local() {}
