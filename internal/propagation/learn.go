package propagation

import (
	"strings"
	"time"

	"github.com/everleaf/everleaf/internal/dns/dnsname"
)

// learnedMemory is how long it is kept what a failed validation has shown about a
// CA's resolvers. If it still holds then, it costs one more validation.
const learnedMemory = 24 * time.Hour

// miss is a validation that may have failed because of an older answer.
type miss struct {
	zone string
	at   time.Time
}

// Missed records that a CA did not find the value at fqdn although every server
// had it, soon after another look-up. words are those of the CA. Its resolvers
// keep answers longer than their TTL if it found an earlier value of ours instead,
// or if the same happens in two zones: in one zone it can be the zone's own fault,
// such as a server that the CA asks and nobody else can see, and the tenants of
// other zones must not wait for that.
func (l *Ledger) Missed(ca, fqdn, value, words string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.init(now)
	key := nameKey{ca, dnsname.Canonical(fqdn)}
	zone := l.places[key].zone
	if zone == "" {
		zone = key.name
	}
	last, before := l.misses[ca]
	if l.older(key, value, words) || before && last.zone != zone && now.Sub(last.at) <= learnedMemory {
		l.keeps[ca] = now
	}
	l.misses[ca] = miss{zone, now}
}

// older reports whether a text contains another value of a name.
func (l *Ledger) older(name nameKey, value, text string) bool {
	for key := range l.values {
		if key.nameKey == name && key.value != value && strings.Contains(text, key.value) {
			return true
		}
	}
	return false
}

// unlearn drops what was learned too long ago.
func (l *Ledger) unlearn(now time.Time) {
	for ca, at := range l.keeps {
		if now.Sub(at) > learnedMemory {
			delete(l.keeps, ca)
		}
	}
	for ca, m := range l.misses {
		if now.Sub(m.at) > learnedMemory {
			delete(l.misses, ca)
		}
	}
}
