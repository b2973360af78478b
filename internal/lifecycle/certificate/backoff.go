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
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

// shortestBackoff is the shortest wait after a failure: each failure costs a write.
const shortestBackoff = 5 * time.Second

// correctedIssuer is the wait after a failed issuance whose issuer has another
// spec since. It grows, so that a tool that changes an issuer over and over does
// not cause attempts without end.
var correctedIssuer = plan.Backoff{Min: 10 * time.Second, Max: time.Hour}

// upstreams reports whether the wait after a failure is cert-manager's, because a
// user has set its flags.
func (c State) upstreams() bool { return c.Backoff != plan.Backoff{} }

// wait is how long a failed issuance is not repeated: failures are those in a row
// that count for the kind's own back-off, attempts is status.failedIssuanceAttempts.
func (c State) wait(kind failureKind, failures, attempts int, now time.Time) time.Duration {
	if c.upstreams() {
		return max(c.Backoff.Delay(attempts), shortestBackoff)
	}
	delay := schedules[kind].Delay(failures)
	if left := c.lifeLeft(now); left > 0 {
		return min(delay, max(left/lifeShare, min(schedules[kind].Min, shortLife)))
	}
	return delay
}

const (
	// lifeShare is the part of what is left of the present certificate's life that
	// a wait may take: four tries fit even into the last minutes of a short life.
	lifeShare = 4
	// shortLife is the shortest wait for the sake of a certificate that is about to
	// expire, for the kinds of failures that otherwise wait for longer.
	shortLife = 5 * time.Minute
)

// lifeLeft is how long the present certificate is still valid, 0 without one.
func (c State) lifeLeft(now time.Time) time.Duration {
	if c.Secret == nil || c.Secret.Leaf == nil || c.holdsTemporary() {
		return 0
	}
	return max(c.Secret.Leaf.NotAfter.Sub(now), 0)
}

// attempts is status.failedIssuanceAttempts after a failure of an attempt that
// began at a time. It counts at most one failure for each wait of cert-manager's,
// which would wait for a day and more after many: everleaf tries more often.
func (c State) attempts(began, now time.Time) int {
	before := ptr.Deref(c.Object.Status.FailedIssuanceAttempts, 0)
	failed := c.lastFailure(now)
	switch {
	case before <= 0 || failed.IsZero():
		return max(before, 0) + 1
	case c.upstreams() || began.Sub(failed) >= plan.DefaultIssuance.Delay(before):
		return before + 1
	default:
		return before
	}
}

// backoffEnd is until when a failed issuance is not repeated. A change of the
// spec that makes the failed request or its key obsolete ends it at once; so does any
// change if the issuance failed before it had a request. A change of the issuer's
// spec shortens it.
func (c State) backoffEnd(now time.Time) time.Time {
	failed := c.lastFailure(now)
	if failed.IsZero() {
		return time.Time{}
	}
	next := c.requestsOf(c.nextRevision())
	changed := c.changedSince(condition.Find(c.Object.Status.Conditions, cmv1.CertificateConditionIssuing))
	for _, r := range next {
		if r.CSRError != "" || len(c.mismatches[r]) > 0 || changed && c.otherKey(r) {
			return time.Time{}
		}
	}
	if len(next) == 0 && changed {
		return time.Time{}
	}
	attempts := max(ptr.Deref(c.Object.Status.FailedIssuanceAttempts, 1), 1)
	end := c.nextTry(failed, attempts)
	if c.issuerChanged(next) {
		return plan.Earliest(end, failed.Add(correctedIssuer.Delay(max(c.failures(next, now), attempts))))
	}
	return end
}

// otherKey reports whether a request is for a key of another kind than the spec wants.
func (c State) otherKey(r *facts.Request) bool {
	return r.CSR.Key != pki.KeySpec{} && len(KeyMismatches(&c.Object.Spec, r.CSR.Key)) > 0
}

// early reports whether an issuance begins before the time that the last failure has
// named, because something has changed.
func (c State) early(now time.Time) bool {
	failed := c.lastFailure(now)
	return !issuing(c.Object.Status) && !failed.IsZero() &&
		c.nextTry(failed, max(ptr.Deref(c.Object.Status.FailedIssuanceAttempts, 1), 1)).After(now)
}

// nextTry is when a failed issuance is repeated if nothing changes: when the status
// says, which survives the process, the request and its Order. After a failure that
// cert-manager has recorded, it is when cert-manager would repeat it.
func (c State) nextTry(failed time.Time, attempts int) time.Time {
	if c.upstreams() {
		return failed.Add(c.wait(unknownFailure, attempts, attempts, failed))
	}
	latest := failed.Add(fault.UserRetry)
	last := condition.Find(c.Object.Status.Conditions, cmv1.CertificateConditionIssuing)
	if last != nil && last.Status == cmmeta.ConditionFalse {
		if at := timeOfNextTry(last.Message); !at.IsZero() {
			return plan.Earliest(at, latest)
		}
	}
	return plan.Earliest(failed.Add(plan.DefaultIssuance.Delay(attempts)), latest)
}

// timeOfNextTry is the time at the end of a failure's message, zero without one.
func timeOfNextTry(message string) time.Time {
	last := strings.LastIndex(message, nextTry)
	if last < 0 {
		return time.Time{}
	}
	// An issuer's message before it may say the same.
	at, err := time.Parse(time.RFC3339, message[last+len(nextTry):])
	if err != nil {
		return time.Time{}
	}
	return at
}

// failures is the number of failures in a row of the attempts whose last has made
// these requests. A request for another spec begins another row.
func (c State) failures(requests []*facts.Request, now time.Time) int {
	most := 0
	for _, r := range requests {
		if r.CSRError != "" || len(c.mismatches[r]) > 0 {
			continue
		}
		n := r.FailedAttempts
		if r.Failure != nil || (r.Issued && unfit(r, r.CSR.KeyDigest, now) != "") {
			n++
		}
		most = max(most, n)
	}
	return most
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
