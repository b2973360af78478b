package challenge

import (
	"errors"
	"fmt"
	"testing"
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/plan"
	"github.com/everleaf/everleaf/internal/propagation"
)

// missing is the Evidence that some server does not have the record, for any type of
// challenge.
type missing struct{ at time.Time }

func (m missing) Verdict(time.Time) propagation.Verdict {
	return propagation.Verdict{State: propagation.Wait, Until: m.at.Add(10 * time.Second), Message: "ns2 does not have it"}
}

// cached is the Evidence that every server has the record and that caches may not.
type cached struct{ at time.Time }

func (c cached) Verdict(time.Time) propagation.Verdict {
	return propagation.Verdict{State: propagation.Wait, Until: c.at.Add(10 * time.Second), VisibleSince: c.at, Message: "it may be cached"}
}

const (
	askedReason = "Asked the ACME server to validate although the self-check has not succeeded within 10m0s (everleaf.io/self-check-on-deadline: ask-ca): "
	waitsReason = "Waiting for DNS-01 challenge propagation: ns2 does not have it"
	lateReason  = "; the self-check deadline of 10m0s has passed, and the wait goes on (everleaf.io/self-check-on-deadline: wait)"
)

// TestDeadline has a challenge that was presented some time ago.
func TestDeadline(t *testing.T) {
	wait, ask := propagation.Deadline{After: 10 * time.Minute}, propagation.Deadline{After: 10 * time.Minute, AskCA: true}
	challenge, _ := called()
	accept, fetch := Accept{URL: challenge.Spec.URL}, FetchAuthorization{URL: challenge.Spec.AuthorizationURL}
	skips := func(report string) func(*Plan) {
		return func(p *Plan) {
			p.Status.Reason, p.Persist, p.Do = askedReason+report, plan.Before, accept
			p.Events = []plan.Event{{Warning: true, Reason: "SelfCheckSkipped", Component: Manager, Message: askedReason + report}}
		}
	}
	waits := func(reason string, until time.Duration) func(*Plan) {
		return func(p *Plan) { p.Status.Reason, p.Until = reason, now.Add(until) }
	}
	do := func(a plan.Action) func(*Plan) { return func(p *Plan) { p.Do = a } }
	found := func(e propagation.Evidence) func(*State) { return func(s *State) { s.Memory.Evidence = e } }
	restartedWith := func(reason string) func(*State) {
		return func(s *State) { s.Memory, s.Object.Status.Reason = Memory{}, reason }
	}
	pending := func(s *State) {
		s.Memory.Authorization, s.Memory.CheckedAt = &acme.Authorization{Status: acme.StatusPending}, now
	}
	for _, test := range []struct {
		name     string
		deadline propagation.Deadline
		ago      time.Duration
		set      []func(*State)
		want     func(*Plan)
	}{
		{"none", propagation.Deadline{}, hour, []func(*State){found(missing{now})}, waits(waitsReason, 10*time.Second)},
		{"none, but to ask", propagation.Deadline{AskCA: true}, hour, []func(*State){found(missing{now})}, waits(waitsReason, 10*time.Second)},
		{"before", ask, 9 * time.Minute, []func(*State){found(missing{now})}, waits(waitsReason, 10*time.Second)},
		{"just before", ask, 10*time.Minute - time.Second, []func(*State){found(missing{now})}, waits(waitsReason, time.Second)},
		{"just before, wait", wait, 10*time.Minute - time.Second, []func(*State){found(missing{now})}, waits(waitsReason, time.Second)},
		{"over, wait", wait, 10 * time.Minute, []func(*State){found(missing{now})}, waits(waitsReason+lateReason, 10*time.Second)},
		{"over, ask", ask, 10 * time.Minute, []func(*State){found(missing{now})}, skips("ns2 does not have it")},
		{"over, no probe yet", ask, hour, nil, do(Probe{})},
		{"over, no probe possible", ask, hour, []func(*State){func(s *State) { s.Memory.ProbeFailed = true }}, skips("the check could not be made")},
		{"over, no probe possible, wait", wait, hour, []func(*State){func(s *State) { s.Memory.ProbeFailed = true }}, do(Probe{})},
		{"over, in caches", ask, hour, []func(*State){found(cached{now})}, waits("Waiting for DNS-01 challenge propagation: it may be cached", 10*time.Second)},
		{"over, visible", ask, hour, []func(*State){probed(true, 0, 1)}, do(accept)},
		{
			"over, has failed too often", ask, hour,
			[]func(*State){found(missing{now}), func(s *State) { s.FailuresEnd = now.Add(5 * time.Second) }},
			waits(waitsReason+"; the self-check deadline has passed, but the ACME server is not asked yet: validations of this name have failed too often within an hour", 5*time.Second),
		},
		{"a time in the future is not believed", ask, -hour, []func(*State){found(missing{now}), func(s *State) { s.Object.CreationTimestamp = *at(now.Add(-hour)) }}, skips("ns2 does not have it")},
		{"restarted, not asked", ask, hour, []func(*State){restartedWith(waitsReason)}, do(fetch)},
		{"restarted, not asked, pending", ask, hour, []func(*State){restartedWith(waitsReason), pending, found(missing{now})}, skips("ns2 does not have it")},
		{"restarted, asked", ask, 10*time.Minute + 20*time.Second, []func(*State){restartedWith(askedReason + "x")}, do(fetch)},
		{
			"restarted, asked, pending", ask, 10*time.Minute + 20*time.Second,
			[]func(*State){restartedWith(askedReason + "x"), pending},
			waits("Waiting for the ACME server to validate: it was asked and has not decided yet", 250*time.Millisecond),
		},
		{
			"restarted later, asked, pending", ask, 10*time.Minute + 20*time.Second,
			[]func(*State){restartedWith("Waiting for the ACME server to validate: it was asked and has not decided yet"), pending},
			waits("Waiting for the ACME server to validate: it was asked and has not decided yet", 250*time.Millisecond),
		},
		{"restarted, asked because it was visible", ask, time.Minute, []func(*State){restartedWith("Waiting for the ACME server to validate: it was asked and has not decided yet"), pending}, do(Probe{})},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := presented()
			s.SelfCheck, s.Object.Status.PresentedAt = test.deadline, at(now.Add(-test.ago))
			for _, set := range test.set {
				set(&s)
			}
			want := Plan{Status: *s.Object.Status.DeepCopy()}
			test.want(&want)
			got := s.Next(now)
			if _, released := got.Do.(ReleaseSlot); released {
				s.Slot = NoSlot
				got = s.Next(now)
			}
			samePlan(t, want, got)
		})
	}
}

