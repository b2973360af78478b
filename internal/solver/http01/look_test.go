package http01

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	gwapi "sigs.k8s.io/gateway-api/apis/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/selfcheck"
)

// edge and elsewhere are addresses of the examples of RFC 5737.
const edge, elsewhere = "192.0.2.5", "192.0.2.9"

// checks is a Checker that always sees the same.
type checks []selfcheck.Answer

func (c checks) Check(_ context.Context, t selfcheck.Target) selfcheck.Report {
	return selfcheck.Report{Name: t.DNSName, Since: t.Since, Answers: c}
}

// asked is a Responder that has seen requests.
type asked struct{ saw Sighting }

func (asked) Backends() (Backends, bool)     { return Backends{}, false }
func (asked) Obstacle() string               { return "" }
func (asked) Subscribe(func())               {}
func (a asked) Saw(types.UID) (saw Sighting) { return a.saw }

// knowing is one that knows what it answers.
type knowing struct {
	asked
	knows bool
}

func (k knowing) Knows(types.UID) bool { return k.knows }

// served is an Ingress for app.example.test with a class and addresses.
func served(name, class string, at ...networkingv1.IngressLoadBalancerIngress) *networkingv1.Ingress {
	i := &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: name}}
	if class != "" {
		i.Spec.IngressClassName = &class
	}
	i.Spec.Rules = []networkingv1.IngressRule{{Host: "app.example.test"}}
	i.Status.LoadBalancer.Ingress = at
	return i
}

func ip(address string) networkingv1.IngressLoadBalancerIngress {
	return networkingv1.IngressLoadBalancerIngress{IP: address}
}

// TestLook holds what the status of a Challenge says by what the cluster shows.
func TestLook(t *testing.T) {
	const own = "cm-acme-http-solver-eptogoii5s"
	named := byIngress(acmev1.ACMEChallengeSolverHTTP01Ingress{IngressClassName: ptr.To("nginx")})
	infra := gwapi.ParentReference{Name: "gw", Namespace: ptr.To(gwapi.Namespace("infra"))}
	service := gwapi.ParentReference{Name: "mesh", Kind: ptr.To(gwapi.Kind("Service"))}
	gateway := &gwapi.Gateway{ObjectMeta: metav1.ObjectMeta{Namespace: "infra", Name: "gw"}}
	gateway.Status.Addresses = []gwapi.GatewayStatusAddress{{Value: edge}}
	route := &gwapi.HTTPRoute{ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: own}}
	route.Spec.ParentRefs = []gwapi.ParentReference{service, infra}
	silent := func(address string) selfcheck.Answer {
		return selfcheck.Answer{Address: address, Failure: selfcheck.Timeout}
	}
	for name, test := range map[string]struct {
		solver  acmev1.ACMEChallengeSolverHTTP01
		objects []client.Object
		answer  selfcheck.Answer
		edges   []string
		says    string
	}{
		"its own edge": {
			named, []client.Object{served(own, "nginx", ip(edge))}, silent(edge), []string{edge}, "192.0.2.5 is the cluster's own edge, which a pod cannot reach (hairpin NAT)",
		},
		"its own edge, edited in place": {
			byIngress(acmev1.ACMEChallengeSolverHTTP01Ingress{Name: "app"}), []client.Object{served("app", "nginx", ip(edge))}, silent(edge), []string{edge}, "hairpin NAT",
		},
		"its own edge, by a Gateway": {
			byGateway(acmev1.ACMEChallengeSolverHTTP01GatewayHTTPRoute{}), []client.Object{route, gateway}, silent(edge), []string{edge}, "hairpin NAT",
		},
		"another address": {
			named, []client.Object{served(own, "nginx", ip(edge))}, selfcheck.Answer{Address: elsewhere, Status: 404}, []string{edge}, "192.0.2.9 is not an address of the ingress controller (192.0.2.5)",
		},
		"another address, as a neighbour shows": {
			named,
			[]client.Object{served(own, "nginx"), served("app", "nginx", ip(edge), ip(edge))},
			selfcheck.Answer{Address: elsewhere, Status: 404},
			[]string{edge},
			"192.0.2.9 is not an address of the ingress controller (192.0.2.5)",
		},
		"an edge with a host name": {
			named,
			[]client.Object{served(own, "nginx", networkingv1.IngressLoadBalancerIngress{Hostname: "lb.example.test"})},
			selfcheck.Answer{Address: elsewhere, Status: 404},
			[]string{"lb.example.test"},
			"the ingress controller does not route it",
		},
		"another class has the address": {
			named,
			[]client.Object{served(own, "nginx"), served("app", "public", ip(edge))},
			selfcheck.Answer{Address: edge, Status: 404},
			nil,
			"Ingress lab/" + own + " has class nginx; Ingress lab/app uses public",
		},
		"another class than the default": {
			byIngress(acmev1.ACMEChallengeSolverHTTP01Ingress{}),
			[]client.Object{served(own, "internal"), served("app", "public", ip(edge))},
			selfcheck.Answer{Address: edge, Status: 404},
			nil, "has no class (default: internal); Ingress lab/app uses public",
		},
	} {
		t.Run(name, func(t *testing.T) {
			scheme := runtime.NewScheme()
			for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, gwapi.Install} {
				if err := add(scheme); err != nil {
					t.Fatal(err)
				}
			}
			api := fake.NewClientBuilder().WithScheme(scheme).WithObjects(test.objects...).Build()
			solver, err := New(Config{API: api, Checker: checks{test.answer}, Clock: clocktesting.NewFakeClock(time.Now())})
			if err != nil {
				t.Fatal(err)
			}
			s := solver.Begin(lab("app.example.test", test.solver)).(*session)
			view := s.View(t.Context()).HTTP
			if diff := cmp.Diff(test.edges, view.Circumstances.Edges); diff != "" {
				t.Errorf("edges, -want +got:\n%s", diff)
			}
			if got := view.Verdict(time.Now()).Message; !strings.Contains(got, test.says) {
				t.Errorf("%q does not say %q", got, test.says)
			}
			if s.checked = s.Clock.Now(); test.solver.Ingress != nil && test.solver.Ingress.IngressClassName != nil {
				if seen := s.look(t.Context()); len(seen.Neighbours) > 0 {
					t.Errorf("it looks for neighbours at once: %v", seen.Neighbours)
				}
			}
		})
	}
}

// TestLookAtResponder holds that nothing is claimed of a responder that is not known.
func TestLookAtResponder(t *testing.T) {
	for name, test := range map[string]struct {
		responder Responder
		want      selfcheck.Responder
	}{
		"none":                 {nil, selfcheck.Responder{}},
		"one that cannot tell": {asked{}, selfcheck.Responder{}},
		"one that does not listen, or does not know the token yet": {knowing{}, selfcheck.Responder{}},
		"one that answers":                            {knowing{knows: true}, selfcheck.Responder{Answers: true}},
		"one that has answered":                       {knowing{asked{Sighting{Answered: true}}, true}, selfcheck.Responder{Answers: true, Asked: true}},
		"one that was asked for another Host":         {knowing{asked{Sighting{Host: "x"}}, true}, selfcheck.Responder{Answers: true, Asked: true, Host: "x"}},
		"one that has seen a Challenge, now unlisted": {asked{Sighting{Answered: true}}, selfcheck.Responder{Asked: true}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &session{Solver: &Solver{Config: Config{Responder: test.responder}}}
			test.want.At = "the shared responder, port 8089"
			if diff := cmp.Diff(test.want, s.lookAtResponder(byResponder)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
