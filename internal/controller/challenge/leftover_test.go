package challenge

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	core "github.com/everleaf/everleaf/internal/lifecycle/challenge"
	"github.com/everleaf/everleaf/internal/plan"
	"github.com/everleaf/everleaf/internal/solver"
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
				s.do(t, w, core.RemoveFinalizer{})
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

// passes lets the time pass that each try waits for, by the minute, until nothing is left
// to try or to store. It is for a bubble of synctest.
func (s *stage) passes(t *testing.T) {
	t.Helper()
	for synctest.Wait(); s.clock.HasWaiters(); synctest.Wait() {
		s.clock.Step(time.Minute)
	}
	s.leftovers.Wait()
}

// inBubble runs a test in a bubble of synctest.
func inBubble(t *testing.T, name string, test func(*testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
}

// The removal of what a Challenge that is gone has presented is tried again, soon and
// then less often, for a day.
func TestLeftoverIsTriedAgain(t *testing.T) {
	no := errors.New("no")
	for name, test := range map[string]struct {
		fails, cleanUps, abandoned int
		// took is how long that took: the waits are 1, 2, 4 min and so on.
		took time.Duration
	}{
		"removed the first time":     {0, 1, 0, 0},
		"removed the second time":    {1, 2, 0, time.Minute},
		"removed after half an hour": {5, 6, 1, 31 * time.Minute},
		"never removed":              {99, 12, 1, 24 * time.Hour},
	} {
		inBubble(t, name, func(t *testing.T) {
			s := newStage(t, acmeIssuer("one"), challengeOf("a", "one", "o"))
			abandoned := 0
			s.Abandoned = func() { abandoned++ }
			s.solver.fail = append([]error{nil}, slices.Repeat([]error{no}, test.fails)...)
			s.do(t, s.load(t, "a"), core.Present{})
			s.Forget(key("a"))
			s.passes(t)
			want := append([]string{"begin a.example", "present"}, slices.Repeat([]string{"clean up"}, test.cleanUps)...)
			if diff := cmp.Diff(want, s.solver.log); diff != "" || abandoned != test.abandoned {
				t.Errorf("left behind %d times, want %d (-want +got):\n%s", abandoned, test.abandoned, diff)
			}
			// What is stored is saved up to a step later.
			if took := s.clock.Now().Sub(start); took < test.took || took > test.took+time.Minute || s.LeftBehind() != 0 {
				t.Errorf("took %s, want %s; %d are left", took, test.took, s.LeftBehind())
			}
		})
	}
}

// What a Challenge that is gone has presented is removed in the end if another
// Challenge has presented the value with another solver: that may write elsewhere.
func TestLeftoverOfAnotherSolver(t *testing.T) {
	for name, test := range map[string]struct {
		fails    []error
		cleanUps int
		took     time.Duration
	}{
		"at the third try":     {nil, 1, 3 * time.Minute},
		"if that fails, later": {[]error{nil, errors.New("no")}, 2, 7 * time.Minute},
	} {
		inBubble(t, name, func(t *testing.T) {
			s := newStage(t, acmeIssuer("one"), challengeOf("a", "one", "o"), challengeOf("b", "one", "o", func(c *acmev1.Challenge) {
				c.Spec.DNSName, c.Spec.Key = "a.example", "key-a"
				c.Spec.Solver.DNS01 = &acmev1.ACMEChallengeSolverDNS01{RFC2136: &acmev1.ACMEIssuerDNS01ProviderRFC2136{Nameserver: "192.0.2.99"}}
				c.Status.Presented = true
			}))
			s.solver.fail = test.fails
			s.do(t, s.load(t, "a"), core.Present{})
			s.Forget(key("a"))
			s.passes(t)
			want := append([]string{"begin a.example", "present"}, slices.Repeat([]string{"clean up"}, test.cleanUps)...)
			if diff := cmp.Diff(want, s.solver.log); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			// What is stored is saved up to a step later.
			if took := s.clock.Now().Sub(start); took < test.took || took > test.took+time.Minute {
				t.Errorf("took %s, want %s", took, test.took)
			}
		})
	}
}

// TestAbandonedIsTriedLater holds that the clean-ups before count for the wait: a record
// that is left behind is tried after 1, 2 and 4 minutes, as the documentation says.
func TestAbandonedIsTriedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		l, r := sweeping("ns", 2)
		l.abandoned = true
		s.sweep(l)
		synctest.Wait()
		for _, at := range []time.Duration{time.Minute, 3 * time.Minute, 7 * time.Minute} {
			r.log = nil
			s.clock.SetTime(start.Add(at - time.Second))
			synctest.Wait()
			if len(r.log) > 0 {
				t.Errorf("tried before %s: %v", at, r.log)
			}
			s.clock.SetTime(start.Add(at))
			synctest.Wait()
			if diff := cmp.Diff([]string{"detach", "clean up"}, r.log); diff != "" {
				t.Errorf("after %s (-want +got):\n%s", at, diff)
			}
		}
		s.passes(t)
	})
}

