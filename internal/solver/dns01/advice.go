package dns01

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/everleaf/everleaf/internal/dns/dnsname"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/propagation"
)

// local are zones that no CA and nobody else outside asks for a name: the zone of a
// cluster, the reverse zones, and special names without a zone (RFC 6761, RFC 7686). A
// name in one of them leads there by a rewrite rule or a wrong alias. Zones that a
// private CA may see, such as test, local, internal, home.arpa or corp, are not here.
var local = []string{"cluster.local.", "in-addr.arpa.", "ip6.arpa.", "localhost.", "invalid.", "onion."}

// localZone returns the zone of local that a name is in, unless the name for which the
// certificate is asked is in it, too.
func localZone(name, challenge string) string {
	name, challenge = dnsname.Canonical(name), dnsname.Canonical(challenge)
	for _, zone := range local {
		if dnsname.Within(name, zone) && !dnsname.Within(challenge, zone) {
			return zone
		}
	}
	return ""
}

// otherResolvers is what a user can do if the view of the resolvers is the wrong one.
const otherResolvers = "set --dns01-recursive-nameservers, or dns01.nameservers of the solver, to name servers that have the view of the CA"

// checkTarget refuses to write into a local zone.
func checkTarget(challenge, target string) error {
	if zone := localZone(target, challenge); zone != "" {
		return fault.New(fault.User, "LocalZone",
			"%s is an alias of %s here, in the local zone %s, into which nothing is written: correct the CNAME record, or, if a rewrite rule of the resolver makes it, %s",
			challenge, target, zone, otherResolvers)
	}
	return nil
}

// claimer is implemented by Resolvers that know which of the recursive resolvers has a
// zone.
type claimer interface {
	Claim(ctx context.Context, fqdn string) (zone, server string, err error)
}

// checkZone refuses a zone that cannot be that of a name for a certificate.
func checkZone(challenge, zone, server string) error {
	by := ""
	if server != "" {
		by = fmt.Sprintf(", as %s has it", server)
	}
	switch {
	case zone == ".":
		return fault.New(fault.User, "ZoneNotFound", "%s is in no zone below the root%s; check the domain, or %s", challenge, by, otherResolvers)
	case !dnsname.Within(dnsname.Canonical(challenge), zone), localZone(zone, challenge) != "":
		return fault.New(fault.User, "LocalZone", "%s is in the zone %s%s, into which it does not belong; %s", challenge, zone, by, otherResolvers)
	default:
		return nil
	}
}

// advicePatience is how long it may take to find out more about a failure.
const advicePatience = 5 * time.Second

// advise completes the fault of a provider by what DNS has for the name: an alias that
// the solver does not follow, or the zone that a webhook was given.
func (s *session) advise(ctx context.Context, provider Provider, err error) error {
	f := *fault.Of(err)
	gaveZone := f.Reason == reasonSolverFailed
	if f.Class != fault.User && f.Class != fault.Permanent && f.Reason != "ZoneNotFound" && !gaveZone {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, advicePatience)
	defer cancel()
	if alias := s.aliasAdvice(ctx, provider); alias != "" {
		f.Message += alias
		return &f
	}
	claims, ok := s.config.Resolver.(claimer)
	if !gaveZone || !ok {
		return err
	}
	if zone, server, err := claims.Claim(ctx, above(s.record.FQDN)); err == nil {
		f.Message += fmt.Sprintf("; the solver was asked to write into the zone %s, which %s has: if the DNS provider does not have it, an internal zone shadows the public one: %s", zone, server, otherResolvers)
	}
	return &f
}

// reasonSolverFailed is the reason of a fault in the words of a solver webhook.
const reasonSolverFailed = "SolverFailed"

// aliasAdvice says that the name is an alias which the solver does not follow, as the
// end of a message, or returns "".
func (s *session) aliasAdvice(ctx context.Context, provider Provider) string {
	if follows(s.challenge.Solver.DNS01) {
		return ""
	}
	resolver, mode, err := s.resolver(s.challenge.Solver.DNS01)
	if err != nil {
		return ""
	}
	target, zone := "", ""
	if mode == propagation.RecursiveOnly {
		if target, err = followCNAME(ctx, s.fqdn, provider, resolver); err == nil && target != s.fqdn {
			zone, err = resolver.FindZone(ctx, above(target))
		}
	} else {
		target, zone, err = resolver.Locate(ctx, s.fqdn, true)
	}
	if target == "" || target == s.fqdn || slices.Contains(local, zone) {
		return ""
	}
	in := ""
	if err == nil && zone != "" {
		in = " in the zone " + zone
	}
	return fmt.Sprintf("; %s is an alias of %s: set cnameStrategy: Follow in the solver to write the record there%s", s.fqdn, target, in)
}
