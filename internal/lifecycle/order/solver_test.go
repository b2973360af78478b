package order

import (
	"slices"
	"testing"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/facts"
)

func TestSelectSolver(t *testing.T) {
	dns01 := func(name string, sel *acmev1.CertificateDNSNameSelector) acmev1.ACMEChallengeSolver {
		s := rfc2136(name)
		s.Selector = sel
		return s
	}
	http01 := func(sel *acmev1.CertificateDNSNameSelector) acmev1.ACMEChallengeSolver {
		return acmev1.ACMEChallengeSolver{Selector: sel, HTTP01: &acmev1.ACMEChallengeSolverHTTP01{}}
	}
	names := func(n ...string) *acmev1.CertificateDNSNameSelector {
		return &acmev1.CertificateDNSNameSelector{DNSNames: n}
	}
	zones := func(z ...string) *acmev1.CertificateDNSNameSelector {
		return &acmev1.CertificateDNSNameSelector{DNSZones: z}
	}
	labels := func(kv ...string) *acmev1.CertificateDNSNameSelector {
		m := map[string]string{}
		for i := 0; i < len(kv); i += 2 {
			m[kv[i]] = kv[i+1]
		}
		return &acmev1.CertificateDNSNameSelector{MatchLabels: m}
	}
	all := func(l, n, z *acmev1.CertificateDNSNameSelector) *acmev1.CertificateDNSNameSelector {
		return &acmev1.CertificateDNSNameSelector{MatchLabels: l.MatchLabels, DNSNames: n.DNSNames, DNSZones: z.DNSZones}
	}
	const none = -1
	empty := &acmev1.CertificateDNSNameSelector{}
	tests := []struct {
		name     string
		domain   string
		wildcard bool
		solvers  []acmev1.ACMEChallengeSolver
		want     int
	}{
		{"none at all", "www.example.com", false, nil, none},
		{"no selector", "www.example.com", false, []acmev1.ACMEChallengeSolver{dns01("a", nil)}, 0},
		{"the first of two", "www.example.com", false, []acmev1.ACMEChallengeSolver{dns01("a", nil), dns01("b", nil)}, 0},
		{"any selector before none", "www.example.com", false, []acmev1.ACMEChallengeSolver{dns01("a", nil), dns01("b", empty)}, 1},
		{"more labels", "www.example.com", false, []acmev1.ACMEChallengeSolver{dns01("a", labels("app", "web")), dns01("b", labels("app", "web", "tier", "1"))}, 1},
		{"a label that differs", "www.example.com", false, []acmev1.ACMEChallengeSolver{dns01("a", nil), dns01("b", labels("app", "web", "tier", "2"))}, 0},
		{"zone before labels", "www.example.com", false, []acmev1.ACMEChallengeSolver{dns01("a", labels("app", "web", "tier", "1")), dns01("b", zones("com"))}, 1},
		{"longer zone", "www.a.example.com", false, []acmev1.ACMEChallengeSolver{dns01("a", zones("example.com")), dns01("b", zones("net", "a.example.com"))}, 1},
		{"equal zones, more labels", "www.example.com", false, []acmev1.ACMEChallengeSolver{dns01("a", zones("example.com")), dns01("b", all(labels("app", "web"), empty, zones("example.com")))}, 1},
		{"name before zone", "www.example.com", false, []acmev1.ACMEChallengeSolver{dns01("a", zones("www.example.com")), dns01("b", names("www.example.com"))}, 1},
		{"names alike, longer zone", "www.example.com", false, []acmev1.ACMEChallengeSolver{dns01("a", names("www.example.com")), dns01("b", all(empty, names("www.example.com"), zones("com")))}, 1},
		{"name in capitals", "www.example.com", false, []acmev1.ACMEChallengeSolver{dns01("a", names("WWW.example.com"))}, 0},
		{"zone with a dot", "www.example.com", false, []acmev1.ACMEChallengeSolver{dns01("a", zones("Example.com."))}, 0},
		{"the zone itself", "example.com", false, []acmev1.ACMEChallengeSolver{dns01("a", zones("example.com"))}, 0},
		{"no zone of whole labels", "badexample.com", false, []acmev1.ACMEChallengeSolver{dns01("a", zones("example.com"))}, none},
		{"name, but not zone", "www.example.com", false, []acmev1.ACMEChallengeSolver{dns01("a", all(empty, names("www.example.com"), zones("net")))}, none},
		{"zone, but not name", "www.example.com", false, []acmev1.ACMEChallengeSolver{dns01("a", all(empty, names("x.example.com"), zones("com")))}, none},
		{"wildcard is not its apex", "example.com", true, []acmev1.ACMEChallengeSolver{dns01("a", names("example.com")), dns01("b", names("*.example.com"))}, 1},
		{"wildcard in a zone", "example.com", true, []acmev1.ACMEChallengeSolver{dns01("a", zones("example.com"))}, 0},
		{"wildcard offers no HTTP-01", "example.com", true, []acmev1.ACMEChallengeSolver{http01(names("*.example.com")), dns01("b", nil)}, 1},
		{"HTTP-01 named", "www.example.com", false, []acmev1.ACMEChallengeSolver{dns01("a", nil), http01(names("www.example.com"))}, 1},
		{"solver of no type", "www.example.com", false, []acmev1.ACMEChallengeSolver{{Selector: names("www.example.com")}}, none},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			authz := authorization(test.domain, test.wildcard)
			if test.wildcard {
				authz.Challenges = authz.Challenges[1:]
			}
			sel, ok := selectSolver(test.solvers, map[string]string{"app": "web", "tier": "1"}, authz)
			got := none
			for i := range test.solvers {
				if ok && sel.solver == &test.solvers[i] {
					got = i
				}
			}
			if got != test.want {
				t.Errorf("got solver %d, want %d", got, test.want)
			}
		})
	}
}

