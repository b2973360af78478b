package selfcheck

import (
	"fmt"
	"net"
	"slices"
	"strings"
)

// pod: the solver's pod does not run.
func (s situation) pod() Finding {
	p := s.c.Pod
	if p.Name == "" || p.Reason == "" {
		return Finding{}
	}
	says := p.Reason
	if p.Message != "" {
		says += ": " + p.Message
	}
	return Finding{Cause: PodNotReady, Says: fmt.Sprintf("pod %s/%s, which answers the challenge, is not ready: %s", p.Namespace, p.Name, says)}
}

// parent: a Gateway does not accept the route.
func (s situation) parent() Finding {
	if len(s.c.Route.Refusals) == 0 {
		return Finding{}
	}
	refusal := s.c.Route.Refusals[0]
	f := Finding{Cause: RouteNotAccepted, Says: fmt.Sprintf("%s is not accepted by %s: %s", s.route(), refusal.Parent, refusal.Reason)}
	if refusal.Condition == "ResolvedRefs" {
		f.Says = fmt.Sprintf("%s does not resolve its references for %s: %s", s.route(), refusal.Parent, refusal.Reason)
	}
	switch refusal.Reason {
	case "NotAllowedByListeners":
		f.Fix = []string{"let a listener for HTTP on port 80 admit routes of this namespace (allowedRoutes.namespaces)"}
	case "NoMatchingListenerHostname":
		f.Fix = []string{fmt.Sprintf("add a listener for HTTP on port 80 whose hostname matches %s", s.r.Name)}
	case "NoReadyListeners":
		f.Fix = []string{"see the conditions of the listeners in the status of the Gateway"}
	case ReasonMissing:
		f.Says = fmt.Sprintf("%s leads to %s, which does not exist", s.route(), refusal.Parent)
		f.Fix = []string{"create it, or correct parentRefs of the solver"}
	case "NoMatchingParent":
		f.Fix = []string{"correct parentRefs (name, namespace, sectionName, port) of the solver"}
	}
	return f
}

// otherHost: the request arrives at the responder with another Host.
func (s situation) otherHost() Finding {
	host := s.c.Responder.Host
	if host == "" || sameHost(host, s.r.Name) || !s.code(404, 421, 502, 503) {
		return Finding{}
	}
	if name, _, err := net.SplitHostPort(host); !isHost(strings.Trim(host, "[]")) && (err != nil || !isHost(name)) {
		host = "header that is no name"
	}
	return Finding{
		HostChanged, "a request for this token arrived at the responder with Host " + host,
		[]string{"have the proxy in front keep the Host header (preserve host)"},
	}
}

// protected: authentication, or rules of an edited Ingress, stand before the challenge.
func (s situation) protected() Finding {
	edited := s.c.Route.Kind == EditedIngress
	switch {
	// nginx answers 400 if a client certificate is missing.
	case edited && s.code(400, 401, 403, 407):
		return Finding{Protected, "edit in place puts the challenge under the rules of " + s.route() + " (auth, client certificates, allowed addresses)", []string{separate}}
	case s.code(401, 407), s.code(403) && s.at.Content != Page:
		return Finding{Protected, "a CA asks without credentials, from everywhere", []string{"exempt " + path + " from authentication and from the list of allowed addresses"}}
	default:
		return Finding{}
	}
}

// cleartext: the ingress controller speaks TLS to the backends of an edited Ingress. The
// responder and everleaf's own pods speak both on one port; the image of a pod may be another.
func (s situation) cleartext() Finding {
	if s.c.Mode != PodMode || s.c.Route.Kind != EditedIngress || !s.code(502, 503) {
		return Finding{}
	}
	return Finding{
		BackendProtocol, fmt.Sprintf("the controller of %s could not talk to the solver's pod, as with backend-protocol HTTPS and an image that answers plain HTTP alone", s.route()),
		[]string{separate},
	}
}

// unreached: the way from the ingress controller to the responder is not open. An Ingress
// that was there before is served, so that 503 is about what is behind it.
func (s situation) unreached() Finding {
	if !s.code(502, 504) && (s.c.Route.Kind != EditedIngress || !s.code(503)) && s.at.Failure != NoResponse {
		return Finding{}
	}
	where := "the responder"
	if s.c.Responder.At != "" {
		where = s.c.Responder.At
	}
	return Finding{Cause: ResponderUnreached, Says: fmt.Sprintf("the ingress controller does not reach %s: a NetworkPolicy may not let it in", where)}
}

// neighbour: another class of ingress controller has the host.
func (s situation) neighbour() Finding {
	if s.c.Route.Kind != SolverIngress || !s.code(200, 404, 503) && !s.silent() {
		return Finding{}
	}
	own, named := s.c.Route.Class, "class "+s.c.Route.Class
	switch {
	case own != "":
	case s.c.DefaultClass != "":
		own, named = s.c.DefaultClass, "no class (default: "+s.c.DefaultClass+")"
	default:
		named = "no class (none is the default)"
	}
	// The class of a route that names one is another on purpose, unless the address shows
	// that it is not the one that serves the host.
	i := slices.IndexFunc(s.c.Neighbours, func(n Neighbour) bool {
		unknown := len(n.Addresses) == 0 || !slices.ContainsFunc(n.Addresses, isPublic)
		return n.Class != "" && n.Class != own && (s.c.Route.Class == "" && unknown || slices.Contains(n.Addresses, s.at.Address))
	})
	if i < 0 {
		return Finding{}
	}
	n := s.c.Neighbours[i]
	return Finding{
		OtherClass, fmt.Sprintf("%s has %s; Ingress %s/%s uses %s", s.route(), named, n.Namespace, n.Name, n.Class),
		[]string{fmt.Sprintf("set the annotation acme.cert-manager.io/http01-ingress-ingressclassname: %s on Ingress %s/%s", n.Class, n.Namespace, n.Name), "ingressClassName in the solver"},
	}
}

// notRouted: the ingress controller does not know the route.
func (s situation) notRouted() Finding {
	if !s.code(404, 503) || s.c.Route.Name == "" {
		return Finding{}
	}
	knows := ""
	if s.c.Responder.Answers && !s.c.Responder.Asked {
		knows = "; the responder itself answers 200 for this token"
	}
	if s.c.Route.Kind == HTTPRoute {
		return Finding{Cause: NotRouted, Says: fmt.Sprintf("the Gateway does not route it (%s)%s", s.route(), knows)}
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
	f := Finding{Cause: NotRouted, Says: fmt.Sprintf("the ingress controller does not route it: %s (%s) is not taken up by it%s", s.route(), of, knows)}
	if s.c.Route.PathType == "Exact" {
		f.Fix = []string{"if the controller ignores this path type, set --feature-gates=ACMEHTTP01IngressPathTypeExact=false"}
	}
	if s.c.Route.Kind == SolverIngress {
		f.Fix = append([]string{"correct its class in the solver if the controller has another one"}, f.Fix...)
	}
	return f
}

// otherContent: the application answers.
func (s situation) otherContent() Finding {
	if !s.code(200) {
		return Finding{}
	}
	f := Finding{Cause: OtherAnswer, Says: "the application answers in the place of the responder"}
	if s.c.Route.Name != "" {
		f.Says += fmt.Sprintf(": its route wins over %s, or the ingress controller has not taken that up", s.route())
	}
	return f
}
