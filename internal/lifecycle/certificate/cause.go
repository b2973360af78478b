package certificate

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/lifecycle/request"
	"github.com/everleaf/everleaf/internal/plan"
)

// takeover is how long an issuance that another process has begun, such as
// cert-manager, may wait before the status says what for: most waits end by
// themselves, and a controller that takes a cluster over should not write the
// status of all that waits.
const takeover = 2 * time.Minute

// inherited returns until when the status does not say what the issuance waits
// for, zero if it may: another process has begun the issuance and has not said it.
func (c State) inherited(now time.Time) time.Time {
	begun := condition.Find(c.Object.Status.Conditions, cmv1.CertificateConditionIssuing)
	until := c.Started.Add(takeover)
	switch {
	case begun == nil, begun.Status != cmmeta.ConditionTrue, c.Memory.Request != "", strings.Contains(begun.Message, causeMark),
		// The API has whole seconds.
		begun.LastTransitionTime != nil && !begun.LastTransitionTime.Time.Before(c.Started.Truncate(time.Second)), !until.After(now):
		return time.Time{}
	default:
		return until
	}
}

// awaitRequest waits for what a request waits for.
func (c State) awaitRequest(p *Plan, r *facts.Request, cause string, now time.Time) {
	if of := c.IssuerUnserved; of != facts.IssuerUnset {
		cause = fmt.Sprintf("%s: CertificateRequest %q is left alone; name another issuer in spec.issuerRef, or go back to what has signed before", facts.WithoutType(of), r.Name)
	}
	if until := c.inherited(now); cause != "" && !until.IsZero() {
		p.Until = plan.Earliest(p.Until, until)
		return
	}
	c.waitFor(p, cause, now)
}

// answeredWithin is how long a request may have no condition before the status
// says so.
const answeredWithin = 2 * time.Second

// unanswered waits for the first word about a request.
func (c State) unanswered(p Plan, r *facts.Request, stored *facts.Secret, now time.Time) Plan {
	if told := r.CreatedAt.Add(answeredWithin); now.Before(told) {
		p.Until = plan.Earliest(p.Until, told)
		return p
	}
	c.awaitRequest(&p, r, unansweredBecause(r), now)
	return c.withTemporary(p, stored, now)
}

// unansweredBecause says who has to act on a request without a condition.
func unansweredBecause(r *facts.Request) string {
	ref := r.IssuerRef.WithDefaults()
	issuer := fmt.Sprintf("%s.%s %q", ref.Kind, ref.Group, ref.Name)
	if r.Approved {
		return fmt.Sprintf("%s has not answered CertificateRequest %q", issuer, r.Name)
	}
	why := fmt.Sprintf("CertificateRequest %q has to be approved", r.Name)
	if ours := cmv1.SchemeGroupVersion.Group; ref.Group != ours {
		why += fmt.Sprintf("; everleaf does not approve requests for %s: install an approver for the group %s, or approve it with everleaf approve -n %s %s", issuer, ref.Group, r.Namespace, r.Name)
		if ref.Kind == cmv1.IssuerKind || ref.Kind == cmv1.ClusterIssuerKind {
			why += "; if the group is a typo, set spec.issuerRef.group to " + ours
		}
	}
	return why
}

// causeOfWaiting is what a request waits for, empty if its Order takes its usual
// course.
func (c State) causeOfWaiting(r *facts.Request) string {
	if !request.OnOrder(r.Waiting) {
		return r.Waiting
	}
	return c.reasonOfOrder(r)
}

// causeOfFailure is why a request has failed: why its Order has, if the Order is
// the cause and says why.
func (c State) causeOfFailure(r *facts.Request) string {
	if !request.OnOrder(r.Failure.Message) {
		return r.Failure.Message
	}
	return cmp.Or(c.reasonOfOrder(r), r.Failure.Message)
}

// reasonOfOrder is why the Order of a request waits or has failed, empty if it
// does not say so.
func (c State) reasonOfOrder(r *facts.Request) string {
	if o := c.Orders[r.UID]; o != nil {
		return o.Reason
	}
	return ""
}
