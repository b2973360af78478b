package propagation

import (
	"fmt"
	"time"

	"github.com/everleaf/everleaf/internal/dns/dnsname"
)

// Assumption is the Evidence of a dns-01 challenge that nobody looks for
// (waitInsteadOfSelfCheck): only what the CA may have cached is known.
type Assumption struct {
	// Name is the challenge name.
	Name   string
	Entry  LedgerEntry
	Policy Policy
}

var _ Evidence = Assumption{}

// Verdict implements Evidence. The zone's negative TTL is not known, so that of
// a failed lookup is taken to be longer than any that Judge waits for.
func (a Assumption) Verdict(now time.Time) Verdict {
	v := Verdict{State: Accept, VisibleSince: a.Entry.VisibleSince}
	until := cachesExpired(Report{NegativeTTL: longCache}, a.Entry, a.Policy, now)
	if now.Before(until) {
		v.State, v.Until = Wait, until
		v.Message = fmt.Sprintf("DNS record for %q is taken to be there; %s", dnsname.Identifier(a.Name), olderAnswers)
	}
	return v
}
