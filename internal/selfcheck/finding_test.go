package selfcheck

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/everleaf/everleaf/internal/propagation"
)

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// Addresses as in the examples of RFC 5737 and RFC 3849.
const (
	edge, elsewhere = "192.0.2.5", "192.0.2.9"
	edge6           = "2001:db8::7"
)

// saw is a Report about app.example.test.
func saw(answers ...Answer) Report {
	return Report{Name: "app.example.test", At: noon, Since: noon, Retry: 10 * time.Second, Answers: answers}
}

// code is an answer with a status code.
func code(address string, status int, changes ...func(*Answer)) Answer {
	a := Answer{Address: address, Status: status, Content: OtherContent}
	for _, change := range changes {
		change(&a)
	}
	return a
}

// fails is an address that fails.
func fails(address string, f Failure, changes ...func(*Answer)) Answer {
	a := Answer{Address: address, Failure: f}
	for _, change := range changes {
		change(&a)
	}
	return a
}

func has(address string) Answer { return Answer{Address: address, Status: 200, Content: RightKey} }

func page(a *Answer) { a.Content = Page }

func holds(c Content) func(*Answer) { return func(a *Answer) { a.Content = c } }

func after(redirects ...Redirect) func(*Answer) {
	return func(a *Answer) { a.Redirects = redirects }
}

func alert(detail string) func(*Answer) { return func(a *Answer) { a.Detail = detail } }

var (
	toHTTPS  = Redirect{To: "https://app.example.test"}
	proxied  = Answer{Proxy: "http://proxy:3128", Status: 503, Content: Page}
	solver   = Route{Kind: SolverIngress, Namespace: "lab", Name: "cm-acme-http-solver-x", Class: "nginx", PathType: "Exact"}
	noClass  = Route{Kind: SolverIngress, Namespace: "lab", Name: "cm-acme-http-solver-x", PathType: "Exact"}
	edited   = Route{Kind: EditedIngress, Namespace: "lab", Name: "app", Class: "nginx"}
	gateway  = Route{Kind: HTTPRoute, Namespace: "lab", Name: "cm-acme-http-solver-x"}
	answers1 = Responder{At: "pod lab/cm-acme-http-solver-x, port 8089", Answers: true}
)

