package diagnosis

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/selfcheck"
)

// Addresses of the examples of RFC 5737 and RFC 3849.
const (
	v4, otherV4 = "192.0.2.5", "192.0.2.9"
	v6          = "2001:db8::7"
)

type answer = selfcheck.Answer

func serves(address string) answer {
	return answer{Address: address, Status: 200, Content: selfcheck.RightKey}
}

func status(address string, code int) answer {
	return answer{Address: address, Status: code, Content: selfcheck.OtherContent}
}

func dead(address string) answer { return answer{Address: address, Failure: selfcheck.Timeout} }

// overHTTP makes the Challenge one of HTTP-01.
func overHTTP(e *Evidence) { e.Challenges[0].Spec.Type = acmev1.ACMEChallengeTypeHTTP01 }

// sawHTTP are answers that were seen from a place.
func sawHTTP(from Place, answers ...answer) func(*Evidence) {
	return func(e *Evidence) {
		e.Sightings = append(e.Sightings, Sighting{Challenge: "www-1-1-1", From: from, HTTP: &selfcheck.View{
			Report: selfcheck.Report{Name: "www.example.com", At: noon, Since: noon, Answers: answers},
		}})
	}
}

func edges(list ...Edge) func(*Evidence) {
	return func(e *Evidence) { e.Edges, e.DefaultClass = list, "internal" }
}

func route(class string) Edge {
	return Edge{
		Ref: Ref{IngressKind, "shop", "cm-acme-http-solver-x"}, Class: class, Hosts: []string{"www.example.com"}, Challenge: "www-1-1-1", Own: true, PathType: "Exact",
	}
}

func ingress(name, class string, addresses ...string) Edge {
	return Edge{Ref: Ref{IngressKind, "shop", name}, Class: class, Hosts: []string{"www.example.com"}, Addresses: addresses}
}

// want is a Verdict without its object.
type want struct {
	Code    Code
	Message string
	Fix     []string
	Seen    Place
	Aside   bool
}

