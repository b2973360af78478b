package diagnosis

import (
	"fmt"
	"slices"
	"strings"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/selfcheck"
)

// seenHTTP judges what the addresses of a name answer about an HTTP-01 Challenge: what the
// controllers see decides, because they do. What the command sees from elsewhere shows
// whether that is so for everybody.
func (e Evidence) seenHTTP(c *acmev1.Challenge, ref Ref) []Verdict {
	views := map[Place]*selfcheck.View{}
	for _, s := range e.Sightings {
		if s.Challenge == c.Name && s.HTTP != nil {
			view := *s.HTTP
			view.Circumstances = e.circumstances(c, view.Circumstances)
			views[s.From] = &view
		}
	}
	inside, outside := views[FromController], views[FromCommand]
	var out []Verdict
	if inside != nil && outside != nil {
		if v, ok := e.toldApart(inside.Report, outside.Report); ok {
			v.Object, v.Seen = ref, FromController
			return append([]Verdict{v}, asides(e.judgeHTTP(c, ref, FromCommand, *outside))...)
		}
	}
	for _, from := range []Place{FromController, FromCommand} {
		if view := views[from]; view != nil {
			found := e.judgeHTTP(c, ref, from, *view)
			if len(out) > 0 {
				found = differing(asides(found), out)
			}
			out = append(out, found...)
		}
	}
	return out
}

// toldApart: the cluster is answered otherwise than the rest of the world.
func (e Evidence) toldApart(inside, outside selfcheck.Report) (Verdict, bool) {
	here, there := outside.Addresses(), inside.Addresses()
	named := "--acme-http01-solver-nameservers"
	if len(e.Resolvers) > 0 {
		named += "=" + strings.Join(e.Resolvers, ",")
	}
	switch {
	case inside.Ready():
		return Verdict{}, false
	case len(here) > 0 && !slices.ContainsFunc(here, func(a string) bool { return slices.Contains(there, a) }):
		says := "the resolver of the cluster knows no address of " + inside.Name
		if len(there) > 0 {
			says = fmt.Sprintf("the resolver of the cluster says that %s is at %s", inside.Name, strings.Join(there, ", "))
		}
		return Verdict{
			Code: SplitHorizon, Message: fmt.Sprintf("%s, and from here it is at %s: in the cluster, %s", says, strings.Join(here, ", "), inside.Seen()),
			Fix: []string{"have everleaf ask a resolver that sees what the CA sees:", "$ " + named, "or have the internal address answer the challenge as well"},
		}, true
	case outside.Ready() && slices.ContainsFunc(inside.Answers, func(a selfcheck.Answer) bool { return a.Dead() && !a.Unchecked() }) &&
		!slices.ContainsFunc(inside.Answers, selfcheck.Answer.Wrong):
		return Verdict{
			Code: Code(selfcheck.HairpinNAT), Message: fmt.Sprintf("the cluster does not reach its own edge (hairpin NAT): in the cluster, %s; from here, %s", inside.Seen(), outside.Seen()),
			Fix: []string{
				"have the resolver of the cluster answer with the internal address of the ingress controller",
				"or let the CA be asked in spite of the self-check: set everleaf.io/self-check-deadline and everleaf.io/self-check-on-deadline: ask-ca on the issuer",
			},
		}, true
	default:
		return Verdict{}, false
	}
}

// lasting are the causes that show also when the challenge is not presented any more.
var lasting = []selfcheck.Cause{
	selfcheck.NoAddressRecord, selfcheck.ResolverFails, selfcheck.OtherAddress, selfcheck.PrivateAddress, selfcheck.PortClosed,
	selfcheck.Looping, selfcheck.RedirectPort, selfcheck.RedirectFails, selfcheck.Filtered, selfcheck.Protected, selfcheck.HairpinNAT,
}

