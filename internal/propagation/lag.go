package propagation

import (
	"time"

	"github.com/everleaf/everleaf/internal/dns/dnsname"
)

const (
	// longestLag is the longest lag that is waited for without a probe: a zone whose
	// servers are further behind is probed now and then.
	longestLag = 10 * time.Second
	// lagStep is how much longer than the longest known absence the lag is taken to be.
	lagStep = 500 * time.Millisecond
	// lagGap is how far apart the longest absence and the shortest lag may be that are
	// known, for the latter to be taken.
	lagGap = 2 * time.Second
	// lagMemory is how long it is kept what is known of a zone's lag without news.
	lagMemory = 10 * time.Minute
	// scoutEvery is how often one record of a zone is probed after half of the lag:
	// the servers may have become quicker.
	scoutEvery = 30 * time.Second
)

// lag is how far the slowest server of a zone is behind updates.
type lag struct {
	// missing is the greatest age at which a record was missing, visible the least
	// age at which one was on every server, 0 if that is not known.
	missing, visible time.Duration
	scouted, last    time.Time
}

// Lag returns how long after an update a record of a zone is worth a probe, as far
// as other records have shown: 0 if nothing is known.
func (l *Ledger) Lag(zone string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	known, ok := l.lags[dnsname.Canonical(zone)]
	switch {
	case !ok:
		return 0
	case known.visible > 0 && known.visible-known.missing <= lagGap:
		return known.visible
	default:
		return min(known.missing+lagStep, longestLag)
	}
}

// Scout reports whether the next record of a zone is to be probed after half of the
// Lag, which it is for one record every scoutEvery.
func (l *Ledger) Scout(zone string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	zone = dnsname.Canonical(zone)
	known, ok := l.lags[zone]
	if !ok || now.Sub(known.scouted) < scoutEvery {
		return false
	}
	known.scouted = now
	l.lags[zone] = known
	return true
}

// Lagged records what a probe of a zone's servers found: whether all of them that
// count had a record of this age. An age beyond longestLag says that something is wrong
// with the record, and nothing about others.
func (l *Ledger) Lagged(zone string, age time.Duration, visible bool, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.init(now)
	zone = dnsname.Canonical(zone)
	known, ok := l.lags[zone]
	switch {
	case age > longestLag || age < 0 || !ok && visible:
		return
	case !ok:
		known = lag{scouted: now, missing: age}
	case visible:
		if known.visible == 0 || age < known.visible {
			known.visible = age
		}
		if known.missing >= known.visible {
			known.missing = 0
		}
	default:
		known.missing = max(known.missing, age)
		if known.visible <= known.missing {
			known.visible = 0
		}
	}
	known.last = now
	if known.missing == 0 && known.visible < lagStep {
		delete(l.lags, zone)
		return
	}
	l.lags[zone] = known
}

// forgetLags drops what is known for too long.
func (l *Ledger) forgetLags(now time.Time) {
	for zone, known := range l.lags {
		if now.Sub(known.last) > lagMemory {
			delete(l.lags, zone)
		}
	}
}
