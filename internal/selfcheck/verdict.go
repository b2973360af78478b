package selfcheck

import (
	"slices"
	"time"

	"github.com/everleaf/everleaf/internal/propagation"
)

const (
	// stuckAfter is when waiting turns into being stuck: an ingress controller that has
	// not loaded a route by then will not.
	stuckAfter = time.Minute
	// shortestWait is the wait after the first check: most ingress controllers load a
	// route within a second.
	shortestWait = 100 * time.Millisecond
	// slowCheck is how long a check takes that waits for servers which do not answer,
	// although another one does.
	slowCheck = checkTime * 3 / 4
)

var (
	_ propagation.Evidence = Report{}
	_ propagation.Evidence = View{}
)

// View is what is known of a challenge from one place: what was seen of it, and what the
// cluster knows of its route. It is stored as JSON.
type View struct {
	Report        Report        `json:"report"`
	Circumstances Circumstances `json:"circumstances,omitzero"`
}

// Verdict implements propagation.Evidence.
func (r Report) Verdict(now time.Time) propagation.Verdict { return View{Report: r}.Verdict(now) }

// Verdict implements propagation.Evidence: a CA can be asked as soon as the Report is
// Ready. Nothing of HTTP-01 is cached, so that the Verdict is that of the time of the check.
func (v View) Verdict(time.Time) propagation.Verdict {
	r := v.Report
	out := propagation.Verdict{State: propagation.Accept, Message: Explain(r, v.Circumstances)}
	if r.Ready() {
		out.VisibleSince = r.At
		return out
	}
	out.State, out.Until, out.Unanswered = propagation.Wait, r.ended().Add(r.wait()), r.unanswered()
	if r.At.Sub(r.Since) >= stuckAfter {
		out.State = propagation.Stuck
	}
	return out
}

// ended is when the check ended.
func (r Report) ended() time.Time { return r.At.Add(r.Took) }

// wait is the time from the end of the check until the next one. It grows with the time
// since the first one, and is a third of it: a challenge is found late by no more than
// that, and by the time that a check takes.
func (r Report) wait() time.Duration {
	return min(max(r.ended().Sub(r.Since)/3, shortestWait), r.Retry)
}

// unanswered reports whether the check has waited for nothing: no address that can be
// asked, or no resolver, has answered in time, or the check was slow.
func (r Report) unanswered() bool {
	if r.Took >= slowCheck {
		return true
	}
	if len(r.Answers) == 0 {
		return len(r.Lookups) > 0 && !slices.ContainsFunc(r.Lookups, func(l Lookup) bool { return l.Failure != Timeout })
	}
	asked := r.direct()
	if len(asked) == 0 {
		asked = r.Answers
	}
	asked = slices.DeleteFunc(slices.Clone(asked), Answer.Unchecked)
	return len(asked) > 0 && !slices.ContainsFunc(asked, func(a Answer) bool { return a.Failure != Timeout && a.Failure != NoResponse })
}

// Ready reports whether a CA would find the challenge: some address has it, and none
// answers otherwise. An address that gives no answer does not count then, because a CA
// tries another one; nor does a wrong answer of a proxy that a CA does not ask.
func (r Report) Ready() bool {
	if a, ok := r.proxied(); ok && a.Right() {
		return true
	}
	direct := r.direct()
	return slices.ContainsFunc(direct, Answer.Right) && !slices.ContainsFunc(direct, Answer.Wrong)
}
