package challenge

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/fault"
	core "github.com/everleaf/everleaf/internal/lifecycle/challenge"
	"github.com/everleaf/everleaf/internal/solver"
)

func TestLimits(t *testing.T) {
	one, other := credential{1}, credential{2}
	at := func(d time.Duration) time.Time { return start.Add(d) }
	limited := func(d time.Duration) error { return fault.Until(at(d), "RateLimited", "HTTP 429") }
	type noted struct {
		of  credential
		err error
		now time.Duration
	}
	for name, test := range map[string]struct {
		noted []noted
		now   time.Duration
		// want are until when the two are left alone, zero for now, known how many
		// limits are remembered.
		want, wantOther time.Time
		known           int
	}{
		"nothing":                   {},
		"success":                   {noted: []noted{{one, nil, 0}}},
		"a limit of one":            {[]noted{{one, limited(time.Minute), 0}}, 0, at(time.Minute), time.Time{}, 1},
		"that has ended":            {[]noted{{one, limited(time.Minute), 0}}, time.Minute, time.Time{}, time.Time{}, 1},
		"a shorter one came later":  {[]noted{{one, limited(time.Minute), 0}, {one, limited(time.Second), 0}}, 0, at(time.Minute), time.Time{}, 1},
		"a longer one came later":   {[]noted{{one, limited(time.Second), 0}, {one, limited(time.Minute), 0}}, 0, at(time.Minute), time.Time{}, 1},
		"a success does not end it": {[]noted{{one, limited(time.Minute), 0}, {one, nil, 0}}, 0, at(time.Minute), time.Time{}, 1},
		"an old one is dropped":     {[]noted{{one, limited(time.Minute), 0}, {other, limited(time.Hour), time.Minute}}, time.Minute, time.Time{}, at(time.Hour), 1},
		"a wrapped one":             {[]noted{{one, fault.Elsewhere(limited(time.Minute)), 0}}, 0, at(time.Minute), time.Time{}, 1},
		"a wait for something else": {noted: []noted{{one, fault.Until(at(time.Minute), "SolverForbidden", "no"), 0}}},
		"without an end":            {noted: []noted{{one, fault.New(fault.Transient, "RateLimited", "HTTP 429"), 0}}},
		"no credential":             {noted: []noted{{credential{}, limited(time.Minute), 0}}},
	} {
		t.Run(name, func(t *testing.T) {
			var l Limits
			for _, n := range test.noted {
				l.Note(n.of, n.err, at(n.now))
			}
			if got := []time.Time{l.Until(one, at(test.now)), l.Until(other, at(test.now))}; !cmp.Equal(got, []time.Time{test.want, test.wantOther}) {
				t.Errorf("until %v", got)
			}
			if len(l.until) != test.known {
				t.Errorf("%d limits are remembered, want %d", len(l.until), test.known)
			}
		})
	}
}

func cloudflareToken(name string) *acmev1.ACMEChallengeSolverDNS01 {
	token := &cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: name}, Key: "token"}
	return &acmev1.ACMEChallengeSolverDNS01{Cloudflare: &acmev1.ACMEIssuerDNS01ProviderCloudflare{APIToken: token}}
}

// TestCredentialOf holds what counts as one credential.
func TestCredentialOf(t *testing.T) {
	plain := func() solver.Challenge {
		return solver.Challenge{SecretNamespace: "ns", DNSName: "a.example", Solver: acmev1.ACMEChallengeSolver{DNS01: cloudflareToken("one")}}
	}
	for name, test := range map[string]struct {
		change func(*solver.Challenge)
		same   bool
	}{
		"another name": {func(c *solver.Challenge) { c.DNSName, c.Name, c.Namespace = "b.example", "b", "team" }, true},
		"another selector": {func(c *solver.Challenge) {
			c.Solver.Selector = &acmev1.CertificateDNSNameSelector{DNSZones: []string{"x"}}
		}, true},
		"aliases": {func(c *solver.Challenge) {
			c.Solver.DNS01.CNAMEStrategy, c.Solver.DNS01.Nameservers = "Follow", []string{"192.0.2.1:53"}
		}, true},
		"another Secret":    {func(c *solver.Challenge) { c.Solver.DNS01 = cloudflareToken("two") }, false},
		"another namespace": {func(c *solver.Challenge) { c.SecretNamespace = "system" }, false},
		"HTTP-01":           {func(c *solver.Challenge) { c.Solver.DNS01 = nil }, false},
	} {
		c := plain()
		if test.change(&c); (credentialOf(c) == credentialOf(plain())) != test.same {
			t.Errorf("%s: the same: %t, want %t", name, !test.same, test.same)
		}
	}
	if c := plain(); c.Solver.DNS01 == nil || credentialOf(c) == (credential{}) || credentialOf(solver.Challenge{}) != (credential{}) {
		t.Error("only DNS-01 has a credential")
	}
}

