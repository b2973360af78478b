package challenge

import (
	"errors"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/lifecycle/lifecycletest"
	"github.com/everleaf/everleaf/internal/plan"
	"github.com/everleaf/everleaf/internal/propagation"
)

// presented is a Challenge whose record this process has presented a minute ago.
func presented() State {
	c, account := called()
	c.Finalizers = []string{acmev1.ACMEFinalizer}
	c.Status.Presented, c.Status.Processing, c.Status.PresentedAt = true, true, at(now.Add(-time.Minute))
	return State{
		Object: c, Account: account, OwnSolver: true, Slot: true, Memory: Memory{Presented: true},
		Propagation: propagation.Policy{Retry: 10 * time.Second, TTL: 10 * time.Second},
	}
}

// probed puts a probe's evidence into a session: the answers of the zone's one
// server, a time ago.
func probed(has bool, ago time.Duration, probes int, change ...func(*propagation.LedgerEntry)) func(*State) {
	return func(c *State) {
		seen := now.Add(-ago)
		c.Memory.Report = &propagation.Report{Name: "_acme-challenge.example.com.", Final: "_acme-challenge.example.com.", Answers: []propagation.Answer{{
			Server: "ns1.example.com.", Role: propagation.RoleBoth, Authoritative: true, Rcode: "NOERROR", Has: has,
		}}}
		c.Memory.ProbedAt = seen
		c.Memory.Entry = propagation.LedgerEntry{FirstProbe: seen, Probes: probes}
		if has {
			c.Memory.Entry.VisibleSince = seen
		}
		for _, f := range change {
			f(&c.Memory.Entry)
		}
	}
}

// validating is a session whose server was asked to validate, and what it said
// of it, both a time ago.
func validating(accepted, checked time.Duration, checks int, status string) func(*State) {
	return func(c *State) {
		c.Memory.AcceptedAt = now.Add(-accepted)
		if status != "" {
			c.Memory.Authorization = &acme.Authorization{Status: status}
			c.Memory.CheckedAt, c.Memory.Checks = now.Add(-checked), checks
		}
	}
}

