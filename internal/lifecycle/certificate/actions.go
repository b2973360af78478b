package certificate

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

// The actions of a Certificate.
type (
	// GenerateKey makes a private key in memory. Begins marks the first action of
	// an issuance that nobody has announced.
	GenerateKey struct {
		Spec   pki.KeySpec
		Begins bool
	}
	// ReuseKey takes the private key of the target Secret.
	ReuseKey struct{ Begins bool }
	// StoreKey stores the private key from memory in a Secret of its own.
	StoreKey struct{}
	// DeleteKeys deletes Secrets with next private keys.
	DeleteKeys struct{ Keys []*facts.Secret }
	// CreateRequest creates the CertificateRequest of a revision for the key in
	// a Secret, or for the one in memory if Key is nil.
	CreateRequest struct {
		Revision int
		Key      *facts.Secret
		// FailedAttempts and Row are for the request's annotations, if they say
		// anything.
		FailedAttempts int
		Row            facts.Row
	}
	// DeleteRequests deletes CertificateRequests that cannot serve the issuance.
	// FailedAttempts is how many attempts in a row have failed with them.
	DeleteRequests struct {
		Requests       []*facts.Request
		FailedAttempts int
	}
	// DeleteRevisions deletes the CertificateRequests of revisions before the
	// present one.
	DeleteRevisions struct{ Requests []*facts.Request }
	// StoreSecret stores the certificate of a request with its key, taken from a
	// Secret, or from memory if Key is nil. Absent reports that there is no
	// target Secret.
	StoreSecret struct {
		Request *facts.Request
		Key     *facts.Secret
		Absent  bool
	}
	// StoreTemporary stores a certificate that this process signs, with the next
	// private key, until the issuer answers. Absent is as in StoreSecret.
	StoreTemporary struct {
		Key    *facts.Secret
		Absent bool
	}
	// CheckKeystores looks whether the keystores in the target Secret are as the spec
	// wants them.
	CheckKeystores struct{}
	// RepairSecret brings the target Secret to what the spec wants, with the
	// certificate and the key that it has. CA is the request with the certificates of
	// the CA if the Secret has lost them, or nil. KeepLocked reports that keystores
	// whose passwords cannot be had stay as they are; else they are an error.
	RepairSecret struct {
		Why        Violation
		CA         *facts.Request
		KeepLocked bool
	}
	// Announce reports by its event that an issuance has begun.
	Announce struct{}
	// Forget drops the memory of an issuance that has ended.
	Forget struct{}
)

func (GenerateKey) String() string     { return "generate a private key" }
func (ReuseKey) String() string        { return "reuse the private key" }
func (StoreKey) String() string        { return "store the next private key" }
func (DeleteKeys) String() string      { return "delete next private keys" }
func (CreateRequest) String() string   { return "create the CertificateRequest" }
func (DeleteRequests) String() string  { return "delete CertificateRequests" }
func (DeleteRevisions) String() string { return "delete CertificateRequests of earlier revisions" }
func (StoreSecret) String() string     { return "store the certificate" }
func (StoreTemporary) String() string  { return "store a temporary certificate" }
func (CheckKeystores) String() string  { return "check the keystores" }
func (RepairSecret) String() string    { return "repair the Secret" }
func (Announce) String() string        { return "announce the issuance" }
func (Forget) String() string          { return "forget the issuance" }

// Secret implements plan.Secret.
func (StoreKey) Secret() {}

// Secret implements plan.Secret.
func (StoreSecret) Secret() {}

// Secret implements plan.Secret.
func (StoreTemporary) Secret() {}

// Secret implements plan.Secret: all data of the Secret is applied again.
func (RepairSecret) Secret() {}

// Secret implements plan.Secret: an admission webhook is sent what is deleted.
func (DeleteKeys) Secret() {}

// self confirms that the Certificate is the one that was decided on.
func (c State) self() plan.Confirm { return plan.AsSeen(cmv1.CertificateKind, c.Object) }

// selfUnlessAbsent is self, except where a missing Secret is the cause and the
// issuer signs inline. The look at the Secret is enough then, because the name
// of the request reveals a stale Certificate: it is already taken.
func (c State) selfUnlessAbsent() []plan.Confirm {
	if c.SignsInline && c.Secret == nil && len(c.Keys) == 0 {
		return nil
	}
	return []plan.Confirm{c.self()}
}

// target confirms the target Secret, or that there is none.
func (c State) target() plan.Confirm {
	confirm := plan.Confirm{Ref: c.secretRef(c.Object.Spec.SecretName)}
	if c.Secret != nil {
		confirm.Version = c.Secret.ResourceVersion
	}
	return confirm
}

func (c State) secretRef(name string) plan.Ref {
	return plan.Ref{Kind: plan.KindSecret, NamespacedName: types.NamespacedName{Namespace: c.Object.Namespace, Name: name}}
}

// deleteRequests plans to delete requests. If they are to go because their keys
// are nowhere, that is confirmed: to a new process the caches may show a request
// before they show its key.
func (c State) deleteRequests(p Plan, requests []*facts.Request, now time.Time) Plan {
	p.Do, p.Confirm = DeleteRequests{requests, c.failures(requests, now)}, []plan.Confirm{c.self()}
	if len(c.Keys) > 0 || c.Memory.Key != nil {
		return p
	}
	current := c.nextRevision() - 1
	for _, r := range requests {
		if r.KeySecret != "" && r.Revision > current {
			p.Confirm = append(p.Confirm, plan.Confirm{Ref: c.secretRef(r.KeySecret), Owner: c.Object.UID})
		}
	}
	return p
}

// deleteKeys plans to delete stored keys.
func (c State) deleteKeys(p Plan, keys []*facts.Secret) Plan {
	p.Do, p.Confirm = DeleteKeys{keys}, []plan.Confirm{c.self()}
	return p
}

// absentFor is how long a Secret counts as missing that the API server has said
// to be missing. Whatever somebody else puts there in that time, the certificate
// and its key replace, and a Secret of another type is refused.
const absentFor = 2 * time.Second

func (c State) knownAbsent(now time.Time) bool {
	return c.Secret == nil && !c.Memory.AbsentAt.IsZero() && now.Sub(c.Memory.AbsentAt) < absentFor
}
