package lifecycle

import (
	"errors"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/dns"
	"github.com/everleaf/everleaf/internal/fault"
)

// presented is a Challenge whose record this process has presented a minute ago.
func presented() Challenge {
	o := ordered()
	c := challenges(o, acmev1.Pending)[0]
	c.Finalizers = []string{acmev1.ACMEFinalizer}
	c.Status.Presented, c.Status.Processing, c.Status.PresentedAt = true, true, at(now.Add(-time.Minute))
	return Challenge{
		Object: c, Account: o.Account, OwnSolver: true, Slot: true, Session: Session{Presented: true},
		Propagation: dns.Policy{Retry: 10 * time.Second, TTL: 10 * time.Second},
	}
}

// probed puts a probe's evidence into a session: the answers of the zone's one
// server, a time ago.
func probed(has bool, ago time.Duration, probes int, change ...func(*dns.LedgerEntry)) func(*Challenge) {
	return func(c *Challenge) {
		seen := now.Add(-ago)
		c.Session.Report = &dns.Report{Name: "_acme-challenge.example.com.", Final: "_acme-challenge.example.com.", Answers: []dns.Answer{{
			Server: "ns1.example.com.", Role: dns.RoleBoth, Authoritative: true, Rcode: "NOERROR", Has: has,
		}}}
		c.Session.ProbedAt = seen
		c.Session.Entry = dns.LedgerEntry{FirstProbe: seen, Probes: probes}
		if has {
			c.Session.Entry.VisibleSince = seen
		}
		for _, f := range change {
			f(&c.Session.Entry)
		}
	}
}

// validating is a session whose server was asked to validate, and what it said
// of it, both a time ago.
func validating(accepted, checked time.Duration, checks int, status string) func(*Challenge) {
	return func(c *Challenge) {
		c.Session.AcceptedAt = now.Add(-accepted)
		if status != "" {
			c.Session.Authorization = &acme.Authorization{Status: status}
			c.Session.CheckedAt, c.Session.Checks = now.Add(-checked), checks
		}
	}
}

