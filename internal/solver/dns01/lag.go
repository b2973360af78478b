package dns01

import (
	"fmt"
	"time"

	"github.com/everleaf/everleaf/internal/propagation"
)

// lagging returns Evidence while the zone's slowest name server, as far as other records
// have shown, cannot have the record yet, or nil: a probe would cost a query of every
// server, and show what is known.
func (s *session) lagging(mode propagation.Mode) propagation.Evidence {
	if mode == propagation.RecursiveOnly || s.presented.IsZero() || s.zone == "" {
		return nil
	}
	now, lag := s.config.Clock.Now(), s.config.Ledger.Lag(s.zone)
	if !s.presented.Equal(s.expectedFor) {
		s.expectedFor, s.scouts = s.presented, s.config.Ledger.Scout(s.zone, now)
	}
	if s.scouts {
		lag /= 2
	}
	if until := s.presented.Add(lag); until.After(now) {
		return behind{name: s.challenge.DNSName, until: until}
	}
	s.scouts = false
	return nil
}

// learnLag has the Ledger learn how far the zone's servers are behind from the last
// Check, which began at a time.
func (s *session) learnLag(began time.Time) {
	if s.presented.IsZero() || s.observed.Report.Mode == propagation.RecursiveOnly || s.observed.Report.Zone == "" {
		return
	}
	if visible := s.observed.Entry.VisibleSince; visible.IsZero() {
		s.config.Ledger.Lagged(s.observed.Report.Zone, began.Sub(s.presented), false, s.observed.At)
	} else if visible.Equal(s.observed.At) {
		s.config.Ledger.Lagged(s.observed.Report.Zone, visible.Sub(s.presented), true, s.observed.At)
	}
}

// behind is the Evidence that a record is too young for the zone's slowest server.
type behind struct {
	name  string
	until time.Time
}

// Verdict implements propagation.Evidence.
func (b behind) Verdict(time.Time) propagation.Verdict {
	return propagation.Verdict{
		State: propagation.Wait, Until: b.until,
		Message: fmt.Sprintf("DNS record for %q not yet propagated: a name server of the zone is some seconds behind updates", b.name),
	}
}
