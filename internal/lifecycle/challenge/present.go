package challenge

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/plan"
	"github.com/everleaf/everleaf/internal/propagation"
)

// siblingPatience is how long a visible value waits for other values of the
// same name that are still being presented.
const siblingPatience = 10 * time.Second

// rewriteAfter is when a record that no server has is written again: somebody
// may have removed it. Writing what is there changes nothing. Each time that it
// does not help, the wait doubles, up to longestRewrite.
const (
	rewriteAfter   = time.Minute
	longestRewrite = time.Hour
)

// unremarkable is how long after it was written a record may be missing without a
// reason in the status: secondaries of a healthy zone are a few seconds behind, and each
// status is a write, which the Order, the request and the Certificate follow.
const unremarkable = 5 * time.Second

// ReasonSelfCheckIncomplete is the reason of the event for a Challenge whose CA is asked
// although some address, which the CA may ask, does not have what was presented.
const ReasonSelfCheckIncomplete = "SelfCheckIncomplete"

// steady is the longest that the status keeps the report of a probe although a
// later probe has found something else: each status is a write, which the Order,
// the request and the Certificate follow.
const steady = time.Minute

// present has the solver present the challenge, and stores that it has.
func (s State) present(p Plan, now time.Time) Plan {
	switch {
	case !s.Memory.PresentedAt.IsZero():
		return s.presented(p)
	case s.limited(now):
		return s.awaitProvider(p, "present the record", time.Time{}, now)
	case !HasFinalizer(s.Object):
		p.Do = AddFinalizer{}
	default:
		p.Do = Present{}
	}
	return p
}

func (s State) presented(p Plan) Plan {
	p.Persist = plan.Before
	p.Status.State, p.Status.Reason = acmev1.Pending, ""
	p.Status.Presented, p.Status.Processing = true, true
	p.Status.PresentedAt = &metav1.Time{Time: s.Memory.PresentedAt}
	message := fmt.Sprintf("Presented challenge using %s challenge mechanism", s.Object.Spec.Type)
	if s.Memory.How != "" {
		message += " by the " + s.Memory.How
	}
	p.Events = []plan.Event{{Reason: acmev1.EventReasonPresented, Component: Manager, Verbose: !s.Memory.Unusual, Message: message}}
	return p
}

// propagate probes until the CA would find the challenge, then asks the server
// to validate.
func (s State) propagate(p Plan, now time.Time) Plan {
	if p.Status.PresentedAt == nil {
		// Before cert-manager 1.21 the status had no such time.
		p.Status.PresentedAt = &metav1.Time{Time: now}
	}
	if wait := s.Object.Spec.Solver.WaitInsteadOfSelfCheck; wait != nil {
		if ready := p.Status.PresentedAt.Add(wait.Duration); ready.After(now) {
			p.Status.Reason = fmt.Sprintf("Waiting %s before accepting %s challenge without self-check", wait.Duration, s.Object.Spec.Type)
			p.Until = ready
			return p
		}
	}
	if s.Memory.Evidence == nil {
		if s.Memory.ProbeFailed && s.mayAskAnyway(now) {
			return s.askAnyway(p, "")
		}
		return s.probe(p, now)
	}
	verdict := s.Memory.Evidence.Verdict(now)
	switch {
	case verdict.State == propagation.Accept:
		return s.acceptTogether(p, verdict, now)
	case unchecked(verdict) && s.mayAskAnyway(now):
		return s.askAnyway(p, verdict.Message)
	case !verdict.AbsentSince.IsZero() && !s.rewriteAt(verdict.AbsentSince).After(now):
		p.Persist = plan.Before
		p.Status.Reason = s.absentReason(s.report(verdict)) + s.lateness(now)
		p.Do = Present{}
		return p
	case !verdict.Until.After(now):
		return s.probe(p, now)
	}
	p.Until = verdict.Until
	switch message, told := s.report(verdict), s.remarkableAt(); {
	case message == "":
	case s.Memory.Rewrites > 0 && verdict.VisibleSince.IsZero():
		p.Status.Reason = s.absentReason(message) + s.lateness(now)
	case p.Status.Reason == "" && told.After(now):
		p.Until = plan.Earliest(p.Until, told)
	case unchecked(verdict):
		p.Status.Reason = s.propagationReason(message) + s.lateness(now)
	default:
		p.Status.Reason = s.propagationReason(message)
	}
	if unchecked(verdict) {
		p.Until = plan.Earliest(p.Until, s.nextDeadline(now))
	}
	if !verdict.AbsentSince.IsZero() {
		p.Until = plan.Earliest(p.Until, s.rewriteAt(verdict.AbsentSince))
	}
	return p
}