func TestChallenge(t *testing.T) {
	unpresented := func(c *Challenge) {
		c.Object.Status, c.Session = acmev1.ChallengeStatus{}, Session{}
	}
	restarted := func(c *Challenge) { c.Session = Session{} }
	instead := func(d time.Duration) func(*Challenge) {
		return func(c *Challenge) {
			c.Object.Spec.Solver.WaitInsteadOfSelfCheck = &metav1.Duration{Duration: d}
		}
	}
	sibling := func(s Session) func(*Challenge) {
		return func(c *Challenge) { c.Siblings = append(c.Siblings, s) }
	}
	problem := &acme.Problem{Type: acme.ErrorNamespace + acme.TypeUnauthorized, Detail: "no TXT record", Status: 403}
	invalid := func(c *Challenge) {
		validating(time.Second, 0, 1, acme.StatusInvalid)(c)
		c.Session.Authorization.Challenges = []acme.Challenge{{URL: "other"}, {URL: c.Object.Spec.URL, Error: problem}}
	}
	step := func(s ChallengeStep) func(*ChallengePlan) { return func(p *ChallengePlan) { p.Step = s } }
	until := func(d time.Duration) func(*ChallengePlan) { return func(p *ChallengePlan) { p.Until = now.Add(d) } }
	end := func(state acmev1.State, reason string, events ...Event) func(*ChallengePlan) {
		return func(p *ChallengePlan) {
			p.Status.State, p.Status.Reason, p.Status.Processing, p.Events = state, reason, false, events
		}
	}
	none := func(*ChallengePlan) {}
	waiting := func(d time.Duration, reason string) func(*ChallengePlan) {
		return func(p *ChallengePlan) { p.Until, p.Status.Reason = now.Add(d), reason }
	}
	missing := func() string {
		c := presented()
		probed(false, 0, 2)(&c)
		return dns.Judge(*c.Session.Report, c.Session.Entry, c.Propagation, now).Message
	}()
	if missing == "" {
		t.Fatal("the judge has nothing to say")
	}
	verified := Event{Reason: "DomainVerified", Component: "cert-manager-challenges", Message: `Domain "example.com" verified with "DNS-01" validation`}
	const refused = "Error accepting authorization: acme: authorization error for example.com: 403 urn:ietf:params:acme:error:unauthorized: no TXT record"
	tests := []struct {
		name  string
		state []func(*Challenge)
		want  func(*ChallengePlan)
	}{
		{"new", []func(*Challenge){unpresented}, step(ChallengePresent)},
		{"new, no finalizer", []func(*Challenge){unpresented, func(c *Challenge) { c.Object.Finalizers = []string{"x"} }}, step(ChallengeAddFinalizer)},
		{"new, legacy finalizer", []func(*Challenge){unpresented, func(c *Challenge) { c.Object.Finalizers = []string{acmev1.ACMELegacyFinalizer} }}, step(ChallengePresent)},
		{"new, issuer not ready", []func(*Challenge){unpresented, func(c *Challenge) { c.Account = nil }}, none},
		{"new, no slot", []func(*Challenge){unpresented, func(c *Challenge) { c.Slot = false }}, none},
		{"new, name has failed too often", []func(*Challenge){unpresented, func(c *Challenge) { c.TooManyFailures = now.Add(hour) }}, func(p *ChallengePlan) {
			p.Status.State = acmev1.Pending
			waiting(hour, `Waiting before "example.com" is tried again: its validation has failed too often within an hour`)(p)
		}},
		{"new, name may be tried again", []func(*Challenge){unpresented, func(c *Challenge) { c.TooManyFailures = now }}, step(ChallengePresent)},
		{"forged", []func(*Challenge){unpresented, func(c *Challenge) { c.Forged = "no" }}, until(forgedRecheck)},
		{"orphan", []func(*Challenge){unpresented, func(c *Challenge) { c.Forged, c.Orphan = "no", true }}, end(acmev1.Errored, "no")},
		{"a step failed", []func(*Challenge){func(c *Challenge) { c.Session.RetryAt = now.Add(5 * time.Second) }}, until(5 * time.Second)},
		{"a step failed long ago", []func(*Challenge){func(c *Challenge) { c.Session.RetryAt = now }}, step(ChallengeProbe)},

		{"presented", nil, step(ChallengeProbe)},
		{"presented by another process", []func(*Challenge){restarted}, step(ChallengeCheck)},
		{"asked for validation, no answer", []func(*Challenge){probed(true, time.Hour, 9), func(c *Challenge) { c.Session.Unanswered = true }}, step(ChallengeCheck)},
		{"the other did not ask for validation", []func(*Challenge){restarted, func(c *Challenge) {
			c.Session.Authorization, c.Session.CheckedAt = &acme.Authorization{Status: acme.StatusPending}, now
		}}, step(ChallengeProbe)},
		{"the other has asked", []func(*Challenge){restarted, validating(0, 0, 0, acme.StatusPending)}, until(250 * time.Millisecond)},
		{"the other has finished", []func(*Challenge){restarted, func(c *Challenge) {
			c.Session.Authorization, c.Session.CheckedAt = &acme.Authorization{Status: acme.StatusValid}, now
		}}, end(acmev1.Valid, "Successfully authorized domain", verified)},

		{"not there at the first look", []func(*Challenge){probed(false, 0, 1)}, until(time.Second)},
		{"not there at the second", []func(*Challenge){probed(false, 0, 2)}, waiting(2*time.Second, "Waiting for DNS-01 challenge propagation: "+missing)},
		{"not there for long", []func(*Challenge){probed(false, 0, 9)}, waiting(10*time.Second, "Waiting for DNS-01 challenge propagation: "+missing)},
		{"time to look again", []func(*Challenge){probed(false, time.Second, 1)}, step(ChallengeProbe)},
		{"there", []func(*Challenge){probed(true, 0, 1)}, step(ChallengeAccept)},
		{"there, may be cached", []func(*Challenge){probed(true, 0, 1, func(e *dns.LedgerEntry) {
			e.Lookups = []dns.Lookup{{Started: now.Add(-30 * time.Second), Ended: now.Add(-20 * time.Second)}}
		})}, func(p *ChallengePlan) {
			p.Until = now.Add(-20*time.Second + 61*time.Second)
			c := presented()
			probed(true, 0, 1)(&c)
			c.Session.Entry.Lookups = []dns.Lookup{{Started: now.Add(-30 * time.Second), Ended: now.Add(-20 * time.Second)}}
			p.Status.Reason = "Waiting for DNS-01 challenge propagation: " + dns.Judge(*c.Session.Report, c.Session.Entry, c.Propagation, now).Message
		}},
		{"there, another value is coming", []func(*Challenge){probed(true, 4*time.Second, 1), sibling(Session{})}, until(6 * time.Second)},
		{"there, another value did not come", []func(*Challenge){probed(true, 10*time.Second, 1), sibling(Session{})}, step(ChallengeAccept)},
		{"there, so is another", []func(*Challenge){probed(true, 0, 1), sibling(Session{Entry: dns.LedgerEntry{VisibleSince: now}})}, step(ChallengeAccept)},
		{"there, another is being validated", []func(*Challenge){probed(true, 0, 1), sibling(Session{AcceptedAt: now})}, step(ChallengeAccept)},
		{"waits instead of looking", []func(*Challenge){instead(90 * time.Second)}, waiting(30*time.Second, "Waiting 1m30s before accepting DNS-01 challenge without self-check")},
		{"has waited instead of looking", []func(*Challenge){instead(time.Minute)}, step(ChallengeAccept)},
		{"waits instead, since unknown", []func(*Challenge){instead(time.Minute), func(c *Challenge) { c.Object.Status.PresentedAt = nil }}, step(ChallengeAccept)},

		{"asked to validate", []func(*Challenge){validating(0, 0, 0, "")}, until(100 * time.Millisecond)},
		{"time to see", []func(*Challenge){validating(100*time.Millisecond, 0, 0, "")}, step(ChallengeCheck)},
		{"looked at before it was asked", []func(*Challenge){validating(time.Second, time.Minute, 1, acme.StatusPending)}, step(ChallengeCheck)},
		{"not decided", []func(*Challenge){validating(time.Second, 0, 2, acme.StatusPending)}, until(time.Second)},
		{"not decided, time to see", []func(*Challenge){validating(5*time.Second, time.Second, 2, acme.StatusPending)}, step(ChallengeCheck)},
		{"not decided for long", []func(*Challenge){validating(3*time.Minute, 0, 9, acme.StatusPending)}, waiting(10*time.Second, "Waiting for the ACME server to validate: it was asked and has not decided yet")},
		{"valid", []func(*Challenge){validating(time.Second, 0, 1, acme.StatusValid)}, end(acmev1.Valid, "Successfully authorized domain", verified)},
		{"invalid", []func(*Challenge){invalid}, end(acmev1.Invalid, refused, Event{
			Warning: true, Reason: "Failed", Component: "cert-manager-challenges", Message: "Accepting challenge authorization failed: " + refused,
		})},
		{"deactivated", []func(*Challenge){validating(time.Second, 0, 1, acme.StatusDeactivated)}, end(acmev1.Expired, `The authorization for "example.com" is deactivated at the ACME server`)},
		{"expired", []func(*Challenge){validating(time.Second, 0, 1, acme.StatusExpired)}, end(acmev1.Expired, `The authorization for "example.com" is expired at the ACME server`)},
		{"revoked", []func(*Challenge){validating(time.Second, 0, 1, acme.StatusRevoked)}, end(acmev1.Expired, `The authorization for "example.com" is revoked at the ACME server`)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := presented()
			for _, f := range test.state {
				f(&c)
			}
			want := ChallengePlan{Status: *c.Object.Status.DeepCopy()}
			test.want(&want)
			samePlan(t, want, NextChallenge(c, now))
		})
	}
}

