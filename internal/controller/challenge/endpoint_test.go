package challenge

import (
	"testing"
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/facts"
	core "github.com/everleaf/everleaf/internal/lifecycle/challenge"
	"github.com/everleaf/everleaf/internal/plan"
	"github.com/everleaf/everleaf/internal/propagation"
	"github.com/everleaf/everleaf/internal/selfcheck"
	"github.com/everleaf/everleaf/internal/solver"
)

// located is a Session in a zone.
type located struct {
	solver.Session
	zone string
}

func (l located) Zone() string { return l.zone }

// onHTTP stands for the zone of a Challenge of HTTP-01.
const onHTTP = "HTTP-01"

// TestSite holds whose web servers are asked for a name.
func TestSite(t *testing.T) {
	for name, want := range map[string]string{
		"www.example.com": "example.com", "a.b.Example.com.": "example.com", "www.shop.example.co.uk": "example.co.uk",
		"tenant.github.io": "tenant.github.io", "co.uk": "co.uk", "intranet": "intranet",
		"www.lab.internal": "lab.internal", "192.0.2.5": "192.0.2.5", "2001:db8::7": "2001:db8::7",
	} {
		if got := site(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// TestEndpoint holds which server an action asks: one that hangs must not delay
// what asks another.
func TestEndpoint(t *testing.T) {
	rfc2136 := &acmev1.ACMEChallengeSolverDNS01{RFC2136: &acmev1.ACMEIssuerDNS01ProviderRFC2136{Nameserver: "ns1.example.com"}}
	for _, test := range []struct {
		name   string
		action plan.Action
		zone   string
		want   string
	}{
		{"accept", core.Accept{}, "", "the ACME server ca.example"},
		{"authorization", core.FetchAuthorization{}, "", "the ACME server ca.example"},
		{"present", core.Present{}, "", "the server ns1.example.com"},
		{"clean up", core.CleanUp{}, "shop.example.co.uk.", "the server ns1.example.com"},
		{"probe of a zone that is not known yet", core.Probe{}, "", "the name servers of co.uk"},
		{"probe of a zone", core.Probe{}, "shop.example.co.uk.", "the name servers of shop.example.co.uk"},
		{"probe of an alias in another zone", core.Probe{}, "acme.central.example.", "the name servers of co.uk"},
		{"probe of the zone's own name", core.Probe{}, "www.shop.example.co.uk.", "the name servers of www.shop.example.co.uk"},
		{"http-01, accept", core.Accept{}, onHTTP, "the ACME server ca.example"},
		{"http-01, present", core.Present{}, onHTTP, ""},
		{"http-01, probe", core.Probe{}, onHTTP, "the web servers of example.co.uk"},
		{"finalizer", core.AddFinalizer{}, "", ""},
		{"slot", core.TakeSlot{}, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &acmev1.Challenge{Spec: acmev1.ChallengeSpec{Type: acmev1.ACMEChallengeTypeDNS01, DNSName: "www.shop.example.co.uk", Solver: acmev1.ACMEChallengeSolver{DNS01: rfc2136}}}
			if test.zone == onHTTP {
				c.Spec.Type, c.Spec.Solver = acmev1.ACMEChallengeTypeHTTP01, acmev1.ACMEChallengeSolver{HTTP01: &acmev1.ACMEChallengeSolverHTTP01{}}
			}
			w := &work{c: &Controller{Deps: Deps{Solvers: solver.Solvers{acmev1.ACMEChallengeTypeDNS01: &recorder{}}}}, memory: &memory{session: located{zone: test.zone}}, State: core.State{
				Object: c, Account: &facts.Account{Issuer: &acmev1.ACMEIssuer{Server: "https://ca.example/directory"}},
			}}
			if got, longest := w.Endpoint(test.action); got != test.want || (got != "") != (longest > 0) {
				t.Errorf("asks %q for %s, want %q", got, longest, test.want)
			}
		})
	}
}

// verdict is Evidence that has been judged.
type verdict propagation.Verdict

func (v verdict) Verdict(time.Time) propagation.Verdict { return propagation.Verdict(v) }

// silent is what a check has seen of one address.
func silent(f selfcheck.Failure) selfcheck.View {
	return selfcheck.View{Report: selfcheck.Report{Name: "www.example.com", Answers: []selfcheck.Answer{{Address: "192.0.2.5", Failure: f}}}}
}

// TestUnanswered holds that name servers or web servers which do not answer a probe count as
// servers that hang, although the probe has told something.
func TestUnanswered(t *testing.T) {
	s := newStage(t)
	for _, test := range []struct {
		name     string
		action   plan.Action
		evidence propagation.Evidence
		want     bool
	}{
		{"silent", core.Probe{}, verdict{Unanswered: true}, true},
		{"answers", core.Probe{}, verdict{}, false},
		{"a web server that is silent", core.Probe{}, silent(selfcheck.NoResponse), true},
		{"a web server that answers", core.Probe{}, silent(selfcheck.ConnectionRefused), false},
		{"no evidence", core.Probe{}, nil, false},
		{"another action", core.Accept{}, verdict{Unanswered: true}, false},
	} {
		w := &work{c: s.Controller, State: core.State{Memory: core.Memory{Evidence: test.evidence}}}
		if got := w.Unanswered(test.action); got != test.want {
			t.Errorf("%s: %t", test.name, got)
		}
	}
}
