package lifecycle

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/fault"
)

const componentOrders = "cert-manager-orders"

// notReadyPatience is how many times in a row an order may be called ready and
// yet not be finalized before that is worth telling.
const notReadyPatience = 2

// orderRefresh is how often an Order that waits for its challenges is compared
// with the server's: an order that has expired there must not wait for ever.
const orderRefresh = time.Hour

// OrderStep is what an Order needs next.
type OrderStep string

// The steps of an Order.
const (
	OrderWait             OrderStep = ""
	OrderCreate           OrderStep = "create the order at the server"
	OrderFetch            OrderStep = "fetch the order"
	OrderAuthorize        OrderStep = "fetch the authorizations"
	OrderCreateChallenges OrderStep = "create Challenges"
	OrderDeleteChallenges OrderStep = "delete Challenges"
	OrderFinalize         OrderStep = "finalize the order"
	OrderDownload         OrderStep = "download the certificate"
)

// Order is everything that decides what an Order needs next.
type Order struct {
	// Object is the Order; it is not to be changed.
	Object *acmev1.Order
	// Request is the CertificateRequest that controls the Order, or nil.
	Request *cmv1.CertificateRequest
	// Account is the issuer's, nil while the issuer is not ready.
	Account *Account
	// Challenges are those that the Order controls.
	Challenges []*acmev1.Challenge
	// First is the name of an older, unfinished Order of the same account for
	// the same identifiers and profile. Servers such as Boulder answer both
	// with one order, so they run one at a time.
	First string
	// Server is the order as the server last told it, nil after a restart.
	Server *acme.Order
	// FetchedAt is when Server was told; Polls counts the looks at it since it
	// began to be processed.
	FetchedAt time.Time
	Polls     int
	// RetryAt is when the server wants to be asked again, zero for now.
	RetryAt time.Time
}

// Account is an issuer's account at an ACME server.
type Account struct {
	// Issuer is the ACME part of the issuer's spec.
	Issuer *acmev1.ACMEIssuer
	// Thumbprint of the account key (RFC 7638), base64url.
	Thumbprint string
	// Gate is when the server allows the next new order, zero for now.
	Gate time.Time
}

// OrderPlan is what an Order needs next.
type OrderPlan struct {
	Step    OrderStep
	Status  acmev1.OrderStatus
	Persist Persist
	// Create are the Challenges to create, Delete those to delete.
	Create []acmev1.ChallengeSpec
	Delete []*acmev1.Challenge
	Events []Event
	// Until is when to look again if nothing happens before, zero for never.
	Until time.Time
}

// OrderFailed reports whether an Order has ended without a certificate.
func OrderFailed(s acmev1.State) bool {
	return s == acmev1.Invalid || s == acmev1.Expired || s == acmev1.Errored
}

// OrderDone reports whether an Order needs its Challenges no more.
func OrderDone(o *acmev1.Order) bool {
	return o.DeletionTimestamp != nil || final(o.Status.State)
}

// NextOrder decides what an Order needs next.
func NextOrder(o Order, now time.Time) OrderPlan {
	plan := OrderPlan{Status: *o.Object.Status.DeepCopy()}
	status := &plan.Status
	switch {
	case o.Object.DeletionTimestamp != nil:
		return plan
	case OrderFailed(status.State):
		return plan.withDelete(unfinished(o.Challenges))
	case status.State == acmev1.Valid && len(status.Certificate) > 0:
		return plan.withDelete(o.Challenges)
	}
	if why := OrderProvenance(o.Object, o.Request); why != "" {
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
		if o.First != "" {
			return plan
		}
		if o.Account.Gate.After(now) {
			plan.Until = o.Account.Gate
			return plan
		}
		plan.Step = OrderCreate
		return plan
	}
	if o.Server != nil {
		if done, ok := settled(o, plan, now); ok {
			return done
		}
	} else if status.State == acmev1.Valid || status.State == acmev1.Ready || status.State == acmev1.Processing {
		// Another controller was further than its Challenges tell.
		plan.Step = OrderFetch
		return plan
	}
	return authorize(o, plan, now)
}

// settled decides by the state that the server gave, if that is enough.
func settled(o Order, plan OrderPlan, now time.Time) (OrderPlan, bool) {
	switch o.Server.Status {
	case acme.StatusInvalid:
		return plan.fail(acmev1.Invalid, invalidReason(o), now), true
	case acme.StatusExpired:
		return plan.fail(acmev1.Expired, "The order has expired at the ACME server", now), true
	case acme.StatusProcessing:
		at := o.Server.RetryAfter
		if at.IsZero() {
			at = o.FetchedAt.Add(pollDelay(o.Polls))
		} else if least := o.FetchedAt.Add(pollDelay(0)); at.Before(least) {
			at = least
		}
		if at.After(now) {
			plan.Until = at
			return plan, true
		}
		plan.Step = OrderFetch
		return plan, true
	case acme.StatusValid:
		plan.Step = OrderDownload
		return plan, true
	case acme.StatusReady:
		return againAfter(o, plan, OrderFinalize, now), true
	default:
		return plan, false
	}
}

// pollDelay is the wait between two looks at something that the server works
// on and for which it gave no Retry-After: 0.25 s, doubled up to 5 s.
func pollDelay(polls int) time.Duration {
	return min(250*time.Millisecond<<min(polls, 5), 5*time.Second)
}