func TestChallenge(t *testing.T) {
	unpresented := func(c *State) {
		c.Object.Status, c.Memory = acmev1.ChallengeStatus{}, Memory{}
	}
	restarted := func(c *State) { c.Memory = Memory{} }
	instead := func(d time.Duration) func(*State) {
		return func(c *State) {
			c.Object.Spec.Solver.WaitInsteadOfSelfCheck = &metav1.Duration{Duration: d}
		}
	}
	sibling := func(s Memory) func(*State) {
		return func(c *State) { c.Siblings = append(c.Siblings, s) }
	}
	problem := &acme.Problem{Type: acme.ErrorNamespace + acme.TypeUnauthorized, Detail: "no TXT record", Status: 403}
	invalid := func(c *State) {
		validating(time.Second, 0, 1, acme.StatusInvalid)(c)
		c.Memory.Authorization.Challenges = []acme.Challenge{{URL: "other"}, {URL: c.Object.Spec.URL, Error: problem}}
	}
	step := func(s Step) func(*Plan) { return func(p *Plan) { p.Step = s } }
	until := func(d time.Duration) func(*Plan) { return func(p *Plan) { p.Until = now.Add(d) } }
	end := func(state acmev1.State, reason string, events ...plan.Event) func(*Plan) {
		return func(p *Plan) {
			p.Status.State, p.Status.Reason, p.Status.Processing, p.Events = state, reason, false, events
		}
	}
	none := func(*Plan) {}
	waiting := func(d time.Duration, reason string) func(*Plan) {
		return func(p *Plan) { p.Until, p.Status.Reason = now.Add(d), reason }
	}
	missing := func() string {
		c := presented()
		probed(false, 0, 2)(&c)
		return propagation.Judge(*c.Memory.Report, c.Memory.Entry, c.Propagation, now).Message
	}()
	if missing == "" {
		t.Fatal("the judge has nothing to say")
	}
	verified := plan.Event{Reason: "DomainVerified", Component: "cert-manager-challenges", Message: `Domain "example.com" verified with "DNS-01" validation`}
	const refused = "Error accepting authorization: acme: authorization error for example.com: 403 urn:ietf:params:acme:error:unauthorized: no TXT record"
	tests := []struct {
		name  string
		state []func(*State)
		want  func(*Plan)
	}{
		{"new", []func(*State){unpresented}, step(Present)},
		{"new, no finalizer", []func(*State){unpresented, func(c *State) { c.Object.Finalizers = []string{"x"} }}, step(AddFinalizer)},
		{"new, legacy finalizer", []func(*State){unpresented, func(c *State) { c.Object.Finalizers = []string{acmev1.ACMELegacyFinalizer} }}, step(Present)},
		{"new, issuer not ready", []func(*State){unpresented, func(c *State) { c.Account = nil }}, none},
		{"new, no slot", []func(*State){unpresented, func(c *State) { c.Slot = false }}, none},
		{"new, name has failed too often", []func(*State){unpresented, func(c *State) { c.TooManyFailures = now.Add(hour) }}, func(p *Plan) {
			p.Status.State = acmev1.Pending
			waiting(hour, `Waiting before "example.com" is tried again: its validation has failed too often within an hour`)(p)
		}},
		{"new, name may be tried again", []func(*State){unpresented, func(c *State) { c.TooManyFailures = now }}, step(Present)},
		{"forged", []func(*State){unpresented, func(c *State) { c.Untrusted = "no" }}, until(untrustedRecheck)},
		{"orphan", []func(*State){unpresented, func(c *State) { c.Untrusted, c.Orphan = "no", true }}, end(acmev1.Errored, "no")},
		{"a step failed", []func(*State){func(c *State) { c.Memory.RetryAt = now.Add(5 * time.Second) }}, until(5 * time.Second)},
		{"a step failed long ago", []func(*State){func(c *State) { c.Memory.RetryAt = now }}, step(Probe)},

		{"presented", nil, step(Probe)},
		{"presented by another process", []func(*State){restarted}, step(Check)},
		{"asked for validation, no answer", []func(*State){probed(true, time.Hour, 9), func(c *State) { c.Memory.Unanswered = true }}, step(Check)},
		{"the other did not ask for validation", []func(*State){restarted, func(c *State) {
			c.Memory.Authorization, c.Memory.CheckedAt = &acme.Authorization{Status: acme.StatusPending}, now
		}}, step(Probe)},
		{"the other has asked", []func(*State){restarted, validating(0, 0, 0, acme.StatusPending)}, until(250 * time.Millisecond)},
		{"the other has finished", []func(*State){restarted, func(c *State) {
			c.Memory.Authorization, c.Memory.CheckedAt = &acme.Authorization{Status: acme.StatusValid}, now
		}}, end(acmev1.Valid, "Successfully authorized domain", verified)},

		{"not there at the first look", []func(*State){probed(false, 0, 1)}, until(time.Second)},
		{"not there at the second", []func(*State){probed(false, 0, 2)}, waiting(2*time.Second, "Waiting for DNS-01 challenge propagation: "+missing)},
		{"not there for long", []func(*State){probed(false, 0, 9)}, waiting(10*time.Second, "Waiting for DNS-01 challenge propagation: "+missing)},
		{"time to look again", []func(*State){probed(false, time.Second, 1)}, step(Probe)},
		{"there", []func(*State){probed(true, 0, 1)}, step(Accept)},
		{"there, may be cached", []func(*State){probed(true, 0, 1, func(e *propagation.LedgerEntry) {
			e.Lookups = []propagation.Lookup{{Started: now.Add(-30 * time.Second), Ended: now.Add(-20 * time.Second)}}
		})}, func(p *Plan) {
			p.Until = now.Add(-20*time.Second + 61*time.Second)
			c := presented()
			probed(true, 0, 1)(&c)
			c.Memory.Entry.Lookups = []propagation.Lookup{{Started: now.Add(-30 * time.Second), Ended: now.Add(-20 * time.Second)}}
			p.Status.Reason = "Waiting for DNS-01 challenge propagation: " + propagation.Judge(*c.Memory.Report, c.Memory.Entry, c.Propagation, now).Message
		}},
		{"there, another value is coming", []func(*State){probed(true, 4*time.Second, 1), sibling(Memory{})}, until(6 * time.Second)},
		{"there, another value did not come", []func(*State){probed(true, 10*time.Second, 1), sibling(Memory{})}, step(Accept)},
		{"there, so is another", []func(*State){probed(true, 0, 1), sibling(Memory{Entry: propagation.LedgerEntry{VisibleSince: now}})}, step(Accept)},
		{"there, another is being validated", []func(*State){probed(true, 0, 1), sibling(Memory{AcceptedAt: now})}, step(Accept)},
		{"waits instead of looking", []func(*State){instead(90 * time.Second)}, waiting(30*time.Second, "Waiting 1m30s before accepting DNS-01 challenge without self-check")},
		{"has waited instead of looking", []func(*State){instead(time.Minute)}, step(Accept)},
		{"waits instead, since unknown", []func(*State){instead(time.Minute), func(c *State) { c.Object.Status.PresentedAt = nil }}, step(Accept)},

		{"asked to validate", []func(*State){validating(0, 0, 0, "")}, until(100 * time.Millisecond)},
		{"time to see", []func(*State){validating(100*time.Millisecond, 0, 0, "")}, step(Check)},
		{"looked at before it was asked", []func(*State){validating(time.Second, time.Minute, 1, acme.StatusPending)}, step(Check)},
		{"not decided", []func(*State){validating(time.Second, 0, 2, acme.StatusPending)}, until(time.Second)},
		{"not decided, time to see", []func(*State){validating(5*time.Second, time.Second, 2, acme.StatusPending)}, step(Check)},
		{"not decided for long", []func(*State){validating(3*time.Minute, 0, 9, acme.StatusPending)}, waiting(10*time.Second, "Waiting for the ACME server to validate: it was asked and has not decided yet")},
		{"valid", []func(*State){validating(time.Second, 0, 1, acme.StatusValid)}, end(acmev1.Valid, "Successfully authorized domain", verified)},
		{"invalid", []func(*State){invalid}, end(acmev1.Invalid, refused, plan.Event{
			Warning: true, Reason: "Failed", Component: "cert-manager-challenges", Message: "Accepting challenge authorization failed: " + refused,
		})},
		{"deactivated", []func(*State){validating(time.Second, 0, 1, acme.StatusDeactivated)}, end(acmev1.Expired, `The authorization for "example.com" is deactivated at the ACME server`)},
		{"expired", []func(*State){validating(time.Second, 0, 1, acme.StatusExpired)}, end(acmev1.Expired, `The authorization for "example.com" is expired at the ACME server`)},
		{"revoked", []func(*State){validating(time.Second, 0, 1, acme.StatusRevoked)}, end(acmev1.Expired, `The authorization for "example.com" is revoked at the ACME server`)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := presented()
			for _, f := range test.state {
				f(&c)
			}
			want := Plan{Status: *c.Object.Status.DeepCopy()}
			test.want(&want)
			samePlan(t, want, Next(c, now))
		})
	}
}

