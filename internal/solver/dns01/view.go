package dns01

import (
	"context"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/dns"
	"github.com/everleaf/everleaf/internal/dns/dnsname"
	"github.com/everleaf/everleaf/internal/solver"
)

var _ solver.Witness = (*session)(nil)

// View implements solver.Witness.
func (s *session) View(ctx context.Context) solver.View {
	survey := s.config.Providers.Survey(s.config.Survey, s.challenge.DNSName, s.challenge.Key, &s.challenge.Solver)
	survey.Presented = true
	view := survey.Run(ctx)
	return solver.View{DNS: &view}
}

// Survey returns what there is to ask about a challenge. base has the resolvers of
// the system and of the configuration; the solver's own take the place of the
// latter.
func (r Registry) Survey(base dns.Survey, dnsName, key string, with *acmev1.ACMEChallengeSolver) dns.Survey {
	base.FQDN, base.Value = dnsname.Challenge(dnsName), key
	spec := with.DNS01
	if spec == nil {
		return base
	}
	if len(spec.Nameservers) > 0 {
		base.Configured, base.Only = spec.Nameservers, true
	}
	if f := r.find(spec); f != nil && f.Origin != nil {
		base.Origin = f.Origin(spec)
	}
	return base
}
