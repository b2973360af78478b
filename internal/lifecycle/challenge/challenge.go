// Package challenge decides what a Challenge needs next.
package challenge

import (
	"fmt"
	"slices"
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/lifecycle/order"
	"github.com/everleaf/everleaf/internal/plan"
	"github.com/everleaf/everleaf/internal/propagation"
)

// Manager is the field manager of Challenges, and the component of their events.
const Manager = "cert-manager-challenges"

// untrustedRecheck is how often a Challenge is checked again that its Order
// does not call for. Usually the Order deletes it at once.
const untrustedRecheck = time.Minute

// longestValidation is how long after it was presented a challenge that an
// earlier process had validated can have been looked up, if nothing says when.
const longestValidation = 5 * time.Minute

// Plan is what a Challenge needs next.
type Plan = plan.Plan[acmev1.ChallengeStatus]

// Memory is what a process knows of a Challenge and does not store. Without
// it, after a restart, the work is done again from the probe on.
type Memory struct {
	// Presented reports whether this process has asked the solver to present
	// the challenge, CleanedUp whether it has removed it.
	Presented, CleanedUp bool
	// PresentedAt is when the solver had presented it, zero if it has not.
	PresentedAt time.Time
	// How says how the challenge is presented, empty if there is one way only; Unusual
	// reports whether a person should hear of it.
	How     string
	Unusual bool
	// Evidence is what the last probe found; ProbeFailed reports whether a later one
	// could not be made.
	Evidence    propagation.Evidence
	ProbeFailed bool
	// Report is the message of a probe that the status says, ReportedAt is when
	// that probe ended.
	Report     string
	ReportedAt time.Time
	// Cause is what a look at all servers has shown of why the record is not found,
	// empty if nobody has looked yet.
	Cause string
	// AcceptedAt is when the server was last asked to validate, Accepts counts
	// how often it was asked.
	AcceptedAt time.Time
	Accepts    int
	// Skipped is the reason of a Challenge whose server this process has asked although
	// the self-check had not succeeded, empty if it has not.
	Skipped string
	// Unanswered reports whether the server was asked and did not answer: it may
	// be validating.
	Unanswered bool
	// Authorization is the server's, as of CheckedAt. Checks counts how often it
	// was fetched without a change.
	Authorization *acme.Authorization
	CheckedAt     time.Time
	Checks        int
	// Remembered reports whether RememberValidation was done.
	Remembered bool
	// Began reports whether this process has added the finalizer, or has existed
	// before the Challenge: no earlier one can have presented the challenge.
	Began bool
	// Unknown reports whether the last attempt to present got no answer: the
	// challenge may be presented.
	Unknown bool
	// Rewrites counts how often the challenge was presented again because no
	// server had it.
	Rewrites int
	// CleanUps counts the clean-ups that failed.
	CleanUps int
	// NotBefore is until when a server asked to be left alone. Only time ends it.
	NotBefore time.Time
	// Waiting is the reason of the present wait, WaitingSince when it began.
	Waiting      string
	WaitingSince time.Time
}

// Progress is what other Challenges need to know of a Challenge.
type Progress struct {
	// Presented reports whether its value may have been presented, Visible
	// whether it is visible, Accepted whether the server was asked to validate it.
	Presented, Visible, Accepted bool
	// PresentedAt is when this process presented it, or began to, zero if it has not.
	PresentedAt time.Time
}

// Progress returns how far a Challenge is at a time.
func (m Memory) Progress(now time.Time) Progress {
	visible := m.Evidence != nil && !m.Evidence.Verdict(now).VisibleSince.IsZero()
	return Progress{
		Presented: m.Presented && !m.CleanedUp, Visible: visible, Accepted: !m.AcceptedAt.IsZero(), PresentedAt: m.PresentedAt,
	}
}

// Coming reports whether a visible Challenge waits for one that is so far.
func (p Progress) Coming() bool { return !p.Visible && !p.Accepted }

