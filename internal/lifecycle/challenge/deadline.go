package challenge

import (
	"fmt"
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/plan"
	"github.com/everleaf/everleaf/internal/propagation"
)

// Annotations on an Issuer or ClusterIssuer that say what its Challenges do if the
// self-check does not succeed. OnDeadlineAnnotation is OnDeadlineWait, the default, or
// OnDeadlineAskCA.
const (
	DeadlineAnnotation   = "everleaf.io/self-check-deadline"
	OnDeadlineAnnotation = "everleaf.io/self-check-on-deadline"

	OnDeadlineWait  = "wait"
	OnDeadlineAskCA = "ask-ca"
)

// ReasonSelfCheckSkipped is the reason of the event for a Challenge whose CA is asked
// although the self-check has not succeeded.
const ReasonSelfCheckSkipped = "SelfCheckSkipped"

// skipped begins the reason of a Challenge whose CA was asked in spite of the
// self-check.
const skipped = "Asked the ACME server to validate although the self-check has not succeeded"

// presentedAt is the stored time since when the challenge is presented. One that cannot
// be, or that an earlier program did not store, is that of the object.
func (s State) presentedAt(now time.Time) time.Time {
	if at := s.Object.Status.PresentedAt; at != nil && !at.After(now) {
		return at.Time
	}
	return s.Object.CreationTimestamp.Time
}

// deadline is when the self-check no longer decides alone, zero for never.
func (s State) deadline(now time.Time) time.Time { return s.SelfCheck.At(s.presentedAt(now)) }

// late reports whether that time is over.
func (s State) late(now time.Time) bool { return s.SelfCheck.Passed(s.presentedAt(now), now) }

// mayAskAnyway reports whether the server can be asked in spite of the self-check.
func (s State) mayAskAnyway(now time.Time) bool {
	return s.SelfCheck.AskCA && s.late(now) && !s.FailuresEnd.After(now)
}

// AskedAnyway reports whether this or an earlier process has asked the server in spite
// of the self-check, so that it is not asked again. The reason of a status changes with
// each wait and failure; its state processing, which no other wait has, tells a later
// process. A server that an earlier program has asked, which stores that state too, is
// not asked in spite of the self-check either.
func (s State) AskedAnyway() bool {
	return s.Memory.Skipped != "" || s.SelfCheck.AskCA && s.Object.Status.State == acmev1.Processing
}

// asked reports whether the server may have been asked to validate.
func (s State) asked() bool { return s.Memory.asked() || s.AskedAnyway() }

// askAnyway asks the server although the self-check has not succeeded. report is what
// it has found, empty if it could not be made. The status says so afterwards: a plan
// that finds no place at the server has asked nobody. If the process ends between the
// two, the next one fetches the authorization first, and asks a second time only if the
// server shows nothing of the first: a Challenge that nobody has asked for, and that
// says so, would be stuck.
func (s State) askAnyway(p Plan, report string) Plan {
	if report == "" {
		report = "the check could not be made"
	}
	reason := fmt.Sprintf("%s within %s (%s: %s): %s", skipped, s.SelfCheck.After, OnDeadlineAnnotation, OnDeadlineAskCA, report)
	p.Events = []plan.Event{{Warning: true, Reason: ReasonSelfCheckSkipped, Component: Manager, Message: reason}}
	p.Do = Accept{URL: s.Object.Spec.URL, Skipped: reason}
	return p
}

// noteSkipped stores that the server was asked in spite of the self-check.
func (s State) noteSkipped(p Plan) Plan {
	p.Persist = plan.Regardless
	p.Status.State, p.Status.Reason = acmev1.Processing, s.Memory.Skipped
	return p
}

// lateness is the end of the reason of a challenge that waits, from the deadline on.
func (s State) lateness(now time.Time) string {
	switch {
	case !s.late(now):
		return ""
	case s.SelfCheck.AskCA && s.FailuresEnd.After(now):
		return "; the self-check deadline has passed, but the ACME server is not asked yet: validations of this name have failed too often within an hour"
	case s.SelfCheck.AskCA:
		return ""
	default:
		return fmt.Sprintf("; the self-check deadline of %s has passed, and the wait goes on (%s: %s)", s.SelfCheck.After, OnDeadlineAnnotation, OnDeadlineWait)
	}
}

// nextDeadline is when a wait ends because of the deadline, zero for never.
func (s State) nextDeadline(now time.Time) time.Time {
	switch at := s.deadline(now); {
	case at.After(now):
		return at
	case s.SelfCheck.AskCA && s.late(now) && s.FailuresEnd.After(now):
		return s.FailuresEnd
	default:
		return time.Time{}
	}
}

// unchecked reports whether a verdict says that the self-check has not succeeded. A
// challenge that is visible, and waits for caches, would fail if the CA were asked.
func unchecked(v propagation.Verdict) bool {
	return v.State != propagation.Accept && v.VisibleSince.IsZero()
}
