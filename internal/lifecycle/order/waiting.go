package order

import (
	"time"

	"github.com/everleaf/everleaf/internal/plan"
)

// quiet is how long a wait may last that usually ends by itself before the status
// says why: a status is a write.
const quiet = 2 * time.Minute

// because waits for a reason, which the status says once the wait has lasted
// since a time.
func (s State) because(p Plan, reason string, since, now time.Time) Plan {
	if at := since.Add(quiet); at.After(now) {
		p.Until = plan.Earliest(p.Until, at)
		return p
	}
	p.Status.Reason = reason
	return p
}

// awaitAccount waits until the issuer is ready.
func (s State) awaitAccount(now time.Time) Plan {
	p := s.wait()
	if s.NotReady == "" {
		return s.because(p, "Waiting for the issuer: its ACME account is not set up yet", s.Loaded, now)
	}
	p.Status.Reason = "Waiting for the issuer: " + s.NotReady
	return p
}

// rest waits until the server may be asked again, which only time brings: events,
// also of the issuer, change nothing. The reason is usually that of the refusal.
func (s State) rest() Plan {
	p := s.wait()
	if p.Until = s.NotBefore; p.Status.Reason == "" {
		p.Status.Reason = "Waiting until " + timestamp(p.Until) + ", as the ACME server has asked"
	}
	return p
}

// timestamp is a time in a status.
func timestamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
