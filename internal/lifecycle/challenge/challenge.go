// Package challenge decides what a Challenge needs next.
package challenge

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/lifecycle/order"
	"github.com/everleaf/everleaf/internal/plan"
	"github.com/everleaf/everleaf/internal/propagation"
)

const componentChallenges = "cert-manager-challenges"

const (
	// abandonCleanUp is how long a deleted Challenge is kept for its clean-up;
	// after that its namespace matters more than its record.
	abandonCleanUp = 10 * time.Minute
	// abandonAttempt is the same for a record that was never seen to be
	// written: where it could not be written, it cannot be removed either.
	abandonAttempt = 30 * time.Second
	// lingering is how long a valid Challenge keeps its record while its Order
	// is busy with other names. Usually the Order ends first and deletes it,
	// which saves a write.
	lingering = 30 * time.Second
	// siblingPatience is how long a visible value waits for other values of
	// the same name that are still being presented.
	siblingPatience = 10 * time.Second
	// firstCheck is how long a server that validates at once needs for it.
	firstCheck = 100 * time.Millisecond
	// untrustedRecheck is how often a Challenge that its Order does not call for
	// is looked at again; usually the Order deletes it at once.
	untrustedRecheck = time.Minute
	// validationPatience is how long the server may take to validate before
	// its answer is looked at less often.
	validationPatience = 2 * time.Minute
)

// Step is what a Challenge needs next.
type Step string

// The steps of a Challenge.
const (
	Wait         Step = ""
	AddFinalizer Step = "add the finalizer"
	Present      Step = "present the record"
	Probe        Step = "probe the record"
	Accept       Step = "ask the server to validate"
	Check        Step = "fetch the authorization"
	CleanUp      Step = "remove the record"
	Release      Step = "remove the finalizer"
)

// Memory is what a process knows of a Challenge and does not store. Without
// it, after a restart, the work is done again from the probe on.
type Memory struct {
	// Presented says that this process has presented the record, CleanedUp
	// that it has removed it.
	Presented, CleanedUp bool
	// Report is the last probe's evidence, made at ProbedAt, and Entry what the
	// ledger had to add to it then.
	Report   *propagation.Report
	Entry    propagation.LedgerEntry
	ProbedAt time.Time
	// AcceptedAt is when the server was asked to validate.
	AcceptedAt time.Time
	// Unanswered says that it was asked and no answer came: it may be at it.
	Unanswered bool
	// Authorization is the server's, as of CheckedAt; Checks counts the looks.
	Authorization *acme.Authorization
	CheckedAt     time.Time
	Checks        int
	// RetryAt holds back the next try after a failed step.
	RetryAt time.Time
	// EndedAt is when this process saw the challenge become valid.
	EndedAt time.Time
}

// State is everything that decides what a Challenge needs next.
type State struct {
	// Object is the Challenge; it is not to be changed.
	Object *acmev1.Challenge
	// Untrusted says why the Challenge must not be worked on, or is empty.
	Untrusted string
	// Orphan says that no Order controls the Challenge; Untrusted is set too.
	Orphan bool
	// OwnSolver says that the solver is one of the issuer's.
	OwnSolver bool
	// Account is the issuer's, nil while the issuer is not ready.
	Account *facts.Account
	// Memory is this process's memory of the Challenge.
	Memory Memory
	// Siblings are the memories of other live Challenges for the same name.
	Siblings []Memory
	// Slot says that the Challenge may be in flight: there are not too many.
	Slot bool
	// Propagation is how the evidence of probes is judged.
	Propagation propagation.Policy
	// TooManyFailures is when the account may try this name again after failed
	// validations, zero for now.
	TooManyFailures time.Time
}

// Plan is what a Challenge needs next.
type Plan struct {
	Step    Step
	Status  acmev1.ChallengeStatus
	Persist plan.Persist
	Events  []plan.Event
	Until   time.Time
	// Abandoned says that a record is left behind: its clean-up failed too long.
	Abandoned bool
}

