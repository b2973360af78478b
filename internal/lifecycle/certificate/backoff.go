package certificate

import (
	"slices"
	"strings"
	"time"

	"k8s.io/utils/ptr"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/plan"
)

// shortestBackoff is the wait after a failure without a back-off: each failure
// costs a write.
const shortestBackoff = 5 * time.Second

// backoff is the wait after a number of failures in a row.
func (c State) backoff(failures int) time.Duration {
	return max(c.Backoff.Delay(failures), shortestBackoff)
}

// correctedIssuer is the wait after a failed issuance whose issuer has another
// spec since. It grows, so that a tool that changes an issuer over and over does
// not cause attempts without end.
var correctedIssuer = plan.Backoff{Min: 10 * time.Second, Max: time.Hour}

// backoffEnd is until when a failed issuance is not repeated. A change of the
// spec that makes the failed request obsolete ends it at once; so does any
// change if the issuance failed before it had a request. A change of the issuer's
// spec shortens it.
func (c State) backoffEnd(now time.Time) time.Time {
	failed := c.lastFailure(now)
	if failed.IsZero() {
		return time.Time{}
	}
	next := c.requestsOf(c.nextRevision())
	for _, r := range next {
		if r.CSRError != "" || len(c.mismatches[r]) > 0 {
			return time.Time{}
		}
	}
	if len(next) == 0 && c.changedSince(condition.Find(c.Object.Status.Conditions, cmv1.CertificateConditionIssuing)) {
		return time.Time{}
	}
	attempts := max(ptr.Deref(c.Object.Status.FailedIssuanceAttempts, 1), 1)
	end := failed.Add(c.backoff(attempts))
	if c.issuerChanged(next) {
		return plan.Earliest(end, failed.Add(correctedIssuer.Delay(attempts)))
	}
	return end
}

// changedSince reports whether the spec has changed since a condition was set.
func (c State) changedSince(set *cmv1.CertificateCondition) bool {
	return set != nil && set.ObservedGeneration > 0 && set.ObservedGeneration < c.Object.Generation
}

// dropFailure removes a failure that says when the next attempt is, if a change of
// the spec has left nothing to issue: there is no next attempt. A failure that
// cert-manager has recorded stays as it is.
func (c State) dropFailure(p *Plan, now time.Time) {
	last := condition.Find(p.Status.Conditions, cmv1.CertificateConditionIssuing)
	if !c.changedSince(last) || last.Status != cmmeta.ConditionFalse || !strings.Contains(last.Message, nextTry) || c.needsIssuing(now) != nil {
		return
	}
	p.Status.Conditions = condition.Remove(p.Status.Conditions, cmv1.CertificateConditionIssuing)
	p.Status.LastFailureTime, p.Status.FailedIssuanceAttempts = nil, nil
}

// issuerChanged reports whether a request was made for another spec of the issuer
// than the present one. The next attempt makes its request for that one, so that
// one change causes one attempt.
func (c State) issuerChanged(requests []*facts.Request) bool {
	return c.IssuerVersion != "" && slices.ContainsFunc(requests, func(r *facts.Request) bool {
		return r.IssuerVersion != "" && r.IssuerVersion != c.IssuerVersion
	})
}

// lastFailure is status.lastFailureTime, zero without one. One in the future is
// of a clock that was wrong, and counts as now.
func (c State) lastFailure(now time.Time) time.Time {
	failed := c.Object.Status.LastFailureTime
	switch {
	case failed == nil:
		return time.Time{}
	case failed.After(now):
		return now
	default:
		return failed.Time
	}
}
