// Package order decides what an Order needs next, and which Orders and
// Challenges may be worked on.
package order

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/plan"
)

// ChallengeFinal reports whether a Challenge has ended, well or not.
func ChallengeFinal(c *acmev1.Challenge) bool { return Final(c.Status.State) }

// Final reports whether an Order or a Challenge in a state has ended, well or
// not.
func Final(s acmev1.State) bool { return s == acmev1.Valid || Failed(s) }

const componentOrders = "cert-manager-orders"

// notReadyPatience is how many times in a row an order may be called ready and
// yet not be finalized before that is worth telling.
const notReadyPatience = 2

// orderRefresh is how often an Order that waits for its challenges is compared
// with the server's: an order that has expired there must not wait for ever.
const orderRefresh = time.Hour

// Step is what an Order needs next.
type Step string

// The steps of an Order.
const (
	Wait             Step = ""
	Create           Step = "create the order at the server"
	Fetch            Step = "fetch the order"
	Authorize        Step = "fetch the authorizations"
	CreateChallenges Step = "create Challenges"
	DeleteChallenges Step = "delete Challenges"
	Finalize         Step = "finalize the order"
	Download         Step = "download the certificate"
)

// State is everything that decides what an Order needs next.
type State struct {
	// Object is the Order; it is not to be changed.
	Object *acmev1.Order
	// Request is the CertificateRequest that controls the Order, or nil.
	Request *cmv1.CertificateRequest
	// Account is the issuer's, nil while the issuer is not ready.
	Account *facts.Account
	// Challenges are those that the Order controls.
	Challenges []*acmev1.Challenge
	// BlockedBy is the name of an older, unfinished Order of the same account for
	// the same identifiers and profile. Servers such as Boulder answer both
	// with one order, so they run one at a time.
	BlockedBy string
	// Server is the order as the server last told it, nil after a restart.
	Server *acme.Order
	// FetchedAt is when Server was told; Polls counts the looks at it since it
	// began to be processed.
	FetchedAt time.Time
	Polls     int
	// RetryAt is when the server wants to be asked again, zero for now.
	RetryAt time.Time
}

// Plan is what an Order needs next.
type Plan struct {
	Step    Step
	Status  acmev1.OrderStatus
	Persist plan.Persist
	// Create are the Challenges to create, Delete those to delete.
	Create []acmev1.ChallengeSpec
	Delete []*acmev1.Challenge
	Events []plan.Event
	// Until is when to look again if nothing happens before, zero for never.
	Until time.Time
}

// Failed reports whether an Order has ended without a certificate.
func Failed(s acmev1.State) bool {
	return s == acmev1.Invalid || s == acmev1.Expired || s == acmev1.Errored
}

// Done reports whether an Order needs its Challenges no more.
func Done(o *acmev1.Order) bool {
	return o.DeletionTimestamp != nil || Final(o.Status.State)
}

// Next decides what an Order needs next.
func Next(o State, now time.Time) Plan {
	plan := Plan{Status: *o.Object.Status.DeepCopy()}
	status := &plan.Status
	switch {
	case o.Object.DeletionTimestamp != nil:
		return plan
	case Failed(status.State):
		return plan.withDelete(unfinished(o.Challenges))
	case status.State == acmev1.Valid && len(status.Certificate) > 0:
		return plan.withDelete(o.Challenges)
	}
	if why := Provenance(o.Object, o.Request); why != "" {
		if o.Request == nil {
			return plan
		}
		return plan.fail(acmev1.Errored, why, now)
	}
	if o.Account == nil {
		return plan
	}
	if o.RetryAt.After(now) {
		plan.Until = o.RetryAt
		return plan
	}
	if status.URL == "" {
		if o.BlockedBy != "" {
			return plan
		}
		if o.Account.NewOrderNotBefore.After(now) {
			plan.Until = o.Account.NewOrderNotBefore
			return plan
		}
		plan.Step = Create
		return plan
	}
	if o.Server != nil {
		if done, ok := settled(o, plan, now); ok {
			return done
		}
	} else if status.State == acmev1.Valid || status.State == acmev1.Ready || status.State == acmev1.Processing {
		// Another controller was further than its Challenges tell.
		plan.Step = Fetch
		return plan
	}
	return authorize(o, plan, now)
}

