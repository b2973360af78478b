package dns01

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/go-logr/logr"

	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/propagation"
	"github.com/everleaf/everleaf/internal/solver"
)

// session solves one dns-01 challenge.
type session struct {
	*Solver
	challenge solver.Challenge
	// fqdn is where the CA looks.
	fqdn string

	// provider is the one that has presented the record, with its credentials:
	// it can remove the record even if the issuer's Secret is gone.
	provider Provider
	// outdated reports whether a clean-up has failed since: the credentials may
	// have changed.
	outdated bool
	// detached reports whether no credentials may be read any more.
	detached bool
	// record is the record to write. Its name is empty until locateRecord has
	// found it. former are those that were written at other names before a CNAME
	// record changed.
	record Record
	former []Record
	// zone is the zone of the record, if it is known: with it, a probe need not
	// ask resolvers about names below the zone.
	zone string
	// attempted reports whether the provider was asked to present the record;
	// presented is when it succeeded last, settled whether the provider has said since
	// that its name servers have the record.
	attempted bool
	presented time.Time
	settled   bool
	// scouts reports whether the record presented at expectedFor is to be probed early.
	scouts      bool
	expectedFor time.Time
	// observed is what the last Check found, accepted when the CA was asked.
	observed propagation.Observation
	accepted time.Time
}

// recursiveSettling is how long after the update a resolver is not asked for the
// record: if a secondary server does not have it by then, the resolver caches
// that it does not exist. One that has the zone itself caches nothing.
const recursiveSettling = 5 * time.Second

const (
	// locatePatience is how long finding the name may take: the name servers of a
	// CNAME record's zone are the tenant's, and the place in which they are asked is
	// that of the provider's server.
	locatePatience = 10 * time.Second
	// serverPatience is how long the provider's server has been asked at least if no
	// answer shows that it hangs, even if finding the name took longer.
	serverPatience = 7 * time.Second
)

var (
	_ solver.Session  = (*session)(nil)
	_ solver.Observer = (*session)(nil)
	_ solver.Located  = (*session)(nil)
	_ solver.Detacher = (*session)(nil)
	_ solver.Poller   = (*session)(nil)
)

// Present implements solver.Session.
func (s *session) Present(ctx context.Context) error {
	provider, err := s.newProvider(ctx, s.challenge)
	if err != nil {
		return err
	}
	began := s.config.Clock.Now()
	locating, cancel := context.WithTimeout(ctx, locatePatience)
	defer cancel()
	if err := s.locateRecord(locating, provider); err != nil {
		return err
	}
	if err := checkTarget(s.fqdn, s.record.FQDN); err != nil {
		return err
	}
	located := s.config.Clock.Now()
	// From here on the record can exist, even if Present fails.
	s.provider, s.outdated, s.attempted = provider, false, true
	if err := provider.Present(ctx, s.record); err != nil {
		took := s.config.Clock.Since(located)
		err = s.advise(ctx, provider, err)
		if took < located.Sub(began) && took < serverPatience {
			return fault.Elsewhere(err)
		}
		return err
	}
	s.presented, s.settled = s.config.Clock.Now(), false
	if zone, err := provider.Zone(ctx, s.record.FQDN); err == nil {
		s.zone = zone
	}
	return nil
}

// locateRecord finds where to write. A CNAME record may have been added or
// changed since the last time.
func (s *session) locateRecord(ctx context.Context, provider Provider) error {
	name, err := s.locate(ctx, s.fqdn, s.challenge.Solver.DNS01, provider)
	if err != nil {
		return err
	}
	record := Record{DNSName: s.challenge.DNSName, FQDN: name, Value: s.challenge.Key}
	if s.attempted && s.record.FQDN != name {
		s.former, s.zone = append(s.former, s.record), ""
	}
	s.record = record
	return nil
}

// Check implements solver.Session.
func (s *session) Check(ctx context.Context) (propagation.Evidence, error) {
	spec := s.challenge.Solver.DNS01
	resolver, mode, err := s.resolver(spec)
	if err != nil {
		return nil, err
	}
	if s.challenge.Solver.WaitInsteadOfSelfCheck != nil {
		visible := s.presented
		if visible.IsZero() {
			visible = s.config.Clock.Now()
		}
		return propagation.Assumption{
			Name: s.fqdn, Entry: s.config.Ledger.Assumed(s.challenge.CA, s.fqdn, visible), Policy: s.policy(),
		}, nil
	}
	if evidence, err := s.settling(ctx, resolver, mode); evidence != nil || err != nil {
		return evidence, err
	}
	if evidence := s.lagging(mode); evidence != nil {
		return evidence, nil
	}
	began := s.config.Clock.Now()
	report, err := resolver.Probe(ctx, s.fqdn, s.challenge.Key, mode, s.zone)
	if err != nil {
		return nil, err
	}
	logReport(ctx, report)
	now := s.config.Clock.Now()
	if report.Zone != "" {
		s.zone = report.Zone
	}
	s.observed = propagation.Observation{
		Report: report, Entry: s.config.Ledger.Observe(s.challenge.CA, report, now), Policy: s.policy(), At: now,
	}
	s.learnLag(began)
	return s.observed, nil
}

