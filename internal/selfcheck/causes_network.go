package selfcheck

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// uneven: some address has the challenge, and another one does not.
func (s situation) uneven() Finding {
	switch {
	case !s.right:
		return Finding{}
	case s.at.IPv6():
		return Finding{UnevenAddresses, "CAs prefer IPv6", []string{"fix or remove the AAAA record"}}
	default:
		return Finding{UnevenAddresses, "a CA may ask any address", []string{"fix or remove the A record of " + s.at.Address}}
	}
}

// proxy: a proxy answers in the place of the cluster's edge.
func (s situation) proxy() Finding {
	if s.at.Proxy == "" || s.at.Failure == NoFailure && !s.code(403, 407, 502, 503, 504) {
		return Finding{}
	}
	return Finding{ProxyInTheWay, "a CA does not use this proxy", []string{fmt.Sprintf("add %s to NO_PROXY if it can be reached without", s.r.Name)}}
}

// unresolved: there is no address, or none that can be asked.
func (s situation) unresolved() Finding {
	switch {
	case !s.asked && slices.ContainsFunc(s.r.Lookups, func(l Lookup) bool { return l.Failure != NoFailure }):
		return Finding{ResolverFails, "", []string{"check the resolver", "name another one by " + nameResolver}}
	case !s.asked:
		return Finding{NoAddressRecord, "", []string{
			"create an A or AAAA record that points to the ingress controller",
			"if there is one, name a resolver that sees it by " + nameResolver,
		}}
	case s.at.Unchecked():
		return Finding{NoRouteHere, "no address of the name can be reached from here, and a CA may well reach it", []string{askCA}}
	default:
		return Finding{}
	}
}

// loop: redirects lead nowhere.
func (s situation) loop() Finding {
	if s.at.Failure != RedirectLoop && s.at.Failure != TooManyRedirects {
		return Finding{}
	}
	return Finding{Looping, "", []string{"exempt " + path + " from the redirect", "if a proxy or CDN in front speaks plain HTTP to the cluster, have it speak HTTPS"}}
}

// otherPort: a redirect leads to another port than 80 and 443.
func (s situation) otherPort() Finding {
	last, _ := s.at.last()
	to, err := url.Parse(last.To)
	if s.at.Failure != OtherPort || err != nil {
		return Finding{}
	}
	return Finding{
		RedirectPort, fmt.Sprintf("redirected to port %s, which CAs such as Let's Encrypt refuse", to.Port()),
		[]string{"exempt " + path + " from the redirect", "redirect to port 443", "if your CA follows it, " + askCA},
	}
}

// handshake: the server to which port 80 redirects refuses the name.
func (s situation) handshake() Finding {
	last, redirected := s.at.last()
	if !redirected || s.at.Failure != TLSAlert && s.at.Failure != TLSFailed {
		return Finding{}
	}
	from := "exempt " + path + " from the redirect"
	// What servers send that have no certificate for a name: RFC 6066 section 3, nginx,
	// Go.
	if slices.Contains([]string{"unrecognized name", "handshake failure", "internal error"}, s.at.Detail) && !last.Foreign {
		return Finding{RedirectFails, "redirected to https, and the server there has no certificate for the name", []string{
			`set the annotation cert-manager.io/issue-temporary-certificate: "true"`, from,
		}}
	}
	return Finding{RedirectFails, "", []string{from}}
}

// defaultCertificate: the server on port 443 does not know the name.
func (s situation) defaultCertificate() Finding {
	last, redirected := s.at.last()
	if !redirected || last.Certificate != otherName {
		return Finding{}
	}
	return Finding{RedirectFails, "redirected to https, where the name is not served", []string{"exempt " + path + " from the redirect"}}
}

// foreignHost: a redirect leads away from the name.
func (s situation) foreignHost() Finding {
	last, redirected := s.at.last()
	switch {
	case !redirected || !last.Foreign:
		return Finding{}
	case s.c.Route.Kind == EditedIngress:
		return Finding{RedirectElsewhere, "edit in place puts the challenge under the rules of " + s.route() + ", which redirects", []string{separate}}
	default:
		return Finding{RedirectElsewhere, "", []string{"exempt " + path + " from the redirect", fmt.Sprintf("have %s answer the challenge", last.To)}}
	}
}

