package selfcheck

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Cause names why a challenge is not found.
type Cause string

// Causes.
const (
	// Unknown: no cause is known.
	Unknown Cause = ""
	// PodNotReady: the solver's pod does not run.
	PodNotReady Cause = "PodNotReady"
	// RouteNotAccepted: a Gateway does not accept the route.
	RouteNotAccepted Cause = "RouteNotAccepted"
	// UnevenAddresses: one address has the challenge, and another answers otherwise.
	UnevenAddresses Cause = "UnevenAddresses"
	// ProxyInTheWay: a proxy answers in the place of the cluster's edge.
	ProxyInTheWay Cause = "ProxyInTheWay"
	// ResolverFails: the addresses cannot be looked up.
	ResolverFails Cause = "ResolverFails"
	// NoAddressRecord: the name has no address.
	NoAddressRecord Cause = "NoAddress"
	// NoRouteHere: no address can be asked from here.
	NoRouteHere Cause = "NoRouteHere"
	// Looping: redirects lead in a circle.
	Looping Cause = "RedirectLoop"
	// RedirectPort: a redirect leads to a port that CAs do not ask.
	RedirectPort Cause = "RedirectPort"
	// RedirectFails: a redirect to HTTPS ends at a server that does not serve the name.
	RedirectFails Cause = "RedirectFails"
	// RedirectElsewhere: a redirect leads to another host, which does not answer rightly.
	RedirectElsewhere Cause = "RedirectElsewhere"
	// WrongToken: somebody else answers challenges.
	WrongToken Cause = "WrongToken"
	// HostChanged: a proxy in front does not keep the Host header.
	HostChanged Cause = "HostChanged"
	// Protected: authentication or a list of addresses stands before the challenge.
	Protected Cause = "Protected"
	// BackendProtocol: the ingress controller speaks TLS to the responder.
	BackendProtocol Cause = "BackendProtocol"
	// ResponderUnreached: the ingress controller does not reach the responder.
	ResponderUnreached Cause = "ResponderUnreached"
	// HairpinNAT: a pod does not reach the cluster's own edge.
	HairpinNAT Cause = "HairpinNAT"
	// OtherAddress: the address is not one of the cluster's.
	OtherAddress Cause = "OtherAddress"
	// OtherClass: another class of ingress controller serves the host.
	OtherClass Cause = "OtherIngressClass"
	// NotRouted: the ingress controller does not know the route.
	NotRouted Cause = "NotRouted"
	// Filtered: a web application firewall answers.
	Filtered Cause = "WAFPage"
	// OtherAnswer: the application answers.
	OtherAnswer Cause = "OtherContent"
	// NotPermitted: the network does not let the request out.
	NotPermitted Cause = "NotPermitted"
	// PrivateAddress: the name resolves to an address that a CA does not see.
	PrivateAddress Cause = "PrivateAddress"
	// PortClosed: nothing answers on port 80.
	PortClosed Cause = "PortClosed"
)

// Finding is a Cause in words.
type Finding struct {
	Cause Cause
	// Says is the cause, empty if the Cause is all that is known. Fix are the things to
	// do, any one of them.
	Says string
	Fix  []string
}

func (f Finding) String() string {
	fix := strings.Join(f.Fix, ", or ")
	if f.Says == "" || fix == "" {
		return f.Says + fix
	}
	return f.Says + ": " + fix
}

// Explain is what a status says of a check: what was seen, and its cause as far as the
// answers and the circumstances show it. For a Ready Report it names what was left out of
// account, and is empty if that is nothing.
func Explain(r Report, c Circumstances) string {
	if r.Ready() {
		return leftOut(r)
	}
	text := r.opening()
	if found := Find(r, c).String(); found != "" {
		text += "; " + found
	}
	return text
}

// leftOut names the addresses that do not have the challenge, although it is Ready, and what
// may follow from them. One that nobody can ask from here is not named: there is nothing to
// do about it, and a network without IPv6 has one for many names.
func leftOut(r Report) string {
	var out []string
	hint := ""
	for _, a := range r.Answers {
		switch {
		case a.Right() || a.Unchecked():
		case a.Proxy != "":
			out = append(out, fmt.Sprintf("the answer through proxy %s (%s): add %s to NO_PROXY", a.Proxy, a.short(), r.Name))
		case a.IPv6():
			out = append(out, a.Address+" "+a.Says())
			hint = "; CAs prefer IPv6, and not all try another address then: have the ingress controller listen on this address, or remove the AAAA record"
		default:
			out = append(out, a.Address+" "+a.Says())
			hint = cmp.Or(hint, "; a CA may ask any address: have this one answer on port 80, or remove the A record")
		}
	}
	if len(out) == 0 {
		return ""
	}
	return "left out: " + strings.Join(out[:min(len(out), maxNamed)], "; ") + hint
}

// Find is the nearest cause of a Report that is not Ready.
func Find(r Report, c Circumstances) Finding {
	s := situation{r: r, c: c}
	if s.at, s.asked = r.headline(); s.asked {
		s.right = slices.ContainsFunc(r.direct(), Answer.Right)
	}
	for _, rule := range []func() Finding{
		s.pod, s.parent, s.uneven, s.proxy, s.unresolved, s.loop, s.otherPort, s.handshake, s.foreignHost, s.otherKey,
		s.otherHost, s.protected, s.cleartext, s.unreached, s.firewall, s.neighbour, s.hairpin, s.elsewhere, s.defaultCertificate,
		s.notRouted, s.otherContent, s.policy, s.closed, s.private,
	} {
		if found := rule(); found.Cause != Unknown {
			return found
		}
	}
	return Finding{}
}

// situation is a Report that is not Ready, in its circumstances.
type situation struct {
	r Report
	c Circumstances
	// at is the answer that the message is about, asked whether there is one.
	at    Answer
	asked bool
	// right reports whether another address has the challenge.
	right bool
}

// code reports whether the last server answered with one of these codes.
func (s situation) code(codes ...int) bool {
	return s.asked && s.at.Failure == NoFailure && slices.Contains(codes, s.at.Status)
}

// silent reports whether there is no connection to the address.
func (s situation) silent() bool { return s.asked && s.at.Proxy == "" && s.at.silent() }

// route names the route for a person.
func (s situation) route() string { return s.c.Route.Text() }

// Things to do about several causes.
const (
	exempt   = "exempt " + path + " from it"
	separate = "remove the annotation acme.cert-manager.io/http01-edit-in-place to use a separate Ingress"
	askCA    = "set everleaf.io/self-check-deadline and everleaf.io/self-check-on-deadline: ask-ca on the issuer"
	// nameResolver is the flag that names resolvers.
	nameResolver = "--acme-http01-solver-nameservers"
)