// with gives a Challenge a token.
func with(token string) func(*acmev1.Challenge) {
	return func(c *acmev1.Challenge) { c.Spec.Solver.DNS01 = cloudflareToken(token) }
}

// withTokens gives an issuer solvers.
func (s *stage) withTokens(t *testing.T, issuer string, tokens ...string) {
	t.Helper()
	i := acmeIssuer(issuer)
	if err := s.api.Get(t.Context(), key(issuer), i); err != nil {
		t.Fatal(err)
	}
	for _, token := range tokens {
		i.Spec.ACME.Solvers = append(i.Spec.ACME.Solvers, acmev1.ACMEChallengeSolver{DNS01: cloudflareToken(token)})
	}
	if err := s.api.Update(t.Context(), i); err != nil {
		t.Fatal(err)
	}
}

// TestLimitIsOfTheCredential holds that after an answer of the provider that it limits
// calls nothing asks it with the same credential until then, whichever Challenge, issuer
// or action it is, and that others are not concerned.
func TestLimitIsOfTheCredential(t *testing.T) {
	presented := func(c *acmev1.Challenge) {
		c.Status = acmev1.ChallengeStatus{State: acmev1.Valid, Presented: true}
	}
	s := newStage(t, acmeIssuer("one"), acmeIssuer("two"), challengeOf("a", "one", "o", with("shared")),
		challengeOf("b", "two", "o", with("shared")), challengeOf("ended", "two", "o", with("shared"), presented),
		challengeOf("c", "one", "o", with("own"), presented))
	s.withTokens(t, "one", "shared", "own")
	s.withTokens(t, "two", "shared")
	// b was loaded before the provider answered.
	early := s.load(t, "b")
	until := start.Add(5 * time.Minute)
	s.solver.fail = []error{fault.Until(until, "RateLimited", "HTTP 429")}
	if err := s.load(t, "a").Do(t.Context(), core.Present{}); err == nil {
		t.Fatal("presented")
	}
	s.solver.log = nil

	for _, w := range []*work{early, s.load(t, "b")} {
		s.do(t, w, core.Present{})
		if !w.ProviderNotBefore.Equal(until) || !w.Memory.PresentedAt.IsZero() {
			t.Errorf("left alone until %s, %+v", w.ProviderNotBefore, w.Memory)
		}
	}
	if after := s.reconcileOnce(t, "ended"); after != 5*time.Minute {
		t.Errorf("the clean-up comes back after %s", after)
	}
	if len(s.solver.log) > 0 {
		t.Errorf("asked in spite of the limit: %v", s.solver.log)
	}
	s.reconcileOnce(t, "c")
	if diff := cmp.Diff([]string{"begin c.example", "clean up"}, s.solver.log); diff != "" {
		t.Errorf("with another Secret (-want +got):\n%s", diff)
	}
	s.solver.log = nil
	s.clock.SetTime(until)
	s.do(t, s.load(t, "b"), core.Present{})
	s.reconcileOnce(t, "ended")
	if diff := cmp.Diff([]string{"begin b.example", "present", "begin ended.example", "clean up"}, s.solver.log); diff != "" {
		t.Errorf("after the limit (-want +got):\n%s", diff)
	}
}

// TestLeftoverWithinLimit holds that what is left behind is no exception, and tells others
// of the limit.
func TestLeftoverWithinLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, acmeIssuer("one"), challengeOf("a", "one", "o", with("shared")))
		s.withTokens(t, "one", "shared")
		w := s.load(t, "a")
		until := start.Add(3 * time.Hour)
		s.solver.fail = []error{nil, fault.Until(until, "RateLimited", "HTTP 429"), errors.New("no")}
		s.do(t, w, core.Present{})
		s.Forget(key("a"))
		s.passes(t)
		want := append([]string{"begin a.example", "present"}, slices.Repeat([]string{"clean up"}, 3)...)
		if diff := cmp.Diff(want, s.solver.log); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if took := s.clock.Now().Sub(start); took < 3*time.Hour+2*time.Minute || took > 3*time.Hour+4*time.Minute {
			t.Errorf("took %s", took)
		}
	})
}
