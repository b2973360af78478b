package diagnosis

import (
	"cmp"
	"slices"
	"strings"
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/lifecycle/order"
	"github.com/everleaf/everleaf/internal/propagation"
)

// usual is how long after its creation a Challenge may be on its way.
const usual = 30 * time.Second

// Words of Challenges that say what they wait for. Clients match on them.
const (
	propagationWords = "challenge propagation"
	othersWords      = "--max-concurrent-challenges"
	waitingWords     = "Waiting"
	solverWords      = "Failed to determine a valid solver configuration"
	acmeWords        = "urn:ietf:params:acme:error:"
)

// challenge says what keeps a Challenge from becoming valid.
func (e Evidence) challenge(c *acmev1.Challenge) []Verdict {
	ref := e.refOf(acmev1.ChallengeKind, c.Name)
	reason := c.Status.Reason
	if order.Final(c.Status.State) {
		return append([]Verdict{e.caRefusal(ref, reason)}, e.seen(c, ref)...)
	}
	switch {
	case strings.Contains(reason, othersWords):
		return []Verdict{{Code: WaitingForOthers, Object: ref, Message: reason, Fix: []string{
			"wait: its turn comes as soon as others are valid or stuck",
			"or raise --max-concurrent-challenges",
		}}}
	case !c.Status.Presented && strings.HasPrefix(reason, waitingWords):
		return []Verdict{{Code: InProgress, Object: ref, Message: reason, NextTry: timeIn(reason)}}
	case !c.Status.Presented && reason != "" && c.Spec.Type == acmev1.ACMEChallengeTypeHTTP01:
		return append([]Verdict{{
			Code: NotPresented, Object: ref, Message: "the challenge is not presented: " + reason, NextTry: timeIn(reason),
			Fix: []string{"correct what the message names (permissions, quota, policy, the solver of the issuer)"},
		}}, asides(e.seen(c, ref))...)
	case !c.Status.Presented && reason != "":
		return append([]Verdict{{
			Code: ProviderFails, Object: ref, Message: "the challenge is not presented: " + reason, NextTry: timeIn(reason),
			Fix: []string{
				"correct what the message names (credentials, permissions, zone); everleaf tries again at once when the issuer or its Secrets change",
				"$ everleaf check dns01" + checkFlags(c) + " --domain " + c.Spec.DNSName,
			},
		}}, e.ofZone(c, ref)...)
	case !c.Status.Presented:
		if e.At.Sub(c.CreationTimestamp.Time) < usual {
			return []Verdict{{Code: InProgress, Object: ref, Message: "the challenge is being presented"}}
		}
		return []Verdict{{Code: NoController, Object: ref, Message: "no controller has worked on the challenge", Fix: []string{"check that everleaf runs and is the leader"}}}
	}
	found := e.seen(c, ref)
	what, who := looksAt(c)
	if c.Spec.Solver.WaitInsteadOfSelfCheck != nil {
		found = append(found, Verdict{Code: SelfCheckDisabled, Object: ref, Aside: true, Message: "the solver has waitInsteadOfSelfCheck: the CA is asked without a look at the " + what})
	}
	if slices.ContainsFunc(found, func(v Verdict) bool { return !v.Aside && v.Code != Propagated && v.Code != Reachable }) {
		return found
	}
	if len(found) == 0 && strings.Contains(reason, propagationWords) && c.Status.PresentedAt != nil && e.At.Sub(c.Status.PresentedAt.Time) > usual {
		return []Verdict{{Code: NotPropagated, Object: ref, Message: reason, NextTry: timeIn(reason), Fix: []string{
			"see what each " + who + " answers:", "$ everleaf explain challenge " + c.Name + " -n " + c.Namespace,
		}}}
	}
	message := "the challenge is presented"
	if reason != "" {
		message += ": " + reason
	}
	return append([]Verdict{{Code: InProgress, Object: ref, Message: message, NextTry: timeIn(reason)}}, asides(found)...)
}

