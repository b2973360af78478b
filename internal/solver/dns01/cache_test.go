package dns01_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/propagation"
	"github.com/everleaf/everleaf/internal/solver"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

func TestObserver(t *testing.T) {
	w := newWorld(t)
	w.records[challenge+" "+value] = true
	o := solver.ObserverOf(w.begin(nil))
	o.Accepted(t0)
	o.Refused(t0)
	if got := w.verdict(w.begin(nil)); got.State != propagation.Accept {
		t.Errorf("refused: %+v", got)
	}
	w = newWorld(t)
	w.records[challenge+" "+value] = true
	w.solver.Restore(solver.Challenge{CA: ca, DNSName: "www.example.com"}, t0.Add(-time.Minute), t0.Add(-time.Second), false)
	if got := w.verdict(w.begin(nil)); got.State != propagation.Wait {
		t.Errorf("restored: %+v", got)
	}
}

func TestGrouped(t *testing.T) {
	c := func(kind acmev1.ACMEChallengeType, name string) solver.Challenge {
		return solver.Challenge{Type: kind, DNSName: name}
	}
	w := newWorld(t)
	one := c(acmev1.ACMEChallengeTypeDNS01, "a.example")
	for other, want := range map[*solver.Challenge]bool{
		{Type: one.Type, DNSName: "A.example"}:                       true,
		{Type: one.Type, DNSName: "b.example"}:                       false,
		{Type: acmev1.ACMEChallengeTypeHTTP01, DNSName: "a.example"}: false,
	} {
		if got := w.solver.Grouped(one, *other); got != want {
			t.Errorf("%+v: %t", other, got)
		}
	}
}

// TestWaitInstead asks nobody, and waits for what the CA may have cached.
func TestWaitInstead(t *testing.T) {
	w := newWorld(t)
	s := w.solver.Begin(solver.Challenge{
		SecretNamespace: "team", CA: ca, Type: acmev1.ACMEChallengeTypeDNS01, DNSName: "www.example.com", Key: value,
		Solver: acmev1.ACMEChallengeSolver{
			DNS01: &dns01.Spec{DigitalOcean: &acmev1.ACMEIssuerDNS01ProviderDigitalOcean{}}, WaitInsteadOfSelfCheck: &metav1.Duration{},
		},
	})
	if got := w.verdict(s); got.State != propagation.Accept {
		t.Errorf("without a look-up: %+v", got)
	}
	w.solver.Restore(solver.Challenge{CA: ca, DNSName: "www.example.com"}, t0.Add(-2*time.Second), t0.Add(-time.Second), false)
	if got := w.verdict(s); got.State != propagation.Wait || !got.Until.Equal(t0.Add(10*time.Second)) {
		t.Errorf("after a look-up: %+v", got)
	}
	w.want("both", nil)
}

// TestCacheFloor holds that an issuer's floor takes the place of the general one.
func TestCacheFloor(t *testing.T) {
	for _, test := range []struct {
		general time.Duration
		issuer  *time.Duration
		want    time.Duration
	}{
		{0, nil, 11 * time.Second},
		{time.Minute, nil, 61 * time.Second},
		{time.Minute, ptr.To(20 * time.Second), 21 * time.Second},
		{time.Minute, ptr.To(time.Duration(0)), 11 * time.Second},
	} {
		w := newWorld(t, func(c *dns01.Config) { c.CacheFloor = test.general })
		w.records[challenge+" "+value] = true
		spec := &dns01.Spec{DigitalOcean: &acmev1.ACMEIssuerDNS01ProviderDigitalOcean{}}
		s := w.solver.Begin(solver.Challenge{
			CA: ca, DNSName: "www.example.com", Key: value, CacheFloor: test.issuer, Solver: acmev1.ACMEChallengeSolver{DNS01: spec},
		})
		w.solver.Restore(solver.Challenge{CA: ca, DNSName: "www.example.com"}, t0.Add(-time.Second), t0, false)
		w.clock.SetTime(t0.Add(time.Millisecond))
		if got := w.verdict(s); !got.Until.Equal(t0.Add(test.want)) {
			t.Errorf("%+v: %+v", test, got)
		}
	}
}

// TestLearnsFromMisses holds that a CA that finds an earlier value instead of one
// that every server has, soon after another look-up, is one that keeps answers
// longer.
func TestLearnsFromMisses(t *testing.T) {
	for name, test := range map[string]struct {
		missed string
		want   propagation.State
	}{
		"missed":           {`Incorrect TXT record "` + older + `" found`, propagation.Wait},
		"not found":        {"NXDOMAIN looking up TXT", propagation.Accept},
		"failed otherwise": {"", propagation.Accept},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			earlier := w.solver.Begin(solver.Challenge{CA: ca, DNSName: "www.example.com", Key: older, Solver: acmev1.ACMEChallengeSolver{DNS01: &dns01.Spec{}}})
			w.verdict(earlier)
			solver.ObserverOf(earlier).Forget()
			w.records[challenge+" "+value] = true
			w.solver.Restore(solver.Challenge{CA: ca, DNSName: "www.example.com"}, t0.Add(-31*time.Second), t0.Add(-30*time.Second), false)
			s := w.begin(nil)
			if got := w.verdict(s); got.State != propagation.Accept {
				t.Fatalf("%+v", got)
			}
			o := solver.ObserverOf(s)
			o.Accepted(t0)
			o.Concluded(true, test.missed, t0.Add(time.Second))
			w.clock.SetTime(t0.Add(40 * time.Second))
			o.Forget()
			if got := w.verdict(w.begin(nil)); got.State != test.want {
				t.Errorf("the next: %+v", got)
			}
		})
	}
}

// TestForgetsUnderTheChallengeName holds that what was collected of a value is
// dropped also if the record is at the end of a CNAME.
func TestForgetsUnderTheChallengeName(t *testing.T) {
	w := newWorld(t)
	w.aliases = map[string]string{challenge: "x.example.com."}
	s := w.begin(func(spec *dns01.Spec) { spec.CNAMEStrategy = acmev1.FollowStrategy })
	if err := s.Present(t.Context()); err != nil {
		t.Fatal(err)
	}
	probes := func() int {
		evidence, err := s.Check(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return evidence.(propagation.Observation).Entry.Probes
	}
	probes()
	if got := probes(); got != 2 {
		t.Fatalf("%d probes", got)
	}
	solver.ObserverOf(s).Forget()
	if got := probes(); got != 1 {
		t.Errorf("%d probes after it was forgotten", got)
	}
}

// Look-ups that earlier processes saw are remembered for as long as the floor, from
// the first one on.
func TestRestoreKeepsForTheFloor(t *testing.T) {
	floor := time.Hour
	w := newWorld(t)
	at := solver.Challenge{CA: ca, DNSName: "www.example.com", CacheFloor: &floor}
	w.solver.Restore(at, t0.Add(-21*time.Minute), t0.Add(-20*time.Minute), true)
	other := at
	other.DNSName = "other.example"
	w.clock.SetTime(t0.Add(2 * time.Second))
	w.solver.Restore(other, t0.Add(-2*time.Minute), t0.Add(-time.Minute), false)
	if got := len(w.ledger.Assumed(ca, challenge, w.clock.Now()).Lookups); got != 1 {
		t.Errorf("%d look-ups with a floor of an hour, 20 minutes after one", got)
	}
}
