// Package podcertificate decides what a PodCertificateRequest of Kubernetes needs next
// whose signer name stands for an issuer of ours.
package podcertificate

import (
	"time"

	certificatesv1beta1 "k8s.io/api/certificates/v1beta1"

	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/lifecycle/request"
	"github.com/everleaf/everleaf/internal/lifecycle/signingrequest"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

// Manager is the field manager of what is written for a request, and the source of its
// events.
const Manager = "everleaf-podcertificaterequests"

// Plan is what a PodCertificateRequest needs next.
type Plan = plan.Plan[certificatesv1beta1.PodCertificateRequestStatus]

// State is everything that decides what a PodCertificateRequest needs next.
type State struct {
	// Object is the request; it is not to be changed.
	Object *Object
	// Signer is the issuer that its signer name stands for.
	Signer signingrequest.Signer
	// Issuer is nil if there is none of that name.
	Issuer *facts.Issuer
	// SignsBare reports that issuers of its type can sign for a public key.
	SignsBare bool
	// Announced is the last wait that an event has reported in this process.
	Announced signingrequest.Wait
	// Outcome is what the issuer has answered, nil before.
	Outcome *request.Outcome
	// SignNotBefore is when the issuer may be asked again, zero for now.
	SignNotBefore time.Time
	// Limits bound the certificates of the answer.
	Limits pki.Limits
}

// The actions of a PodCertificateRequest.
type (
	// Sign asks the issuer for the certificate.
	Sign struct{}
	// Announce reports by its event what the request waits for.
	Announce struct{ Wait signingrequest.Wait }
)

func (Sign) String() string     { return "sign" }
func (Announce) String() string { return "announce what the request waits for" }

// Local implements plan.Local.
func (Announce) Local() {}