// State is everything that decides what a Challenge needs next.
type State struct {
	// Object is the Challenge; it is not to be changed.
	Object *acmev1.Challenge
	// Untrusted says why the Challenge must not be worked on, or is empty.
	Untrusted string
	// Orphan reports whether no Order controls the Challenge; Untrusted is set
	// too.
	Orphan bool
	// CA is the directory URL of the issuer's ACME server, empty without one.
	CA string
	// OwnSolver reports whether the solver is one of the issuer's.
	OwnSolver bool
	// Account is the issuer's, nil while the issuer is not ready.
	Account *facts.Account
	// Memory is this process's memory of the Challenge.
	Memory Memory
	// Siblings are the other live Challenges that the CA can see together with
	// this one.
	Siblings []Progress
	// Others reports whether there are other live Challenges for the name.
	Others bool
	// Shared reports whether another live Challenge has presented the same value,
	// and removes it.
	Shared bool
	// SharedElsewhere reports whether one has presented it with another solver,
	// which may be at the same server or not.
	SharedElsewhere bool
	// OrderEnded is when the Order failed, zero if it has not or is not known.
	OrderEnded time.Time
	// Slot is the Challenge's share in what limits those of its issuer that are worked
	// on at once, Slots how many of them there are (--max-concurrent-challenges).
	Slot  Slot
	Slots int
	// CheckRetry is --dns01-check-retry-period.
	CheckRetry time.Duration
	// SelfCheck is how long the self-check decides, by the issuer's annotations.
	SelfCheck propagation.Deadline
	// ProviderNotBefore is when the DNS provider takes calls again with the credentials
	// of this Challenge, zero for now: it limits their rate. ProbePolls reports whether
	// a probe asks the provider as well.
	ProviderNotBefore time.Time
	ProbePolls        bool
	// FailuresEnd is when the account may try this name again after failed
	// validations, zero for now.
	FailuresEnd time.Time
}

// asked reports whether the server may have been asked to validate: by this
// process, or by another one that has presented the challenge.
func (m Memory) asked() bool {
	switch {
	case m.Unanswered, !m.AcceptedAt.IsZero():
		return true
	case m.Authorization != nil:
		return m.Authorization.Status != acme.StatusPending
	default:
		return !m.Presented
	}
}

// verified reports whether the server has validated the challenge.
func (m Memory) verified() bool {
	return m.Authorization != nil && m.Authorization.Status == acme.StatusValid
}

// moment is how long a Challenge may wait without a reason in its status: most waits
// end sooner, and each status is a write.
const moment = 2 * time.Second

// Next decides what a Challenge needs next.
func (s State) Next(now time.Time) Plan {
	p := Plan{Status: *s.Object.Status.DeepCopy()}
	if remember := s.Recall(now); remember != nil {
		p.Do = remember
		return p
	}
	p, idle := s.idle(p, now)
	if !idle {
		p = s.work(p, now)
	}
	switch {
	case s.Slot != NoSlot && (idle || pausing(p, now) || s.accepted(p)):
		// Others can use its slot.
		return Plan{Do: ReleaseSlot{}, Status: *s.Object.Status.DeepCopy()}
	case idle || s.Slot == Held || !needsSlot(p.Do):
		return p
	default:
		return s.queue(now)
	}
}

// idle decides what a Challenge needs that is not to be worked on, and reports
// whether it is one.
func (s State) idle(p Plan, now time.Time) (Plan, bool) {
	switch {
	case s.Object.DeletionTimestamp != nil:
		return s.leave(p, now), true
	case order.Final(s.Object.Status.State):
		return s.linger(p, now), true
	case s.Memory.verified():
		return s.validated(p, now), true
	case s.Untrusted != "":
		return s.distrust(p, now), true
	case s.Account == nil:
		// Events of the issuer end the wait for the account.
		ref := s.Object.Spec.IssuerRef.WithDefaults()
		return s.wait(p, fmt.Sprintf("Waiting for the ACME account of %s %q, which is not ready", ref.Kind, ref.Name), time.Time{}, now), true
	case !s.Object.Status.Presented && s.FailuresEnd.After(now):
		return s.waitForFailures(p), true
	case s.Memory.NotBefore.After(now):
		p.Until = s.Memory.NotBefore
		if p.Status.Reason == "" {
			p.Status.Reason = "Waiting because a server asked to be left alone for a while"
		}
		return p, true
	default:
		return p, false
	}
}