// TestChallengeLeaves has Challenges that have ended, or are being deleted.
func TestChallengeLeaves(t *testing.T) {
	state := func(s acmev1.State) func(*State) { return func(c *State) { c.Object.Status.State = s } }
	deleted := func(ago time.Duration) func(*State) {
		return func(c *State) { c.Object.DeletionTimestamp = at(now.Add(-ago)) }
	}
	cleaned := func(c *State) { c.Memory.CleanedUp = true }
	restarted := func(c *State) { c.Memory = Memory{} }
	foreign := func(c *State) { c.OwnSolver = false }
	unconfirmed := func(c *State) { c.Object.Status.Presented = false }
	retry := func(in time.Duration) func(*State) {
		return func(c *State) { c.Memory.RetryAt = now.Add(in) }
	}
	untouched := func(c *State) { c.Object.Status, c.Memory = acmev1.ChallengeStatus{}, Memory{} }
	release := func(p *Plan) { p.Step = Release }
	abandon := func(p *Plan) { p.Step, p.Abandoned = Release, true }
	cleanUp := func(p *Plan) { p.Step = CleanUp }
	none := func(*Plan) {}
	until := func(d time.Duration) func(*Plan) { return func(p *Plan) { p.Until = now.Add(d) } }
	tests := []struct {
		name  string
		state []func(*State)
		want  func(*Plan)
	}{
		{"valid: its Order may end soon", []func(*State){state(acmev1.Valid), func(c *State) { c.Memory.EndedAt = now.Add(-10 * time.Second) }}, until(20 * time.Second)},
		{"valid: its Order takes long", []func(*State){state(acmev1.Valid), func(c *State) { c.Memory.EndedAt = now.Add(-30 * time.Second) }}, cleanUp},
		{"valid, restarted", []func(*State){state(acmev1.Valid), restarted}, cleanUp},
		{"invalid", []func(*State){state(acmev1.Invalid), func(c *State) { c.Memory.EndedAt = now }}, cleanUp},
		{"cleaned up", []func(*State){state(acmev1.Valid), cleaned}, func(p *Plan) {
			p.Step, p.Persist, p.Status.Presented, p.Status.Processing = Release, plan.Before, false, false
		}},
		{"cleaned up, restarted", []func(*State){state(acmev1.Valid), restarted, unconfirmed}, release},
		{"clean-up failed", []func(*State){state(acmev1.Valid), retry(time.Minute)}, until(time.Minute)},
		{"clean-up failed, try again", []func(*State){state(acmev1.Valid), retry(0)}, cleanUp},
		{"released", []func(*State){state(acmev1.Valid), func(c *State) { c.Object.Finalizers = nil }}, none},
		{"errored before anything was done", []func(*State){untouched, state(acmev1.Errored)}, release},
		{"ended, of a solver that is not the issuer's", []func(*State){state(acmev1.Valid), restarted, foreign}, abandon},

		{"deleted", []func(*State){deleted(0)}, cleanUp},
		{"deleted, valid a moment ago", []func(*State){deleted(0), state(acmev1.Valid), func(c *State) { c.Memory.EndedAt = now }}, cleanUp},
		{"deleted, restarted, issuer not ready", []func(*State){deleted(0), restarted, func(c *State) { c.Account, c.Slot = nil, false }}, cleanUp},
		{"deleted, its Order gone", []func(*State){deleted(0), restarted, func(c *State) { c.Untrusted, c.Orphan = "no", true }}, cleanUp},
		{"deleted, of a solver that is not the issuer's", []func(*State){deleted(0), restarted, foreign}, abandon},
		{"deleted, issuer changed since we presented it", []func(*State){deleted(0), foreign}, cleanUp},
		{"deleted, never touched", []func(*State){deleted(0), untouched}, release},
		{"deleted, never touched, of another solver", []func(*State){deleted(0), untouched, foreign}, release},
		{"deleted, no finalizer of ours", []func(*State){deleted(0), func(c *State) { c.Object.Finalizers = []string{"x"} }}, none},
		{"deleted, cleaned up", []func(*State){deleted(0), cleaned}, release},
		{"deleted, clean-up failed", []func(*State){deleted(time.Minute), retry(time.Minute)}, until(time.Minute)},
		{"deleted, clean-up fails to the end", []func(*State){deleted(9 * time.Minute), retry(30 * time.Minute)}, until(time.Minute)},
		{"deleted ten minutes ago", []func(*State){deleted(10 * time.Minute), retry(30 * time.Minute)}, abandon},
		{"deleted, presenting failed", []func(*State){deleted(0), unconfirmed}, cleanUp},
		{"deleted, presenting failed, so did clean-up", []func(*State){deleted(10 * time.Second), unconfirmed, retry(time.Minute)}, until(20 * time.Second)},
		{"deleted half a minute ago, presenting failed", []func(*State){deleted(30 * time.Second), unconfirmed, retry(time.Minute)}, release},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := presented()
			for _, f := range test.state {
				f(&c)
			}
			want := Plan{Status: *c.Object.Status.DeepCopy()}
			test.want(&want)
			samePlan(t, want, Next(c, now))
		})
	}
}