// settled decides by the state that the server gave, if that is enough.
func settled(o State, plan Plan, now time.Time) (Plan, bool) {
	switch o.Server.Status {
	case acme.StatusInvalid:
		return plan.fail(acmev1.Invalid, invalidReason(o), now), true
	case acme.StatusExpired:
		return plan.fail(acmev1.Expired, "The order has expired at the ACME server", now), true
	case acme.StatusProcessing:
		at := o.Server.RetryAfter
		if at.IsZero() {
			at = o.FetchedAt.Add(PollDelay(o.Polls))
		} else if least := o.FetchedAt.Add(PollDelay(0)); at.Before(least) {
			at = least
		}
		if at.After(now) {
			plan.Until = at
			return plan, true
		}
		plan.Step = Fetch
		return plan, true
	case acme.StatusValid:
		plan.Step = Download
		return plan, true
	case acme.StatusReady:
		return againAfter(o, plan, Finalize, now), true
	default:
		return plan, false
	}
}

// PollDelay is the wait between two looks at something that the server works
// on and for which it gave no Retry-After: 0.25 s, doubled up to 5 s.
func PollDelay(polls int) time.Duration {
	return min(250*time.Millisecond<<min(polls, 5), 5*time.Second)
}

// againAfter takes a step, but not at once if the server's last answer was the
// same as before: it does not say the same of its order in all places yet.
func againAfter(o State, plan Plan, step Step, now time.Time) Plan {
	if at := o.FetchedAt.Add(PollDelay(o.Polls)); o.Polls > 0 && at.After(now) {
		plan.Until = at
		return plan
	}
	plan.Step = step
	return plan
}

// authorize decides what a pending order needs: authorizations, challenges, or
// the request to finalize.
func authorize(o State, p Plan, now time.Time) Plan {
	status := &p.Status
	if len(status.Authorizations) == 0 || status.FinalizeURL == "" {
		return againAfter(o, p, Fetch, now)
	}
	for _, a := range status.Authorizations {
		if a.Identifier == "" {
			p.Step = Authorize
			return p
		}
	}
	wanted, why := WantedChallenges(o.Object, o.Account)
	if why != "" {
		p.Events = append(p.Events, plan.Event{
			Warning: true, Reason: "Solver", Component: componentOrders,
			Message: "Failed to determine a valid solver configuration for the set of domains on the Order: " + why,
		})
		return p.fail(acmev1.Errored, "Failed to determine a valid solver configuration for the set of domains on the Order: "+why, now)
	}
	missing, stale, failed, valid := compareChallenges(o, wanted)
	switch {
	case failed != nil:
		return challengeFailed(o, p, failed, now)
	case len(stale) > 0:
		return p.withDelete(stale)
	case len(missing) > 0:
		p.Step, p.Create = CreateChallenges, missing
		return p
	case valid == len(wanted):
		return readyToFinalize(o, p, now)
	}
	status.Reason = waitingFor(o.Challenges)
	refresh := o.FetchedAt.Add(orderRefresh)
	if o.FetchedAt.IsZero() {
		refresh = now.Add(orderRefresh)
	}
	if !refresh.After(now) {
		p.Step = Fetch
		return p
	}
	p.Until = refresh
	return p
}

// waitingFor tells what the challenges wait for, if it takes them longer than
// usual, by identifier and in stable words.
func waitingFor(challenges []*acmev1.Challenge) string {
	var reasons []string
	for _, c := range challenges {
		if !ChallengeFinal(c) && c.Status.Reason != "" {
			reasons = append(reasons, fmt.Sprintf("%q: %s", challengeDomain(c), c.Status.Reason))
		}
	}
	slices.Sort(reasons)
	return strings.Join(slices.Compact(reasons), "; ")
}

func challengeDomain(c *acmev1.Challenge) string {
	if c.Spec.Wildcard {
		return "*." + c.Spec.DNSName
	}
	return c.Spec.DNSName
}

// readyToFinalize finalizes without another look at the order: all its
// authorizations are valid, so the server has it ready. One that answers
// orderNotReady has been asked too soon; then its own word counts. So it does
// after a restart: the order may have been finalized already.
func readyToFinalize(o State, plan Plan, now time.Time) Plan {
	if o.Server == nil || (o.Server.Status == acme.StatusPending && o.Polls > 0) {
		return againAfter(o, plan, Fetch, now)
	}
	plan.Step = Finalize
	return plan
}