// A record whose Challenge was let go because it could not be removed is reported, where
// the user finds it, and removed later.
func TestAbandonedIsSwept(t *testing.T) {
	for name, test := range map[string]struct {
		// meanwhile happens before the record is tried again.
		meanwhile func(*testing.T, *stage)
		want      []string
	}{
		"the server comes back": {func(*testing.T, *stage) {}, []string{"clean up"}},
		"the issuer is gone": {func(t *testing.T, s *stage) {
			if err := s.api.Delete(t.Context(), acmeIssuer("one")); err != nil {
				t.Fatal(err)
			}
		}, []string{"detach", "clean up"}},
		"the issuer is another one": {func(t *testing.T, s *stage) {
			if err := s.api.Delete(t.Context(), acmeIssuer("one")); err != nil {
				t.Fatal(err)
			}
			again := acmeIssuer("one")
			again.UID = "again"
			if err := s.api.Create(t.Context(), again); err != nil {
				t.Fatal(err)
			}
		}, []string{"detach", "clean up"}},
		"another Challenge needs the value": {func(t *testing.T, s *stage) {
			other := challengeOf("b", "one", "o", func(c *acmev1.Challenge) {
				c.Spec.DNSName, c.Spec.Key, c.Status.Presented = "a.example", "key-a", true
			})
			if err := s.api.Create(t.Context(), other); err != nil {
				t.Fatal(err)
			}
			if err := s.api.Status().Update(t.Context(), other); err != nil {
				t.Fatal(err)
			}
		}, nil},
	} {
		inBubble(t, name, func(t *testing.T) {
			s := newStage(t, acmeIssuer("one"), challengeOf("a", "one", "o"))
			abandoned := 0
			s.Abandoned = func() { abandoned++ }
			w := s.load(t, "a")
			s.do(t, w, core.Present{})
			w.State.Object.Status.Reason = "Error cleaning up challenge: the server is down"
			s.do(t, w, core.RemoveFinalizer{Abandoned: true})
			if w.memory.session != nil {
				t.Error("its Session is used by the sweep, and by whoever loads the Challenge")
			}
			s.solver.log = nil
			test.meanwhile(t, s)
			if s.LeftBehind() != 1 {
				t.Errorf("%d records are remembered", s.LeftBehind())
			}
			s.passes(t)
			if diff := cmp.Diff(test.want, s.solver.log); diff != "" || abandoned != 1 {
				t.Errorf("left behind %d times (-want +got):\n%s", abandoned, diff)
			}
			event := plan.Event{
				Warning: true, Reason: "RecordAbandoned", Component: "cert-manager-challenges",
				Message: `The record at here with the value "key-a", of the deleted Challenge ns/a, could not be removed and is left behind: ` +
					"Error cleaning up challenge: the server is down; everleaf tries again for 24h",
			}
			if diff := cmp.Diff([]plan.Event{event, event}, s.api.events); diff != "" {
				t.Errorf("events of the Challenge and the issuer (-want +got):\n%s", diff)
			}
		})
	}
}

// sweeping is a record of a namespace whose removal fails a number of times.
func sweeping(namespace string, fails int) (*leftover, *recorder) {
	r := &recorder{fail: slices.Repeat([]error{errors.New("refused")}, fails)}
	return &leftover{session: &recorded{recorder: r}, begun: solver.Challenge{Namespace: namespace, DNSName: "a.example"}}, r
}

// TestLeftoversAreShared holds that a tenant with more records that cannot be removed
// than there is room for takes none from others, and that each record is tried.
func TestLeftoversAreShared(t *testing.T) {
	for name, test := range map[string]struct {
		// namespaces have records each that cannot be removed.
		namespaces, each int
		// kept is how many of these are remembered, with that of another namespace.
		kept int
	}{
		"one namespace":   {1, maxLeftovers, maxOfNamespace + 1},
		"ten namespaces":  {10, 2 * maxOfNamespace, maxLeftovers},
		"many namespaces": {maxLeftovers/2 + 1, 2, maxLeftovers},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				abandoned := 0
				s.Abandoned = func() { abandoned++ }
				good, tried := sweeping("good", 1)
				s.sweep(good)
				var all []*recorder
				for i := range test.namespaces * test.each {
					l, r := sweeping(fmt.Sprint("evil", i%test.namespaces), 99)
					s.sweep(l)
					// One after the other: abandoned counts without a lock.
					synctest.Wait()
					all = append(all, r)
				}
				if s.LeftBehind() != test.kept || abandoned != test.namespaces*test.each+1-test.kept {
					t.Errorf("%d are remembered, want %d; %d are left behind", s.LeftBehind(), test.kept, abandoned)
				}
				for i, r := range all {
					if diff := cmp.Diff([]string{"detach", "clean up"}, r.log); diff != "" {
						t.Errorf("record %d (-want +got):\n%s", i, diff)
						break
					}
				}
				s.clock.Step(time.Minute)
				synctest.Wait()
				if diff := cmp.Diff([]string{"detach", "clean up", "detach", "clean up"}, tried.log); diff != "" {
					t.Errorf("the record of the other namespace (-want +got):\n%s", diff)
				}
				for s.LeftBehind() > 0 {
					for _, r := range all {
						r.mu.Lock()
						r.fail = nil
						r.mu.Unlock()
					}
					s.clock.Step(time.Hour)
					synctest.Wait()
				}
				s.clock.Step(time.Hour)
				s.leftovers.Wait()
			})
		})
	}
}