func TestChallengePresented(t *testing.T) {
	c := presented()
	c.Object.Status = acmev1.ChallengeStatus{Reason: "old"}
	samePlan(t, Plan{
		Persist: plan.Before,
		Status:  acmev1.ChallengeStatus{State: acmev1.Pending, Presented: true, Processing: true, PresentedAt: at(now)},
		Events:  []plan.Event{{Reason: "Presented", Component: "cert-manager-challenges", Message: "Presented challenge using DNS-01 challenge mechanism"}},
	}, Presented(c, now))
}

func TestChallengeStepFailed(t *testing.T) {
	const problem = "urn:ietf:params:acme:error:"
	plain := errors.New("unclear")
	later := fault.Until(now.Add(time.Minute), "Busy", "later")
	event := func(reason, message string) []plan.Event {
		return []plan.Event{{Warning: true, Reason: reason, Message: message, Component: "cert-manager-challenges"}}
	}
	wait := func(reason string, d time.Duration, events []plan.Event) func(*Plan) {
		return func(p *Plan) {
			p.Status.Reason, p.Events = reason, events
			if d > 0 {
				p.Until = now.Add(d)
			}
		}
	}
	end := func(state acmev1.State, reason string, events []plan.Event) func(*Plan) {
		return func(p *Plan) {
			p.Status.State, p.Status.Reason, p.Status.Processing, p.Events = state, reason, false, events
		}
	}
	const errored = "Accepting challenge authorization failed: "
	tests := []struct {
		name    string
		step    Step
		err     error
		refusal lifecycletest.Refusal
		want    func(*Plan)
	}{
		{"present", Present, fault.New(fault.User, "NoZone", "no such zone"), lifecycletest.Refusal{}, wait("Error presenting challenge: no such zone", 0, event("PresentError", "Error presenting challenge: no such zone"))},
		{"present, later", Present, later, lifecycletest.Refusal{}, wait("Error presenting challenge: later", time.Minute, event("PresentError", "Error presenting challenge: later"))},
		{"present, unclassified", Present, plain, lifecycletest.Refusal{}, wait("Error presenting challenge: unclear", 0, event("PresentError", "Error presenting challenge: unclear"))},
		{"clean up", CleanUp, plain, lifecycletest.Refusal{}, wait("Error cleaning up challenge: unclear", 0, event("CleanUpError", "Error cleaning up challenge: unclear"))},
		{"probe", Probe, plain, lifecycletest.Refusal{}, wait("Waiting for DNS-01 challenge propagation: unclear", 0, nil)},
		{"accept: busy", Accept, nil, lifecycletest.Refuse(503, acme.TypeServerInternal, "60"), wait("Error accepting challenge: 503 "+problem+"serverInternal: no", time.Minute, nil)},
		{"accept: broken", Accept, nil, lifecycletest.Refuse(500, acme.TypeServerInternal, ""), wait("Error accepting challenge: 500 "+problem+"serverInternal: no", 0, nil)},
		{"accept: rate limit", Accept, nil, lifecycletest.Refuse(429, acme.TypeRateLimited, "120"), wait("Error accepting challenge: 429 "+problem+"rateLimited: no", 2*time.Minute, nil)},
		{"accept: account unknown", Accept, nil, lifecycletest.Refuse(400, acme.TypeAccountDoesNotExist, ""), wait("Error accepting challenge: 400 "+problem+"accountDoesNotExist: no", 0, nil)},
		{"accept: gone", Accept, nil, lifecycletest.Refuse(404, acme.TypeMalformed, ""), end(acmev1.Expired, "Error accepting challenge: 404 "+problem+"malformed: no", nil)},
		{"accept: no longer pending", Accept, nil, lifecycletest.Refuse(400, acme.TypeMalformed, ""), end(acmev1.Expired, "Error accepting challenge: 400 "+problem+"malformed: no", nil)},
		{"accept: refused", Accept, nil, lifecycletest.Refuse(403, acme.TypeCAA, ""), end(acmev1.Errored, "Error accepting challenge: 403 "+problem+"caa: no", event("Failed", errored+"Error accepting challenge: 403 "+problem+"caa: no"))},
		{"check: gone", Check, nil, lifecycletest.Refuse(404, acme.TypeMalformed, ""), end(acmev1.Expired, "Error accepting authorization: 404 "+problem+"malformed: no", nil)},
		{"check: refused", Check, nil, lifecycletest.Refuse(400, acme.TypeMalformed, ""), end(acmev1.Errored, "Error accepting authorization: 400 "+problem+"malformed: no", event("Failed", errored+"Error accepting authorization: 400 "+problem+"malformed: no"))},
		{"check: no network", Check, &acme.NetworkError{Host: "acme", Why: "refused"}, lifecycletest.Refusal{}, wait("Error accepting authorization: cannot reach the ACME server acme: refused", 0, nil)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := presented()
			err := test.err
			if err == nil {
				err = test.refusal.Asked(t, challengeRequests[test.step])
			}
			want := Plan{Status: *c.Object.Status.DeepCopy()}
			test.want(&want)
			samePlan(t, want, StepFailed(c, test.step, err, now))
		})
	}
}

func TestBeingValidated(t *testing.T) {
	a := &acme.Authorization{Challenges: []acme.Challenge{{URL: "a", Status: acme.StatusProcessing}, {URL: "b", Status: acme.StatusPending}}}
	for url, want := range map[string]bool{"a": true, "b": false, "c": false} {
		if got := BeingValidated(a, url); got != want {
			t.Errorf("%s: %t", url, got)
		}
	}
	samePlan(t, []string{"x"}, WithoutFinalizers([]string{acmev1.ACMEFinalizer, "x", acmev1.ACMELegacyFinalizer}))
}
