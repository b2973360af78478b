package propagation

import "time"

const (
	// silence is how long a server may give no answer before it no longer
	// blocks.
	silence = 30 * time.Second
	// usualCache is how long the resolvers of a CA keep an answer at most, as
	// those of Let's Encrypt do.
	usualCache = 60 * time.Second
	// longCache is the same for a CA that has shown that it keeps answers
	// longer than their TTL, or longer than usual.
	longCache = 5 * time.Minute
	// openLookup is how long a validation can take if its end was not seen.
	openLookup = 2 * time.Minute
	// tick covers the whole seconds in which resolvers count TTLs down.
	tick = time.Second
	// stuckAfter is when waiting turns into being stuck: no server of a
	// healthy zone needs that long.
	stuckAfter = 5 * time.Minute
	// unremarkable is how long the wait after the first probe may be without a
	// message: the first probe comes right after the update, and a record that
	// is a second late is normal.
	unremarkable = time.Second
	// MaxFloor is the longest floor of a Policy: longer than any resolver of a CA is
	// known to keep a small TTL.
	MaxFloor = time.Hour
	// DefaultRetry is the default of --dns01-check-retry-period.
	DefaultRetry = 10 * time.Second
)

// Policy is the configuration of Judge.
type Policy struct {
	// Retry is the longest time between two probes
	// (--dns01-check-retry-period); 0 is DefaultRetry.
	Retry time.Duration
	// TTL is the time to live with which the provider wrote the record.
	TTL time.Duration
	// Floor is how long the CA's resolvers keep an answer at least: some raise
	// small TTLs.
	Floor time.Duration
	// Follow reports whether the record is written at the end of the CNAME chain
	// (cnameStrategy: Follow).
	Follow bool
}

// Observation is the Evidence of a dns-01 challenge: one Report, with what the
// Ledger knew at that time.
type Observation struct {
	Report Report
	Entry  LedgerEntry
	Policy Policy
	// At is when the Report was made.
	At time.Time
}

var _ Evidence = Observation{}

// Verdict implements Evidence. Answers of name servers age: the Verdict is that
// of the time of the probe, and its Until says when they must be asked again.
func (o Observation) Verdict(time.Time) Verdict {
	v := Judge(o.Report, o.Entry, o.Policy, o.At)
	v.VisibleSince = o.Entry.VisibleSince
	v.AbsentSince, v.Unanswered = o.Entry.AbsentSince, o.Report.unanswered()
	if v.State == Wait && o.Entry.Probes <= 1 && v.Until.Sub(o.At) <= unremarkable {
		v.Message = ""
	}
	return v
}

// Judge decides from the evidence whether a CA can be asked to validate.
//
// Every server must have the value, with two exceptions, if at least one other
// server has it:
//   - a server without an address, or with one of IPv6 to which there is no
//     route from here;
//   - a server that has given no usable answer for 30 s: it is silent or cannot
//     be reached, or it answers with an error or without authority.
//
// Then Judge waits until the CA's resolvers have dropped what they cached when
// they looked the name up before the value was visible:
//   - a positive answer for the TTL that the provider writes, or a longer one
//     that the servers return, up to 60 s;
//   - the answer that there is no record for the zone's negative TTL, up to 60 s;
//   - both for at least the floor of the Policy. A CA that has shown that its
//     resolvers keep answers longer has a floor of 60 s, and an upper limit of
//     5 min.
func Judge(r Report, e LedgerEntry, p Policy, now time.Time) Verdict {
	if p.Retry <= 0 {
		p.Retry = DefaultRetry
	}
	if !agreed(r, e.SilentSince, now) {
		v := Verdict{State: Wait, Until: nextProbe(r, e, p, now), Message: notPropagated(r, p)}
		if !e.FirstProbe.IsZero() && now.Sub(e.FirstProbe) >= stuckAfter {
			v.State = Stuck
		}
		return v
	}
	if until := cachesExpired(r, e, p, now); now.Before(until) {
		return Verdict{State: Wait, Until: until, Message: mayBeCached(r)}
	}
	return Verdict{State: Accept, Message: leftOut(r)}
}

// agreed reports whether all servers that count have the value.
func agreed(r Report, silentSince map[string]time.Time, now time.Time) bool {
	has := false
	for _, a := range r.Answers {
		switch {
		case a.Has:
			has = true
		case a.Target != "": // the target has answers of its own
		case a.cannotCount():
		case a.silent() && ended(silentSince[a.key()], silence, now):
		default:
			return false
		}
	}
	return has
}

