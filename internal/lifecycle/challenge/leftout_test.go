package challenge

import (
	"testing"
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/plan"
	"github.com/everleaf/everleaf/internal/propagation"
	"github.com/everleaf/everleaf/internal/selfcheck"
)

// accepted is Evidence that lets the CA be asked.
type accepted propagation.Verdict

func (a accepted) Verdict(time.Time) propagation.Verdict { return propagation.Verdict(a) }

// TestLeftOut holds that a Challenge whose CA may find something else than the self-check
// has found says so, once, and without a write of its status.
func TestLeftOut(t *testing.T) {
	dead := selfcheck.Answer{Address: "2001:db8::7", Failure: selfcheck.Timeout}
	right := selfcheck.Answer{Address: "192.0.2.5", Status: 200, Content: selfcheck.RightKey}
	unchecked := selfcheck.Answer{Address: "2001:db8::7", Failure: selfcheck.NoRoute}
	seen := func(answers ...selfcheck.Answer) propagation.Evidence {
		return selfcheck.View{Report: selfcheck.Report{Name: "example.com", At: now, Since: now, Answers: answers}}
	}
	for name, test := range map[string]struct {
		of       acmev1.ACMEChallengeType
		evidence propagation.Evidence
		want     string
	}{
		"AAAA is dead": {
			acmev1.ACMEChallengeTypeHTTP01, seen(dead, right),
			`Asked the ACME server to validate "example.com", for which the self-check has succeeded; left out: 2001:db8::7 does not answer; CAs prefer IPv6, and not all try another address then: have the ingress controller listen on this address, or remove the AAAA record`,
		},
		"a proxy answers otherwise": {
			acmev1.ACMEChallengeTypeHTTP01, seen(selfcheck.Answer{Proxy: "http://proxy:3128", Status: 503}, right),
			`Asked the ACME server to validate "example.com", for which the self-check has succeeded; left out: the answer through proxy http://proxy:3128 (503): add example.com to NO_PROXY`,
		},
		"no IPv6 here": {acmev1.ACMEChallengeTypeHTTP01, seen(unchecked, right), ""},
		"all have it":  {acmev1.ACMEChallengeTypeHTTP01, seen(right), ""},
		"DNS-01":       {acmev1.ACMEChallengeTypeDNS01, accepted{State: propagation.Accept, Message: "left out: ns2.example.com. cannot be reached"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := presented()
			s.Object.Spec.Type, s.Memory.Evidence = test.of, test.evidence
			want := Plan{Do: Accept{URL: s.Object.Spec.URL}, Status: s.Object.Status}
			if test.want != "" {
				want.Events = []plan.Event{{Warning: true, Reason: "SelfCheckIncomplete", Component: Manager, Message: test.want}}
			}
			samePlan(t, want, s.Next(now))
			s.Memory.AcceptedAt, s.Memory.Accepts = now, 1
			if again := s.Next(now); len(again.Events) > 0 {
				t.Errorf("it is said again: %+v", again.Events)
			}
		})
	}
}