// TestChallengeLeaves has Challenges that have ended, or are being deleted.
func TestChallengeLeaves(t *testing.T) {
	state := func(s acmev1.State) func(*Challenge) { return func(c *Challenge) { c.Object.Status.State = s } }
	deleted := func(ago time.Duration) func(*Challenge) {
		return func(c *Challenge) { c.Object.DeletionTimestamp = at(now.Add(-ago)) }
	}
	cleaned := func(c *Challenge) { c.Session.CleanedUp = true }
	restarted := func(c *Challenge) { c.Session = Session{} }
	foreign := func(c *Challenge) { c.OwnSolver = false }
	unconfirmed := func(c *Challenge) { c.Object.Status.Presented = false }
	retry := func(in time.Duration) func(*Challenge) {
		return func(c *Challenge) { c.Session.RetryAt = now.Add(in) }
	}
	untouched := func(c *Challenge) { c.Object.Status, c.Session = acmev1.ChallengeStatus{}, Session{} }
	release := func(p *ChallengePlan) { p.Step = ChallengeRelease }
	abandon := func(p *ChallengePlan) { p.Step, p.Abandoned = ChallengeRelease, true }
	cleanUp := func(p *ChallengePlan) { p.Step = ChallengeCleanUp }
	none := func(*ChallengePlan) {}
	until := func(d time.Duration) func(*ChallengePlan) { return func(p *ChallengePlan) { p.Until = now.Add(d) } }
	tests := []struct {
		name  string
		state []func(*Challenge)
		want  func(*ChallengePlan)
	}{
		{"valid: its Order may end soon", []func(*Challenge){state(acmev1.Valid), func(c *Challenge) { c.Session.ValidAt = now.Add(-10 * time.Second) }}, until(20 * time.Second)},
		{"valid: its Order takes long", []func(*Challenge){state(acmev1.Valid), func(c *Challenge) { c.Session.ValidAt = now.Add(-30 * time.Second) }}, cleanUp},
		{"valid, restarted", []func(*Challenge){state(acmev1.Valid), restarted}, cleanUp},
		{"invalid", []func(*Challenge){state(acmev1.Invalid), func(c *Challenge) { c.Session.ValidAt = now }}, cleanUp},
		{"cleaned up", []func(*Challenge){state(acmev1.Valid), cleaned}, func(p *ChallengePlan) {
			p.Step, p.Persist, p.Status.Presented, p.Status.Processing = ChallengeRelease, Before, false, false
		}},
		{"cleaned up, restarted", []func(*Challenge){state(acmev1.Valid), restarted, unconfirmed}, release},
		{"clean-up failed", []func(*Challenge){state(acmev1.Valid), retry(time.Minute)}, until(time.Minute)},
		{"clean-up failed, try again", []func(*Challenge){state(acmev1.Valid), retry(0)}, cleanUp},
		{"released", []func(*Challenge){state(acmev1.Valid), func(c *Challenge) { c.Object.Finalizers = nil }}, none},
		{"errored before anything was done", []func(*Challenge){untouched, state(acmev1.Errored)}, release},
		{"ended, of a solver that is not the issuer's", []func(*Challenge){state(acmev1.Valid), restarted, foreign}, abandon},

		{"deleted", []func(*Challenge){deleted(0)}, cleanUp},
		{"deleted, valid a moment ago", []func(*Challenge){deleted(0), state(acmev1.Valid), func(c *Challenge) { c.Session.ValidAt = now }}, cleanUp},
		{"deleted, restarted, issuer not ready", []func(*Challenge){deleted(0), restarted, func(c *Challenge) { c.Account, c.Slot = nil, false }}, cleanUp},
		{"deleted, its Order gone", []func(*Challenge){deleted(0), restarted, func(c *Challenge) { c.Forged, c.Orphan = "no", true }}, cleanUp},
		{"deleted, of a solver that is not the issuer's", []func(*Challenge){deleted(0), restarted, foreign}, abandon},
		{"deleted, issuer changed since we presented it", []func(*Challenge){deleted(0), foreign}, cleanUp},
		{"deleted, never touched", []func(*Challenge){deleted(0), untouched}, release},
		{"deleted, never touched, of another solver", []func(*Challenge){deleted(0), untouched, foreign}, release},
		{"deleted, no finalizer of ours", []func(*Challenge){deleted(0), func(c *Challenge) { c.Object.Finalizers = []string{"x"} }}, none},
		{"deleted, cleaned up", []func(*Challenge){deleted(0), cleaned}, release},
		{"deleted, clean-up failed", []func(*Challenge){deleted(time.Minute), retry(time.Minute)}, until(time.Minute)},
		{"deleted, clean-up fails to the end", []func(*Challenge){deleted(9 * time.Minute), retry(30 * time.Minute)}, until(time.Minute)},
		{"deleted ten minutes ago", []func(*Challenge){deleted(10 * time.Minute), retry(30 * time.Minute)}, abandon},
		{"deleted, presenting failed", []func(*Challenge){deleted(0), unconfirmed}, cleanUp},
		{"deleted, presenting failed, so did clean-up", []func(*Challenge){deleted(10 * time.Second), unconfirmed, retry(time.Minute)}, until(20 * time.Second)},
		{"deleted half a minute ago, presenting failed", []func(*Challenge){deleted(30 * time.Second), unconfirmed, retry(time.Minute)}, release},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := presented()
			for _, f := range test.state {
				f(&c)
			}
			want := ChallengePlan{Status: *c.Object.Status.DeepCopy()}
			test.want(&want)
			samePlan(t, want, NextChallenge(c, now))
		})
	}
}