// ended reports whether d has passed since a time that is known.
func ended(since time.Time, d time.Duration, now time.Time) bool {
	return !since.IsZero() && !now.Before(since.Add(d))
}

// key names a server's address in LedgerEntry.SilentSince.
func (a Answer) key() string { return a.Server + "|" + a.Addr.String() }

// cannotCount reports whether nobody can expect an answer: there is no address,
// or it is one of IPv6 and this network has none.
func (a Answer) cannotCount() bool {
	return a.Failure == NoAddress || a.Failure == NoRoute && a.Addr.Addr().Unmap().Is6()
}

// silent reports whether the answer says nothing about the name, so that a
// resolver would ask another server.
func (a Answer) silent() bool {
	if a.cannotCount() {
		return false
	}
	return a.Failure != NoFailure || a.Lame()
}

// Lame reports whether the server answered, but not for the zone: with an
// error, or without authority (RFC 1912 section 2.8).
func (a Answer) Lame() bool {
	if a.Failure != NoFailure || a.Has || a.Target != "" {
		return false
	}
	if a.Rcode != "NOERROR" && a.Rcode != "NXDOMAIN" {
		return true
	}
	return a.Role != RoleRecursive && !a.Authoritative
}

// nextProbe backs off from one second to the retry period. A recursive
// resolver is not asked again before its negative answer has expired.
func nextProbe(r Report, e LedgerEntry, p Policy, now time.Time) time.Time {
	d := p.Retry
	if shift := max(e.Probes-1, 0); shift < 30 {
		d = min(d, time.Second<<shift)
	}
	if r.Mode == RecursiveOnly {
		for _, a := range r.Answers {
			// A resolver that is authoritative itself caches nothing.
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

// absent reports whether every server that gave a usable answer lacks the value.
func (r Report) absent() bool {
	answered := false
	for _, a := range r.Answers {
		if a.Has {
			return false
		}
		answered = answered || a.Target == "" && !a.silent() && !a.cannotCount()
	}
	return answered
}

// unanswered reports whether no server of the zone at the end of the CNAME chain
// gave an answer in time.
func (r Report) unanswered() bool {
	asked := false
	for _, a := range r.Answers {
		switch {
		case a.Name != r.Final || a.cannotCount():
		case a.Failure != Timeout:
			return false
		default:
			asked = true
		}
	}
	return asked
}

// cachesExpired is when no resolver of the CA can still cache an answer that it
// got before the value was visible.
func cachesExpired(r Report, e LedgerEntry, p Policy, now time.Time) time.Time {
	visible := e.VisibleSince
	if visible.IsZero() || visible.After(now) {
		visible = now
	}
	ttl := p.TTL
	for _, a := range r.Answers {
		// Other writers of the name may have given the record set a longer TTL.
		ttl = max(ttl, a.TTL)
	}
	floor, most := p.Floor, usualCache
	if e.KeepsLonger {
		floor, most = max(floor, usualCache), longCache
	}
	var expired time.Time
	for _, lookup := range e.Lookups {
		if !lookup.Started.Before(visible) {
			continue
		}
		// The resolver can have cached an older answer until the lookup ended,
		// but not after the value became visible.
		cached := lookup.Ended
		if cached.IsZero() {
			cached = lookup.Started.Add(openLookup)
		}
		if cached.After(visible) {
			cached = visible
		}
		wait := ttl
		if lookup.Failed {
			wait = max(wait, r.NegativeTTL)
		}
		if wait = max(min(wait, most), floor); wait == 0 {
			continue
		}
		if end := cached.Add(wait + tick); end.After(expired) {
			expired = end
		}
	}
	return expired
}

// Stale reports whether a validation that the CA was asked for at a time, and
// that did not find the value, can have found an older answer in a cache, if the
// CA's resolvers keep answers longer than was assumed.
func (o Observation) Stale(accepted time.Time) bool {
	if o.Entry.VisibleSince.IsZero() || o.Entry.KeepsLonger {
		return false
	}
	longer := o.Entry
	longer.KeepsLonger = true
	return cachesExpired(o.Report, longer, o.Policy, accepted).After(accepted)
}
