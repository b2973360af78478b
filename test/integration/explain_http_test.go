package integration

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/nameserver"
)

// TestExplainHTTP has HTTP-01 Challenges that go wrong, without controllers: everleaf
// explain asks the addresses of the names, compares them with what the cluster has, and
// names the cause. Neither token nor key are in what it prints.
func TestExplainHTTP(t *testing.T) {
	cluster := harness.Shared(t)
	ns := cluster.Namespace(t)
	const token, key = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA", "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"
	serve := func(address string, handler http.HandlerFunc) {
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address+":80")
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: handler}
		go func() { _ = server.Serve(listener) }()
		t.Cleanup(func() { _ = server.Close() })
	}
	serve("127.71.2.1", http.NotFound)
	serve("127.71.2.2", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+r.Host+r.URL.Path, http.StatusMovedPermanently)
	})
	serve("127.71.2.3", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", 43)+"."+strings.Repeat("y", 43))
	})
	serve("127.71.2.4", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, key) })
	resolver, err := nameserver.New(nameserver.Options{Listen: []string{"127.0.0.1:0"}, Zones: []nameserver.Zone{{Name: "story.test", Records: []string{
		"class A 127.71.2.1", "loop A 127.71.2.2", "token A 127.71.2.3", "closed A 127.71.2.9", "found A 127.71.2.4", "gateway A 127.71.2.1", "ca A 127.71.2.1",
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := resolver.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	app := &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "app"}, Spec: networkingv1.IngressSpec{
		IngressClassName: new("public"), Rules: []networkingv1.IngressRule{{Host: "class.story.test"}},
	}}
	if err := cluster.Create(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	app.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{IP: "127.71.2.1"}}
	if err := cluster.Status().Update(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	challenge := func(name, solver, status string) {
		var o acmev1.Challenge
		o.Namespace, o.Name = ns, name
		o.Spec.Type, o.Spec.DNSName, o.Spec.Token, o.Spec.Key = acmev1.ACMEChallengeTypeHTTP01, name+".story.test", token, key
		o.Spec.URL, o.Spec.AuthorizationURL, o.Spec.IssuerRef.Name = "https://ca.story.test/1", "https://ca.story.test/1", "acme"
		o.Spec.Solver.HTTP01 = &acmev1.ACMEChallengeSolverHTTP01{Ingress: &acmev1.ACMEChallengeSolverHTTP01Ingress{}}
		if solver == "gateway" {
			o.Spec.Solver.HTTP01 = &acmev1.ACMEChallengeSolverHTTP01{GatewayHTTPRoute: &acmev1.ACMEChallengeSolverHTTP01GatewayHTTPRoute{}}
		}
		if err := cluster.Create(t.Context(), &o); err != nil {
			t.Fatal(err)
		}
		if name == "class" {
			cluster.Apply(t, ns, `{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: cm-acme-http-solver-x, ownerReferences: [
  {apiVersion: acme.cert-manager.io/v1, kind: Challenge, name: class, uid: `+string(o.UID)+`, controller: true}]}, spec: {rules: [{host: class.story.test, http: {paths: [
  {path: /.well-known/acme-challenge/`+token+`, pathType: Exact, backend: {service: {name: x, port: {number: 8089}}}}]}}]}}`)
		}
		at := metav1.NewTime(time.Now().Add(-time.Minute))
		o.Status = acmev1.ChallengeStatus{State: acmev1.Pending, Presented: true, PresentedAt: &at, Processing: true}
		if status != "" {
			o.Status = acmev1.ChallengeStatus{State: acmev1.Invalid, Reason: status}
		}
		if err := cluster.Status().Update(t.Context(), &o); err != nil {
			t.Fatal(err)
		}
	}
	issuer := &cmv1.Issuer{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "acme"}}
	issuer.Spec.SelfSigned = &cmv1.SelfSignedIssuer{}
	if err := cluster.Create(t.Context(), issuer); err != nil {
		t.Fatal(err)
	}
	issuer.Status.Conditions = []cmv1.IssuerCondition{{Type: cmv1.IssuerConditionReady, Status: cmmeta.ConditionTrue}}
	if err := cluster.Status().Update(t.Context(), issuer); err != nil {
		t.Fatal(err)
	}
	kubeconfig := harness.Kubeconfig(t, cluster.RESTConfig())
	for name, test := range map[string]struct {
		solver, status string
		says           []string
	}{
		"class":   {"", "", []string{"  127.71.2.1  ", "answers 404", "Ingress " + ns + "/app", "Cause: OtherIngressClass (Challenge " + ns + "/class for class.story.test, seen from here only)", "Ingress " + ns + "/app uses public"}},
		"loop":    {"", "", []string{"Cause: RedirectLoop", "redirects in a loop (http://loop.story.test)"}},
		"token":   {"", "", []string{"Cause: WrongToken", "answers with the key of another challenge"}},
		"closed":  {"", "", []string{"Cause: PortClosed", "127.71.2.9 refuses connections"}},
		"missing": {"", "", []string{"Cause: NoAddress", "\n  A ", "\n  AAAA ", "no record"}},
		"found":   {"", "", []string{"Cause: InProgress", "Also: Reachable", "the challenge is found: 127.71.2.4 answers 200"}},
		"gateway": {"gateway", "", []string{"Cause: PrivateAddress", "127.71.2.1 answers 404"}},
		"ca":      {"", "403 urn:ietf:params:acme:error:unauthorized: 192.0.2.7: Invalid response", []string{"Cause: CASeesOther", "The CA asked 192.0.2.7, which is not an address of the name as it is seen here (127.71.2.1)"}},
	} {
		t.Run(name, func(t *testing.T) {
			challenge(name, test.solver, test.status)
			args := []string{"explain", "challenge", name, "-n", ns, "--only-here", "--kubeconfig", kubeconfig, "--resolver", resolver.Addr()}
			output := everleaf(t, args...)
			for _, part := range test.says {
				if !strings.Contains(output, part) {
					t.Errorf("it does not say %q", part)
				}
			}
			t.Logf("%s", output)
			for _, text := range []string{output, everleaf(t, append(args, "-o", "json")...)} {
				if strings.Contains(text, token) {
					t.Errorf("the token is in\n%s", text)
				}
			}
		})
	}
}