// againAfter takes a step, but not at once if the server's last answer was the
// same as before: it does not say the same of its order in all places yet.
func againAfter(o Order, plan OrderPlan, step OrderStep, now time.Time) OrderPlan {
	if at := o.FetchedAt.Add(pollDelay(o.Polls)); o.Polls > 0 && at.After(now) {
		plan.Until = at
		return plan
	}
	plan.Step = step
	return plan
}

// authorize decides what a pending order needs: authorizations, challenges, or
// the request to finalize.
func authorize(o Order, plan OrderPlan, now time.Time) OrderPlan {
	status := &plan.Status
	if len(status.Authorizations) == 0 || status.FinalizeURL == "" {
		return againAfter(o, plan, OrderFetch, now)
	}
	for _, a := range status.Authorizations {
		if a.Identifier == "" {
			plan.Step = OrderAuthorize
			return plan
		}
	}
	wanted, why := WantedChallenges(o.Object, o.Account)
	if why != "" {
		plan.Events = append(plan.Events, Event{
			Warning: true, Reason: "Solver", Component: componentOrders,
			Message: "Failed to determine a valid solver configuration for the set of domains on the Order: " + why,
		})
		return plan.fail(acmev1.Errored, "Failed to determine a valid solver configuration for the set of domains on the Order: "+why, now)
	}
	missing, stale, failed, valid := compareChallenges(o, wanted)
	switch {
	case failed != nil:
		return challengeFailed(o, plan, failed, now)
	case len(stale) > 0:
		return plan.withDelete(stale)
	case len(missing) > 0:
		plan.Step, plan.Create = OrderCreateChallenges, missing
		return plan
	case valid == len(wanted):
		return readyToFinalize(o, plan, now)
	}
	status.Reason = waitingFor(o.Challenges)
	refresh := o.FetchedAt.Add(orderRefresh)
	if o.FetchedAt.IsZero() {
		refresh = now.Add(orderRefresh)
	}
	if !refresh.After(now) {
		plan.Step = OrderFetch
		return plan
	}
	plan.Until = refresh
	return plan
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
func readyToFinalize(o Order, plan OrderPlan, now time.Time) OrderPlan {
	if o.Server == nil || (o.Server.Status == acme.StatusPending && o.Polls > 0) {
		return againAfter(o, plan, OrderFetch, now)
	}
	plan.Step = OrderFinalize
	return plan
}

// challengeFailed ends an order one of whose challenges has failed: the server
// lets no authorization recover (RFC 8555 section 7.1.6).
func challengeFailed(o Order, plan OrderPlan, failed *acmev1.Challenge, now time.Time) OrderPlan {
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
func invalidReason(o Order) string {
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
		if OrderFailed(c.Status.State) && c.Status.Reason != "" {
			reasons = append(reasons, c.Status.Reason)
		}
	}
	slices.Sort(reasons)
	return strings.Join(slices.Compact(reasons), "; ")
}

// compareChallenges holds the Challenges that exist against those wanted.
func compareChallenges(o Order, wanted []acmev1.ChallengeSpec) (missing []acmev1.ChallengeSpec, stale []*acmev1.Challenge, failed *acmev1.Challenge, valid int) {
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
			case OrderFailed(c.Status.State) && (failed == nil || failed.Status.State == acmev1.Expired):
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
		if !OrderFailed(c.Status.State) {
			open = append(open, c)
		}
	}
	return open
}

func (p OrderPlan) withDelete(challenges []*acmev1.Challenge) OrderPlan {
	for _, c := range challenges {
		if c.DeletionTimestamp == nil {
			p.Delete = append(p.Delete, c)
		}
	}
	if len(p.Delete) > 0 {
		p.Step, p.Persist = OrderDeleteChallenges, Before
	}
	return p
}

// fail ends the order. Certificate requests in vain are told why.
func (p OrderPlan) fail(state acmev1.State, reason string, now time.Time) OrderPlan {
	p.Step, p.Until = OrderWait, time.Time{}
	p.Status.State, p.Status.Reason = state, reason
	p.Status.FailureTime = &metav1.Time{Time: now}
	return p
}

// orderStepFailed is how a reason begins, by step. Tools match on these words.
var orderStepFailed = map[OrderStep]string{
	OrderCreate:    "Failed to create Order: ",
	OrderFetch:     "Failed to retrieve Order resource: ",
	OrderAuthorize: "Failed to fetch authorization: ",
	OrderFinalize:  "Failed to finalize Order: ",
	OrderDownload:  "Failed to retrieve signed certificate: ",
}

// OrderStepFailed decides what a failed step means for the Order: it ends, or
// waits with the reason in its status. The second result is how long the
// account as a whole must keep still, zero if it need not.
func OrderStepFailed(o Order, step OrderStep, err error, now time.Time) (OrderPlan, time.Time) {
	plan := OrderPlan{Status: *o.Object.Status.DeepCopy()}
	f := acme.Classify(err, now)
	reason := orderStepFailed[step] + f.Message
	switch {
	case acme.IsGone(err) && step != OrderCreate:
		return plan.fail(acmev1.Expired, reason, now), time.Time{}
	case step == OrderFinalize && acme.IsOrderNotReady(err):
		if o.Polls > notReadyPatience {
			plan.Status.Reason = reason
		}
		plan.Step = OrderFetch
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
