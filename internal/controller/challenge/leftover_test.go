package challenge

import (
	"errors"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	core "github.com/everleaf/everleaf/internal/lifecycle/challenge"
)

// TestLeftover holds that what a Challenge has presented is removed if somebody
// else has removed the finalizer, unless another Challenge needs it.
func TestLeftover(t *testing.T) {
	for name, test := range map[string]struct {
		other   func(*acmev1.Challenge)
		release bool
		want    []string
	}{
		"removed by a user":          {nil, false, []string{"begin a.example", "present", "clean up"}},
		"removed by this controller": {nil, true, []string{"begin a.example", "present"}},
		"another needs the value":    {func(c *acmev1.Challenge) { c.Status.Presented = true }, false, []string{"begin a.example", "present"}},
		"another has ended":          {func(c *acmev1.Challenge) { c.Status = acmev1.ChallengeStatus{Presented: true, State: acmev1.Valid} }, false, []string{"begin a.example", "present", "clean up"}},
	} {
		t.Run(name, func(t *testing.T) {
			objects := []client.Object{acmeIssuer("one"), challengeOf("a", "one", "o")}
			if test.other != nil {
				objects = append(objects, challengeOf("b", "one", "o", func(c *acmev1.Challenge) {
					c.Spec.DNSName, c.Spec.Key = "a.example", "key-a"
				}, test.other))
			}
			s := newStage(t, objects...)
			w := s.load(t, "a")
			s.do(t, w, core.Present{})
			if test.release {
				s.do(t, w, core.RemoveFinalizer{Abandoned: true})
			} else {
				c := s.stored(t, "a")
				c.Finalizers = nil
				if err := s.api.Update(t.Context(), c); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.api.Delete(t.Context(), s.stored(t, "a")); err != nil {
				t.Fatal(err)
			}
			s.reconcileOnce(t, "a")
			s.leftovers.Wait()
			if diff := cmp.Diff(test.want, s.solver.log); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// The removal of what a Challenge that is gone has presented is tried again, and
// then reported.
func TestLeftoverIsTriedAgain(t *testing.T) {
	no := errors.New("no")
	for name, test := range map[string]struct {
		fail      []error
		cleanUps  int
		abandoned int
	}{
		"removed the first time":  {nil, 1, 0},
		"removed the second time": {[]error{nil, no}, 2, 0},
		"never removed":           {[]error{nil, no, no, no, no}, leftoverTries, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, acmeIssuer("one"), challengeOf("a", "one", "o"))
			abandoned := 0
			s.Abandoned = func() { abandoned++ }
			s.solver.fail = test.fail
			s.do(t, s.load(t, "a"), core.Present{})
			s.Forget(key("a"))
			for range test.cleanUps - 1 {
				for !s.clock.HasWaiters() {
					runtime.Gosched()
				}
				s.clock.Step(leftoverRetry)
			}
			s.leftovers.Wait()
			want := append([]string{"begin a.example", "present"}, slices.Repeat([]string{"clean up"}, test.cleanUps)...)
			if diff := cmp.Diff(want, s.solver.log); diff != "" || abandoned != test.abandoned {
				t.Errorf("left behind %d times, want %d (-want +got):\n%s", abandoned, test.abandoned, diff)
			}
		})
	}
}

// What a Challenge that is gone has presented is removed in the end if another
// Challenge has presented the value with another solver: that may write elsewhere.
func TestLeftoverOfAnotherSolver(t *testing.T) {
	s := newStage(t, acmeIssuer("one"), challengeOf("a", "one", "o"), challengeOf("b", "one", "o", func(c *acmev1.Challenge) {
		c.Spec.DNSName, c.Spec.Key = "a.example", "key-a"
		c.Spec.Solver.DNS01 = &acmev1.ACMEChallengeSolverDNS01{RFC2136: &acmev1.ACMEIssuerDNS01ProviderRFC2136{Nameserver: "192.0.2.99"}}
		c.Status.Presented = true
	}))
	s.do(t, s.load(t, "a"), core.Present{})
	s.Forget(key("a"))
	for range leftoverTries - 1 {
		for !s.clock.HasWaiters() {
			runtime.Gosched()
		}
		s.clock.Step(leftoverRetry)
	}
	s.leftovers.Wait()
	if diff := cmp.Diff([]string{"begin a.example", "present", "clean up"}, s.solver.log); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