// Next decides what a Challenge needs next.
func Next(c State, now time.Time) Plan {
	plan := Plan{Status: *c.Object.Status.DeepCopy()}
	if c.Memory.RetryAt.After(now) && c.Object.DeletionTimestamp == nil {
		plan.Until = c.Memory.RetryAt
		return plan
	}
	if c.Object.DeletionTimestamp != nil {
		return plan.leave(c, now)
	}
	if order.Final(plan.Status.State) {
		if end := c.Memory.EndedAt.Add(lingering); plan.Status.State == acmev1.Valid && !c.Memory.EndedAt.IsZero() && end.After(now) {
			plan.Until = end
			return plan
		}
		return plan.leave(c, now)
	}
	if c.Untrusted != "" {
		if c.Orphan {
			return plan.end(acmev1.Errored, c.Untrusted)
		}
		// Its Order decides: it deletes what it does not call for.
		plan.Until = now.Add(untrustedRecheck)
		return plan
	}
	if c.Account == nil {
		return plan
	}
	if !plan.Status.Presented && c.TooManyFailures.After(now) {
		// It waits without a slot, which others can use.
		plan.Status.State = acmev1.Pending
		plan.Status.Reason = fmt.Sprintf("Waiting before %q is tried again: its validation has failed too often within an hour", c.Object.Spec.DNSName)
		plan.Until = c.TooManyFailures
		return plan
	}
	if !c.Slot {
		return plan
	}
	if !plan.Status.Presented {
		return plan.present(c)
	}
	if c.Memory.Unanswered {
		plan.Step = Check
		return plan
	}
	if !c.Memory.Presented && c.Memory.Authorization == nil {
		// Another process has presented it, and may have asked for validation.
		plan.Step = Check
		return plan
	}
	if !c.Memory.AcceptedAt.IsZero() || (c.Memory.Authorization != nil && c.Memory.Authorization.Status != acme.StatusPending) {
		return plan.awaitValidation(c, now)
	}
	return plan.awaitPropagation(c, now)
}

// leave cleans up and lets the object go.
func (p Plan) leave(c State, now time.Time) Plan {
	if !HasFinalizer(c.Object) {
		return p
	}
	deleted := c.Object.DeletionTimestamp
	presented := c.Object.Status.Presented
	touched := (presented || c.Memory.Presented) && !c.Memory.CleanedUp
	patience := abandonAttempt
	if presented {
		patience = abandonCleanUp
	}
	switch {
	case !touched:
		if p.Status.Presented && deleted == nil {
			p.Status.Presented, p.Status.Processing = false, false
			p.Persist = plan.Before
		}
		p.Step = Release
	case !c.Memory.Presented && !c.OwnSolver:
		// Its spec is all that tells with which credentials to remove what.
		p.Step, p.Abandoned = Release, true
	case deleted != nil && now.Sub(deleted.Time) >= patience:
		p.Step, p.Abandoned = Release, presented
	case c.Memory.RetryAt.After(now):
		p.Until = c.Memory.RetryAt
		if deleted != nil {
			p.Until = plan.Earliest(p.Until, deleted.Add(patience))
		}
	default:
		p.Step = CleanUp
	}
	return p
}

// HasFinalizer reports whether a Challenge is kept for its clean-up.
func HasFinalizer(c *acmev1.Challenge) bool {
	return slices.ContainsFunc(c.Finalizers, IsFinalizer)
}

// IsFinalizer reports whether a finalizer is ours, by its present name
// or its older one.
func IsFinalizer(f string) bool {
	return f == acmev1.ACMEFinalizer || f == acmev1.ACMELegacyFinalizer
}

func (p Plan) present(c State) Plan {
	p.Step = Present
	if !HasFinalizer(c.Object) {
		p.Step = AddFinalizer
	}
	return p
}