// challengeFailed ends an order one of whose challenges has failed: the server
// lets no authorization recover (RFC 8555 section 7.1.6).
func challengeFailed(o State, plan Plan, failed *acmev1.Challenge, now time.Time) Plan {
	if failed.Status.State == acmev1.Expired {
		reason := "An authorization has expired at the ACME server"
		if why := failures(o.Challenges); why != "" {
			reason += ": " + why
		}
		return plan.fail(acmev1.Expired, reason, now)
	}
	return plan.fail(failed.Status.State, invalidReason(o), now)
}

// invalidReason says why an order failed, by identifier: from its challenges,
// else from the order itself.
func invalidReason(o State) string {
	reason := failures(o.Challenges)
	if reason == "" && o.Server != nil && o.Server.Error != nil {
		reason = o.Server.Error.Error()
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

// compareChallenges holds the Challenges that exist against those wanted.
func compareChallenges(o State, wanted []acmev1.ChallengeSpec) (missing []acmev1.ChallengeSpec, stale []*acmev1.Challenge, failed *acmev1.Challenge, valid int) {
	matched := make(map[*acmev1.Challenge]bool, len(o.Challenges))
	for _, spec := range wanted {
		found := false
		for _, c := range o.Challenges {
			if !SameChallenge(&c.Spec, &spec) {
				continue
			}
			matched[c], found = true, true
			switch {
			case c.Status.State == acmev1.Valid:
				valid++
			case Failed(c.Status.State) && (failed == nil || failed.Status.State == acmev1.Expired):
				// What went wrong counts before what went away.
				failed = c
			}
			break
		}
		if !found {
			missing = append(missing, spec)
		}
	}
	for _, c := range o.Challenges {
		if !matched[c] && c.DeletionTimestamp == nil {
			stale = append(stale, c)
		}
	}
	return missing, stale, failed, valid
}

// unfinished are the Challenges of a failed order that would still be worked
// on. The failed ones stay, as evidence.
func unfinished(challenges []*acmev1.Challenge) []*acmev1.Challenge {
	var open []*acmev1.Challenge
	for _, c := range challenges {
		if !Failed(c.Status.State) {
			open = append(open, c)
		}
	}
	return open
}

func (p Plan) withDelete(challenges []*acmev1.Challenge) Plan {
	for _, c := range challenges {
		if c.DeletionTimestamp == nil {
			p.Delete = append(p.Delete, c)
		}
	}
	if len(p.Delete) > 0 {
		p.Step, p.Persist = DeleteChallenges, plan.Before
	}
	return p
}

// fail ends the order. The reason also reaches the CertificateRequest.
func (p Plan) fail(state acmev1.State, reason string, now time.Time) Plan {
	p.Step, p.Until = Wait, time.Time{}
	p.Status.State, p.Status.Reason = state, reason
	p.Status.FailureTime = &metav1.Time{Time: now}
	return p
}

// stepFailed is how a reason begins, by step. Tools match on these words.
var stepFailed = map[Step]string{
	Create:    "Failed to create Order: ",
	Fetch:     "Failed to retrieve Order resource: ",
	Authorize: "Failed to fetch authorization: ",
	Finalize:  "Failed to finalize Order: ",
	Download:  "Failed to retrieve signed certificate: ",
}

// StepFailed decides what a failed step means for the Order: it ends, or
// waits with the reason in its status. The second result is how long the
// account as a whole must keep still, zero if it need not.
func StepFailed(o State, step Step, err error, now time.Time) (Plan, time.Time) {
	plan := Plan{Status: *o.Object.Status.DeepCopy()}
	f := acme.Classify(err, now)
	reason := stepFailed[step] + f.Message
	switch {
	case acme.IsGone(err) && step != Create:
		return plan.fail(acmev1.Expired, reason, now), time.Time{}
	case step == Finalize && acme.IsOrderNotReady(err):
		if o.Polls > notReadyPatience {
			plan.Status.Reason = reason
		}
		plan.Step = Fetch
		return plan, time.Time{}
	case acme.IsAccountProblem(err):
		// The issuer registers again; its events wake the Orders.
		plan.Status.Reason = reason
		plan.Until = now.Add(fault.UserRetry)
		return plan, time.Time{}
	case f.Class == fault.Later:
		plan.Status.Reason, plan.Until = reason, f.At
		if acme.IsRateLimited(err) {
			return plan, f.At
		}
		return plan, time.Time{}
	case f.Class == fault.Transient:
		plan.Status.Reason = reason
		return plan, time.Time{}
	default:
		return plan.fail(acmev1.Errored, reason, now), time.Time{}
	}
}
