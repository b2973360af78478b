package certificate

import (
	"time"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/plan"
)

// withTemporary plans to store a temporary certificate while the request waits, if
// the Certificate asks for one. It never replaces a certificate that fits its key,
// whatever its names are and though it has expired: servers go on with that one.
func (c State) withTemporary(p Plan, stored *facts.Secret, now time.Time) Plan {
	if c.Object.Annotations[cmv1.IssueTemporaryCertificateAnnotationKey] != "true" || stored == nil ||
		c.SecretOwnedBy != "" || c.unusableSecret() == nil || c.Memory.Temporaries >= maxMade {
		return p
	}
	p.Do, p.Confirm = StoreTemporary{Key: stored, Absent: c.knownAbsent(now)}, []plan.Confirm{c.self(), c.target()}
	p.Events = append(p.Events, plan.Event{Reason: cmv1.EventReasonIssuing, Message: "Issued temporary certificate", Component: ManagerIssuing})
	return p
}

// holdsTemporary reports whether the Secret, which is usable, has a temporary
// certificate. One that a user has put there has no name of a Certificate.
func (c State) holdsTemporary() bool {
	a := c.Secret.Annotations
	_, made := a[cmv1.CertificateNameKey]
	_, issued := a[cmv1.IssuerNameAnnotationKey]
	return made && !issued && c.Secret.Leaf.Temporary
}