// Presented is the plan after the record has been written.
func Presented(c State, now time.Time) Plan {
	p := Plan{Status: *c.Object.Status.DeepCopy(), Persist: plan.Before}
	p.Status.State, p.Status.Reason = acmev1.Pending, ""
	p.Status.Presented, p.Status.Processing = true, true
	p.Status.PresentedAt = &metav1.Time{Time: now}
	p.Events = []plan.Event{{
		Reason: "Presented", Component: componentChallenges,
		Message: fmt.Sprintf("Presented challenge using %s challenge mechanism", c.Object.Spec.Type),
	}}
	return p
}

// awaitPropagation probes until the record is where the CA will look for it.
func (p Plan) awaitPropagation(c State, now time.Time) Plan {
	if wait := c.Object.Spec.Solver.WaitInsteadOfSelfCheck; wait != nil {
		return p.waitInstead(c, wait.Duration, now)
	}
	s := c.Memory
	if s.Report == nil {
		p.Step = Probe
		return p
	}
	verdict := propagation.Judge(*s.Report, s.Entry, c.Propagation, s.ProbedAt)
	if verdict.State == propagation.Accept {
		return p.accept(c, now)
	}
	if !verdict.Until.After(now) {
		p.Step = Probe
		return p
	}
	// The first probe comes right after the update; a record that is a second
	// late is no news.
	if s.Entry.Probes > 1 || verdict.Until.Sub(s.ProbedAt) > time.Second {
		p.Status.Reason = fmt.Sprintf("Waiting for %s challenge propagation: %s", c.Object.Spec.Type, verdict.Message)
	}
	p.Until = verdict.Until
	return p
}

func (p Plan) waitInstead(c State, wait time.Duration, now time.Time) Plan {
	ready := now
	if c.Object.Status.PresentedAt != nil {
		ready = c.Object.Status.PresentedAt.Add(wait)
	}
	if ready.After(now) {
		p.Status.Reason = fmt.Sprintf("Waiting %s before accepting %s challenge without self-check", wait, c.Object.Spec.Type)
		p.Until = ready
		return p
	}
	p.Step = Accept
	return p
}

// accept asks the server to validate, unless another value of the same name is
// about to be seen: the CA's resolver caches all values of a name together, so
// one that comes later would have to wait until the others are forgotten.
func (p Plan) accept(c State, now time.Time) Plan {
	patience := c.Memory.Entry.VisibleSince.Add(siblingPatience)
	if patience.After(now) {
		for _, s := range c.Siblings {
			if s.Entry.VisibleSince.IsZero() && s.AcceptedAt.IsZero() {
				p.Until = patience
				return p
			}
		}
	}
	p.Step = Accept
	return p
}

// awaitValidation looks at the authorization until the server has decided.
func (p Plan) awaitValidation(c State, now time.Time) Plan {
	s := c.Memory
	if s.Authorization == nil || s.CheckedAt.Before(s.AcceptedAt) {
		return p.checkAt(s.AcceptedAt.Add(firstCheck), now)
	}
	switch a := s.Authorization; a.Status {
	case acme.StatusValid:
		p.Events = append(p.Events, plan.Event{
			Reason: "DomainVerified", Component: componentChallenges,
			Message: fmt.Sprintf("Domain %q verified with %q validation", c.Object.Spec.DNSName, c.Object.Spec.Type),
		})
		return p.end(acmev1.Valid, "Successfully authorized domain")
	case acme.StatusInvalid:
		reason := "Error accepting authorization: acme: authorization error for " + c.Object.Spec.DNSName
		if problem := validationError(a, c.Object.Spec.URL); problem != nil {
			reason += ": " + problem.Error()
		}
		p.Events = append(p.Events, plan.Event{
			Warning: true, Reason: "Failed", Component: componentChallenges,
			Message: "Accepting challenge authorization failed: " + reason,
		})
		return p.end(acmev1.Invalid, reason)
	case acme.StatusExpired, acme.StatusDeactivated, acme.StatusRevoked:
		return p.end(acmev1.Expired, fmt.Sprintf("The authorization for %q is %s at the ACME server", c.Object.Spec.DNSName, a.Status))
	}
	next := s.CheckedAt.Add(order.PollDelay(s.Checks))
	if now.Sub(s.AcceptedAt) > validationPatience {
		next = s.CheckedAt.Add(max(c.Propagation.Retry, 5*time.Second))
		p.Status.Reason = "Waiting for the ACME server to validate: it was asked and has not decided yet"
	}
	return p.checkAt(next, now)
}