func TestChallengePresented(t *testing.T) {
	c := presented()
	c.Object.Status = acmev1.ChallengeStatus{Reason: "old"}
	samePlan(t, ChallengePlan{
		Persist: Before,
		Status:  acmev1.ChallengeStatus{State: acmev1.Pending, Presented: true, Processing: true, PresentedAt: at(now)},
		Events:  []Event{{Reason: "Presented", Component: "cert-manager-challenges", Message: "Presented challenge using DNS-01 challenge mechanism"}},
	}, ChallengePresented(c, now))
}

func TestChallengeStepFailed(t *testing.T) {
	const problem = "urn:ietf:params:acme:error:"
	plain := errors.New("unclear")
	later := fault.Until(now.Add(time.Minute), "Busy", "later")
	event := func(reason, message string) []Event {
		return []Event{{Warning: true, Reason: reason, Message: message, Component: "cert-manager-challenges"}}
	}
	wait := func(reason string, d time.Duration, events []Event) func(*ChallengePlan) {
		return func(p *ChallengePlan) {
			p.Status.Reason, p.Events = reason, events
			if d > 0 {
				p.Until = now.Add(d)
			}
		}
	}
	end := func(state acmev1.State, reason string, events []Event) func(*ChallengePlan) {
		return func(p *ChallengePlan) {
			p.Status.State, p.Status.Reason, p.Status.Processing, p.Events = state, reason, false, events
		}
	}
	const errored = "Accepting challenge authorization failed: "
	tests := []struct {
		name    string
		step    ChallengeStep
		err     error
		refusal refusal
		want    func(*ChallengePlan)
	}{
		{"present", ChallengePresent, fault.New(fault.User, "NoZone", "no such zone"), refusal{}, wait("Error presenting challenge: no such zone", 0, event("PresentError", "Error presenting challenge: no such zone"))},
		{"present, later", ChallengePresent, later, refusal{}, wait("Error presenting challenge: later", time.Minute, event("PresentError", "Error presenting challenge: later"))},
		{"present, unclassified", ChallengePresent, plain, refusal{}, wait("Error presenting challenge: unclear", 0, event("PresentError", "Error presenting challenge: unclear"))},
		{"clean up", ChallengeCleanUp, plain, refusal{}, wait("Error cleaning up challenge: unclear", 0, event("CleanUpError", "Error cleaning up challenge: unclear"))},
		{"probe", ChallengeProbe, plain, refusal{}, wait("Waiting for DNS-01 challenge propagation: unclear", 0, nil)},
		{"accept: busy", ChallengeAccept, nil, refusal{503, acme.TypeServerInternal, "60"}, wait("Error accepting challenge: 503 "+problem+"serverInternal: no", time.Minute, nil)},
		{"accept: broken", ChallengeAccept, nil, refusal{500, acme.TypeServerInternal, ""}, wait("Error accepting challenge: 500 "+problem+"serverInternal: no", 0, nil)},
		{"accept: rate limit", ChallengeAccept, nil, refusal{429, acme.TypeRateLimited, "120"}, wait("Error accepting challenge: 429 "+problem+"rateLimited: no", 2*time.Minute, nil)},
		{"accept: account unknown", ChallengeAccept, nil, refusal{400, acme.TypeAccountDoesNotExist, ""}, wait("Error accepting challenge: 400 "+problem+"accountDoesNotExist: no", 0, nil)},
		{"accept: gone", ChallengeAccept, nil, refusal{404, acme.TypeMalformed, ""}, end(acmev1.Expired, "Error accepting challenge: 404 "+problem+"malformed: no", nil)},
		{"accept: no longer pending", ChallengeAccept, nil, refusal{400, acme.TypeMalformed, ""}, end(acmev1.Expired, "Error accepting challenge: 400 "+problem+"malformed: no", nil)},
		{"accept: refused", ChallengeAccept, nil, refusal{403, acme.TypeCAA, ""}, end(acmev1.Errored, "Error accepting challenge: 403 "+problem+"caa: no", event("Failed", errored+"Error accepting challenge: 403 "+problem+"caa: no"))},
		{"check: gone", ChallengeCheck, nil, refusal{404, acme.TypeMalformed, ""}, end(acmev1.Expired, "Error accepting authorization: 404 "+problem+"malformed: no", nil)},
		{"check: refused", ChallengeCheck, nil, refusal{400, acme.TypeMalformed, ""}, end(acmev1.Errored, "Error accepting authorization: 400 "+problem+"malformed: no", event("Failed", errored+"Error accepting authorization: 400 "+problem+"malformed: no"))},
		{"check: no network", ChallengeCheck, &acme.NetworkError{Host: "acme", Why: "refused"}, refusal{}, wait("Error accepting authorization: cannot reach the ACME server acme: refused", 0, nil)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := presented()
			err := test.err
			if err == nil {
				err = test.refusal.asked(t, challengeRequests[test.step])
			}
			want := ChallengePlan{Status: *c.Object.Status.DeepCopy()}
			test.want(&want)
			samePlan(t, want, ChallengeStepFailed(c, test.step, err, now))
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
	samePlan(t, []string{"x"}, WithoutChallengeFinalizers([]string{acmev1.ACMEFinalizer, "x", acmev1.ACMELegacyFinalizer}))
}