// work decides what a Challenge needs that is to be worked on.
func (s State) work(p Plan, now time.Time) Plan {
	switch {
	case !s.Object.Status.Presented:
		return s.present(p, now)
	case s.asked():
		return s.validate(p, now)
	default:
		return s.propagate(p, now)
	}
}

// wait waits until a time, zero for an event. The status gets the reason once
// the wait has lasted a moment.
func (s State) wait(p Plan, reason string, until, now time.Time) Plan {
	return s.waitQuietly(p, reason, moment, until, now)
}

// waitQuietly is wait for a reason that the status gets after a while.
func (s State) waitQuietly(p Plan, reason string, quiet time.Duration, until, now time.Time) Plan {
	reported := s.Memory.WaitingSince.Add(quiet)
	switch {
	case p.Status.Reason == reason:
		p.Until = until
	case s.Memory.Waiting != reason:
		p.Do = NoteWait{Reason: reason}
	case reported.After(now):
		p.Until = plan.Earliest(until, reported)
	default:
		p.Status.Reason, p.Until = reason, until
	}
	return p
}

// ProvenanceDecides reports whether Untrusted and Orphan decide anything. Nothing more is
// done for a challenge that is valid, and its Order may have ended.
func (s State) ProvenanceDecides() bool {
	open := s.Object.DeletionTimestamp == nil && !order.Final(s.Object.Status.State)
	return open && !s.Memory.verified() || s.unremembered()
}

// unremembered reports whether only the stored Challenge shows a validation
// that an earlier process saw. What follows from it needs no account: when the
// first account is ready, the CA can be asked at once about other names.
func (s State) unremembered() bool {
	return !s.Memory.Remembered && !s.Memory.Presented && s.CA != "" &&
		order.Final(s.Object.Status.State) && s.Object.Status.PresentedAt != nil
}

// Recall returns the action for a validation that an earlier process saw, nil if
// there is none. It ended, at the latest, when the Order failed.
func (s State) Recall(now time.Time) plan.Action {
	if !s.unremembered() || s.Untrusted != "" {
		return nil
	}
	presented := s.Object.Status.PresentedAt.Time
	if presented.After(now) {
		presented = now
	}
	ended := s.OrderEnded
	if ended.Before(presented) {
		ended = presented.Add(longestValidation)
	}
	if ended.After(now) {
		ended = now
	}
	return RememberValidation{PresentedAt: presented, EndedAt: ended, Failed: s.Object.Status.State == acmev1.Invalid}
}

// distrust ends a Challenge without an Order. Another one is its Order's
// business, which deletes what it does not call for.
func (s State) distrust(p Plan, now time.Time) Plan {
	if s.Orphan {
		return end(p, acmev1.Errored, s.Untrusted)
	}
	return s.wait(p, s.Untrusted, now.Add(untrustedRecheck), now)
}

// waitForFailures waits until fewer validations of the name count as failed.
func (s State) waitForFailures(p Plan) Plan {
	p.Status.State = acmev1.Pending
	p.Status.Reason = fmt.Sprintf("Waiting before %q is tried again: its validation has failed too often within an hour", s.Object.Spec.DNSName)
	p.Until = s.FailuresEnd
	return p
}

// end gives a Challenge its final state.
func end(p Plan, state acmev1.State, reason string) Plan {
	p.Status.State, p.Status.Reason, p.Status.Processing = state, reason, false
	return p
}

// HasFinalizer reports whether a Challenge is kept for its clean-up.
func HasFinalizer(c *acmev1.Challenge) bool {
	return slices.ContainsFunc(c.Finalizers, isFinalizer)
}

// isFinalizer reports whether a finalizer is ours, by its present name
// or its older one.
func isFinalizer(f string) bool {
	return f == acmev1.ACMEFinalizer || f == acmev1.ACMELegacyFinalizer
}

// WithoutFinalizers returns finalizers except ours.
func WithoutFinalizers(finalizers []string) []string {
	return slices.DeleteFunc(slices.Clone(finalizers), isFinalizer)
}
