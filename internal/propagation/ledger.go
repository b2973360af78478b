package propagation

import (
	"sync"
	"time"

	"github.com/everleaf/everleaf/internal/dns/dnsname"
)

// Lookup is a period during which a CA looked a name up.
type Lookup struct {
	// Started is when the challenge was accepted.
	Started time.Time
	// Ended is when the result of the validation was seen; zero while it is not
	// known.
	Ended time.Time
	// Failed reports whether the validation failed: the CA's resolvers may
	// cache that the name does not exist.
	Failed bool
}

// LedgerEntry is what Judge needs to know about one value besides a Report.
type LedgerEntry struct {
	// Lookups are the CA's lookups of this name and, if the zone is signed, its
	// failed lookups of other names of the zone, in no order.
	Lookups []Lookup
	// VisibleSince is the time from which every server that counts has had the
	// value without interruption; zero if they do not have it.
	VisibleSince time.Time
	// AbsentSince is the time from which every server that gave a usable answer
	// has lacked the value; zero if one has it.
	AbsentSince time.Time
	// FirstProbe is the time of the first probe for the value.
	FirstProbe time.Time
	// Probes counts the probes, this one included.
	Probes int
	// KeepsLonger reports whether the CA has shown that its resolvers keep
	// answers longer than their TTL.
	KeepsLonger bool
	// SilentSince holds, for each server and address of an Answer that gave no
	// usable answer, the time from which it has given none.
	SilentSince map[string]time.Time
}

const (
	// lookupMemory is how long a Lookup is kept, unless a floor is longer: longer
	// than any cached answer that Judge waits for.
	lookupMemory = longCache + lookupMargin
	lookupMargin = 5 * time.Minute
	// silenceMemory is how long it is kept that a server gave no usable answer.
	silenceMemory = 24 * time.Hour
	// valueMemory is how long a value is kept without a probe.
	valueMemory = 2 * time.Hour
	// maxLookups and maxLedger bound the memory of a Ledger.
	maxLookups = 64
	maxLedger  = 100_000
)

// Ledger remembers, per CA and name, when the CA looked the name up, and, per
// value, when the value became visible. A CA is identified by its directory
// URL. A Ledger is safe for concurrent use, and the zero value is ready. It is
// lost with the process: Restore rebuilds what matters.
type Ledger struct {
	mu      sync.Mutex
	lookups map[nameKey][]Lookup
	failed  map[nameKey][]Lookup // by zone; used where the zone is signed
	places  map[nameKey]place
	values  map[valueKey]*sighting
	// silent are the servers that gave no usable answer the last time they were
	// asked, whatever value they were asked for: stale NS records are common.
	silent map[silentKey]silentTimes
	// keeps are the CAs whose resolvers keep answers longer than their TTL, with the
	// time at which this was learned. misses are the last signs of it, see Missed.
	keeps  map[string]time.Time
	misses map[string]miss
	// lags are the zones that had a server which was behind.
	lags map[string]lag
	// memory is how long a Lookup is kept if that is longer than lookupMemory.
	memory time.Duration
	swept  time.Time
}

// silentKey is a server of a zone, with its address.
type silentKey struct{ zone, server string }

type silentTimes struct{ since, last time.Time }

// nameKey is a CA's directory URL and a name, absolute and in lower case.
type nameKey struct{ ca, name string }

type valueKey struct {
	nameKey
	value string
}

// place is where the last Report found a name. Lookups of an alias fill caches
// for its target, and failed lookups in a signed zone for the zone's other names.
type place struct {
	final, zone string
	signed      bool
	last        time.Time
}

type sighting struct {
	visible, absent, first, last time.Time
	probes                       int
	// forgotten reports whether the value is no longer probed.
	forgotten bool
}

// KeepFor has Lookups kept for as long as a Policy with a floor needs them.
func (l *Ledger) KeepFor(floor time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.memory = max(l.memory, min(floor, MaxFloor)+lookupMargin)
}

