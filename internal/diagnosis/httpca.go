package diagnosis

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
)

// Problems of a CA about HTTP-01 that have a cause of their own (RFC 8555 section 6.7).
const (
	problemConnection = "urn:ietf:params:acme:error:connection"
	problemTLS        = "urn:ietf:params:acme:error:tls"
)

// ofHTTP reports whether an object is about HTTP-01 alone.
func (e Evidence) ofHTTP(ref Ref) bool {
	about := func(c acmev1.Challenge) bool { return ref.Kind != acmev1.ChallengeKind || c.Name == ref.Name }
	return slices.ContainsFunc(e.Challenges, about) && !slices.ContainsFunc(e.Challenges, func(c acmev1.Challenge) bool {
		return about(c) && c.Spec.Type != acmev1.ACMEChallengeTypeHTTP01
	})
}

// caSees says what the failure of an HTTP-01 Challenge means, in comparison with what is
// seen from here. ok is false if that says nothing about it.
func (e Evidence) caSees(ref Ref, reason string) (v Verdict, ok bool) {
	v = Verdict{Code: CADoesNotSee, Object: ref, Message: reason, NextTry: e.nextTry(reason)}
	seen, answered := e.addressesOf(ref)
	asked := addressIn(reason)
	if asked != "" && len(seen) > 0 && !slices.Contains(seen, asked) {
		v.Code = CASeesOther
		v.Message += fmt.Sprintf(". The CA asked %s, which is not an address of the name as it is seen here (%s)", asked, strings.Join(seen, ", "))
		v.Fix = []string{
			"correct the A and AAAA records in the public DNS, and wait until older ones have expired",
			"if the cluster has a DNS of its own, have everleaf ask a resolver that sees what the CA sees: --acme-http01-solver-nameservers",
		}
		return v, true
	}
	switch {
	case strings.Contains(reason, problemConnection):
		v.Fix = []string{"open port 80 to everybody: a CA asks from several places of the world (firewall, geo-blocking, rate limits)", "everleaf tries again by itself"}
		if answered {
			v.Message += ". The addresses answer here, so that the network between the CA and them is the likely cause"
		}
	case strings.Contains(reason, problemDNS):
		v.Fix = []string{"check that the name has an A or AAAA record in the public DNS, and that its name servers and signatures (DNSSEC) are in order", "everleaf tries again by itself"}
	case strings.Contains(reason, problemTLS):
		v.Fix = []string{"exempt /.well-known/acme-challenge/ from the redirect to https"}
	case strings.Contains(reason, problemAuth), strings.Contains(reason, problemResponse):
		v.Fix = []string{"see what each address answers, from here and from the cluster: the CA found something else than the challenge", "everleaf tries again by itself"}
	default:
		return v, false
	}
	return v, true
}

// addressesOf are the addresses of a Challenge's name, and whether one of them answered.
func (e Evidence) addressesOf(ref Ref) (list []string, answered bool) {
	for _, s := range e.Sightings {
		if s.HTTP == nil || ref.Kind == acmev1.ChallengeKind && s.Challenge != ref.Name {
			continue
		}
		for _, a := range s.HTTP.Report.Answers {
			if a.Address != "" && !slices.Contains(list, a.Address) {
				list = append(list, a.Address)
			}
			answered = answered || a.Proxy == "" && !a.Dead()
		}
	}
	return list, answered
}

// addressIn is the first IP address in a text, empty without one. CAs say which one they
// asked.
func addressIn(text string) string {
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(" \t\n\"'`()<>,;/", r) }) {
		word = strings.TrimRight(word, ":.")
		if a, err := netip.ParseAddr(strings.Trim(word, "[]")); err == nil {
			return a.Unmap().String()
		}
		if a, err := netip.ParseAddrPort(word); err == nil {
			return a.Addr().Unmap().String()
		}
	}
	return ""
}
