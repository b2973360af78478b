package certificate

import (
	"fmt"
	"time"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/pki"
)

// renewalTime is when the leaf in the Secret, of a revision, is renewed, zero for
// never.
func (c State) renewalTime(revision int) time.Time {
	at := renewalTime(c.Object, c.Secret)
	if floor := c.earliestRenewal(revision); !at.IsZero() && at.Before(floor) {
		return floor
	}
	return at
}

// maxFloor bounds how long a certificate that lives long is not renewed.
const maxFloor = 24 * time.Hour

// earliestRenewal is before when a certificate is not renewed, whatever the spec
// says: a tenth of its life, and maxFloor at most. A renewal that is due as soon as
// the certificate is there would follow at once, without end. Its life begins when
// it was requested: some issuers return one that is older.
func (c State) earliestRenewal(revision int) time.Time {
	leaf := c.Secret.Leaf
	start := leaf.NotBefore
	if r := c.currentRequest(revision); r != nil && r.CreatedAt.After(start) {
		start = r.CreatedAt
	}
	if !start.Before(leaf.NotAfter) {
		return time.Time{}
	}
	return start.Add(min(leaf.NotAfter.Sub(start)/10, maxFloor)).Truncate(time.Second)
}

// otherRenewal says why the certificate of a revision is not renewed when the
// spec says, or returns "".
func (c State) otherRenewal(revision int) string {
	if c.Secret == nil || c.Secret.Leaf == nil || renewalTime(c.Object, c.Secret).IsZero() {
		return ""
	}
	leaf, before := c.Secret.Leaf, c.Object.Spec.RenewBefore
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	at := c.renewalTime(revision)
	if before != nil && before.Duration >= life {
		return fmt.Sprintf("spec.renewBefore is %s, but the certificate lives for %s only, so that it is renewed at %s; spec.renewBefore must be shorter than spec.duration, which is %s if it is not set",
			before.Duration, life, at.UTC().Format(time.RFC3339), pki.DefaultDuration)
	}
	if renewalTime(c.Object, c.Secret).Before(at) {
		return fmt.Sprintf("The certificate lives for %s, and the spec or its issuer would have it renewed at %s; it is renewed at %s, because no certificate is renewed before a tenth of its life, %s at most, has passed; set spec.renewBefore to %s or less",
			life, renewalTime(c.Object, c.Secret).UTC().Format(time.RFC3339), at.UTC().Format(time.RFC3339), maxFloor, leaf.NotAfter.Sub(at))
	}
	return ""
}

// renewalTime is when the leaf in the Secret is due, zero for never. If the
// leaf reaches as far as its issuer's own certificate, another one could not
// reach further, so it is not due before half its life has passed.
func renewalTime(crt *cmv1.Certificate, s *facts.Secret) time.Time {
	if crt.Spec.Renewal != nil && crt.Spec.Renewal.Policy == cmv1.RenewalPolicyDisabled {
		return time.Time{}
	}
	leaf := s.Leaf
	var before *time.Duration
	if crt.Spec.RenewBefore != nil {
		before = &crt.Spec.RenewBefore.Duration
	}
	at := pki.RenewalTime(leaf.NotBefore, leaf.NotAfter, before, crt.Spec.RenewBeforePercentage)
	if !s.IssuerNotAfter.IsZero() && !leaf.NotAfter.Before(s.IssuerNotAfter) {
		half := leaf.NotBefore.Add(leaf.NotAfter.Sub(leaf.NotBefore) / 2).Truncate(time.Second)
		if at.Before(half) {
			return half
		}
	}
	return at
}