// judgeHTTP says why a challenge is not found, as seen from one place.
func (e Evidence) judgeHTTP(c *acmev1.Challenge, ref Ref, from Place, view selfcheck.View) []Verdict {
	r := view.Report
	dead := deadAddresses(r)
	for i := range dead {
		dead[i].Object, dead[i].Seen = ref, from
	}
	if r.Ready() {
		return append([]Verdict{{Code: Reachable, Object: ref, Seen: from, Message: "the challenge is found: " + r.Seen()}}, dead...)
	}
	found := selfcheck.Find(r, view.Circumstances)
	if !c.Status.Presented && !slices.Contains(lasting, found.Cause) {
		return dead
	}
	v := Verdict{Code: Code(found.Cause), Object: ref, Seen: from, Message: r.Seen(), Fix: fixes(found)}
	if found.Says != "" {
		v.Message += "; " + found.Says
	}
	if found.Cause == selfcheck.Unknown {
		v.Code = NotServed
	}
	return []Verdict{v}
}

// fixes are the things to do about a Finding, each as a line.
func fixes(f selfcheck.Finding) []string {
	var out []string
	for i, text := range f.Fix {
		if i > 0 {
			text = "or " + text
		}
		out = append(out, text)
	}
	return out
}

// deadAddresses are those that do not answer, while another one does.
func deadAddresses(r selfcheck.Report) []Verdict {
	if !slices.ContainsFunc(r.Answers, func(a selfcheck.Answer) bool { return a.Proxy == "" && !a.Dead() }) {
		return nil
	}
	var out []Verdict
	for _, a := range r.Answers {
		switch {
		case a.Proxy != "" || !a.Dead() || a.Unchecked():
		case a.IPv6():
			out = append(out, Verdict{Code: IPv6Dead, Aside: true, Message: a.Address + " " + a.Says() + "; CAs prefer IPv6, and not all try another address then", Fix: []string{
				"have the ingress controller listen on this address, or remove the AAAA record",
			}})
		default:
			out = append(out, Verdict{Code: AddressDead, Aside: true, Message: a.Address + " " + a.Says() + "; a CA may ask any address", Fix: []string{"remove the A record, or have the address answer on port 80"}})
		}
	}
	return out
}

// circumstances are those that the controllers know, or what the objects say.
func (e Evidence) circumstances(c *acmev1.Challenge, known selfcheck.Circumstances) selfcheck.Circumstances {
	own := slices.IndexFunc(e.Edges, func(o Edge) bool { return o.Challenge == c.Name })
	if known.Route.Name == "" && own >= 0 {
		known.Route = routeOf(e.Edges[own])
	}
	if known.DefaultClass == "" {
		known.DefaultClass = e.DefaultClass
	}
	class := known.Route.Class
	if class == "" {
		class = known.DefaultClass
	}
	neighbours, addresses := len(known.Neighbours) == 0, len(known.Edges) == 0
	for _, o := range e.Edges {
		if neighbours && o.Kind == IngressKind && !o.Own && slices.Contains(o.Hosts, c.Spec.DNSName) {
			known.Neighbours = append(known.Neighbours, selfcheck.Neighbour{Namespace: o.Namespace, Name: o.Name, Class: o.Class, Addresses: o.Addresses})
		}
		if addresses && (o.Kind != IngressKind || o.Class == class || known.Route.Kind == "") {
			known.Edges = append(known.Edges, o.Addresses...)
		}
	}
	return known
}

// routeOf is an Edge as the route of its Challenge.
func routeOf(o Edge) selfcheck.Route {
	r := selfcheck.Route{Kind: selfcheck.SolverIngress, Namespace: o.Namespace, Name: o.Name, Class: o.Class, PathType: o.PathType, Refusals: o.Refusals}
	switch {
	case o.Kind == HTTPRouteKind:
		r.Kind = selfcheck.HTTPRoute
	case !o.Own:
		r.Kind = selfcheck.EditedIngress
	}
	return r
}