// TestExplain holds the whole text of a status for each thing that goes wrong, with the
// cases of users by number.
func TestExplain(t *testing.T) {
	const (
		get  = "failed to perform self check GET request 'http://app.example.test/.well-known/acme-challenge/<token>': "
		c404 = "wrong status code '404', expected '200': 192.0.2.5 answers 404"
		body = "did not get expected response when querying endpoint: "
	)
	refused := func(condition, reason string) Route {
		r := gateway
		r.Refusals = []Refusal{{Parent: "Gateway infra/gw", Condition: condition, Reason: reason}}
		return r
	}
	for name, test := range map[string]struct {
		r    Report
		c    Circumstances
		want string
	}{
		"Q02 a path type that the controller skips": {
			saw(code(edge, 404)),
			Circumstances{Route: solver},
			c404 + "; the ingress controller does not route it: Ingress lab/cm-acme-http-solver-x (class nginx, pathType Exact) is not taken up by it: correct its class in the solver if the controller has another one, or if the controller ignores this path type, set --feature-gates=ACMEHTTP01IngressPathTypeExact=false",
		},
		"Q02 503": {
			saw(code(edge, 503)),
			Circumstances{Route: Route{Kind: SolverIngress, Namespace: "lab", Name: "x", Class: "a", PathType: "ImplementationSpecific"}},
			"wrong status code '503', expected '200': 192.0.2.5 answers 503; the ingress controller does not route it: Ingress lab/x (class a, pathType ImplementationSpecific) is not taken up by it: correct its class in the solver if the controller has another one",
		},
		"Q02 503 with the ingress controller's page": {
			saw(Answer{Address: edge, Status: 503, Content: Page}),
			Circumstances{Route: Route{Kind: SolverIngress, Namespace: "lab", Name: "x", Class: "a"}, Edges: []string{edge}},
			"wrong status code '503', expected '200': 192.0.2.5 answers 503; the ingress controller does not route it: Ingress lab/x (class a) is not taken up by it: correct its class in the solver if the controller has another one",
		},
		"503 with a page of somebody else": {
			saw(Answer{Address: edge, Status: 503, Content: Page}),
			Circumstances{Route: Route{Kind: SolverIngress, Namespace: "lab", Name: "x", Class: "a"}, Edges: []string{"198.51.100.7"}},
			"wrong status code '503', expected '200': 192.0.2.5 answers 503; it is a page of a web application firewall, a bot filter or a CDN: exempt /.well-known/acme-challenge/ from it",
		},
		"no Gateway": {
			saw(code(edge, 404)),
			Circumstances{Route: Route{Kind: HTTPRoute, Name: "x", Refusals: []Refusal{{Parent: "Gateway infra/gw", Reason: ReasonMissing}}}},
			c404 + "; HTTPRoute x leads to Gateway infra/gw, which does not exist: create it, or correct parentRefs of the solver",
		},
		"Q05 strict SNI": {
			saw(fails(edge, TLSAlert, alert("unrecognized name"), after(toHTTPS))),
			Circumstances{Route: solver},
			get + `192.0.2.5 redirects to https://app.example.test, which refuses the TLS handshake (unrecognized name); redirected to https, and the server there has no certificate for the name: set the annotation cert-manager.io/issue-temporary-certificate: "true", or exempt /.well-known/acme-challenge/ from the redirect`,
		},
		"Q05 old TLS only": {
			saw(fails(edge, TLSAlert, alert("protocol version not supported"), after(toHTTPS))),
			Circumstances{},
			get + `192.0.2.5 redirects to https://app.example.test, which refuses the TLS handshake (protocol version not supported); exempt /.well-known/acme-challenge/ from the redirect`,
		},
		"Q07 another entry point": {
			saw(code(edge, 404)),
			Circumstances{Route: Route{Kind: SolverIngress, Namespace: "lab", Name: "x", PathType: "ImplementationSpecific"}, DefaultClass: "traefik", Responder: answers1},
			c404 + "; the ingress controller does not route it: Ingress lab/x (no class, default traefik, pathType ImplementationSpecific) is not taken up by it; the responder itself answers 200 for this token: correct its class in the solver if the controller has another one",
		},
		"Q10 TLS to a pod of another image": {
			saw(code(edge, 502)),
			Circumstances{Mode: PodMode, Route: edited},
			"wrong status code '502', expected '200': 192.0.2.5 answers 502; the controller of Ingress lab/app could not talk to the solver's pod, as with backend-protocol HTTPS and an image that answers plain HTTP alone: remove the annotation acme.cert-manager.io/http01-edit-in-place to use a separate Ingress",
		},
		"Q10 TLS to the responder, which speaks it": {
			saw(code(edge, 502)),
			Circumstances{Mode: Shared, Route: edited, Responder: Responder{At: "the shared responder, port 8089"}},
			"wrong status code '502', expected '200': 192.0.2.5 answers 502; the ingress controller does not reach the shared responder, port 8089: a NetworkPolicy may not let it in",
		},
		"Q10 503": {
			saw(code(edge, 503)),
			Circumstances{Mode: Shared, Route: edited},
			"wrong status code '503', expected '200': 192.0.2.5 answers 503; the ingress controller does not reach the responder: a NetworkPolicy may not let it in",
		},
		"Q11 another Host": {
			saw(code(edge, 404)),
			Circumstances{Route: solver, Responder: Responder{Asked: true, Host: "10.32.3.80"}},
			c404 + "; a request for this token arrived at the responder with Host 10.32.3.80: have the proxy in front keep the Host header (preserve host)",
		},
		"Q11 a hostile Host": {
			saw(code(edge, 404)),
			Circumstances{Responder: Responder{Host: "a\nb"}},
			c404 + "; a request for this token arrived at the responder with Host header that is no name: have the proxy in front keep the Host header (preserve host)",
		},
		"Q13 a policy": {
			saw(code(edge, 504)),
			Circumstances{Route: solver, Responder: answers1},
			"wrong status code '504', expected '200': 192.0.2.5 answers 504; the ingress controller does not reach pod lab/cm-acme-http-solver-x, port 8089: a NetworkPolicy may not let it in",
		},
		"Q13 nothing is known": {
			saw(code(edge, 504)),
			Circumstances{},
			"wrong status code '504', expected '200': 192.0.2.5 answers 504; the ingress controller does not reach the responder: a NetworkPolicy may not let it in",
		},
		"Q13 an ingress controller that hangs": {
			saw(fails(edge, NoResponse)),
			Circumstances{Route: solver, Responder: answers1},
			get + "192.0.2.5 accepts the connection and does not answer; the ingress controller does not reach pod lab/cm-acme-http-solver-x, port 8089: a NetworkPolicy may not let it in",
		},
		"Q17 an image that cannot be pulled": {
			saw(code(edge, 503)),
			Circumstances{Mode: PodMode, Route: solver, Pod: Pod{Namespace: "lab", Name: "cm-acme-http-solver-x", Reason: "ImagePullBackOff", Message: `Back-off pulling image "reg.example.test/acmesolver"`}},
			`wrong status code '503', expected '200': 192.0.2.5 answers 503; pod lab/cm-acme-http-solver-x, which answers the challenge, is not ready: ImagePullBackOff: Back-off pulling image "reg.example.test/acmesolver"`,
		},
		"Q19 no node": {
			saw(code(edge, 502)),
			Circumstances{Mode: PodMode, Route: solver, Pod: Pod{Namespace: "lab", Name: "cm-acme-http-solver-x", Reason: "Unschedulable", Message: "0/2 nodes are available: 2 node(s) had untolerated taint(s)"}},
			"wrong status code '502', expected '200': 192.0.2.5 answers 502; pod lab/cm-acme-http-solver-x, which answers the challenge, is not ready: Unschedulable: 0/2 nodes are available: 2 node(s) had untolerated taint(s)",
		},
		"Q19 another CPU": {
			saw(code(edge, 503)),
			Circumstances{Pod: Pod{Namespace: "lab", Name: "x", Reason: "CrashLoopBackOff"}},
			"wrong status code '503', expected '200': 192.0.2.5 answers 503; pod lab/x, which answers the challenge, is not ready: CrashLoopBackOff",
		},
		"Q20 no class": {
			saw(code(edge, 404)),
			Circumstances{Route: noClass, DefaultClass: "internal", Neighbours: []Neighbour{{Namespace: "lab", Name: "app", Class: "public"}}},
			c404 + "; Ingress lab/cm-acme-http-solver-x has no class (default: internal); Ingress lab/app uses public: set the annotation acme.cert-manager.io/http01-ingress-ingressclassname: public on Ingress lab/app, or ingressClassName in the solver",
		},
		"Q20 another class on purpose": {
			saw(code(edge, 404)),
			Circumstances{Route: solver, Neighbours: []Neighbour{{Namespace: "lab", Name: "app", Class: "public"}}},
			c404 + "; the ingress controller does not route it: Ingress lab/cm-acme-http-solver-x (class nginx, pathType Exact) is not taken up by it: correct its class in the solver if the controller has another one, or if the controller ignores this path type, set --feature-gates=ACMEHTTP01IngressPathTypeExact=false",
		},
		"another class has the address": {
			saw(code(edge, 404)),
			Circumstances{Route: solver, Neighbours: []Neighbour{{Namespace: "lab", Name: "app", Class: "public", Addresses: []string{edge}}}},
			c404 + "; Ingress lab/cm-acme-http-solver-x has class nginx; Ingress lab/app uses public: set the annotation acme.cert-manager.io/http01-ingress-ingressclassname: public on Ingress lab/app, or ingressClassName in the solver",
		},
		"Q20 no default": {
			saw(fails(edge, Timeout)),
			Circumstances{Route: noClass, Neighbours: []Neighbour{{Namespace: "lab", Name: "app", Class: "public"}}},
			get + "192.0.2.5 does not answer; Ingress lab/cm-acme-http-solver-x has no class (none is the default); Ingress lab/app uses public: set the annotation acme.cert-manager.io/http01-ingress-ingressclassname: public on Ingress lab/app, or ingressClassName in the solver",
		},
		"Q22 a proxy": {
			saw(proxied, fails(edge, Timeout)),
			Circumstances{},
			"wrong status code '503', expected '200': through proxy http://proxy:3128: 503, 192.0.2.5 does not answer; a CA does not use this proxy: add app.example.test to NO_PROXY if it can be reached without",
		},
		"Q22 a proxy that is gone": {
			saw(Answer{Proxy: "http://proxy:3128", Failure: ConnectionRefused}, fails(edge, Timeout)),
			Circumstances{},
			get + "through proxy http://proxy:3128: it refuses connections, 192.0.2.5 does not answer; a CA does not use this proxy: add app.example.test to NO_PROXY if it can be reached without",
		},
		"Q22 not the proxy": {
			saw(proxied, code(edge, 404)),
			Circumstances{Route: noClass, DefaultClass: "internal"},
			"wrong status code '404', expected '200': through proxy http://proxy:3128: 503, 192.0.2.5 answers 404; the ingress controller does not route it: Ingress lab/cm-acme-http-solver-x (no class, default internal, pathType Exact) is not taken up by it: correct its class in the solver if the controller has another one, or if the controller ignores this path type, set --feature-gates=ACMEHTTP01IngressPathTypeExact=false",
		},
		"Q22 direct": {saw(proxied, has(edge)), Circumstances{}, "left out: the answer through proxy http://proxy:3128 (503): add app.example.test to NO_PROXY"},
		"Q23 AAAA points elsewhere": {
			saw(code(edge6, 404), has(edge)),
			Circumstances{Route: solver},
			"wrong status code '404', expected '200': 2001:db8::7 answers 404, 192.0.2.5 answers 200; CAs prefer IPv6: fix or remove the AAAA record",
		},
		"Q23 AAAA is dead": {saw(fails(edge6, Timeout), has(edge)), Circumstances{}, "left out: 2001:db8::7 does not answer; CAs prefer IPv6, and not all try another address then: have the ingress controller listen on this address, or remove the AAAA record"},
		"Q23 AAAA is another service": {
			saw(fails(edge6, ConnectionClosed), has(edge)),
			Circumstances{},
			get + "2001:db8::7 closes the connection without an answer, 192.0.2.5 answers 200; CAs prefer IPv6: fix or remove the AAAA record",
		},
		"Q23 no IPv6 here": {saw(fails(edge6, NoRoute), has(edge)), Circumstances{}, ""},
		"Q23 A is dead":    {saw(has(edge6), fails(edge, ConnectionRefused)), Circumstances{}, "left out: 192.0.2.5 refuses connections; a CA may ask any address: have this one answer on port 80, or remove the A record"},
		"Q23 IPv6 alone, and no IPv6 here": {
			saw(fails(edge6, NoRoute)),
			Circumstances{},
			get + "2001:db8::7 was not checked (no IPv6 route); no address of the name can be reached from here, and a CA may well reach it: set everleaf.io/self-check-deadline and everleaf.io/self-check-on-deadline: ask-ca on the issuer",
		},
		"one of several addresses": {
			saw(has(edge), code(elsewhere, 404)),
			Circumstances{},
			"wrong status code '404', expected '200': 192.0.2.5 answers 200, 192.0.2.9 answers 404; a CA may ask any address: fix or remove the A record of 192.0.2.9",
		},
		"Q25 basic auth": {
			saw(code(edge, 401)),
			Circumstances{Route: edited},
			"wrong status code '401', expected '200': 192.0.2.5 answers 401; edit in place puts the challenge under the rules of Ingress lab/app (auth, client certificates, allowed addresses): remove the annotation acme.cert-manager.io/http01-edit-in-place to use a separate Ingress",
		},
		"Q25 auth at the server": {
			saw(code(edge, 401)),
			Circumstances{Route: solver},
			"wrong status code '401', expected '200': 192.0.2.5 answers 401; a CA asks without credentials, from everywhere: exempt /.well-known/acme-challenge/ from authentication and from the list of allowed addresses",
		},
		"Q25 to another host": {
			saw(code(edge, 404, after(Redirect{To: "https://other.example.test", Foreign: true}))),
			Circumstances{Route: edited},
			"wrong status code '404', expected '200': 192.0.2.5 redirects to https://other.example.test, which answers 404; edit in place puts the challenge under the rules of Ingress lab/app, which redirects: remove the annotation acme.cert-manager.io/http01-edit-in-place to use a separate Ingress",
		},
		"to another host": {
			saw(code(edge, 404, after(Redirect{To: "https://other.example.test", Foreign: true}))),
			Circumstances{Route: solver},
			"wrong status code '404', expected '200': 192.0.2.5 redirects to https://other.example.test, which answers 404; exempt /.well-known/acme-challenge/ from the redirect, or have https://other.example.test answer the challenge",
		},
		"Q34 a route that is not accepted": {
			saw(code(edge, 404)),
			Circumstances{Route: refused("Accepted", "NotAllowedByListeners")},
			c404 + "; HTTPRoute cm-acme-http-solver-x is not accepted by Gateway infra/gw: NotAllowedByListeners: let a listener for HTTP on port 80 admit routes of this namespace (allowedRoutes.namespaces)",
		},
		"Q34 no hostname": {
			saw(code(edge, 404)),
			Circumstances{Route: refused("Accepted", "NoMatchingListenerHostname")},
			c404 + "; HTTPRoute cm-acme-http-solver-x is not accepted by Gateway infra/gw: NoMatchingListenerHostname: add a listener for HTTP on port 80 whose hostname matches app.example.test",
		},
		"Q34 no listener": {
			saw(code(edge, 404)),
			Circumstances{Route: refused("Accepted", "NoReadyListeners")},
			c404 + "; HTTPRoute cm-acme-http-solver-x is not accepted by Gateway infra/gw: NoReadyListeners: see the conditions of the listeners in the status of the Gateway",
		},
		"Q34 no parent": {
			saw(code(edge, 404)),
			Circumstances{Route: refused("Accepted", "NoMatchingParent")},
			c404 + "; HTTPRoute cm-acme-http-solver-x is not accepted by Gateway infra/gw: NoMatchingParent: correct parentRefs (name, namespace, sectionName, port) of the solver",
		},
		"references": {
			saw(code(edge, 500)),
			Circumstances{Route: refused("ResolvedRefs", "BackendNotFound")},
			"wrong status code '500', expected '200': 192.0.2.5 answers 500; HTTPRoute cm-acme-http-solver-x does not resolve its references for Gateway infra/gw: BackendNotFound",
		},
		"a Gateway that does not route": {
			saw(code(edge, 404)),
			Circumstances{Route: gateway, Responder: answers1},
			c404 + "; the Gateway does not route it (HTTPRoute cm-acme-http-solver-x); the responder itself answers 200 for this token",
		},
		"no address": {
			Report{Name: "app.example.test", Lookups: []Lookup{{Type: AAAA}, {Type: A}}},
			Circumstances{},
			get + "app.example.test has no address: the resolver knows no A or AAAA record; create an A or AAAA record that points to the ingress controller, or if there is one, name a resolver that sees it by --acme-http01-solver-nameservers",
		},
		"a resolver that is silent": {
			Report{Name: "app.example.test", Nameservers: []string{"10.0.0.10:53"}, Lookups: []Lookup{{Type: AAAA, Failure: Timeout}, {Type: A, Failure: Timeout}}},
			Circumstances{},
			get + "the addresses of app.example.test cannot be looked up: 10.0.0.10:53 does not answer; check the resolver, or name another one by --acme-http01-solver-nameservers",
		},
		"a resolver that fails": {
			Report{Name: "app.example.test", Lookups: []Lookup{{Type: AAAA, Failure: OtherFailure}, {Type: A}}},
			Circumstances{},
			get + "the addresses of app.example.test cannot be looked up: the resolver cannot be asked, or answers with an error; check the resolver, or name another one by --acme-http01-solver-nameservers",
		},
		"hairpin NAT": {
			saw(fails(edge, Timeout)),
			Circumstances{Edges: []string{edge}},
			get + "192.0.2.5 does not answer; 192.0.2.5 is the cluster's own edge, which a pod cannot reach (hairpin NAT); a CA may well reach it: have the resolver of the cluster answer with the internal address of the ingress controller, or set everleaf.io/self-check-deadline and everleaf.io/self-check-on-deadline: ask-ca on the issuer",
		},
		"split DNS": {
			saw(code("10.1.2.3", 404)),
			Circumstances{},
			"wrong status code '404', expected '200': 10.1.2.3 answers 404; 10.1.2.3 is a private address: if the world sees another one (split DNS), name a resolver that sees it by --acme-http01-solver-nameservers",
		},
		"split DNS, and no answer": {
			saw(fails("10.1.2.3", ConnectionRefused)),
			Circumstances{},
			get + "10.1.2.3 refuses connections; nothing listens on port 80 there, where a CA begins: open port 80, or if the world sees another one (split DNS), name a resolver that sees it by --acme-http01-solver-nameservers",
		},
		"not the cluster's address": {
			saw(code(elsewhere, 404)),
			Circumstances{Route: solver, Edges: []string{edge, edge6}},
			"wrong status code '404', expected '200': 192.0.2.9 answers 404; 192.0.2.9 is not an address of the ingress controller (192.0.2.5, 2001:db8::7): correct the A record, unless a proxy or CDN there passes requests on",
		},
		"an edge behind NAT": {
			saw(code(elsewhere, 404)),
			Circumstances{Route: gateway, Edges: []string{"10.0.0.7"}},
			"wrong status code '404', expected '200': 192.0.2.9 answers 404; the Gateway does not route it (HTTPRoute cm-acme-http-solver-x)",
		},
		"a firewall": {
			saw(fails(edge, Timeout)),
			Circumstances{},
			get + "192.0.2.5 does not answer; check that port 80 of this address is open to everybody (firewall, security group, load balancer)",
		},
		"port 80 is closed": {
			saw(fails(edge, ConnectionRefused)),
			Circumstances{},
			get + "192.0.2.5 refuses connections; nothing listens on port 80 there, where a CA begins: open port 80",
		},
		"a policy for everleaf": {
			saw(fails(edge, Unreachable)),
			Circumstances{},
			get + "192.0.2.5 cannot be reached (host unreachable, or not permitted); a NetworkPolicy or a firewall may not let everleaf out: let it out to port 80 of this address",
		},
		"a loop": {
			saw(fails(edge, RedirectLoop, after(toHTTPS, Redirect{To: "http://app.example.test"}))),
			Circumstances{},
			get + "192.0.2.5 redirects in a loop (https://app.example.test, http://app.example.test); exempt /.well-known/acme-challenge/ from the redirect, or if a proxy or CDN in front speaks plain HTTP to the cluster, have it speak HTTPS",
		},
		"no end": {
			saw(fails(edge, TooManyRedirects, after(toHTTPS))),
			Circumstances{},
			get + "192.0.2.5 redirects more than 10 times; exempt /.well-known/acme-challenge/ from the redirect, or if a proxy or CDN in front speaks plain HTTP to the cluster, have it speak HTTPS",
		},
		"a redirect to another port": {
			saw(fails(edge, OtherPort, after(Redirect{To: "https://app.example.test:8443"}))),
			Circumstances{Route: solver},
			get + "192.0.2.5 redirects to https://app.example.test:8443, which is not asked because of its port; redirected to port 8443, which CAs such as Let's Encrypt refuse: exempt /.well-known/acme-challenge/ from the redirect, or redirect to port 443, or if your CA follows it, set everleaf.io/self-check-deadline and everleaf.io/self-check-on-deadline: ask-ca on the issuer",
		},
		"a redirect to another port of another host": {
			saw(fails(edge, OtherPort, after(Redirect{To: "http://other.example.test:8080", Foreign: true}))),
			Circumstances{Route: edited},
			get + "192.0.2.5 redirects to http://other.example.test:8080, which is not asked because of its port; redirected to port 8080, which CAs such as Let's Encrypt refuse: exempt /.well-known/acme-challenge/ from the redirect, or redirect to port 443, or if your CA follows it, set everleaf.io/self-check-deadline and everleaf.io/self-check-on-deadline: ask-ca on the issuer",
		},
		"a redirect to the default server": {
			saw(code(edge, 404, after(Redirect{To: "https://app.example.test", Certificate: otherName}))),
			Circumstances{Route: solver},
			"wrong status code '404', expected '200': 192.0.2.5 redirects to https://app.example.test (its certificate is for another name), which answers 404; redirected to https, where the name is not served: exempt /.well-known/acme-challenge/ from the redirect",
		},
		"a redirect to nowhere": {
			saw(fails(edge, BadRedirect, after(Redirect{}))),
			Circumstances{},
			get + "192.0.2.5 redirects to an invalid URL, which redirects to nowhere",
		},
		"a WAF": {
			saw(code(edge, 403, page)),
			Circumstances{Route: solver},
			"wrong status code '403', expected '200': 192.0.2.5 answers 403; it is a page of a web application firewall, a bot filter or a CDN: exempt /.well-known/acme-challenge/ from it",
		},
		"a WAF of a CDN": {
			saw(code(elsewhere, 403, page)),
			Circumstances{Route: solver, Edges: []string{edge}},
			"wrong status code '403', expected '200': 192.0.2.9 answers 403; it is a page of a web application firewall, a bot filter or a CDN: exempt /.well-known/acme-challenge/ from it",
		},
		"too many": {
			saw(code(edge, 429, page)),
			Circumstances{},
			"wrong status code '429', expected '200': 192.0.2.5 answers 429; it is a page of a web application firewall, a bot filter or a CDN: exempt /.well-known/acme-challenge/ from it",
		},
		"another account": {
			saw(code(edge, 200, holds(OtherAccount))),
			Circumstances{},
			body + "192.0.2.5 answers with the key of another ACME account; something in front answers every challenge with its own key: a second controller, or a web server set up for another ACME client (stateless mode): exempt /.well-known/acme-challenge/ from it",
		},
		"another controller": {
			saw(code(edge, 200, holds(OtherChallenge))),
			Circumstances{},
			body + "192.0.2.5 answers with the key of another challenge; something else answers challenges of this name: a second controller, or another ACME client: let only one serve /.well-known/acme-challenge/",
		},
		"the application": {
			saw(code(edge, 200, page)),
			Circumstances{Route: solver},
			body + "192.0.2.5 answers 200 with a web page; the application answers in the place of the responder: its route wins over Ingress lab/cm-acme-http-solver-x, or the ingress controller has not taken that up",
		},
		"a body that breaks off": {saw(Answer{Address: edge, Status: 200, Failure: BodyUnread}), Circumstances{}, "failed to read response body: 192.0.2.5 breaks off its answer"},
		"an error":               {saw(code(edge, 500)), Circumstances{}, "wrong status code '500', expected '200': 192.0.2.5 answers 500"},
		"ready":                  {saw(has(edge6), has(edge)), Circumstances{Route: solver}, ""},
		"many addresses": {
			saw(code("192.0.2.1", 500), code("192.0.2.2", 500), code("192.0.2.3", 500), code("192.0.2.4", 500), code("192.0.2.6", 500), code("192.0.2.7", 500)),
			Circumstances{},
			"wrong status code '500', expected '200': 192.0.2.1 answers 500, 192.0.2.2 answers 500, 192.0.2.3 answers 500, 192.0.2.4 answers 500, and 2 more",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := Explain(test.r, test.c)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if ready := test.r.Ready(); ready != (test.want == "" || strings.HasPrefix(test.want, "left out: ")) {
				t.Errorf("ready: %v", ready)
			}
		})
	}
}

