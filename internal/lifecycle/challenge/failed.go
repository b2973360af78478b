package challenge

import (
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/plan"
	"github.com/everleaf/everleaf/internal/propagation"
)

// Failed decides what the failure of an action means.
func (s State) Failed(f plan.Failure, now time.Time) Plan {
	p := Plan{Status: *s.Object.Status.DeepCopy()}
	switch f.Action.(type) {
	case Present:
		if p.Status.State == "" {
			// Clients know a challenge that is being worked on by this state.
			p.Status.State = acmev1.Pending
		}
		return s.solverFailed(p, f, acmev1.EventReasonPresentError, "Error presenting challenge: ", s.presentBackoff(), now)
	case CleanUp:
		// Other steps may have failed before it.
		f.Attempts = max(s.Memory.CleanUps-1, 0)
		return s.solverFailed(p, f, acmev1.EventReasonCleanUpError, cleanUpFailed, cleanUpBackoff, now)
	case Probe:
		p = s.hold(p, f, s.propagationReason(fault.Of(f.Err).Message)+s.lateness(now), s.probeBackoff(), now)
		p.Until = plan.Earliest(p.Until, s.nextDeadline(now))
		return p
	case Accept:
		return s.serverFailed(p, f, "Error accepting challenge: ", now)
	case FetchAuthorization:
		return s.serverFailed(p, f, "Error accepting authorization: ", now)
	default:
		p.Until = plan.Retry(f.Err, f.Attempts, plan.APIServer, now)
		return s.release(p)
	}
}

// cleanUpFailed is how the reason begins after a clean-up that failed.
const cleanUpFailed = "Error cleaning up challenge: "

// The waits after failures. Present has plan.Server for DNS-01: a provider may limit
// how often it is asked. The others cost little, and a certificate waits for them.
var (
	objectsBackoff = plan.Backoff{Min: 5 * time.Second, Max: 2 * time.Minute}
	cleanUpBackoff = plan.Backoff{Min: 5 * time.Second, Max: time.Minute}
	askBackoff     = plan.Backoff{Min: 5 * time.Second, Max: 2 * time.Minute}
)

// presentBackoff is the wait after a challenge could not be presented. For HTTP-01 that
// asks the API server alone, and nothing tells when the cause is gone.
func (s State) presentBackoff() plan.Backoff {
	if s.Object.Spec.Type == acmev1.ACMEChallengeTypeHTTP01 {
		return objectsBackoff
	}
	return plan.Server
}

// probeBackoff is the wait after a probe that could not be made, which is no
// longer than that after one that has found nothing.
func (s State) probeBackoff() plan.Backoff {
	return plan.Backoff{Min: min(plan.Server.Min, s.checkRetry()), Max: s.checkRetry()}
}

func (s State) checkRetry() time.Duration {
	if s.CheckRetry > 0 {
		return s.CheckRetry
	}
	return propagation.DefaultRetry
}

func (s State) solverFailed(p Plan, f plan.Failure, reason, prefix string, backoff plan.Backoff, now time.Time) Plan {
	message := prefix + fault.Of(f.Err).Message
	p.Events = []plan.Event{{Warning: true, Reason: reason, Message: message, Component: Manager}}
	return s.hold(p, f, message, backoff, now)
}

// hold tries again later, for a reason, and leaves the slot to others until then.
func (s State) hold(p Plan, f plan.Failure, reason string, backoff plan.Backoff, now time.Time) Plan {
	again := retried(f.Err)
	at, end := plan.Retry(again, f.Attempts, backoff, now), s.cleanUpEnd()
	p.Status.Reason = reason
	if end.IsZero() || at.Before(end) {
		p.Status.Reason = plan.WithNextTry(reason, again, backoff, now)
	}
	p.Until, p.Hold = plan.Earliest(at, end), true
	return s.release(p)
}

// release leaves the slot to others while a plan waits.
func (s State) release(p Plan) Plan {
	if s.Slot != NoSlot {
		p.Do, p.Persist = ReleaseSlot{}, plan.Before
	}
	return p
}

// retried is a failure that is retried after the back-off also where a user must
// act: a fix at the name server, or of the account, sends no event.
func retried(err error) error {
	again := *fault.Of(err)
	if again.Class != fault.Later {
		again.Class = fault.Transient
	}
	return &again
}

func (s State) serverFailed(p Plan, f plan.Failure, prefix string, now time.Time) Plan {
	p = s.refused(p, f, prefix, now)
	if acme.IsAccountProblem(f.Err) {
		// The wait for the account takes the place of the back-off.
		p.Do, p.Persist = SuspectAccount{Began: f.Began, Cause: fault.Of(f.Err).Message}, plan.Before
		p.Until, p.Hold = time.Time{}, false
		p.Status.Reason = prefix + fault.Of(f.Err).Message
	}
	return p
}

func (s State) refused(p Plan, f plan.Failure, prefix string, now time.Time) Plan {
	classified := fault.Of(f.Err)
	reason := prefix + classified.Message
	_, accepting := f.Action.(Accept)
	problem := acme.ProblemOf(f.Err)
	switch {
	case acme.IsGone(f.Err), accepting && problem != nil && problem.Has(acme.TypeMalformed):
		// A challenge that is no longer pending is refused as malformed: an
		// earlier answer was lost, and a new order finds out how it ended.
		return end(p, acmev1.Expired, reason)
	case classified.Class == fault.Later, classified.Class == fault.Transient, acme.IsAccountProblem(f.Err):
		return s.hold(p, f, reason, askBackoff, now)
	default:
		p.Events = []plan.Event{validationFailed(reason)}
		return end(p, acmev1.Errored, reason)
	}
}

// statusConflict is the HTTP status code of a conflict.
const statusConflict = 409

// AlreadyAccepted reports whether a server that refused to be asked for a
// validation is validating already: an earlier request's answer was lost, or
// another process made it.
func AlreadyAccepted(err error) bool {
	problem := acme.ProblemOf(err)
	return problem != nil && (problem.Has(acme.TypeConflict) || problem.Status == statusConflict)
}