// remarkableAt is from when on the status says that a record is missing.
func (s State) remarkableAt() time.Time {
	if at := s.Object.Status.PresentedAt; at != nil {
		return at.Add(unremarkable)
	}
	return time.Time{}
}

// rewriteAt is when a record is written again that no server has had since a time: not
// before the provider takes calls.
func (s State) rewriteAt(absentSince time.Time) time.Time {
	since := absentSince
	if s.Memory.PresentedAt.After(since) {
		since = s.Memory.PresentedAt
	}
	wait := longestRewrite
	if s.Memory.Rewrites < 10 {
		wait = min(wait, rewriteAfter<<s.Memory.Rewrites)
	}
	at := since.Add(wait)
	if s.ProviderNotBefore.After(at) {
		return s.ProviderNotBefore
	}
	return at
}

// Saw notes what a probe has found for a challenge that was presented at a time,
// the zero time if that is not known. At first the status follows each probe; the
// longer ago the challenge was presented, the longer it keeps a report. What is
// visible is reported at once.
func (m *Memory) Saw(e propagation.Evidence, presented, now time.Time) {
	m.Evidence = e
	verdict := e.Verdict(now)
	if !verdict.VisibleSince.IsZero() {
		m.Cause = ""
	}
	kept := m.ReportedAt.Add(min(m.ReportedAt.Sub(presented), steady))
	if verdict.Message == m.Report || m.Report != "" && verdict.VisibleSince.IsZero() && kept.After(now) {
		return
	}
	m.Report, m.ReportedAt = verdict.Message, now
}

// report is what the status says of the probes.
func (s State) report(v propagation.Verdict) string {
	if v.VisibleSince.IsZero() && s.Memory.Report != "" {
		return s.Memory.Report
	}
	return v.Message
}

// absentReason is the reason from the first time on that a record is written again.
func (s State) absentReason(message string) string {
	return s.propagationReason(message) + "; it is written again"
}

func (s State) propagationReason(message string) string {
	reason := fmt.Sprintf("Waiting for %s challenge propagation: %s", s.Object.Spec.Type, message)
	if s.Memory.Cause != "" {
		reason += "; likely cause: " + s.Memory.Cause
	}
	return reason
}

// acceptTogether asks the server to validate, unless a sibling will soon be
// visible: the CA's resolver caches all values of a name together, so that one
// that comes later has to wait until the others have expired.
func (s State) acceptTogether(p Plan, v propagation.Verdict, now time.Time) Plan {
	if patience := v.VisibleSince.Add(siblingPatience); patience.After(now) && slices.ContainsFunc(s.Siblings, Progress.Coming) {
		reason := fmt.Sprintf("Waiting for the other records of %q, which the ACME server can see together with this one", s.Object.Spec.DNSName)
		return s.wait(p, reason, patience, now)
	}
	p.Do = Accept{URL: s.Object.Spec.URL}
	if v.Message != "" && s.Object.Spec.Type == acmev1.ACMEChallengeTypeHTTP01 {
		// Of DNS-01 it often names servers with an address of IPv6 that nobody here can ask,
		// and a CA asks another server then.
		p.Events = []plan.Event{{
			Warning: true, Reason: ReasonSelfCheckIncomplete, Component: Manager,
			Message: fmt.Sprintf("Asked the ACME server to validate %q, for which the self-check has succeeded; %s", s.Object.Spec.DNSName, v.Message),
		}}
	}
	return p
}
