package explain

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapi "sigs.k8s.io/gateway-api/apis/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/diagnosis"
	"github.com/everleaf/everleaf/internal/selfcheck"
)

const token = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"

// overHTTP is a presented HTTP-01 Challenge for a loopback address.
func overHTTP(changes ...func(*acmev1.Challenge)) *acmev1.Challenge {
	c := &acmev1.Challenge{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "www", UID: "u"},
		Spec:       acmev1.ChallengeSpec{Type: acmev1.ACMEChallengeTypeHTTP01, DNSName: "127.0.0.1", Token: token, Key: token + ".key"},
		Status:     acmev1.ChallengeStatus{State: acmev1.Pending, Presented: true, Processing: true},
	}
	for _, change := range changes {
		change(c)
	}
	return c
}

var owned = []metav1.OwnerReference{{APIVersion: "acme.cert-manager.io/v1", Kind: acmev1.ChallengeKind, Name: "www", UID: "u", Controller: new(true)}}

// TestHTTP: the addresses of the name are asked from here, the objects that take requests
// for it are read, and neither token nor key are in the evidence.
func TestHTTP(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	ingress := func(name, class string, change func(*networkingv1.Ingress)) *networkingv1.Ingress {
		o := &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Spec: networkingv1.IngressSpec{
			Rules: []networkingv1.IngressRule{{Host: "127.0.0.1"}},
		}}
		if class != "" {
			o.Spec.IngressClassName = &class
		}
		change(o)
		return o
	}
	solver := ingress("cm-acme-http-solver-x", "", func(o *networkingv1.Ingress) {
		o.OwnerReferences = owned
		o.Spec.Rules[0] = networkingv1.IngressRule{IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{
			Paths: []networkingv1.HTTPIngressPath{{Path: challengePath + token, PathType: new(networkingv1.PathTypeExact)}},
		}}}
	})
	app := ingress("app", "public", func(o *networkingv1.Ingress) {
		o.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{IP: "127.0.0.1"}}
	})
	class := &networkingv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: "internal", Annotations: map[string]string{defaultClass: "true"}}}
	c := collector(t, "Service", overHTTP(), solver, app, class)
	if c.SelfCheck, err = selfcheck.New(selfcheck.Config{Port: number}); err != nil {
		t.Fatal(err)
	}
	e, err := c.Collect(t.Context(), diagnosis.Ref{Kind: acmev1.ChallengeKind, Namespace: "shop", Name: "www"})
	if err != nil {
		t.Fatal(err)
	}
	if spec := e.Challenges[0].Spec; spec.Token != "" || spec.Key != "" {
		t.Errorf("%q and %q are in the evidence", spec.Token, spec.Key)
	}
	want := []diagnosis.Edge{
		{Ref: diagnosis.Ref{Kind: "Ingress", Namespace: "shop", Name: "app"}, Class: "public", Hosts: []string{"127.0.0.1"}, Addresses: []string{"127.0.0.1"}},
		{Ref: diagnosis.Ref{Kind: "Ingress", Namespace: "shop", Name: "cm-acme-http-solver-x"}, Hosts: []string{""}, Challenge: "www", Own: true, PathType: "Exact"},
	}
	if diff := cmp.Diff(want, e.Edges); diff != "" || e.DefaultClass != "internal" || len(e.Missing) != 1 {
		t.Errorf("the default class is %q, missing are %v, -want +got edges:\n%s", e.DefaultClass, e.Missing, diff)
	}
	answers := []selfcheck.Answer{{Address: "127.0.0.1", Status: 404, Content: selfcheck.OtherContent}}
	if diff := cmp.Diff(answers, e.Sightings[0].HTTP.Report.Answers, cmpopts.IgnoreFields(selfcheck.Answer{}, "Milliseconds")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	verdicts := diagnosis.Explain(e)
	if verdicts[0].Code != diagnosis.Code(selfcheck.OtherClass) {
		t.Errorf("%+v", verdicts)
	}
	e.Sightings[0].HTTP.Report.At, e.Sightings[0].HTTP.Report.Answers[0].Milliseconds = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC), 7
	var out strings.Builder
	Print(&out, e, verdicts)
	const printed = `
What is seen from here (2026-11-27T12:00:00Z), expected: the key of the challenge at http://127.0.0.1/.well-known/acme-challenge/<token>
  127.0.0.1                           answers 404, 7 ms
  Ingress shop/app                    class public, at 127.0.0.1
  Ingress shop/cm-acme-http-solver-x  leads to the responder, no address in its status
`
	if !strings.Contains(out.String(), printed) {
		t.Errorf("it does not print%s\nbut\n%s", printed, out.String())
	}
}