// Accepted records that a challenge at fqdn was accepted at the CA: from now
// on the CA may look the name up.
func (l *Ledger) Accepted(ca, fqdn string, now time.Time) {
	l.Restore(ca, fqdn, Lookup{Started: now}, now)
}

// Refused removes what Accepted recorded for the time accepted: the CA refused
// the challenge and looked nothing up.
func (l *Ledger) Refused(ca, fqdn string, accepted time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, key := range l.keys(ca, fqdn) {
		list := l.lookups[key]
		for i, lookup := range list {
			if lookup.Ended.IsZero() && lookup.Started.Equal(accepted) {
				l.lookups[key] = append(list[:i:i], list[i+1:]...)
				break
			}
		}
	}
}

// Concluded records that the result of a validation at fqdn was seen at now. It
// ends the oldest open Lookup of that name.
func (l *Ledger) Concluded(ca, fqdn string, failed bool, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.init(now)
	lookup := Lookup{Started: now}
	for _, key := range l.keys(ca, fqdn) {
		list := l.lookups[key]
		for i := range list {
			if list[i].Ended.IsZero() {
				lookup.Started = list[i].Started
				list = append(list[:i:i], list[i+1:]...)
				break
			}
		}
		l.lookups[key] = list
	}
	lookup.Ended, lookup.Failed = now, failed
	l.add(ca, fqdn, lookup)
}

// Restore adds a Lookup that is known from a stored Challenge only. Its times are
// those of another process's clock.
func (l *Ledger) Restore(ca, fqdn string, lookup Lookup, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.init(now)
	l.add(ca, fqdn, lookup)
}

func (l *Ledger) add(ca, fqdn string, lookup Lookup) {
	for _, key := range l.keys(ca, fqdn) {
		l.lookups[key] = appendLookup(l.lookups[key], lookup)
	}
	if !lookup.Failed {
		return
	}
	for _, zone := range l.zones(ca, fqdn) {
		key := nameKey{ca, zone}
		l.failed[key] = appendLookup(l.failed[key], lookup)
	}
}

// zones are the zones whose other names a failed lookup of fqdn may deny: its
// own zone if that is signed; every name above fqdn while no probe has found
// its zone, as with waitInsteadOfSelfCheck or after a restart.
func (l *Ledger) zones(ca, fqdn string) []string {
	name := dnsname.Canonical(fqdn)
	at, known := l.places[nameKey{ca, name}]
	if known && !at.signed {
		return nil
	}
	if known {
		return []string{at.zone}
	}
	var zones []string
	for name != "." {
		zones = append(zones, name)
		name = dnsname.Parent(name)
	}
	return zones
}

// keys are the names whose records a lookup of fqdn puts into caches.
func (l *Ledger) keys(ca, fqdn string) []nameKey {
	key := nameKey{ca, dnsname.Canonical(fqdn)}
	if at := l.places[key]; at.final != "" && at.final != key.name {
		return []nameKey{key, {ca, at.final}}
	}
	return []nameKey{key}
}

// Observe records the Report of a probe that ended at now, and returns the
// entry for Judge.
func (l *Ledger) Observe(ca string, r Report, now time.Time) LedgerEntry {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.init(now)
	key := valueKey{nameKey{ca, dnsname.Canonical(r.Name)}, r.Value}
	s := l.values[key]
	if s == nil || s.forgotten {
		s = &sighting{first: now}
		l.values[key] = s
	}
	s.last = now
	s.probes++
	l.places[key.nameKey] = place{final: r.Final, zone: r.Zone, signed: r.Signed, last: now}
	silent := l.silentSince(r, now)
	switch {
	case !agreed(r, silent, now):
		s.visible = time.Time{}
	case s.visible.IsZero():
		s.visible = now
	}
	switch {
	case !r.absent():
		s.absent = time.Time{}
	case s.absent.IsZero():
		s.absent = now
	}
	e := l.entry(key.nameKey, r)
	e.AbsentSince = s.absent
	e.VisibleSince, e.FirstProbe, e.Probes, e.SilentSince = s.visible, s.first, s.probes, silent
	return e
}