// TestVerdict holds when the next check is due, and from when on a challenge is stuck.
func TestVerdict(t *testing.T) {
	const message = "wrong status code '500', expected '200': 192.0.2.5 answers 500"
	for since, wait := range map[time.Duration]time.Duration{
		0: 100 * time.Millisecond, 300 * time.Millisecond: 100 * time.Millisecond, 3 * time.Second: time.Second,
		24 * time.Second: 8 * time.Second, 45 * time.Second: 10 * time.Second,
	} {
		r := saw(code(edge, 500))
		r.Since = noon.Add(-since)
		want := propagation.Verdict{State: propagation.Wait, Until: noon.Add(wait), Message: message}
		if diff := cmp.Diff(want, r.Verdict(noon.Add(time.Hour))); diff != "" {
			t.Errorf("after %s, -want +got:\n%s", since, diff)
		}
	}
	r := saw(code(edge, 500))
	r.Retry, r.Since = 2*time.Second, noon.Add(-stuckAfter)
	want := propagation.Verdict{State: propagation.Stuck, Until: noon.Add(2 * time.Second), Message: message}
	if diff := cmp.Diff(want, r.Verdict(noon)); diff != "" {
		t.Errorf("stuck, -want +got:\n%s", diff)
	}
	// The next check is due some time after the end of one that takes long.
	r = saw(code(edge, 500))
	r.Took = 6 * time.Second
	want = propagation.Verdict{State: propagation.Wait, Until: noon.Add(8 * time.Second), Message: message}
	if diff := cmp.Diff(want, r.Verdict(noon)); diff != "" {
		t.Errorf("slow, -want +got:\n%s", diff)
	}
	want = propagation.Verdict{State: propagation.Accept, VisibleSince: noon}
	if diff := cmp.Diff(want, saw(has(edge)).Verdict(noon.Add(time.Second))); diff != "" {
		t.Errorf("ready, -want +got:\n%s", diff)
	}
}

