package selfcheck

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Explain is what a status says of a check: what was seen, and its cause as far as the
// answers and the circumstances show it. For a Ready Report it names what was left out of
// account, and is empty if that is nothing.
func Explain(r Report, c Circumstances) string {
	if r.Ready() {
		return leftOut(r)
	}
	parts := []string{r.opening()}
	if cause := causeOf(r, c); cause != "" {
		parts = append(parts, cause)
	}
	return strings.Join(parts, "; ")
}

// leftOut names the addresses that do not have the challenge, although it is Ready.
func leftOut(r Report) string {
	var out []string
	for _, a := range r.Answers {
		switch {
		case a.Right():
		case a.Proxy != "":
			out = append(out, fmt.Sprintf("the answer through proxy %s (%s): add %s to NO_PROXY", a.Proxy, a.short(), r.Name))
		default:
			out = append(out, a.Address+" "+a.says())
		}
	}
	if len(out) == 0 {
		return ""
	}
	return "left out: " + strings.Join(out[:min(len(out), maxNamed)], "; ")
}

// causeOf is the nearest cause with what to do about it; empty if none is known.
func causeOf(r Report, c Circumstances) string {
	s := situation{r: r, c: c}
	if s.at, s.asked = r.headline(); s.asked {
		s.right = slices.ContainsFunc(r.direct(), Answer.Right)
	}
	for _, rule := range []func() string{
		s.refused, s.pod, s.parent, s.uneven, s.proxy, s.unresolved, s.loop, s.handshake, s.foreignHost, s.otherKey,
		s.otherHost, s.protected, s.cleartext, s.unreached, s.hairpin, s.elsewhere, s.neighbour, s.defaultCertificate,
		s.notRouted, s.firewall, s.otherContent, s.policy, s.private, s.closed,
	} {
		if text := rule(); text != "" {
			return text
		}
	}
	return ""
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

// silent reports whether the address gave no answer.
func (s situation) silent() bool { return s.asked && s.at.Proxy == "" && s.at.silent() }

// refused: the API server does not create what is needed.
func (s situation) refused() string {
	text := s.c.Refused
	switch {
	case text == "":
		return ""
	case strings.Contains(text, "services.nodeports"):
		return text + ": set http01.ingress.serviceType: ClusterIP in the solver"
	case strings.Contains(text, "PodSecurity") && strings.Contains(text, "seccompProfile"):
		return text + ": podTemplate.spec.securityContext replaces the default, which has a seccompProfile"
	default:
		return text
	}
}

// pod: the solver's pod does not run.
func (s situation) pod() string {
	p := s.c.Pod
	if p.Name == "" || p.Reason == "" {
		return ""
	}
	says := p.Reason
	if p.Message != "" {
		says += ": " + p.Message
	}
	return fmt.Sprintf("pod %s/%s, which answers the challenge, is not ready: %s", p.Namespace, p.Name, says)
}

// parent: a Gateway does not accept the route.
func (s situation) parent() string {
	if len(s.c.Route.Refusals) == 0 {
		return ""
	}
	f := s.c.Route.Refusals[0]
	text := fmt.Sprintf("%s is not accepted by %s: %s", s.route(), f.Parent, f.Reason)
	if f.Condition == "ResolvedRefs" {
		text = fmt.Sprintf("%s does not resolve its references for %s: %s", s.route(), f.Parent, f.Reason)
	}
	switch f.Reason {
	case "NotAllowedByListeners":
		return text + ": let a listener for HTTP on port 80 admit routes of this namespace (allowedRoutes.namespaces)"
	case "NoMatchingListenerHostname":
		return fmt.Sprintf("%s: no listener has a hostname that matches %s; add one for HTTP on port 80", text, s.r.Name)
	case "NoReadyListeners":
		return text + ": see the conditions of the listeners in the status of the Gateway"
	case "NoMatchingParent":
		return text + ": correct parentRefs (name, namespace, sectionName, port) of the solver"
	default:
		return text
	}
}

// route names the route for a person.
func (s situation) route() string {
	kind := string(s.c.Route.Kind)
	if s.c.Route.Kind == EditedIngress {
		kind = string(SolverIngress)
	}
	if s.c.Route.Kind == HTTPRoute {
		// It is named as the Gateway API's own tools do.
		return kind + " " + s.c.Route.Name
	}
	return fmt.Sprintf("%s %s/%s", kind, s.c.Route.Namespace, s.c.Route.Name)
}

// uneven: some address has the challenge, and another one does not.
func (s situation) uneven() string {
	if !s.right {
		return ""
	}
	if s.at.IPv6() {
		return "CAs prefer IPv6: fix or remove the AAAA record"
	}
	return fmt.Sprintf("a CA may ask any address: fix or remove the A record of %s", s.at.Address)
}

// proxy: a proxy answers in the place of the cluster's edge.
func (s situation) proxy() string {
	if s.at.Proxy == "" || s.at.Failure == NoFailure && !s.code(403, 407, 502, 503, 504) {
		return ""
	}
	return fmt.Sprintf("a CA does not use this proxy: add %s to NO_PROXY if it can be reached without", s.r.Name)
}

// unresolved: there is no address, or none that can be asked.
func (s situation) unresolved() string {
	switch {
	case !s.asked && slices.ContainsFunc(s.r.Lookups, func(l Lookup) bool { return l.Failure != NoFailure }):
		return "check the resolver, or name another one by --acme-http01-solver-nameservers"
	case !s.asked:
		return "create an A or AAAA record that points to the ingress controller; if there is one, the resolver sees another world: name one that sees it by --acme-http01-solver-nameservers"
	case s.at.Unchecked():
		return "no address of the name can be reached from here, and a CA may well reach it: set everleaf.io/self-check-on-deadline: ask-ca on the issuer"
	default:
		return ""
	}
}

// loop: redirects lead nowhere.
func (s situation) loop() string {
	if s.at.Failure != RedirectLoop && s.at.Failure != TooManyRedirects {
		return ""
	}
	return "exempt " + path + " from the redirect; with a proxy or CDN in front, have it speak HTTPS to the cluster, or keep port 80 as it is"
}

// handshake: the server to which port 80 redirects refuses the name.
func (s situation) handshake() string {
	last, redirected := s.at.last()
	if !redirected || s.at.Failure != TLSAlert && s.at.Failure != TLSFailed {
		return ""
	}
	if s.at.Detail == "unrecognized name" || s.at.Detail == "handshake failure" || s.at.Detail == "internal error" {
		return fmt.Sprintf("redirected to https, and the server there has no certificate for the name; set the annotation cert-manager.io/issue-temporary-certificate: \"true\", or exempt %s from the redirect", path)
	}
	return fmt.Sprintf("exempt %s from the redirect to %s", path, last.To)
}

// defaultCertificate: the server on port 443 does not know the name.
func (s situation) defaultCertificate() string {
	last, redirected := s.at.last()
	if !redirected || last.Certificate != otherName {
		return ""
	}
	return fmt.Sprintf("redirected to https, where the name is not served: exempt %s from the redirect", path)
}

// foreignHost: a redirect leads away from the name.
func (s situation) foreignHost() string {
	last, redirected := s.at.last()
	if !redirected || !last.Foreign {
		return ""
	}
	if s.c.Route.Kind == EditedIngress {
		return "edit in place puts the challenge under the rules of " + s.route() + ", which redirects; remove the annotation acme.cert-manager.io/http01-edit-in-place to use a separate Ingress"
	}
	return fmt.Sprintf("exempt %s from the redirect, or have %s answer the challenge", path, last.To)
}

// otherKey: somebody else answers challenges.
func (s situation) otherKey() string {
	switch s.at.Content {
	case OtherAccount:
		return "something in front answers every challenge with the key of another ACME account: a second controller, or a web server set up for another ACME client (stateless mode); exempt " + path + " from it"
	case OtherChallenge:
		return "something else answers challenges of this name: a second controller, or another ACME client; only one may serve " + path
	default:
		return ""
	}
}

// otherHost: the request arrives at the responder with another Host.
func (s situation) otherHost() string {
	if s.c.Responder.Host == "" || sameHost(s.c.Responder.Host, s.r.Name) || !s.code(404, 421, 502, 503) {
		return ""
	}
	host := s.c.Responder.Host
	if name, _, err := net.SplitHostPort(host); !isHost(strings.Trim(host, "[]")) && (err != nil || !isHost(name)) {
		host = "header that is no name"
	}
	return fmt.Sprintf("a request for this token arrived at the responder with Host %s: have the proxy in front keep the Host header (preserve host)", host)
}

// protected: rules of an edited Ingress stand before the challenge.
func (s situation) protected() string {
	if !s.code(401, 403, 400, 407) || s.at.Status == 400 && s.c.Route.Kind != EditedIngress {
		return ""
	}
	if s.c.Route.Kind == EditedIngress {
		return "edit in place puts the challenge under the rules of " + s.route() + " (auth, client certificates, allowed addresses); remove the annotation acme.cert-manager.io/http01-edit-in-place to use a separate Ingress"
	}
	if s.at.Content == Page && s.at.Status == 403 {
		return s.firewall()
	}
	return fmt.Sprintf("exempt %s from authentication and from the list of allowed addresses: a CA asks without credentials, from everywhere", path)
}

// cleartext: the ingress controller speaks TLS to the backends of an edited Ingress.
func (s situation) cleartext() string {
	if s.c.Route.Kind != EditedIngress || !s.code(502, 503) {
		return ""
	}
	return fmt.Sprintf("the controller of %s could not talk to the solver (plain HTTP on 8089); backend-protocol HTTPS? remove the annotation acme.cert-manager.io/http01-edit-in-place to use a separate Ingress", s.route())
}

// unreached: the route is taken, and the way from the ingress controller to the responder
// is not open.
func (s situation) unreached() string {
	if !s.code(504) && !(s.code(502) && s.c.Route.Kind != EditedIngress) {
		return ""
	}
	where := "the responder"
	if s.c.Responder.At != "" {
		where = s.c.Responder.At
	}
	policy := "a NetworkPolicy may not let it in"
	if s.c.NetworkPolicy {
		policy = "a NetworkPolicy selects it, and has to let the ingress controller in"
	}
	return fmt.Sprintf("the ingress controller does not reach %s: %s", where, policy)
}

// neighbour: the route has no class, and another Ingress for the host has one.
func (s situation) neighbour() string {
	if s.c.Route.Kind != SolverIngress || s.c.Route.Class != "" || !s.code(404, 503, 403, 502) && !s.silent() {
		return ""
	}
	i := slices.IndexFunc(s.c.Neighbours, func(n Neighbour) bool { return n.Class != "" && n.Class != s.c.DefaultClass })
	if i < 0 {
		return ""
	}
	n, class := s.c.Neighbours[i], "none is the default"
	if s.c.DefaultClass != "" {
		class = "default: " + s.c.DefaultClass
	}
	return fmt.Sprintf("%s has no class (%s); Ingress %s/%s uses %s: set the annotation acme.cert-manager.io/http01-ingress-ingressclassname: %s on it, or ingressClassName in the solver",
		s.route(), class, n.Namespace, n.Name, n.Class, n.Class)
}

// notRouted: the ingress controller does not know the route.
func (s situation) notRouted() string {
	if !s.code(404, 503) || s.c.Route.Name == "" {
		return ""
	}
	knows := ""
	if s.c.Responder.Answers && !s.c.Responder.Asked {
		knows = "; the responder itself answers 200 for this token"
	}
	if s.c.Route.Kind == HTTPRoute {
		return fmt.Sprintf("the Gateway does not route it (%s)%s", s.route(), knows)
	}
	of := "without class"
	switch {
	case s.c.Route.Class != "":
		of = "class " + s.c.Route.Class
	case s.c.DefaultClass != "":
		of = "no class, default " + s.c.DefaultClass
	}
	if s.c.Route.PathType != "" {
		of += ", pathType " + s.c.Route.PathType
	}
	text := fmt.Sprintf("the ingress controller does not route it: %s (%s) is not taken up by it%s", s.route(), of, knows)
	if s.c.Route.PathType == "Exact" {
		text += "; if the controller ignores this path type, set --feature-gates=ACMEHTTP01IngressPathTypeExact=false"
	}
	return text
}

// firewall: a page that is no answer of the responder.
func (s situation) firewall() string {
	if s.at.Content != Page || !s.code(403, 429, 503) {
		return ""
	}
	return fmt.Sprintf("it is a page of a web application firewall, a bot filter or a CDN: exempt %s from it", path)
}

// otherContent: the application answers.
func (s situation) otherContent() string {
	if !s.code(200) {
		return ""
	}
	if s.c.Route.Name != "" {
		return fmt.Sprintf("the application answers in the place of the responder: its route wins over %s, or the ingress controller has not taken it up", s.route())
	}
	return "the application answers in the place of the responder"
}

// hairpin: the cluster does not reach its own edge.
func (s situation) hairpin() string {
	if !s.silent() || !slices.Contains(s.c.Edges, s.at.Address) {
		return ""
	}
	return fmt.Sprintf("%s is the cluster's own edge, which a pod cannot reach (hairpin NAT); a CA may well reach it: have the resolver of the cluster answer with the internal address of the ingress controller, or set everleaf.io/self-check-on-deadline: ask-ca on the issuer", s.at.Address)
}

// policy: connections disappear, and a policy can be why.
func (s situation) policy() string {
	if !s.silent() || s.at.Failure != Unreachable {
		return ""
	}
	return "a NetworkPolicy or a firewall may not let everleaf out to port 80 of this address"
}

// elsewhere: the address is not one of the cluster's. One that is known only by a private
// address, or by a name, may be reached at others.
func (s situation) elsewhere() string {
	if !s.asked || s.at.Address == "" || len(s.c.Edges) == 0 || slices.ContainsFunc(s.c.Edges, func(e string) bool { return e == s.at.Address || !isPublic(e) }) {
		return ""
	}
	return fmt.Sprintf("%s is not an address of the ingress controller (%s): correct the %s record, unless a proxy or CDN there passes requests on",
		s.at.Address, strings.Join(s.c.Edges[:min(len(s.c.Edges), maxNamed)], ", "), recordOf(s.at))
}

func recordOf(a Answer) RecordType {
	if a.IPv6() {
		return AAAA
	}
	return A
}

// private: the name resolves to an address that a CA does not see.
func (s situation) private() string {
	if !s.asked || s.at.Address == "" || isPublic(s.at.Address) {
		return ""
	}
	return fmt.Sprintf("%s is a private address; if the world sees another one (split DNS), name a resolver that sees it by --acme-http01-solver-nameservers", s.at.Address)
}

var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")

// isPublic reports whether a text is an address of the Internet, and not one of RFC 1918,
// RFC 4193, RFC 6598 or the machine itself.
func isPublic(text string) bool {
	a, err := netip.ParseAddr(text)
	return err == nil && !a.IsPrivate() && !a.IsLoopback() && !a.IsLinkLocalUnicast() && !sharedSpace.Contains(a)
}

// closed: nothing serves port 80.
func (s situation) closed() string {
	switch {
	case !s.silent():
		return ""
	case s.at.Failure == ConnectionRefused:
		return "nothing listens on port 80 there: a CA begins with http on port 80, so open it"
	default:
		return "check that port 80 of this address is open to everybody (firewall, security group, load balancer)"
	}
}