func (s *session) policy() propagation.Policy {
	spec := s.challenge.Solver.DNS01
	return propagation.Policy{
		Retry: s.config.Retry, TTL: s.config.Providers.ttl(spec), Floor: s.floor(s.challenge), Follow: follows(spec),
	}
}

func logReport(ctx context.Context, r propagation.Report) {
	log := logr.FromContextOrDiscard(ctx).V(5)
	if !log.Enabled() {
		return
	}
	for _, a := range r.Answers {
		log.Info("Name server answered", "name", a.Name, "server", a.Server, "address", a.Addr.String(), "role", a.Role,
			"rcode", a.Rcode, "has", a.Has, "values", a.Values, "failure", a.Failure, "duration", a.Duration.String())
	}
}

// settling returns Evidence while the provider's name servers do not have the
// record yet, or nil. A record of an earlier process counts as settled.
func (s *session) settling(ctx context.Context, resolver Resolver, mode propagation.Mode) (propagation.Evidence, error) {
	if s.presented.IsZero() {
		return nil, nil
	}
	until := s.presented.Add(recursiveSettling)
	if mode == propagation.RecursiveOnly && until.After(s.config.Clock.Now()) && (s.zone == "" || !resolver.Authoritative(ctx, s.zone)) {
		return unsettled{name: s.challenge.DNSName, until: until}, nil
	}
	settler, ok := s.provider.(Settler)
	if !ok {
		return nil, nil
	}
	again, err := settler.Settled(ctx, s.record, s.presented)
	if err != nil || !again.After(s.config.Clock.Now()) {
		s.settled = err == nil
		return nil, err
	}
	return unsettled{name: s.challenge.DNSName, until: again}, nil
}

// unsettled is the Evidence that the provider's name servers do not have the
// record yet.
type unsettled struct {
	name  string
	until time.Time
}

// Verdict implements propagation.Evidence.
func (u unsettled) Verdict(time.Time) propagation.Verdict {
	return propagation.Verdict{
		State: propagation.Wait, Until: u.until,
		Message: fmt.Sprintf("DNS record for %q not yet propagated: the provider's name servers are taking it up", u.name),
	}
}

// CleanUp implements solver.Session.
func (s *session) CleanUp(ctx context.Context) error {
	if s.detached && s.provider == nil {
		return fault.New(fault.Permanent, "IssuerGone", "the issuer is gone, or has changed, and with it the credentials to remove the record")
	}
	if (s.provider == nil || s.outdated) && !s.detached {
		provider, err := s.newProvider(ctx, s.challenge)
		switch {
		case err == nil:
			s.provider, s.outdated = provider, false
		case s.provider == nil:
			return err
		}
	}
	if s.record.FQDN == "" {
		if err := s.locateRecord(ctx, s.provider); err != nil {
			return err
		}
	}
	for _, record := range append(slices.Clone(s.former), s.record) {
		if err := s.provider.CleanUp(ctx, record); err != nil {
			s.outdated = true
			return err
		}
	}
	return nil
}

// Detach implements solver.Detacher.
func (s *session) Detach() { s.detached = true }

// Presented implements solver.Session.
func (s *session) Presented() bool { return s.attempted }

// Polls implements solver.Poller.
func (s *session) Polls() bool {
	_, settles := s.provider.(Settler)
	return settles && !s.presented.IsZero() && !s.settled
}

// Zone implements solver.Located.
func (s *session) Zone() string { return s.zone }

// String implements solver.Session.
func (s *session) String() string {
	if s.record.FQDN != "" {
		return s.record.FQDN
	}
	return s.fqdn
}

// Accepted implements solver.Observer.
func (s *session) Accepted(at time.Time) {
	s.accepted = at
	s.config.Ledger.Accepted(s.challenge.CA, s.fqdn, at)
}

// Refused implements solver.Observer.
func (s *session) Refused(accepted time.Time) {
	s.config.Ledger.Refused(s.challenge.CA, s.fqdn, accepted)
}

// Concluded implements solver.Observer.
func (s *session) Concluded(failed bool, missed string, at time.Time) {
	if missed != "" && s.observed.Stale(s.accepted) {
		s.config.Ledger.Missed(s.challenge.CA, s.fqdn, s.challenge.Key, missed, at)
	}
	s.config.Ledger.Concluded(s.challenge.CA, s.fqdn, failed, at)
}

// Forget implements solver.Observer.
func (s *session) Forget() { s.config.Ledger.Forget(s.challenge.CA, s.fqdn, s.challenge.Key) }