func TestUnsupported(t *testing.T) {
	account, o := &facts.Account{Unsupported: []string{"", "is of no use"}}, ordered().Object
	for index, want := range []string{"", `the solver selected for "a.example", spec.acme.solvers[1] of ClusterIssuer ca, is of no use`, ""} {
		if got := unsupported(o, account, selection{index: index}, "a.example"); got != want {
			t.Errorf("solver %d: got %q, want %q", index, got, want)
		}
	}
}

// TestNoSolver holds that the message names the issuer and why none of its solvers
// can be used.
func TestNoSolver(t *testing.T) {
	const begin = "no configured challenge solvers can be used for this challenge: "
	dns := []acmev1.ACMEChallengeSolver{{DNS01: &acmev1.ACMEChallengeSolverDNS01{}}}
	namespaced := func(o *acmev1.Order) { o.Spec.IssuerRef = cmmeta.IssuerReference{Name: "le"} }
	for _, test := range []struct {
		name    string
		order   func(*acmev1.Order)
		solvers []acmev1.ACMEChallengeSolver
		domain  string
		want    string
	}{
		{"no solvers", namespaced, nil, "a.example", "Issuer app/le has no spec.acme.solvers"},
		{"no solvers of a ClusterIssuer", nil, nil, "a.example", "ClusterIssuer ca has no spec.acme.solvers"},
		{"none that matches", namespaced, dns, "a.example", `none of the solvers of Issuer app/le matches "a.example" and offers one of dns-01, http-01`},
		{"an address", nil, dns, "10.0.0.1", `none of the solvers of ClusterIssuer ca matches "10.0.0.1" and offers one of http-01; IP addresses cannot be validated by DNS-01`},
		{"an address of IPv6", namespaced, dns, "2001:db8::1", `none of the solvers of Issuer app/le matches "2001:db8::1" and offers one of http-01; IP addresses cannot be validated by DNS-01`},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := ordered().Object
			if test.order != nil {
				test.order(o)
			}
			a := authorization(test.domain, false)
			if test.domain != "a.example" {
				a.Challenges = slices.DeleteFunc(a.Challenges, func(c acmev1.ACMEChallenge) bool { return c.Type != "http-01" })
			}
			if got := noSolver(o, test.solvers, a); got != begin+test.want {
				t.Errorf("got  %s\nwant %s", got, begin+test.want)
			}
		})
	}
}
