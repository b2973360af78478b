package certificate

import (
	"fmt"
	"slices"
	"time"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/plan"
)

const (
	// maxIssuances is how many issuances of one generation of the spec may begin
	// within issuancesWithin without anybody having asked for one. Something undoes
	// them, and each costs the CA a certificate, and servers a restart.
	maxIssuances    = 3
	issuancesWithin = time.Hour
	// ReasonHalted is the reason of Issuing while nothing is issued because of that.
	ReasonHalted = "TooManyIssuances"
)

// ownReasons are those of the issuances that nobody has asked for.
var ownReasons = []string{
	cmv1.CertificateReasonDoesNotExist, cmv1.CertificateReasonMissingData, cmv1.CertificateReasonInvalidKeyPair,
	cmv1.CertificateReasonInvalidCertificate, cmv1.CertificateReasonInvalidCertificateRequest, cmv1.CertificateReasonSecretMismatch,
	cmv1.CertificateReasonIncorrectIssuer, cmv1.CertificateReasonIncorrectCertificate, cmv1.CertificateReasonRequestChanged,
	cmv1.CertificateReasonExpired, cmv1.CertificateReasonRenewing,
}

// issuances are those of the present generation that began of late without anybody
// having asked for them. The present request tells, so that they are known to each
// process; if somebody has deleted or changed it, this process remembers.
func (c State) issuances(now time.Time) []time.Time {
	return c.Known(c.Current(), now).At
}

// Known is the row of the present generation after the issuance that has made a
// request, or as this process remembers it without the request: the longer one. A
// request that begins another row ends what is remembered.
func (c State) Known(r *facts.Request, now time.Time) facts.Row {
	generation := c.Object.Generation
	remembered := recent(c.Remembered, generation, now)
	if r == nil || (r.Row.Generation != 0 && r.Row.Generation != generation) {
		return remembered
	}
	own := r.Row
	if own.Generation == 0 {
		own = facts.Row{Generation: generation, At: []time.Time{r.CreatedAt}}
	}
	known := recent(own, generation, now)
	if len(own.At) > 0 && len(remembered.At) > len(known.At) {
		return remembered
	}
	return known
}

// recent is a row without what began long ago, or for another generation.
func recent(row facts.Row, generation int64, now time.Time) facts.Row {
	known := facts.Row{Generation: generation}
	if row.Generation == generation {
		known.At = slices.DeleteFunc(slices.Clone(row.At), func(at time.Time) bool { return at.After(now) || now.Sub(at) >= issuancesWithin })
	}
	return known
}

// row is what the request of an issuance says of those before it, the zero value if
// there is nothing to say. One that a user has asked for begins another row.
func (c State) row(p Plan, now time.Time) facts.Row {
	begun := condition.Find(p.Status.Conditions, cmv1.CertificateConditionIssuing)
	if !slices.Contains(ownReasons, begun.Reason) {
		return facts.Row{Generation: c.Object.Generation}
	}
	before := c.issuances(now)
	if len(before) == 0 {
		return facts.Row{}
	}
	if half := c.halfLife(begun.Reason); half.IsZero() || now.Before(half) {
		before = append(before, now)
	}
	return facts.Row{Generation: c.Object.Generation, At: before[max(len(before)-maxIssuances, 0):]}
}

// halfLife is from when a renewal undoes nothing, however often the certificate has
// been issued: it may only live for some minutes. Zero if the reason is no renewal.
func (c State) halfLife(reason string) time.Time {
	if reason != cmv1.CertificateReasonRenewing || c.Secret == nil || c.Secret.Leaf == nil {
		return time.Time{}
	}
	leaf := c.Secret.Leaf
	return leaf.NotBefore.Add(leaf.NotAfter.Sub(leaf.NotBefore) / 2)
}

// halted reports whether the certificate must not be issued for a reason: it has been
// too often.
func (c State) halted(v *Violation, now time.Time) bool {
	if half := c.halfLife(v.Reason); !half.IsZero() && !now.Before(half) {
		return false
	}
	return haltOf(c.Object) || len(c.issuances(now)) >= maxIssuances
}

// haltOf reports whether a status says that nothing is issued for this generation.
func haltOf(crt *cmv1.Certificate) bool {
	last := condition.Find(crt.Status.Conditions, cmv1.CertificateConditionIssuing)
	return last != nil && last.Reason == ReasonHalted && last.Status == cmmeta.ConditionFalse && last.ObservedGeneration == crt.Generation
}

// halt says that the certificate is not issued, as long as there is a reason to.
func (c State) halt(p *Plan, now time.Time) {
	if v := c.needsIssuing(now); v != nil && c.SecretOwnedBy == "" && c.halted(v, now) {
		message := fmt.Sprintf("The certificate was issued %d times within %s although nobody asked for it, and would be again: %s. everleaf issues it again when its spec changes, or when somebody sets the condition Issuing to True; find what deletes or changes Secret \"%s/%s\" before",
			maxIssuances, plan.InWords(issuancesWithin), v.Message, c.Object.Namespace, c.Object.Spec.SecretName)
		if !haltOf(c.Object) {
			p.Events = append(p.Events, plan.Event{Warning: true, Reason: ReasonHalted, Message: message, Component: ManagerTrigger})
		}
		c.set(p, cmv1.CertificateConditionIssuing, cmmeta.ConditionFalse, ReasonHalted, message, now)
		p.Until = plan.Earliest(p.Until, c.halfLife(v.Reason))
		return
	}
	if last := condition.Find(p.Status.Conditions, cmv1.CertificateConditionIssuing); last != nil && last.Reason == ReasonHalted {
		p.Status.Conditions = condition.Remove(p.Status.Conditions, cmv1.CertificateConditionIssuing)
	}
}
