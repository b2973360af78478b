package challenge

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/facts"
	core "github.com/everleaf/everleaf/internal/lifecycle/challenge"
	"github.com/everleaf/everleaf/internal/plan"
	"github.com/everleaf/everleaf/internal/solver"
)

// trusted is the Controller with an account and without the question of provenance.
type trusted struct{ *Controller }

func (k trusted) Load(ctx context.Context, o *acmev1.Challenge) (controller.Work[*acmev1.Challenge, acmev1.ChallengeStatus], error) {
	loaded, err := k.Controller.Load(ctx, o)
	if err != nil {
		return nil, err
	}
	w := loaded.(*work)
	w.Account, w.Untrusted, w.Orphan = &facts.Account{Issuer: &acmev1.ACMEIssuer{Server: "https://ca.example/directory"}}, "", false
	return w, nil
}

// hanging is a Solver whose Present hangs for names that begin with "bad".
type hanging struct {
	*recorder
	began, end chan struct{}
}

func (h hanging) Begin(c solver.Challenge) solver.Session {
	return &hangs{Session: h.recorder.Begin(c), name: c.DNSName, h: h}
}

type hangs struct {
	solver.Session
	name string
	h    hanging
}

func (s *hangs) Present(ctx context.Context) error {
	if s.name[:3] == "bad" {
		s.h.began <- struct{}{}
		select {
		case <-s.h.end:
		case <-ctx.Done():
		}
		return errors.New("no answer")
	}
	return s.Session.Present(ctx)
}

func at(server string) func(*acmev1.Challenge) {
	return func(c *acmev1.Challenge) {
		c.Spec.Solver.DNS01 = &acmev1.ACMEChallengeSolverDNS01{RFC2136: &acmev1.ACMEIssuerDNS01ProviderRFC2136{Nameserver: server}}
	}
}

func (s *stage) driver(t *testing.T, workers int, a controller.API) *controller.Driver[*acmev1.Challenge, acmev1.ChallengeStatus] {
	t.Helper()
	d := controller.NewDriver(trusted{s.Controller}, controller.Settings[*acmev1.Challenge, acmev1.ChallengeStatus]{
		Kind: acmev1.ChallengeKind, Manager: core.Manager, New: func() *acmev1.Challenge { return &acmev1.Challenge{} },
		Status: func(o *acmev1.Challenge) *acmev1.ChallengeStatus { return &o.Status }, API: a, Clock: s.clock,
	})
	d.SetUp(workers, nil)
	return d
}

// Challenges that find no place at a server that hangs leave their slots to those at
// other servers.
func TestSlotWithoutPlace(t *testing.T) {
	objects := []client.Object{acmeIssuer("one")}
	for i := range 3 {
		objects = append(objects, challengeOf(fmt.Sprintf("bad%d", i), "one", "o", at("10.0.0.1:53")))
	}
	objects = append(objects, challengeOf("good", "one", "o", at("10.0.0.2:53")))
	s := newStage(t, objects...)
	s.slots = NewSlots(3)
	h := hanging{s.solver, make(chan struct{}), make(chan struct{})}
	s.Solvers[acmev1.ACMEChallengeTypeDNS01] = h
	d := s.driver(t, 4, s.api)
	do := func(name string) time.Duration {
		r, err := d.Reconcile(t.Context(), reconcile.Request{NamespacedName: key(name)})
		if err != nil {
			t.Error(err)
		}
		return r.RequeueAfter
	}
	done := make(chan struct{})
	go func() { do("bad0"); close(done) }()
	<-h.began
	for _, name := range []string{"bad1", "bad2"} {
		do(name)
	}
	s.clock.Step(time.Minute)
	for _, name := range []string{"bad1", "bad2"} {
		do(name)
	}
	do("good")
	s.clock.Step(5 * time.Second)
	do("good")
	if c := s.stored(t, "good"); !c.Status.Presented {
		t.Errorf("the good one, at a server that answers, has slot %q and says %q", s.slots.Of(key("good")), c.Status.Reason)
	}
	close(h.end)
	<-done
}

// refusing is an API server that refuses the status of some Challenges.
type refusing struct{ *api }

func (r refusing) UpdateStatus(ctx context.Context, ref plan.Ref, o client.Object, m string) error {
	if o.GetName()[:3] == "bad" {
		return apierrors.NewForbidden(acmev1.Resource("challenges"), o.GetName(), errors.New("a policy of the tenant's namespace"))
	}
	return r.api.UpdateStatus(ctx, ref, o, m)
}

// A Challenge whose status the API server refuses leaves its slot to others.
func TestSlotOfRefusedStatus(t *testing.T) {
	s := newStage(t, acmeIssuer("one"), challengeOf("bad", "one", "o", at("10.0.0.1:53")), challengeOf("good", "one", "o", at("10.0.0.2:53")))
	d := s.driver(t, 4, refusing{s.api})
	do := func(name string) time.Duration {
		r, err := d.Reconcile(t.Context(), reconcile.Request{NamespacedName: key(name)})
		if err != nil {
			t.Error(err)
		}
		return r.RequeueAfter
	}
	for range 20 {
		s.clock.Step(max(do("bad"), time.Second))
	}
	do("good")
	s.clock.Step(5 * time.Second)
	do("good")
	if c := s.stored(t, "good"); !c.Status.Presented {
		t.Errorf("after %s: bad has slot %q; good has %q and says %q", s.clock.Now().Sub(start), s.slots.Of(key("bad")), s.slots.Of(key("good")), c.Status.Reason)
	}
}
