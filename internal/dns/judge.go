package dns

import (
	"time"
)

const (
	// silence is how long a server may give no answer before it no longer
	// blocks.
	silence = 30 * time.Second
	// minPositiveWait is the TTL floor of common resolvers, to which they
	// raise a smaller TTL (unbound's cache-min-ttl is usually set to 60).
	minPositiveWait = 60 * time.Second
	// minNegativeWait and maxNegativeWait bound how long an answer that a name
	// does not exist is waited for.
	minNegativeWait = 60 * time.Second
	maxNegativeWait = 5 * time.Minute
	// openLookup is how long a validation may go on whose end was not seen.
	openLookup = 2 * time.Minute
	// tick covers the whole seconds in which resolvers count TTLs down.
	tick = time.Second
	// stuckAfter is when waiting turns into being stuck: no server of a
	// healthy zone needs that long.
	stuckAfter = 5 * time.Minute
	// DefaultRetry is the default of --dns01-check-retry-period.
	DefaultRetry = 10 * time.Second
)

// State is the outcome of Judge.
type State string

// States.
const (
	// Accept: the CA may be told to look now.
	Accept State = "Accept"
	// Wait: look again, or accept, at Verdict.Until.
	Wait State = "Wait"
	// Stuck: as Wait, but it has gone on for so long that a person should
	// read the message.
	Stuck State = "Stuck"
)

// Policy holds what Judge is told by the configuration.
type Policy struct {
	// Retry is the longest time between two probes
	// (--dns01-check-retry-period); 0 is DefaultRetry.
	Retry time.Duration
	// TTL is the time to live with which the provider wrote the record.
	TTL time.Duration
}

// Verdict says what to do next.
type Verdict struct {
	State State
	// Until is when to probe and judge again; zero for Accept. It is a
	// deadline for a queue.
	Until time.Time
	// Message says why, without times: the same evidence gives the same text.
	// For Accept it is empty, or names servers that were left out.
	Message string
}

// Judge decides from the evidence whether a CA may be told to look.
//
// Every server has to have the value. One without a route from here, or
// without an address, does not count if another one has it; one that has given
// no usable answer for 30 s (silent, or an error) neither. Then, answers that
// the CA's resolvers may have cached when they looked the name up before the
// value was visible are waited out: what they found, for the TTL that we wrote
// (or a longer one that servers tell, up to 5 min) but at least 60 s; that they found nothing, for the zone's negative TTL
// within 1 to 5 min.
func Judge(r Report, e LedgerEntry, p Policy, now time.Time) Verdict {
	if p.Retry <= 0 {
		p.Retry = DefaultRetry
	}
	if !agreed(r, e.SilentSince, now) {
		v := Verdict{State: Wait, Until: nextProbe(r, e, p, now), Message: notPropagated(r)}
		if !e.FirstProbe.IsZero() && now.Sub(e.FirstProbe) >= stuckAfter {
			v.State = Stuck
		}
		return v
	}
	if until := forgotten(r, e, p, now); now.Before(until) {
		return Verdict{State: Wait, Until: until, Message: mayBeCached(r)}
	}
	return Verdict{State: Accept, Message: leftOut(r)}
}

// agreed tells whether all servers that count have the value.
func agreed(r Report, silentSince map[string]time.Time, now time.Time) bool {
	has := false
	for _, a := range r.Answers {
		switch {
		case a.Role == RolePrimary:
		case a.Has:
			has = true
		case a.Target != "": // the name that it leads to has answers of its own
		case a.Failure == NoRoute, a.Failure == NoAddress:
		case a.silent() && ended(silentSince[a.key()], silence, now):
		default:
			return false
		}
	}
	return has
}

func ended(since time.Time, d time.Duration, now time.Time) bool {
	return !since.IsZero() && !now.Before(since.Add(d))
}

// key names a server's address in LedgerEntry.SilentSince.
func (a Answer) key() string { return a.Server + "|" + a.Addr.String() }

// silent tells whether the answer says nothing about the name, so that a
// resolver would ask another server.
func (a Answer) silent() bool {
	if a.Role == RolePrimary || a.Failure == NoRoute || a.Failure == NoAddress {
		return false
	}
	return a.Failure != NoFailure || a.lame()
}

// lame tells whether a server answered without knowing the zone.
func (a Answer) lame() bool {
	if a.Failure != NoFailure || a.Has || a.Target != "" {
		return false
	}
	if a.Rcode != "NOERROR" && a.Rcode != "NXDOMAIN" {
		return true
	}
	return a.Role != RoleRecursive && !a.Authoritative
}

// nextProbe backs off from one second to the retry period. A recursive
// resolver is not asked again before its negative answer has run out.
func nextProbe(r Report, e LedgerEntry, p Policy, now time.Time) time.Time {
	d := p.Retry
	if shift := max(e.Probes-1, 0); shift < 30 {
		d = min(d, time.Second<<shift)
	}
	if r.Mode == RecursiveOnly {
		for _, a := range r.Answers {
			// One that is authoritative itself remembers nothing.
			if !a.Has && !a.Authoritative {
				d = max(d, a.NegativeTTL)
			}
		}
		d = min(d, p.Retry)
	}
	next := now.Add(d)
	for _, since := range e.SilentSince {
		if end := since.Add(silence); end.After(now) && end.Before(next) {
			next = end
		}
	}
	return next
}

// forgotten is when no resolver of the CA can have an answer any more that it
// got before the value was visible.
func forgotten(r Report, e LedgerEntry, p Policy, now time.Time) time.Time {
	visible := e.VisibleSince
	if visible.IsZero() || visible.After(now) {
		visible = now
	}
	ttl := p.TTL
	for _, a := range r.Answers {
		// Whoever else writes to the name may have given it a longer TTL.
		ttl = max(ttl, min(a.TTL, maxNegativeWait))
	}
	var until time.Time
	for _, look := range e.Lookups {
		if !look.Started.Before(visible) {
			continue
		}
		last := look.Ended
		if last.IsZero() {
			last = look.Started.Add(openLookup)
		}
		if last.After(visible) {
			last = visible
		}
		wait := max(ttl, minPositiveWait)
		if look.Failed {
			wait = max(wait, min(max(r.NegativeTTL, minNegativeWait), maxNegativeWait))
		}
		if end := last.Add(wait + tick); end.After(until) {
			until = end
		}
	}
	return until
}
