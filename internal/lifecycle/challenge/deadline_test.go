package challenge

import (
	"errors"
	"strings"
	"testing"
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/lifecycle/order"
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
	askedReason      = "Asked the ACME server to validate although the self-check has not succeeded within 10m0s (everleaf.io/self-check-on-deadline: ask-ca): "
	waitsReason      = "Waiting for DNS-01 challenge propagation: ns2 does not have it"
	validatingReason = "Waiting for the ACME server to validate: it was asked and has not decided yet"
	lateReason       = "; the self-check deadline of 10m0s has passed, and the wait goes on (everleaf.io/self-check-on-deadline: wait)"
)

// TestDeadline has a challenge that was presented some time ago.
func TestDeadline(t *testing.T) {
	wait, ask := propagation.Deadline{After: 10 * time.Minute}, propagation.Deadline{After: 10 * time.Minute, AskCA: true}
	challenge, _ := called()
	accept, fetch := Accept{URL: challenge.Spec.URL}, FetchAuthorization{URL: challenge.Spec.AuthorizationURL}
	skips := func(report string) func(*Plan) {
		return func(p *Plan) {
			p.Do = Accept{URL: accept.URL, Skipped: askedReason + report}
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
	restartedAsked := func(s *State) {
		restartedWith("Error accepting authorization: no answer")(s)
		s.Object.Status.State = acmev1.Processing
	}
	acceptedAgo := func(ago time.Duration) func(*State) {
		return func(s *State) { s.Memory.AcceptedAt, s.Memory.Accepts = now.Add(-ago), 1 }
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
		{"asked, not stored", ask, 10 * time.Minute, []func(*State){acceptedAgo(0), func(s *State) { s.Memory.Skipped = askedReason + "x" }}, func(p *Plan) {
			p.Status.State, p.Status.Reason, p.Persist = acmev1.Processing, askedReason+"x", plan.Regardless
		}},
		{"asked, no answer", ask, 10 * time.Minute, []func(*State){found(missing{now}), func(s *State) { s.Memory.Unanswered = true }}, do(fetch)},
		{"asked, no answer, pending", ask, 10 * time.Minute, []func(*State){pending, found(missing{now})}, skips("ns2 does not have it")},
		{"restarted, asked", ask, hour, []func(*State){restartedAsked}, do(fetch)},
		{"restarted, asked, pending", ask, hour, []func(*State){restartedAsked, pending}, func(p *Plan) { p.Until = now.Add(250 * time.Millisecond) }},
		{"restarted, asked long ago", ask, hour, []func(*State){restartedAsked, pending, acceptedAgo(15*time.Minute - time.Second)}, waits(validatingReason, time.Second)},
		{"restarted, asked too long ago", ask, hour, []func(*State){restartedAsked, pending, acceptedAgo(15 * time.Minute)}, func(p *Plan) {
			*p = end(*p, acmev1.Expired, `The ACME server was asked once to validate "example.com" although the self-check had not succeeded, and has not begun; the order is given up`)
		}},
		{"restarted, asked by an earlier program", wait, hour, []func(*State){restartedAsked, pending}, do(Probe{})},
		{"restarted, asked because it was visible", ask, time.Minute, []func(*State){restartedWith(validatingReason), pending}, do(Probe{})},
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

// TestDeadlineAsksOnce follows a challenge that no server shows, and whose CA never
// begins to validate, until its order is given up. The process restarts at several
// times, or finds no place at the CA for a while. The CA is asked once, as soon as
// there is a place, and the status never says that it was before it was.
func TestDeadlineAsksOnce(t *testing.T) {
	const place = 10*time.Minute + time.Second
	every := func(d time.Duration) (all []time.Duration) {
		for at := d; at < 6*hour; at += d {
			all = append(all, at)
		}
		return all
	}
	for _, test := range []struct {
		name     string
		restarts []time.Duration
		// placeAt is since when there is a place at the CA, fails how many fetches of
		// each process fail.
		placeAt time.Duration
		fails   int
		want    time.Duration
	}{
		{"no restart", nil, 0, 0, 10 * time.Minute},
		{"before", []time.Duration{5 * time.Minute}, 0, 0, 10 * time.Minute},
		{"soon after", []time.Duration{10*time.Minute + time.Second}, 0, 0, 10 * time.Minute},
		{"later", []time.Duration{10*time.Minute + 30*time.Second, 12*time.Minute + time.Second}, 0, 0, 10 * time.Minute},
		{"often", every(3 * time.Minute)[:20], 0, 0, 10 * time.Minute},
		{"often, and the CA fails", every(3 * time.Minute)[:20], 0, 3, 10 * time.Minute},
		{"no place", nil, place, 0, place},
		{"no place, and a restart", []time.Duration{10 * time.Minute}, place, 0, place},
		{"no place for hours", every(hour), 3 * hour, 0, 3 * hour},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := presented()
			s.SelfCheck = propagation.Deadline{After: 10 * time.Minute, AskCA: true}
			s.Object.Status.PresentedAt, s.Memory.PresentedAt = at(now), now
			began, restarts, fails, asked := now, test.restarts, test.fails, []time.Duration(nil)
			for now := began; !order.Final(s.Object.Status.State); {
				if now.Sub(began) > 12*hour {
					t.Fatalf("the order is never given up; asked at %v", asked)
				}
				// Between an answer and the next plan a process does not end.
				if p := s.Next(now); p.Persist != plan.Regardless && len(restarts) > 0 && now.Sub(began) >= restarts[0] {
					s.Memory, s.Slot, restarts, fails = Memory{}, NoSlot, restarts[1:], test.fails
				}
				p := s.Next(now)
				if p.Persist != plan.AtEnd || p.Do == nil {
					s.Object.Status = p.Status
				}
				if len(asked) == 0 && strings.HasPrefix(s.Object.Status.Reason, skipped) {
					t.Fatalf("at %s the status says that the CA was asked", now.Sub(began))
				}
				switch a := p.Do.(type) {
				case nil:
					if p.Until.After(now) {
						now = p.Until
					}
				case TakeSlot:
					s.Slot = Held
				case ReleaseSlot:
					s.Slot = NoSlot
				case NoteWait:
					s.Memory.Waiting, s.Memory.WaitingSince = a.Reason, now
				case Probe:
					s.Memory.Saw(missing{now}, began, now)
				case Present:
					s.Memory.Rewrites++
				case Accept:
					if now.Sub(began) < test.placeAt {
						now = now.Add(time.Second)
						continue
					}
					asked = append(asked, now.Sub(began))
					s.Memory.AcceptedAt, s.Memory.Accepts, s.Memory.Skipped = now, s.Memory.Accepts+1, a.Skipped
				case FetchAuthorization:
					if fails > 0 {
						fails--
						failed := s.Failed(plan.Failure{Action: a, Err: fault.New(fault.Transient, "NoAnswer", "no answer"), Began: now}, now)
						s.Object.Status, s.Slot, now = failed.Status, NoSlot, failed.Until
						continue
					}
					s.Memory.Authorization, s.Memory.CheckedAt = &acme.Authorization{Status: acme.StatusPending}, now
					s.Memory.Checks++
					if s.Memory.AcceptedAt.IsZero() && s.AskedAnyway() {
						s.Memory.AcceptedAt = now
					}
				default:
					t.Fatalf("%T", p.Do)
				}
			}
			samePlan(t, []time.Duration{test.want}, asked)
			samePlan(t, acmev1.Expired, s.Object.Status.State)
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
