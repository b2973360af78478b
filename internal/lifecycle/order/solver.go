package order

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/facts"
)

// offered maps the challenge types of RFC 8555 to the API's words.
var offered = map[string]acmev1.ACMEChallengeType{
	acme.ChallengeHTTP01: acmev1.ACMEChallengeTypeHTTP01,
	acme.ChallengeDNS01:  acmev1.ACMEChallengeTypeDNS01,
}

// selection is a solver that was chosen for an authorization.
type selection struct {
	// index is that of the solver in the issuer's list.
	index     int
	solver    *acmev1.ACMEChallengeSolver
	challenge acmev1.ACMEChallenge
	kind      acmev1.ACMEChallengeType
}

// selectSolver picks the solver for an authorization: among those whose type
// the server offers, and whose selector matches, the one that names the domain
// wins, then the one with the longest matching zone, then the one with most
// labels, then the first.
func selectSolver(solvers []acmev1.ACMEChallengeSolver, labels map[string]string, authz acmev1.ACMEAuthorization) (selection, bool) {
	name := authz.Identifier
	if authz.Wildcard != nil && *authz.Wildcard {
		name = "*." + name
	}
	var best selection
	bestRank := rank{}
	for i := range solvers {
		challenge, kind, ok := pickChallenge(&solvers[i], authz.Challenges)
		if !ok {
			continue
		}
		r, ok := match(solvers[i].Selector, labels, name)
		if ok && (best.solver == nil || r.beats(bestRank)) {
			best, bestRank = selection{index: i, solver: &solvers[i], challenge: challenge, kind: kind}, r
		}
	}
	return best, best.solver != nil
}

// SolverFor returns the index of the solver that an Order with labels would use for a
// name by DNS-01, or why there is none. A name begins with *. for a wildcard; named is
// the issuer in messages.
func SolverFor(issuer *acmev1.ACMEIssuer, named string, labels map[string]string, name string) (int, string) {
	identifier, wildcard := strings.CutPrefix(name, "*.")
	authz := acmev1.ACMEAuthorization{Identifier: identifier, Wildcard: &wildcard, Challenges: []acmev1.ACMEChallenge{{Type: acme.ChallengeDNS01}}}
	if !wildcard {
		// RFC 8555 section 8.3: HTTP-01 cannot validate wildcards.
		authz.Challenges = append(authz.Challenges, acmev1.ACMEChallenge{Type: acme.ChallengeHTTP01})
	}
	sel, ok := selectSolver(issuer.Solvers, labels, authz)
	switch {
	case len(issuer.Solvers) == 0:
		return 0, named + " has no spec.acme.solvers"
	case !ok:
		return 0, fmt.Sprintf("none of the solvers of %s matches %q: see their selectors (dnsNames, dnsZones, matchLabels)", named, name)
	case sel.kind != acmev1.ACMEChallengeTypeDNS01:
		return 0, fmt.Sprintf("the solver selected for %q, spec.acme.solvers[%d] of %s, is HTTP-01: there is no DNS record to check", name, sel.index, named)
	default:
		return sel.index, ""
	}
}

// pickChallenge returns the first challenge offered that the solver's type can do.
func pickChallenge(s *acmev1.ACMEChallengeSolver, challenges []acmev1.ACMEChallenge) (acmev1.ACMEChallenge, acmev1.ACMEChallengeType, bool) {
	for _, c := range challenges {
		kind := offered[c.Type]
		if (kind == acmev1.ACMEChallengeTypeDNS01 && s.DNS01 != nil) ||
			(kind == acmev1.ACMEChallengeTypeHTTP01 && s.HTTP01 != nil) {
			return c, kind, true
		}
	}
	return acmev1.ACMEChallenge{}, "", false
}

// rank orders matching solvers. A solver without a selector has the zero rank.
type rank struct {
	selected   bool
	named      bool
	zoneLabels int
	labels     int
}

func (r rank) beats(o rank) bool {
	switch {
	case r.named != o.named:
		return r.named
	case r.zoneLabels != o.zoneLabels:
		return r.zoneLabels > o.zoneLabels
	case r.labels != o.labels:
		return r.labels > o.labels
	default:
		return r.selected && !o.selected
	}
}

// match reports whether a selector takes a domain, and how well: every part of
// the selector that is set must match.
func match(sel *acmev1.CertificateDNSNameSelector, labels map[string]string, name string) (rank, bool) {
	if sel == nil {
		return rank{}, true
	}
	r := rank{selected: true}
	if r.labels = len(sel.MatchLabels); !facts.ContainsAll(labels, sel.MatchLabels) {
		return rank{}, false
	}
	if len(sel.DNSNames) > 0 {
		if !slices.ContainsFunc(sel.DNSNames, func(n string) bool { return strings.EqualFold(strings.TrimSuffix(n, "."), name) }) {
			return rank{}, false
		}
		r.named = true
	}
	if len(sel.DNSZones) > 0 {
		for _, zone := range sel.DNSZones {
			if inZone(name, zone) {
				r.zoneLabels = max(r.zoneLabels, strings.Count(strings.Trim(zone, "."), ".")+1)
			}
		}
		if r.zoneLabels == 0 {
			return rank{}, false
		}
	}
	return r, true
}

func inZone(name, zone string) bool {
	name, zone = strings.ToLower(strings.Trim(name, ".")), strings.ToLower(strings.Trim(zone, "."))
	return zone != "" && (name == zone || strings.HasSuffix(name, "."+zone))
}

// issuerOf names the issuer of an Order.
func issuerOf(o *acmev1.Order) string {
	ref := o.Spec.IssuerRef.WithDefaults()
	if ref.Kind == cmv1.IssuerKind {
		return ref.Kind + " " + o.Namespace + "/" + ref.Name
	}
	return ref.Kind + " " + ref.Name
}

// unsupported returns a sentence about why this build cannot use a solver, or "".
func unsupported(o *acmev1.Order, account *facts.Account, sel selection, domain string) string {
	if sel.index >= len(account.Unsupported) || account.Unsupported[sel.index] == "" {
		return ""
	}
	return fmt.Sprintf("the solver selected for %q, spec.acme.solvers[%d] of %s, %s", domain, sel.index, issuerOf(o), account.Unsupported[sel.index])
}

// noSolver explains that no solver matches, naming what the server offers.
func noSolver(o *acmev1.Order, solvers []acmev1.ACMEChallengeSolver, authz acmev1.ACMEAuthorization) string {
	const unusable = "no configured challenge solvers can be used for this challenge: "
	if len(solvers) == 0 {
		return unusable + issuerOf(o) + " has no spec.acme.solvers"
	}
	types := map[string]bool{}
	for _, c := range authz.Challenges {
		types[c.Type] = true
	}
	why := fmt.Sprintf(unusable+"none of the solvers of %s matches %q and offers one of %s",
		issuerOf(o), authz.Identifier, strings.Join(slices.Sorted(maps.Keys(types)), ", "))
	if _, err := netip.ParseAddr(authz.Identifier); err == nil {
		// RFC 8738 section 7.
		why += "; IP addresses cannot be validated by DNS-01"
	}
	return why
}