// TestUnanswered holds which checks have waited for nothing, so that the next one must not
// occupy what others need.
func TestUnanswered(t *testing.T) {
	silent := Answer{Proxy: "http://proxy:3128", Failure: NoResponse}
	for name, test := range map[string]struct {
		r    Report
		want bool
	}{
		"no connection":                     {saw(fails(edge6, Timeout), fails(edge, Timeout)), true},
		"no answer":                         {saw(fails(edge, NoResponse)), true},
		"no answer after a redirect":        {saw(fails(edge, NoResponse, after(toHTTPS))), true},
		"not asked, and no connection":      {saw(fails(edge6, NoRoute), fails(edge, Timeout)), true},
		"not asked":                         {saw(fails(edge6, NoRoute)), false},
		"one answers":                       {saw(fails(edge6, Timeout), code(edge, 404)), false},
		"one refuses":                       {saw(fails(edge6, NoResponse), fails(edge, ConnectionRefused)), false},
		"a proxy answers, and nobody else":  {saw(proxied, fails(edge, Timeout)), true},
		"nobody answers a proxy":            {saw(silent), true},
		"a proxy is silent, and one is not": {saw(silent, code(edge, 404)), false},
		"one answers, and another trickles": {Report{Answers: []Answer{code(edge, 404)}, Took: checkTime}, true},
		"no resolver answers":               {Report{Lookups: []Lookup{{Type: AAAA, Failure: Timeout}, {Type: A, Failure: Timeout}}}, true},
		"a resolver answers":                {Report{Lookups: []Lookup{{Type: AAAA, Failure: Timeout}, {Type: A}}}, false},
		"an error":                          {Report{Lookups: []Lookup{{Type: AAAA, Failure: OtherFailure}, {Type: A, Failure: OtherFailure}}}, false},
		"found, and one is dead":            {saw(fails(edge6, Timeout), has(edge)), false},
	} {
		if got := test.r.Verdict(noon).Unanswered; got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// FuzzContent: whatever a foreign server sends is classified, and only the key itself is.
func FuzzContent(f *testing.F) {
	for _, body := range []string{"", key, key + "\n", token + ".", token + "." + strings.Repeat("a", 43), "<!doctype html>", "\ufeff<HTML", "a.b", "."} {
		f.Add([]byte(body), "text/plain")
	}
	f.Fuzz(func(t *testing.T, body []byte, mediaType string) {
		got := contentOf(body, mediaType, token, key)
		if right := strings.TrimRight(string(body), " \t\r\n") == key; right != (got == RightKey) {
			t.Errorf("%q is %s", body, got)
		}
		if got != RightKey && contentOf(body, mediaType, token, "") == RightKey {
			t.Errorf("%q is an empty key", body)
		}
	})
}

// FuzzExplain: no answer of a foreign server is without a text, and none holds the key.
func FuzzExplain(f *testing.F) {
	f.Add(200, "https://a.example.test/"+token, "Other", "", true)
	f.Add(404, "http://[::1]:80/", "Page", "Timeout", false)
	f.Fuzz(func(t *testing.T, status int, to, content, failure string, foreign bool) {
		r := saw(Answer{Address: edge, Status: status, Content: Content(content), Failure: Failure(failure)})
		if u, err := url.Parse(to); err == nil {
			r.Answers[0].Redirects = []Redirect{{To: origin(u), Foreign: foreign}}
		}
		got := Explain(r, Circumstances{Route: solver})
		if !r.Ready() && got == "" || strings.Contains(got, token) || strings.ContainsAny(got, "\n\r\x00\x1b") {
			t.Errorf("%q", got)
		}
	})
}