// otherKey: somebody else answers challenges.
func (s situation) otherKey() Finding {
	switch s.at.Content {
	case OtherAccount:
		return Finding{
			WrongToken, "something in front answers every challenge with its own key: a second controller, or a web server set up for another ACME client (stateless mode)",
			[]string{exempt},
		}
	case OtherChallenge:
		return Finding{
			WrongToken, "something else answers challenges of this name: a second controller, or another ACME client",
			[]string{"let only one serve " + path},
		}
	default:
		return Finding{}
	}
}

// firewall: a page that is no answer of the responder. With 503, it may as well be that of
// the cluster's ingress controller, which has no backend.
func (s situation) firewall() Finding {
	foreign := s.c.Route.Name == "" || len(s.c.Edges) > 0 && !slices.Contains(s.c.Edges, s.at.Address)
	if s.at.Content == Page && (s.code(403, 429) || s.code(503) && foreign) {
		return Finding{Filtered, "it is a page of a web application firewall, a bot filter or a CDN", []string{exempt}}
	}
	return Finding{}
}

// hairpin: the cluster does not reach its own edge.
func (s situation) hairpin() Finding {
	if !s.silent() || !slices.Contains(s.c.Edges, s.at.Address) {
		return Finding{}
	}
	return Finding{
		HairpinNAT, s.at.Address + " is the cluster's own edge, which a pod cannot reach (hairpin NAT); a CA may well reach it",
		[]string{"have the resolver of the cluster answer with the internal address of the ingress controller", askCA},
	}
}

// elsewhere: the address is not one of the cluster's. One that is known only by a private
// address, or by a name, may be reached at others.
func (s situation) elsewhere() Finding {
	own := func(e string) bool { return e == s.at.Address || !isPublic(e) }
	if !s.asked || s.at.Address == "" || len(s.c.Edges) == 0 || slices.ContainsFunc(s.c.Edges, own) {
		return Finding{}
	}
	record := A
	if s.at.IPv6() {
		record = AAAA
	}
	return Finding{
		OtherAddress, fmt.Sprintf("%s is not an address of the ingress controller (%s)", s.at.Address, strings.Join(s.c.Edges[:min(len(s.c.Edges), maxNamed)], ", ")),
		[]string{fmt.Sprintf("correct the %s record, unless a proxy or CDN there passes requests on", record)},
	}
}

// policy: connections are refused on the way, and a policy can be why.
func (s situation) policy() Finding {
	if !s.silent() || s.at.Failure != Unreachable {
		return Finding{}
	}
	return Finding{NotPermitted, "a NetworkPolicy or a firewall may not let everleaf out", []string{"let it out to port 80 of this address"}}
}

// closed: nothing serves port 80.
func (s situation) closed() Finding {
	if !s.silent() {
		return Finding{}
	}
	f := Finding{PortClosed, "", []string{"check that port 80 of this address is open to everybody (firewall, security group, load balancer)"}}
	if s.at.Failure == ConnectionRefused {
		f.Says, f.Fix = "nothing listens on port 80 there, where a CA begins", []string{"open port 80"}
	}
	if !isPublic(s.at.Address) {
		f.Fix = append(f.Fix, anotherView)
	}
	return f
}

// private: the name resolves to an address that a CA does not see.
func (s situation) private() Finding {
	if !s.asked || s.at.Address == "" || isPublic(s.at.Address) {
		return Finding{}
	}
	return Finding{PrivateAddress, s.at.Address + " is a private address", []string{anotherView}}
}

// anotherView is what to do if the resolver of the cluster sees another world.
const anotherView = "if the world sees another one (split DNS), name a resolver that sees it by " + nameResolver

var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")

// isPublic reports whether a text is an address of the Internet, and not one of RFC 1918,
// RFC 4193, RFC 6598 or the machine itself.
func isPublic(text string) bool {
	a, err := netip.ParseAddr(text)
	return err == nil && !a.IsPrivate() && !a.IsLoopback() && !a.IsLinkLocalUnicast() && !sharedSpace.Contains(a)
}
