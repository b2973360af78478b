package order

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/facts"
)

func TestOrderProvenance(t *testing.T) {
	other := newRequest(newCertificate(), key(2), 1).Spec.Request
	const names = "The Order asks for other names than the CertificateRequest that controls it"
	const unreadable = "The certificate signing request of the CertificateRequest that controls the Order cannot be read: "
	const uncontrolled = "The Order is not controlled by a CertificateRequest; nothing is asked of the ACME server for it"
	const unapproved = "The CertificateRequest that controls the Order is not approved"
	tests := []struct {
		name  string
		forge func(*State)
		want  string
	}{
		{"called for", func(*State) {}, ""},
		{"issuer spelt out", func(o *State) { o.Object.Spec.IssuerRef.Group = "cert-manager.io" }, ""},
		{"names in another order", func(o *State) { o.Object.Spec.DNSNames = []string{"*.example.com", "example.com"} }, ""},
		{"no request", func(o *State) { o.Request = nil }, uncontrolled},
		{"another request of the name", func(o *State) { o.Request.UID = "x" }, uncontrolled},
		{"no controller", func(o *State) { o.Object.OwnerReferences[0].Controller = nil }, uncontrolled},
		{"not approved", func(o *State) { o.Request.Status.Conditions = nil }, unapproved},
		{"denied", func(o *State) { o.Request.Status.Conditions = append(o.Request.Status.Conditions, deniedCond) }, unapproved},
		{"another issuer", func(o *State) { o.Object.Spec.IssuerRef.Name = "x" }, "The Order names another issuer than the CertificateRequest that controls it"},
		{"another signing request", func(o *State) { o.Object.Spec.Request = other }, "The Order carries another certificate signing request than the CertificateRequest that controls it"},
		{"more names", func(o *State) { o.Object.Spec.DNSNames = append(o.Object.Spec.DNSNames, "x.example") }, names},
		{"fewer names", func(o *State) { o.Object.Spec.DNSNames = o.Object.Spec.DNSNames[:1] }, names},
		{"an address", func(o *State) { o.Object.Spec.IPAddresses = []string{"10.0.0.1"} }, names},
		{"a common name", func(o *State) { o.Object.Spec.CommonName = "x.example" }, names},
		{
			"a request of nonsense",
			func(o *State) { o.Object.Spec.Request, o.Request.Spec.Request = []byte("x"), []byte("x") },
			unreadable + "no PEM data was found in given input",
		},
		{
			"a request that has become too large",
			func(o *State) { o.Limits.MaxCertificateSize = 10 },
			unreadable + "provided PEM data was larger than the maximum 10B (--max-certificate-size)",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := ordered()
			test.forge(&o)
			if got := Provenance(o.Object, o.Request, o.Limits); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestChallengeProvenance(t *testing.T) {
	const forged = "The Challenge is not what its Order and the issuer's solvers call for; no credential is used for it"
	const uncontrolled = "The Challenge is not controlled by an Order; no credential is used for it"
	tests := []struct {
		name  string
		forge func(*acmev1.Challenge, *State)
		want  string
	}{
		{"called for", func(*acmev1.Challenge, *State) {}, ""},
		{"issuer spelt out", func(c *acmev1.Challenge, _ *State) { c.Spec.IssuerRef.Group = "cert-manager.io" }, ""},
		{"issuer not ready", func(_ *acmev1.Challenge, o *State) { o.Account = nil }, ""},
		{"no Order", func(_ *acmev1.Challenge, o *State) { o.Object = nil }, uncontrolled},
		{"another Order", func(_ *acmev1.Challenge, o *State) { o.Object.UID = "x" }, uncontrolled},
		{"another name", func(c *acmev1.Challenge, _ *State) { c.Spec.DNSName = "bank.example" }, forged},
		{"another value", func(c *acmev1.Challenge, _ *State) { c.Spec.Key = "x" }, forged},
		{"another token", func(c *acmev1.Challenge, _ *State) { c.Spec.Token = "x" }, forged},
		{"another type", func(c *acmev1.Challenge, _ *State) { c.Spec.Type = acmev1.ACMEChallengeTypeHTTP01 }, forged},
		{"another URL", func(c *acmev1.Challenge, _ *State) { c.Spec.URL = "https://evil.example" }, forged},
		{"another authorization", func(c *acmev1.Challenge, _ *State) { c.Spec.AuthorizationURL = "https://evil.example" }, forged},
		{"no wildcard", func(c *acmev1.Challenge, _ *State) { c.Spec.Wildcard = !c.Spec.Wildcard }, forged},
		{"another issuer", func(c *acmev1.Challenge, _ *State) { c.Spec.IssuerRef.Name = "x" }, forged},
		{"another name server", func(c *acmev1.Challenge, _ *State) { c.Spec.Solver.DNS01.RFC2136.Nameserver = "evil.example" }, forged},
		{"another Secret", func(c *acmev1.Challenge, _ *State) { c.Spec.Solver.DNS01.RFC2136.TSIGSecret.Name = "x" }, forged},
		{"no solver left", func(_ *acmev1.Challenge, o *State) { o.Account.Issuer = &acmev1.ACMEIssuer{} }, "The Challenge cannot be compared with what its Order calls for, and no credential is used for it: " +
			"no configured challenge solvers can be used for this challenge: ClusterIssuer ca has no spec.acme.solvers"},
		{"another account key", func(_ *acmev1.Challenge, o *State) { o.Account.Thumbprint = "x" }, forged},
		{"valid from the start", func(_ *acmev1.Challenge, o *State) { o.Object.Status.Authorizations[0].InitialState = acmev1.Valid }, forged},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := ordered()
			c := challenges(o, acmev1.Pending)[0]
			test.forge(c, &o)
			if got := ChallengeProvenance(c, o.Object, o.Account); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestWantedChallenges(t *testing.T) {
	o := ordered()
	got, why := WantedChallenges(o.Object, o.Account)
	spec := func(id string, wildcard bool) acmev1.ChallengeSpec {
		return acmev1.ChallengeSpec{
			URL: "https://acme/d/" + id, AuthorizationURL: "https://acme/a/" + id, DNSName: "example.com", Wildcard: wildcard,
			Type: acmev1.ACMEChallengeTypeDNS01, Token: "d-" + id, Key: acme.DNS01Value("d-" + id + ".thumb"),
			Solver: rfc2136("ns1"), IssuerRef: cmmeta.IssuerReference{Name: "ca", Kind: cmv1.ClusterIssuerKind},
		}
	}
	samePlan(t, []acmev1.ChallengeSpec{spec("example.com", false), spec("wild.example.com", true)}, got)
	if why != "" {
		t.Error(why)
	}
	both := challenges(o, acmev1.Pending, acmev1.Pending)
	for n, others := range [][]*acmev1.Challenge{{both[1]}, nil} {
		if got := ChallengesToCome(o.Object, o.Account, both[0], others); got != n {
			t.Errorf("with %d others: %d to come, want %d", len(others), got, n)
		}
	}
}

func TestHasSolver(t *testing.T) {
	web := func(class string) *acmev1.ACMEChallengeSolverHTTP01 {
		return &acmev1.ACMEChallengeSolverHTTP01{Ingress: &acmev1.ACMEChallengeSolverHTTP01Ingress{IngressClassName: &class}}
	}
	both := rfc2136("mallory")
	both.HTTP01 = &acmev1.ACMEChallengeSolverHTTP01{}
	const dns, http = acmev1.ACMEChallengeTypeDNS01, acmev1.ACMEChallengeTypeHTTP01
	issuer := &acmev1.ACMEIssuer{Solvers: []acmev1.ACMEChallengeSolver{rfc2136("a"), rfc2136("b"), {HTTP01: web("one")}}}
	for _, test := range []struct {
		name   string
		of     acmev1.ACMEChallengeType
		solver acmev1.ACMEChallengeSolver
		want   bool
	}{
		{"the first", dns, rfc2136("a"), true},
		{"the second", dns, rfc2136("b"), true},
		{"another one", dns, rfc2136("mallory"), false},
		{"another one beside an empty one for HTTP-01", dns, both, false},
		{"the same of a Challenge for HTTP-01", http, both, false},
		{"another one of a Challenge for HTTP-01", http, rfc2136("mallory"), false},
		{"another one for HTTP-01 of a Challenge for DNS-01", dns, acmev1.ACMEChallengeSolver{HTTP01: web("two")}, false},
		{"HTTP-01", http, acmev1.ACMEChallengeSolver{HTTP01: web("one")}, true},
		{"HTTP-01 with another class, as annotations may ask for", http, acmev1.ACMEChallengeSolver{HTTP01: web("two")}, true},
	} {
		if got := HasSolver(issuer, test.of, &test.solver); got != test.want {
			t.Errorf("%s: %t", test.name, got)
		}
	}
}

func TestName(t *testing.T) {
	long := strings.Repeat("x", 234)
	a, b := Name(long+"xxxxxxxxxxxxxxa", acmev1.OrderSpec{}), Name(long+"xxxxxxxxxxxxxxb", acmev1.OrderSpec{})
	if len(a) > 253 || a == b {
		t.Errorf("long names of Orders: %q, %q", a, b)
	}
	for length := 235; length <= facts.LongestName; length++ {
		for _, request := range []string{strings.Repeat("x.", length/2) + "x", strings.Repeat("x--", length/3) + "x"} {
			for _, name := range []string{Name(request, acmev1.OrderSpec{}), ChallengeName(request, acmev1.ChallengeSpec{})} {
				if problems := validation.IsDNS1123Subdomain(name); len(problems) > 0 {
					t.Errorf("%s: %s", name, problems)
				}
			}
		}
	}
	spec := acmev1.OrderSpec{DNSNames: []string{"a"}, Request: []byte("x")}
	bare := acmev1.OrderSpec{DNSNames: []string{"a"}}
	if Name("r", spec) != Name("r", bare) || Name("r", bare) == Name("r", acmev1.OrderSpec{}) {
		t.Error("an Order's name must depend on its whole spec except the signing request")
	}
}

func TestIdentifiers(t *testing.T) {
	id := func(kind string, values ...string) (ids []acme.Identifier) {
		for _, v := range values {
			ids = append(ids, acme.Identifier{Type: kind, Value: v})
		}
		return ids
	}
	tests := []struct {
		name string
		spec acmev1.OrderSpec
		want []acme.Identifier
	}{
		{"none", acmev1.OrderSpec{}, nil},
		{"sorted and once", acmev1.OrderSpec{DNSNames: []string{"b.x", "*.a.x", "B.X.", "a.x"}}, id("dns", "*.a.x", "a.x", "b.x")},
		{"names, then addresses", acmev1.OrderSpec{DNSNames: []string{"a.x"}, IPAddresses: []string{"10.0.0.2", "2001:DB8::1", "10.0.0.1"}}, append(id("dns", "a.x"), id("ip", "10.0.0.1", "10.0.0.2", "2001:db8::1")...)},
		{"mapped address", acmev1.OrderSpec{IPAddresses: []string{"::ffff:10.0.0.1", "10.0.0.1"}}, id("ip", "10.0.0.1")},
		{"common name", acmev1.OrderSpec{CommonName: "a.x", DNSNames: []string{"b.x"}}, id("dns", "a.x", "b.x")},
		{"common name is an address", acmev1.OrderSpec{CommonName: "10.0.0.1"}, id("ip", "10.0.0.1")},
		{"common name is no domain", acmev1.OrderSpec{CommonName: "My Service", DNSNames: []string{"b.x"}}, id("dns", "b.x")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			samePlan(t, test.want, Identifiers(&acmev1.Order{Spec: test.spec}))
		})
	}
}

func TestOrderClass(t *testing.T) {
	order := func(change ...func(*acmev1.Order)) *acmev1.Order {
		o := &acmev1.Order{ObjectMeta: metav1.ObjectMeta{Namespace: "a"}, Spec: acmev1.OrderSpec{
			IssuerRef: cmmeta.IssuerReference{Name: "i", Kind: cmv1.ClusterIssuerKind}, DNSNames: []string{"a.x", "b.x"},
		}}
		for _, f := range change {
			f(o)
		}
		return o
	}
	tests := []struct {
		name string
		a, b *acmev1.Order
		same bool
	}{
		{"another namespace", order(), order(func(o *acmev1.Order) { o.Namespace = "b" }), true},
		{"names in another order", order(), order(func(o *acmev1.Order) { o.Spec.DNSNames = []string{"b.x", "A.x"} }), true},
		{"another name", order(), order(func(o *acmev1.Order) { o.Spec.DNSNames = []string{"a.x"} }), false},
		{"another issuer", order(), order(func(o *acmev1.Order) { o.Spec.IssuerRef.Name = "j" }), false},
		{"another profile", order(), order(func(o *acmev1.Order) { o.Spec.Profile = "p" }), false},
		{"issuers of two namespaces", order(func(o *acmev1.Order) { o.Spec.IssuerRef.Kind = "" }), order(func(o *acmev1.Order) { o.Spec.IssuerRef.Kind, o.Namespace = "Issuer", "b" }), false},
		{"issuer spelt out", order(func(o *acmev1.Order) { o.Spec.IssuerRef.Kind = "" }), order(func(o *acmev1.Order) { o.Spec.IssuerRef.Kind = "Issuer" }), true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if same := Class(test.a) == Class(test.b); same != test.same {
				t.Errorf("%q and %q", Class(test.a), Class(test.b))
			}
		})
	}
}

func TestOrderPrecedes(t *testing.T) {
	order := func(uid types.UID, age time.Duration, change ...func(*acmev1.Order)) *acmev1.Order {
		o := &acmev1.Order{ObjectMeta: metav1.ObjectMeta{UID: uid, CreationTimestamp: *at(now.Add(-age))}}
		for _, f := range change {
			f(o)
		}
		return o
	}
	state := func(s acmev1.State) func(*acmev1.Order) { return func(o *acmev1.Order) { o.Status.State = s } }
	url := func(o *acmev1.Order) { o.Status.URL = "x" }
	me := order("m", hour)
	tests := []struct {
		name  string
		other *acmev1.Order
		want  bool
	}{
		{"itself", order("m", 2*hour), false},
		{"older", order("z", 2*hour), true},
		{"younger", order("a", 0), false},
		{"as old, first by UID", order("a", hour), true},
		{"as old, last by UID", order("z", hour), false},
		{"younger, at the server already", order("a", 0, url), true},
		{"older, invalid", order("a", 2*hour, url, state(acmev1.Invalid)), false},
		{"older, valid", order("a", 2*hour, url, state(acmev1.Valid)), false},
		{"older, processing", order("a", 2*hour, url, state(acmev1.Processing)), true},
		{"older, being deleted", order("a", 2*hour, func(o *acmev1.Order) { o.DeletionTimestamp = at(now) }), false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := Precedes(test.other, me); got != test.want {
				t.Errorf("got %t", got)
			}
		})
	}
}