// validationError is what the server found wrong with a challenge.
func validationError(a *acme.Authorization, url string) *acme.Problem {
	for _, ch := range a.Challenges {
		if ch.URL == url {
			return ch.Error
		}
	}
	return nil
}

func (p Plan) checkAt(at, now time.Time) Plan {
	if at.After(now) {
		p.Until = at
	} else {
		p.Step = Check
	}
	return p
}

func (p Plan) end(state acmev1.State, reason string) Plan {
	p.Step, p.Persist, p.Until = Wait, plan.AtEnd, time.Time{}
	p.Status.State, p.Status.Reason, p.Status.Processing = state, reason, false
	return p
}

// StepFailed decides what a failed step means. The time is when to
// try again; zero leaves it to the caller's back-off.
func StepFailed(c State, step Step, err error, now time.Time) Plan {
	p := Plan{Status: *c.Object.Status.DeepCopy()}
	switch step {
	case Accept, Check:
		return p.serverFailed(step, err, now)
	case Present:
		return p.providerFailed("PresentError", "Error presenting challenge: ", err)
	case CleanUp:
		return p.providerFailed("CleanUpError", "Error cleaning up challenge: ", err)
	default:
		f := fault.Of(err)
		p.Status.Reason = fmt.Sprintf("Waiting for %s challenge propagation: %s", c.Object.Spec.Type, f.Message)
		p.Until = f.At
		return p
	}
}

// providerFailed leaves it to the back-off to try again, also where a user must
// act: what is wrong may be mended at the name server, of which no event tells.
func (p Plan) providerFailed(reason, prefix string, err error) Plan {
	f := fault.Of(err)
	p.Status.Reason = prefix + f.Message
	p.Events = []plan.Event{{Warning: true, Reason: reason, Message: prefix + f.Message, Component: componentChallenges}}
	p.Until = f.At
	return p
}

func (p Plan) serverFailed(step Step, err error, now time.Time) Plan {
	f := acme.Classify(err, now)
	prefix := "Error accepting challenge: "
	if step == Check {
		prefix = "Error accepting authorization: "
	}
	reason := prefix + f.Message
	switch {
	case acme.IsGone(err), step == Accept && acme.ProblemOf(err) != nil && acme.ProblemOf(err).Has(acme.TypeMalformed):
		// A challenge that is no longer pending is refused as malformed: an
		// earlier answer was lost, and a new order finds out how it ended.
		return p.end(acmev1.Expired, reason)
	case f.Class == fault.Later:
		p.Status.Reason, p.Until = reason, f.At
		return p
	case f.Class == fault.Transient || acme.IsAccountProblem(err):
		p.Status.Reason = reason
		return p
	}
	p.Events = []plan.Event{{Warning: true, Reason: "Failed", Message: "Accepting challenge authorization failed: " + reason, Component: componentChallenges}}
	return p.end(acmev1.Errored, reason)
}

// BeingValidated reports whether the server works on a challenge.
func BeingValidated(a *acme.Authorization, url string) bool {
	for _, ch := range a.Challenges {
		if ch.URL == url {
			return ch.Status == acme.StatusProcessing
		}
	}
	return false
}

// WithoutFinalizers returns finalizers except ours.
func WithoutFinalizers(finalizers []string) []string {
	return slices.DeleteFunc(slices.Clone(finalizers), IsFinalizer)
}