// looksAt is what the self-check looks at, and who answers it.
func looksAt(c *acmev1.Challenge) (what, who string) {
	if c.Spec.Type == acmev1.ACMEChallengeTypeHTTP01 {
		return "address", "address"
	}
	return "record", "name server"
}

// ofZone are the faults of the zone itself that servers show of a record that could not be
// written: they may be why.
func (e Evidence) ofZone(c *acmev1.Challenge, ref Ref) []Verdict {
	return slices.DeleteFunc(e.seen(c, ref), func(v Verdict) bool {
		return !slices.Contains([]Code{NotDelegated, LameDelegation, PortBlocked, PortIntercepted, ShadowingZone, DNSSECFailure}, v.Code)
	})
}

// checkFlags name the issuer of a Challenge for everleaf check.
func checkFlags(c *acmev1.Challenge) string {
	ref := c.Spec.IssuerRef.WithDefaults()
	if ref.Kind == "ClusterIssuer" {
		return " --cluster-issuer " + ref.Name
	}
	return " -n " + c.Namespace + " --issuer " + ref.Name
}

func asides(list []Verdict) []Verdict {
	for i := range list {
		list[i].Aside = true
	}
	return list
}

// seen judges what name servers answer about a Challenge, or the addresses of its name:
// what the controllers see decides, because they do; what the command sees is worth
// knowing if it differs.
func (e Evidence) seen(c *acmev1.Challenge, ref Ref) []Verdict {
	switch c.Spec.Type {
	case acmev1.ACMEChallengeTypeHTTP01:
		return e.seenHTTP(c, ref)
	case acmev1.ACMEChallengeTypeDNS01:
	default:
		return nil
	}
	var out []Verdict
	public := ""
	for _, s := range e.Sightings {
		if s.Challenge == c.Name && s.View != nil && public == "" {
			public = leading(*s.View, e.Resolvers)
		}
	}
	for _, from := range []Place{FromController, FromCommand} {
		for _, s := range e.Sightings {
			if s.Challenge != c.Name || s.From != from || s.View == nil {
				continue
			}
			w := writtenBy(c, s.Provider)
			w.public = public
			w.own = c.Spec.Solver.DNS01 != nil && len(c.Spec.Solver.DNS01.Nameservers) > 0
			found := newSight(*s.View, w).judge()
			if v, ok := judgeCAA(s.View.CAA, e.asks(c)); ok {
				found = append(found, v)
			}
			for i := range found {
				found[i].Object, found[i].Seen = ref, from
			}
			if len(out) > 0 {
				found = differing(asides(found), out)
			}
			out = append(out, found...)
		}
	}
	return out
}

// Cause is why the record of a Challenge is not found, as name servers show it, in one
// sentence; empty if they show no reason.
func Cause(c *acmev1.Challenge, provider string, v propagation.View) string {
	e := Evidence{Sightings: []Sighting{{Challenge: c.Name, From: FromController, Provider: provider, View: &v}}}
	for _, found := range e.seen(c, Ref{}) {
		if !found.Aside && found.Code != Propagated && found.Code != Undecided {
			return found.Message
		}
	}
	return ""
}

// differing are the Verdicts that were not passed yet.
func differing(list, passed []Verdict) []Verdict {
	var out []Verdict
	for _, v := range list {
		known := false
		for _, p := range passed {
			known = known || p.Code == v.Code && p.Object == v.Object
		}
		if !known {
			out = append(out, v)
		}
	}
	return out
}

func (e Evidence) asks(c *acmev1.Challenge) asks {
	a := asks{wildcard: c.Spec.Wildcard, method: strings.ToLower(string(c.Spec.Type))}
	if e.CA != nil {
		a.identities, a.problem = e.CA.Identities, e.CA.Problem
	}
	if e.Issuer != nil && e.Issuer.Status != nil && e.Issuer.Status.ACME != nil {
		a.account = e.Issuer.Status.ACME.URI
	}
	return a
}

func writtenBy(c *acmev1.Challenge, provider string) written {
	spec := c.Spec.Solver.DNS01
	return written{
		follow: spec != nil && spec.CNAMEStrategy == acmev1.FollowStrategy, provider: cmp.Or(provider, "the provider"), presented: c.Status.Presented,
	}
}

