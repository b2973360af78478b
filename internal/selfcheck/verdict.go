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
)

// waits are the waits after the first checks: most ingress controllers load a route
// within a second. From then on it is Report.Retry.
var waits = []time.Duration{
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second,
}

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
	out.State, out.Until = propagation.Wait, r.At.Add(r.wait())
	if r.At.Sub(r.Since) >= stuckAfter {
		out.State = propagation.Stuck
	}
	return out
}

func (r Report) wait() time.Duration {
	if r.Attempt >= 0 && r.Attempt < len(waits) {
		return min(waits[r.Attempt], r.Retry)
	}
	return r.Retry
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