// TestDeadlineAsksOnce follows a challenge that no server shows. It restarts at several
// times; the CA is asked once.
func TestDeadlineAsksOnce(t *testing.T) {
	for _, restart := range []time.Duration{hour, 5 * time.Minute, 10*time.Minute + time.Second, 10*time.Minute + 30*time.Second, 11*time.Minute + 59*time.Second} {
		t.Run(fmt.Sprint(restart), func(t *testing.T) {
			s := presented()
			s.SelfCheck = propagation.Deadline{After: 10 * time.Minute, AskCA: true}
			s.Object.Status.PresentedAt, s.Memory.PresentedAt = at(now), now
			began, restarted, asked := now, false, []time.Duration(nil)
			for now := began; now.Before(began.Add(11*time.Minute + 59*time.Second)); {
				if !restarted && now.Sub(began) >= restart {
					s.Memory, restarted = Memory{}, true
				}
				p := s.Next(now)
				if p.Persist == plan.Before || p.Do == nil {
					s.Object.Status = p.Status
				}
				switch p.Do.(type) {
				case nil:
					now = p.Until
				case TakeSlot:
					s.Slot = Held
				case ReleaseSlot:
					s.Slot = NoSlot
				case Probe:
					s.Memory.Saw(missing{now}, began, now)
				case Accept:
					asked = append(asked, now.Sub(began))
					s.Memory.AcceptedAt, s.Memory.Accepts = now, s.Memory.Accepts+1
				case FetchAuthorization:
					s.Memory.Authorization, s.Memory.CheckedAt = &acme.Authorization{Status: acme.StatusPending}, now
					s.Memory.Checks++
				default:
					t.Fatalf("%T", p.Do)
				}
			}
			samePlan(t, []time.Duration{10 * time.Minute}, asked)
		})
	}
}

// TestDeadlineOfFailedProbes holds that a probe that cannot be made does not hold the
// deadline up, and that the reason says when it has passed.
func TestDeadlineOfFailedProbes(t *testing.T) {
	failure := plan.Failure{Action: Probe{}, Err: fault.New(fault.Transient, "NoAnswer", "no answer").Because(errors.New("x"))}
	for _, test := range []struct {
		ago    time.Duration
		until  time.Duration
		reason string
	}{
		{10*time.Minute - 2*time.Second, 2 * time.Second, "Waiting for DNS-01 challenge propagation: no answer; the next try is within 10s"},
		{10 * time.Minute, 5 * time.Second, "Waiting for DNS-01 challenge propagation: no answer" + lateReason + "; the next try is within 10s"},
	} {
		s := presented()
		s.SelfCheck, s.Object.Status.PresentedAt = propagation.Deadline{After: 10 * time.Minute}, at(now.Add(-test.ago))
		p := s.Failed(failure, now)
		if p.Status.Reason != test.reason || p.Until.After(now.Add(test.until)) || p.Status.State != acmev1.Pending {
			t.Errorf("%s: %q until %s", test.ago, p.Status.Reason, p.Until.Sub(now))
		}
	}
}
