package order

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/plan"
)

const (
	// goneRecheck is when an order is looked at again that the server says does
	// not exist: its replicas may not agree yet.
	goneRecheck = 10 * time.Second
	// goneAnswers is how many such answers end the order.
	goneAnswers = 2
	// missingPatience is how long a certificate may not be where the server has
	// said before the order is given up. A new one is a new issuance.
	missingPatience = time.Hour
	// longestGate is the longest that a rate limit holds back all new orders of an
	// account. Then one of them finds out whether the limit is over.
	longestGate = 5 * time.Minute
)

// notReadyPatience is how many times in a row an order may be ready and yet be
// refused to be finalized before the status says so.
const notReadyPatience = 2

// Failed decides what the failure of an action means: the order ends, or waits
// with the reason in its status.
func (s State) Failed(f plan.Failure, now time.Time) Plan {
	p := s.wait()
	if p, ok := plan.Unclassified(f, p.Status, now); ok {
		return p
	}
	classified := fault.Of(f.Err)
	reason := reasonPrefix(f.Action) + classified.Message
	_, creating := f.Action.(CreateOrder)
	_, finalizing := f.Action.(Finalize)
	switch {
	case !creating && acme.IsGone(f.Err):
		if s.Gone >= goneAnswers {
			return fail(p, acmev1.Expired, reason, now)
		}
		p.Status.Reason = reason
		p.Until, p.Hold = now.Add(goneRecheck), true
		return p
	case finalizing && acme.IsOrderNotReady(f.Err):
		return s.notReady(reason)
	case acme.IsAccountProblem(f.Err):
		// The issuer registers the account again; then the Order is woken.
		p.Status.Reason = reason
		p.Do, p.Persist = SuspectAccount{Began: f.Began, Cause: classified.Message}, plan.Before
		return p
	case classified.Class == fault.Later:
		p.Status.Reason = plan.WithNextTry(reason, f.Err, plan.Remote, now)
		p.Until, p.Hold = classified.At, true
		return s.holdBack(p, f, now)
	case acme.IsCertificateMissing(f.Err):
		return s.certificateMissing(p, f, reason, now)
	case classified.Class == fault.Transient:
		p.Status.Reason = plan.WithNextTry(reason, f.Err, plan.Remote, now)
		// The event of the new reason must not repeat the action at once.
		p.Until, p.Hold = plan.Retry(f.Err, f.Attempts, plan.Remote, now), true
		return p
	default:
		if creating {
			reason += redundant(f.Err, Identifiers(s.Object))
		}
		return fail(p, acmev1.Errored, reason, now)
	}
}

// badRequest is the HTTP status of a refusal of what an order asks for.
const badRequest = 400

// redundant is what to do if a CA has refused an order because one of its names is covered
// by a wildcard in it, as the end of a sentence, or "". CAs have no error type of their own
// for it: Boulder says malformed.
func redundant(err error, names []acme.Identifier) string {
	problem := acme.ProblemOf(err)
	if problem == nil || problem.Status != badRequest || !problem.Has(acme.TypeMalformed) && !problem.Has(acme.TypeRejectedIdentifier) {
		return ""
	}
	asked := map[string]bool{}
	for _, id := range names {
		asked[id.Value] = true
	}
	for _, id := range names {
		_, parent, _ := strings.Cut(id.Value, ".")
		wildcard := "*." + parent
		if id.Type != acme.IdentifierDNS || !asked[wildcard] || id.Value == wildcard || !mayConcern(problem, id.Value, wildcard) {
			continue
		}
		return fmt.Sprintf("; %q is covered by %q: if the CA refuses both in one certificate, give them two Secrets, or leave the covered name out "+
			"(for Ingresses and Gateways, --omit-names-covered-by-wildcards does that)", id.Value, wildcard)
	}
	return ""
}

// mayConcern reports whether a problem may be about one of some names: it says of no
// identifier that it is about, or of one of them.
func mayConcern(problem *acme.Problem, names ...string) bool {
	return len(problem.Subproblems) == 0 || slices.ContainsFunc(problem.Subproblems, func(sub acme.Problem) bool {
		return sub.Identifier == nil || slices.Contains(names, strings.ToLower(sub.Identifier.Value))
	})
}

// holdBack has the Order wait, and if a rate limit holds for the account all its
// new orders.
func (s State) holdBack(p Plan, f plan.Failure, now time.Time) Plan {
	held := HoldBack{Until: p.Until, Cause: fault.Of(f.Err).Message}
	if acme.LimitsAccount(f.Err, Identifiers(s.Object)) {
		held.Gate = plan.Earliest(p.Until, now.Add(longestGate))
	}
	p.Do, p.Persist = held, plan.Before
	return p
}

// certificateMissing downloads again later.
func (s State) certificateMissing(p Plan, f plan.Failure, reason string, now time.Time) Plan {
	if !s.MissingSince.IsZero() && now.Sub(s.MissingSince) >= missingPatience {
		return fail(p, acmev1.Errored, reason, now)
	}
	p.Status.Reason = plan.WithNextTry(reason, f.Err, plan.Remote, now)
	p.Until, p.Hold = now.Add(plan.Remote.Delay(s.Downloads)), true
	return p
}

// notReady looks at an order that the server refused to finalize.
func (s State) notReady(reason string) Plan {
	p := s.wait()
	p.Do = s.fetch()
	if s.Polls > notReadyPatience {
		p.Status.Reason, p.Persist = reason, plan.Before
	}
	return p
}

// DownloadFailed begins the reason of an order whose certificate could not be had
// although it was issued.
const DownloadFailed = "Failed to retrieve signed certificate: "

// reasonPrefix is how the reason of a failed action begins. Tools match on
// these words.
func reasonPrefix(action plan.Action) string {
	switch action.(type) {
	case CreateOrder:
		return "Failed to create Order: "
	case FetchOrder:
		return "Failed to retrieve Order resource: "
	case FetchAuthorizations:
		return "Failed to fetch authorization: "
	case Finalize:
		return "Failed to finalize Order: "
	case Download:
		return DownloadFailed
	default:
		return ""
	}
}

// fail ends the order. The reason also reaches the CertificateRequest.
func fail(p Plan, state acmev1.State, reason string, now time.Time) Plan {
	p.Status.State, p.Status.Reason = state, reason
	p.Status.FailureTime = &metav1.Time{Time: now}
	return p
}

// invalidReason says why an order failed, by identifier: from its challenges,
// else from the order itself.
func (s State) invalidReason() string {
	reason := failures(s.Challenges)
	if reason == "" && s.Server != nil && s.Server.Error != nil {
		reason = s.Server.Error.Error()
	}
	return reason
}

// failures says why Challenges failed, each reason once.
func failures(challenges []*acmev1.Challenge) string {
	var reasons []string
	for _, c := range challenges {
		if Failed(c.Status.State) && c.Status.Reason != "" {
			reasons = append(reasons, c.Status.Reason)
		}
	}
	slices.Sort(reasons)
	return strings.Join(slices.Compact(reasons), "; ")
}