// Problems of a CA that have a cause of their own (RFC 8555 section 6.7).
const (
	problemCAA  = "urn:ietf:params:acme:error:caa"
	problemDNS  = "urn:ietf:params:acme:error:dns"
	problemAuth = "urn:ietf:params:acme:error:unauthorized"
	// problemResponse is what some CAs say if the record has another value.
	problemResponse = "urn:ietf:params:acme:error:incorrectResponse"
)

// caRefusal says what a failure of a Challenge, an Order or an issuance means.
func (e Evidence) caRefusal(ref Ref, reason string) Verdict {
	v := Verdict{Code: Failed, Object: ref, Message: reason, NextTry: e.nextTry(reason)}
	if e.ofHTTP(ref) {
		if v, ok := e.caSees(ref, reason); ok {
			return v
		}
	}
	switch {
	case reason == "":
		v.Message = "it failed without a reason"
	case strings.Contains(reason, problemCAA):
		v.Code = CAANotAllowed
		v.Fix = []string{"see the CAA records below, and add one that names the CA", "$ dig CAA " + e.domain(ref)}
		if e.ofHTTP(ref) {
			v.Fix[0] = "add a CAA record that names the CA"
		}
	case strings.Contains(reason, problemDNS):
		v.Code = CADoesNotSee
		v.Fix = []string{
			"the CA asks from several places of the world: check that the name servers do not block or limit queries from abroad, and that they answer over TCP (port 53)",
			"everleaf tries again by itself",
		}
		if e.answeredHere(ref) {
			v.Message += ". The name servers answered here, so that the network between the CA and the name servers is the likely cause"
		}
	case strings.Contains(reason, problemAuth), strings.Contains(reason, problemResponse):
		v.Code = CADoesNotSee
		v.Fix = []string{"see what the name servers answer below: the CA did not find the record, or found other values only"}
	case strings.Contains(reason, solverWords):
		v.Code = NoSolver
		v.Fix = []string{"give the issuer a solver for the name: see the selectors (dnsNames, dnsZones, matchLabels) of spec.acme.solvers"}
	default:
		v.Code = Failed
		if strings.Contains(reason, acmeWords) {
			v.Code = CARefuses
		}
		v.Fix = []string{"correct what the message names; everleaf tries again by itself, and at once when the Certificate or the issuer changes"}
	}
	v.Fix = append(v.Fix, e.atOnce()...)
	return v
}

// atOnce is how a failed issuance is tried again at once if what was wrong is not in the
// cluster, so that no object shows that it is repaired.
func (e Evidence) atOnce() []string {
	if e.failing() == "" {
		return nil
	}
	return []string{
		"after a repair elsewhere, such as at the CA's server or in DNS, have everleaf try at once:",
		"$ everleaf renew " + e.Certificate.Name + " -n " + e.Certificate.Namespace,
	}
}

// nextTry is when a failed issuance is tried again.
func (e Evidence) nextTry(reason string) *time.Time {
	if at := timeIn(reason); at != nil || e.Certificate == nil {
		return at
	}
	for _, c := range e.Certificate.Status.Conditions {
		if at := timeIn(c.Message); at != nil {
			return at
		}
	}
	return nil
}

func (e Evidence) domain(ref Ref) string {
	for _, c := range e.Challenges {
		if c.Name == ref.Name || len(e.Challenges) == 1 {
			return c.Spec.DNSName
		}
	}
	return "DOMAIN"
}

// answeredHere reports whether name servers answered the questions about a Challenge.
func (e Evidence) answeredHere(ref Ref) bool {
	for _, s := range e.Sightings {
		if s.View == nil || ref.Kind == acmev1.ChallengeKind && s.Challenge != ref.Name {
			continue
		}
		for _, r := range s.View.Servers {
			if r.Failure == propagation.NoFailure && r.Authoritative {
				return true
			}
		}
	}
	return false
}