// Assumed returns the entry for a value that nobody looks for, and that is
// taken to be visible since a time.
func (l *Ledger) Assumed(ca, fqdn string, visible time.Time) LedgerEntry {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := nameKey{ca, dnsname.Canonical(fqdn)}
	e := l.entry(key, Report{Name: key.name})
	e.VisibleSince = visible
	return e
}

// silentSince notes which servers gave no usable answer, and returns since when.
func (l *Ledger) silentSince(r Report, now time.Time) map[string]time.Time {
	silent := map[string]time.Time{}
	for _, a := range r.Answers {
		key := silentKey{a.Zone, a.key()}
		if !a.silent() {
			delete(l.silent, key)
			continue
		}
		times, ok := l.silent[key]
		if !ok {
			times.since = now
		}
		times.last = now
		l.silent[key] = times
		silent[a.key()] = times.since
	}
	return silent
}

func (l *Ledger) entry(key nameKey, r Report) LedgerEntry {
	_, keeps := l.keeps[key.ca]
	e := LedgerEntry{KeepsLonger: keeps}
	e.Lookups = append(e.Lookups, l.lookups[key]...)
	if r.Final != "" && r.Final != key.name {
		e.Lookups = append(e.Lookups, l.lookups[nameKey{key.ca, r.Final}]...)
	}
	if r.Signed {
		e.Lookups = append(e.Lookups, l.failed[nameKey{key.ca, r.Zone}]...)
	}
	return e
}

// Forget drops what the probes of a value have found, which is no longer probed.
// The Lookups of its name stay, and for as long it is known that there was the
// value: a CA may have an older answer with it.
func (l *Ledger) Forget(ca, fqdn, value string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.values[valueKey{nameKey{ca, dnsname.Canonical(fqdn)}, value}]; s != nil {
		s.forgotten = true
	}
}

// init makes the maps, and drops what no longer matters, once a minute at most
// or, if the Ledger is full, once a second.
func (l *Ledger) init(now time.Time) {
	if l.lookups == nil {
		l.lookups, l.failed = map[nameKey][]Lookup{}, map[nameKey][]Lookup{}
		l.values, l.places = map[valueKey]*sighting{}, map[nameKey]place{}
		l.silent = map[silentKey]silentTimes{}
		l.lags = map[string]lag{}
		l.keeps, l.misses = map[string]time.Time{}, map[string]miss{}
		l.swept = now
	}
	size := len(l.lookups) + len(l.failed) + len(l.values) + len(l.places) + len(l.silent) + len(l.lags)
	if age := now.Sub(l.swept); age < time.Second || age < time.Minute && size < maxLedger {
		return
	}
	l.swept = now
	oldest := now.Add(-max(lookupMemory, l.memory))
	prune(l.lookups, oldest)
	prune(l.failed, oldest)
	for key, s := range l.values {
		if age := now.Sub(s.last); age > valueMemory || s.forgotten && age > lookupMemory {
			delete(l.values, key)
		}
	}
	l.unlearn(now)
	l.forgetLags(now)
	for key, times := range l.silent {
		if now.Sub(times.last) > silenceMemory {
			delete(l.silent, key)
		}
	}
	for key, at := range l.places {
		if now.Sub(at.last) > valueMemory {
			delete(l.places, key)
		}
	}
}

func prune(m map[nameKey][]Lookup, oldest time.Time) {
	for key, list := range m {
		kept := list[:0]
		for _, lookup := range list {
			if !lookup.lastMoment().Before(oldest) {
				kept = append(kept, lookup)
			}
		}
		if len(kept) == 0 {
			delete(m, key)
		} else {
			m[key] = kept
		}
	}
}

// appendLookup keeps the newest maxLookups.
func appendLookup(list []Lookup, lookup Lookup) []Lookup {
	if len(list) >= maxLookups {
		list = append(list[:0:0], list[1:]...)
	}
	return append(list, lookup)
}

func (l Lookup) lastMoment() time.Time {
	if l.Ended.After(l.Started) {
		return l.Ended
	}
	return l.Started
}