// TestExplainHTTP holds whole verdicts about HTTP-01.
func TestExplainHTTP(t *testing.T) {
	const exempt = "exempt /.well-known/acme-challenge/ from "
	propagating := reason("Waiting for HTTP-01 challenge propagation: wrong status code '404', expected '200'")
	inProgress := want{Code: "InProgress", Message: "the challenge is presented: Waiting for HTTP-01 challenge propagation: wrong status code '404', expected '200'"}
	loop := answer{Address: v4, Failure: selfcheck.RedirectLoop, Redirects: []selfcheck.Redirect{{To: "https://www.example.com"}, {To: "http://www.example.com"}}}
	waf := answer{Address: v4, Status: 403, Content: selfcheck.Page}
	invalid := func(text string) func(*Evidence) {
		return func(e *Evidence) {
			ended(acmev1.Invalid, text)(e)
			unpresented(e)
		}
	}
	for name, test := range map[string]struct {
		changes []func(*Evidence)
		want    []want
	}{
		"nothing seen, in a list": {nil, []want{{Code: "NotPropagated", Message: "Waiting for HTTP-01 challenge propagation: wrong status code '404', expected '200'", Fix: []string{
			"see what each address answers:", "$ everleaf explain challenge www-1-1-1 -n shop",
		}}}},
		"found": {[]func(*Evidence){sawHTTP(FromController, serves(v6), serves(v4))}, []want{
			inProgress, {Code: "Reachable", Message: "the challenge is found: 2001:db8::7 answers 200, 192.0.2.5 answers 200", Seen: FromController, Aside: true},
		}},
		"no address": {[]func(*Evidence){sawHTTP(FromCommand)}, []want{{
			Code: "NoAddress", Message: "www.example.com has no address: the resolver knows no A or AAAA record", Seen: FromCommand,
			Fix: []string{"create an A or AAAA record that points to the ingress controller", "or if there is one, name a resolver that sees it by --acme-http01-solver-nameservers"},
		}}},
		"not the cluster's address": {[]func(*Evidence){sawHTTP(FromCommand, status(otherV4, 404)), edges(route(""), ingress("app", "internal", v4))}, []want{{
			Code: "OtherAddress", Message: "192.0.2.9 answers 404; 192.0.2.9 is not an address of the ingress controller (192.0.2.5)", Seen: FromCommand,
			Fix: []string{"correct the A record, unless a proxy or CDN there passes requests on"},
		}}},
		"IPv6 is dead": {[]func(*Evidence){sawHTTP(FromController, dead(v6), serves(v4))}, []want{
			inProgress,
			{Code: "Reachable", Message: "the challenge is found: 2001:db8::7 does not answer, 192.0.2.5 answers 200", Seen: FromController, Aside: true},
			{
				Code: "IPv6Dead", Message: "2001:db8::7 does not answer; CAs prefer IPv6, and not all try another address then", Seen: FromController, Aside: true,
				Fix: []string{"have the ingress controller listen on this address, or remove the AAAA record"},
			},
		}},
		"port 80 is closed": {[]func(*Evidence){sawHTTP(FromController, answer{Address: v4, Failure: selfcheck.ConnectionRefused})}, []want{{
			Code: "PortClosed", Message: "192.0.2.5 refuses connections; nothing listens on port 80 there, where a CA begins", Seen: FromController, Fix: []string{"open port 80"},
		}}},
		"404 from another class": {[]func(*Evidence){sawHTTP(FromController, status(v4, 404)), edges(route(""), ingress("app", "public", v4))}, []want{{
			Code: "OtherIngressClass", Message: "192.0.2.5 answers 404; Ingress shop/cm-acme-http-solver-x has no class (default: internal); Ingress shop/app uses public", Seen: FromController,
			Fix: []string{"set the annotation acme.cert-manager.io/http01-ingress-ingressclassname: public on Ingress shop/app", "or ingressClassName in the solver"},
		}}},
		"not routed": {[]func(*Evidence){sawHTTP(FromController, status(v4, 404)), edges(route("public"), ingress("app", "public", v4))}, []want{{
			Code: "NotRouted", Message: "192.0.2.5 answers 404; the ingress controller does not route it: Ingress shop/cm-acme-http-solver-x (class public, pathType Exact) is not taken up by it", Seen: FromController,
			Fix: []string{"correct its class in the solver if the controller has another one", "or if the controller ignores this path type, set --feature-gates=ACMEHTTP01IngressPathTypeExact=false"},
		}}},
		"a route that is not accepted": {[]func(*Evidence){sawHTTP(FromController, status(v4, 404)), edges(Edge{
			Ref: Ref{HTTPRouteKind, "shop", "x"}, Challenge: "www-1-1-1", Own: true, Refusals: []selfcheck.Refusal{{Parent: "Gateway infra/gw", Condition: "Accepted", Reason: "NotAllowedByListeners"}},
		})}, []want{{
			Code: "RouteNotAccepted", Message: "192.0.2.5 answers 404; HTTPRoute x is not accepted by Gateway infra/gw: NotAllowedByListeners", Seen: FromController,
			Fix: []string{"let a listener for HTTP on port 80 admit routes of this namespace (allowedRoutes.namespaces)"},
		}}},
		"edit in place": {[]func(*Evidence){sawHTTP(FromController, status(v4, 401)), edges(Edge{Ref: Ref{IngressKind, "shop", "app"}, Challenge: "www-1-1-1"})}, []want{{
			Code: "Protected", Message: "192.0.2.5 answers 401; edit in place puts the challenge under the rules of Ingress shop/app (auth, client certificates, allowed addresses)", Seen: FromController,
			Fix: []string{"remove the annotation acme.cert-manager.io/http01-edit-in-place to use a separate Ingress"},
		}}},
		"a loop": {[]func(*Evidence){sawHTTP(FromController, loop)}, []want{{
			Code: "RedirectLoop", Message: "192.0.2.5 redirects in a loop (https://www.example.com, http://www.example.com)", Seen: FromController,
			Fix: []string{exempt + "the redirect", "or if a proxy or CDN in front speaks plain HTTP to the cluster, have it speak HTTPS"},
		}}},
		"a WAF": {[]func(*Evidence){sawHTTP(FromController, waf)}, []want{{
			Code: "WAFPage", Message: "192.0.2.5 answers 403; it is a page of a web application firewall, a bot filter or a CDN", Seen: FromController, Fix: []string{exempt + "it"},
		}}},
		"two controllers": {[]func(*Evidence){sawHTTP(FromController, answer{Address: v4, Status: 200, Content: selfcheck.OtherChallenge})}, []want{{
			Code: "WrongToken", Message: "192.0.2.5 answers with the key of another challenge; something else answers challenges of this name: a second controller, or another ACME client", Seen: FromController,
			Fix: []string{"let only one serve /.well-known/acme-challenge/"},
		}}},
		"an error": {[]func(*Evidence){sawHTTP(FromController, status(v4, 500))}, []want{{Code: "NotServed", Message: "192.0.2.5 answers 500", Seen: FromController}}},
		"AAAA points elsewhere": {[]func(*Evidence){sawHTTP(FromController, status(v6, 404), serves(v4))}, []want{{
			Code: "UnevenAddresses", Message: "2001:db8::7 answers 404, 192.0.2.5 answers 200; CAs prefer IPv6", Seen: FromController, Fix: []string{"fix or remove the AAAA record"},
		}}},
		"hairpin NAT": {[]func(*Evidence){sawHTTP(FromController, dead(v4)), sawHTTP(FromCommand, serves(v4))}, []want{
			{Code: "HairpinNAT", Message: "the cluster does not reach its own edge (hairpin NAT): in the cluster, 192.0.2.5 does not answer; from here, 192.0.2.5 answers 200", Seen: FromController, Fix: []string{
				"have the resolver of the cluster answer with the internal address of the ingress controller",
				"or let the CA be asked in spite of the self-check: set everleaf.io/self-check-deadline and everleaf.io/self-check-on-deadline: ask-ca on the issuer",
			}},
			{Code: "Reachable", Message: "the challenge is found: 192.0.2.5 answers 200", Seen: FromCommand, Aside: true},
		}},
		"split DNS": {[]func(*Evidence){sawHTTP(FromController, status("10.1.2.3", 404)), sawHTTP(FromCommand, serves(v4)), func(e *Evidence) { e.Resolvers = []string{"8.8.8.8:53"} }}, []want{
			{Code: "SplitHorizon", Message: "the resolver of the cluster says that www.example.com is at 10.1.2.3, and from here it is at 192.0.2.5: in the cluster, 10.1.2.3 answers 404", Seen: FromController, Fix: []string{
				"have everleaf ask a resolver that sees what the CA sees:", "$ --acme-http01-solver-nameservers=8.8.8.8:53", "or have the internal address answer the challenge as well",
			}},
			{Code: "Reachable", Message: "the challenge is found: 192.0.2.5 answers 200", Seen: FromCommand, Aside: true},
		}},
		"both see the same": {[]func(*Evidence){sawHTTP(FromController, status(v4, 500)), sawHTTP(FromCommand, status(v4, 500))}, []want{{Code: "NotServed", Message: "192.0.2.5 answers 500", Seen: FromController}}},
		"only here": {[]func(*Evidence){sawHTTP(FromController, serves(v4)), sawHTTP(FromCommand, dead(v4))}, []want{
			inProgress,
			{Code: "Reachable", Message: "the challenge is found: 192.0.2.5 answers 200", Seen: FromController, Aside: true},
			{Code: "PortClosed", Message: "192.0.2.5 does not answer", Seen: FromCommand, Aside: true, Fix: []string{"check that port 80 of this address is open to everybody (firewall, security group, load balancer)"}},
		}},
		"not presented": {[]func(*Evidence){unpresented, reason(`Error presenting challenge: services "x" is forbidden: exceeded quota`)}, []want{{
			Code: "NotPresented", Message: `the challenge is not presented: Error presenting challenge: services "x" is forbidden: exceeded quota`,
			Fix: []string{"correct what the message names (permissions, quota, policy, the solver of the issuer)"},
		}}},
		"the CA asks elsewhere": {[]func(*Evidence){invalid("403 urn:ietf:params:acme:error:unauthorized: 192.0.2.9: Invalid response from http://www.example.com: 404"), sawHTTP(FromCommand, status(v4, 404))}, []want{{
			Code:    "CASeesOther",
			Message: "403 urn:ietf:params:acme:error:unauthorized: 192.0.2.9: Invalid response from http://www.example.com: 404. The CA asked 192.0.2.9, which is not an address of the name as it is seen here (192.0.2.5)",
			Fix: []string{
				"correct the A and AAAA records in the public DNS, and wait until older ones have expired",
				"if the cluster has a DNS of its own, have everleaf ask a resolver that sees what the CA sees: --acme-http01-solver-nameservers",
			},
		}}},
		"the CA finds something else": {[]func(*Evidence){invalid("403 urn:ietf:params:acme:error:unauthorized: 192.0.2.5: Invalid response"), sawHTTP(FromCommand, status(v4, 404))}, []want{{
			Code: "CADoesNotSee", Message: "403 urn:ietf:params:acme:error:unauthorized: 192.0.2.5: Invalid response",
			Fix: []string{"see what each address answers, from here and from the cluster: the CA found something else than the challenge", "everleaf tries again by itself"},
		}}},
		"the CA gets no connection": {[]func(*Evidence){invalid("400 urn:ietf:params:acme:error:connection: 2001:db8::7: Fetching http://www.example.com/: Timeout during connect"), sawHTTP(FromCommand, dead(v6), status(v4, 404))}, []want{
			{
				Code:    "CADoesNotSee",
				Message: "400 urn:ietf:params:acme:error:connection: 2001:db8::7: Fetching http://www.example.com/: Timeout during connect. The addresses answer here, so that the network between the CA and them is the likely cause",
				Fix:     []string{"open port 80 to everybody: a CA asks from several places of the world (firewall, geo-blocking, rate limits)", "everleaf tries again by itself"},
			},
			{
				Code: "IPv6Dead", Message: "2001:db8::7 does not answer; CAs prefer IPv6, and not all try another address then", Seen: FromCommand, Aside: true,
				Fix: []string{"have the ingress controller listen on this address, or remove the AAAA record"},
			},
		}},
		"CAA": {[]func(*Evidence){invalid("403 urn:ietf:params:acme:error:caa: CAA record for www.example.com prevents issuance")}, []want{{
			Code: "CAAForbids", Message: "403 urn:ietf:params:acme:error:caa: CAA record for www.example.com prevents issuance",
			Fix: []string{"add a CAA record that names the CA", "$ dig CAA www.example.com"},
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			presentedLongAgo := func(e *Evidence) {
				at := e.Challenges[0].CreationTimestamp
				e.Challenges[0].Status.PresentedAt = &at
			}
			var got []want
			for _, v := range Explain(stuck(append([]func(*Evidence){overHTTP, presentedLongAgo, propagating}, test.changes...)...)) {
				if v.Object.Kind != acmev1.ChallengeKind {
					t.Errorf("%s is about %s", v.Code, v.Object)
				}
				got = append(got, want{v.Code, v.Message, v.Fix, v.Seen, v.Aside})
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestAddressIn(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "no address: 404 at 12:30": "",
		"During secondary validation: 192.0.2.5: Fetching http://a/b: Timeout": "192.0.2.5",
		"2001:db8::7: Invalid response from http://a: 404":                     "2001:db8::7",
		`Get "http://a": dial tcp [2001:db8::7]:80: connection refused`:        "2001:db8::7",
		"dial tcp 192.0.2.5:5002: connect: connection refused":                 "192.0.2.5",
		"Invalid response from http://a [192.0.2.5]: 404":                      "192.0.2.5",
	} {
		if got := addressIn(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
