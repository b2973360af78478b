package solver

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/propagation"
)

func TestChallengeOf(t *testing.T) {
	object := &acmev1.Challenge{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "www-1", UID: "u"},
		Spec: acmev1.ChallengeSpec{
			Type: acmev1.ACMEChallengeTypeHTTP01, DNSName: "www.example.com", Wildcard: true, Token: "t", Key: "t.thumb",
			Solver: acmev1.ACMEChallengeSolver{HTTP01: &acmev1.ACMEChallengeSolverHTTP01{}},
		},
	}
	got := ChallengeOf(object, "https://ca.example/directory", "cert-manager")
	want := Challenge{
		Namespace: "team", Name: "www-1", UID: "u", SecretNamespace: "cert-manager", CA: "https://ca.example/directory",
		Type: acmev1.ACMEChallengeTypeHTTP01, DNSName: "www.example.com", Wildcard: true, Token: "t", Key: "t.thumb",
		Solver: acmev1.ACMEChallengeSolver{HTTP01: &acmev1.ACMEChallengeSolverHTTP01{}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got.Solver.HTTP01 == object.Spec.Solver.HTTP01 {
		t.Error("a change to the object changes the Challenge")
	}
}

// responder solves http-01 challenges: it has none of the optional interfaces,
// and its check only advises for a while.
type responder struct {
	served   map[string]string // by host and path
	deadline time.Time
}

func (r *responder) Begin(c Challenge) Session { return &serving{responder: r, challenge: c} }

type serving struct {
	*responder
	challenge Challenge
	presented bool
}

func (s *serving) String() string {
	return "http://" + s.challenge.DNSName + "/.well-known/acme-challenge/" + s.challenge.Token
}

func (s *serving) Present(context.Context) error {
	s.served[s.String()], s.presented = s.challenge.Key, true
	return nil
}

func (s *serving) Check(context.Context) (propagation.Evidence, error) {
	return fetched{found: s.served[s.String()] == s.challenge.Key, deadline: s.deadline}, nil
}

func (s *serving) CleanUp(context.Context) error {
	delete(s.served, s.String())
	return nil
}

func (s *serving) Presented() bool { return s.presented }

type fetched struct {
	found    bool
	deadline time.Time
}

func (f fetched) Verdict(now time.Time) propagation.Verdict {
	if f.found || !now.Before(f.deadline) {
		return propagation.Verdict{State: propagation.Accept}
	}
	return propagation.Verdict{State: propagation.Wait, Until: f.deadline, Message: "not found"}
}

func TestHTTP01Fits(t *testing.T) {
	ctx := context.Background()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r := &responder{served: map[string]string{}, deadline: now.Add(time.Minute)}
	solvers := Solvers{acmev1.ACMEChallengeTypeHTTP01: r}
	s, err := solvers.Begin(Challenge{Type: acmev1.ACMEChallengeTypeHTTP01, DNSName: "www.example.com", Token: "t", Key: "t.thumb"})
	if err != nil {
		t.Fatal(err)
	}
	state := func(at time.Time) propagation.State {
		t.Helper()
		evidence, err := s.Check(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return evidence.Verdict(at).State
	}
	if got := state(now); got != propagation.Wait {
		t.Errorf("before: %s", got)
	}
	if got := state(r.deadline); got != propagation.Accept {
		t.Errorf("after the deadline: %s", got)
	}
	if err := s.Present(ctx); err != nil {
		t.Fatal(err)
	}
	ObserverOf(s).Accepted(now)
	if got := state(now); got != propagation.Accept {
		t.Errorf("presented: %s", got)
	}
	if err := s.CleanUp(ctx); err != nil || len(r.served) != 0 {
		t.Errorf("left behind: %v, %v", r.served, err)
	}
	ObserverOf(s).Forget()
}

func TestSolversBegin(t *testing.T) {
	_, err := Solvers{}.Begin(Challenge{Type: acmev1.ACMEChallengeTypeHTTP01})
	want := "this version of everleaf has no solver for HTTP-01 challenges"
	if err == nil || err.Error() != want || fault.Of(err).Class != fault.User {
		t.Errorf("got %v, want %s", err, want)
	}
}