// TestGateway: an HTTPRoute that is not accepted, and the Gateway to which it belongs.
func TestGateway(t *testing.T) {
	challenge := overHTTP(func(c *acmev1.Challenge) {
		c.Spec.Solver.HTTP01 = &acmev1.ACMEChallengeSolverHTTP01{GatewayHTTPRoute: &acmev1.ACMEChallengeSolverHTTP01GatewayHTTPRoute{
			ParentRefs: []gwapi.ParentReference{{Name: "gw", Namespace: new(gwapi.Namespace("infra"))}, {Name: "gone"}, {Name: "set", Kind: new(gwapi.Kind("ListenerSet"))}},
		}}
	})
	route := &gwapi.HTTPRoute{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cm-acme-http-solver-x", OwnerReferences: owned}}
	route.Status.Parents = []gwapi.RouteParentStatus{{
		ParentRef: gwapi.ParentReference{Name: "gw", Namespace: new(gwapi.Namespace("infra"))},
		Conditions: []metav1.Condition{
			{Type: "Accepted", Status: metav1.ConditionFalse, Reason: "NotAllowedByListeners"}, {Type: "ResolvedRefs", Status: metav1.ConditionTrue, Reason: "ResolvedRefs"},
		},
	}}
	gateway := &gwapi.Gateway{ObjectMeta: metav1.ObjectMeta{Namespace: "infra", Name: "gw"}, Spec: gwapi.GatewaySpec{GatewayClassName: "eg"}}
	gateway.Status.Addresses = []gwapi.GatewayStatusAddress{{Value: "192.0.2.5"}}
	balancer := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "infra", Name: "envoy"}, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer}}
	balancer.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.5"}, {Hostname: "lb.example.com"}}
	c := collector(t, "", []client.Object{challenge, route, gateway, balancer}...)
	e := diagnosis.Evidence{Subject: diagnosis.Ref{Kind: acmev1.ChallengeKind, Namespace: "shop", Name: "www"}}
	c.edges(t.Context(), &e, []*acmev1.Challenge{challenge})
	want := []diagnosis.Edge{
		{Ref: diagnosis.Ref{Kind: "Service", Namespace: "infra", Name: "envoy"}, Addresses: []string{"192.0.2.5", "lb.example.com"}},
		{Ref: diagnosis.Ref{Kind: "HTTPRoute", Namespace: "shop", Name: "cm-acme-http-solver-x"}, Challenge: "www", Own: true, Refusals: []selfcheck.Refusal{
			{Parent: "Gateway infra/gw", Condition: "Accepted", Reason: "NotAllowedByListeners"},
		}},
		{Ref: diagnosis.Ref{Kind: "Gateway", Namespace: "infra", Name: "gw"}, Class: "eg", Addresses: []string{"192.0.2.5"}},
	}
	if diff := cmp.Diff(want, e.Edges); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if len(e.Missing) != 1 || !strings.Contains(e.Missing[0], `"gone" not found`) {
		t.Errorf("missing: %v", e.Missing)
	}
}

// TestResponderSays holds that nothing is said of requests that another controller may have
// seen.
func TestResponderSays(t *testing.T) {
	for want, r := range map[string]selfcheck.Responder{
		"answers this token, and was asked for it": {Answers: true, Asked: true},
		"answers this token":                       {Answers: true},
		"was asked for this token":                 {Asked: true},
		"is to answer this token":                  {},
	} {
		if got := responderSays(r); got != want {
			t.Errorf("%+v: %q, want %q", r, got, want)
		}
	}
}
