package challenge

import (
	"errors"
	"testing"
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/lifecycle/lifecycletest"
	"github.com/everleaf/everleaf/internal/plan"
)

func TestChallengeFailed(t *testing.T) {
	const problem = "urn:ietf:params:acme:error:"
	plain := errors.New("unclear")
	later := fault.Until(now.Add(time.Minute), "Busy", "later")
	began := now.Add(-time.Second)
	event := func(reason, message string) []plan.Event {
		return []plan.Event{{Warning: true, Reason: reason, Message: message, Component: "cert-manager-challenges"}}
	}
	wait := func(reason string, d time.Duration, next string, events []plan.Event) func(*Plan) {
		return func(p *Plan) {
			if p.Status.Reason = reason; next != "" {
				p.Status.Reason += "; the next try is within " + next
			}
			p.Events = events
			p.Until, p.Hold, p.Do, p.Persist = now.Add(d), true, ReleaseSlot{}, plan.Before
		}
	}
	end := func(state acmev1.State, reason string, events []plan.Event) func(*Plan) {
		return func(p *Plan) {
			p.Status.State, p.Status.Reason, p.Status.Processing, p.Events = state, reason, false, events
		}
	}
	suspect := func(cause string, want func(*Plan)) func(*Plan) {
		return func(p *Plan) {
			want(p)
			p.Do, p.Persist, p.Until, p.Hold = SuspectAccount{Began: began, Cause: cause}, plan.Before, time.Time{}, false
		}
	}
	const errored = "Accepting challenge authorization failed: "
	accept, fetch := Accept{URL: "c"}, FetchAuthorization{URL: "a"}
	tests := []struct {
		name     string
		action   plan.Action
		attempts int
		err      error
		refusal  lifecycletest.Refusal
		want     func(*Plan)
	}{
		{"present", Present{}, 0, fault.New(fault.User, "NoZone", "no such zone"), lifecycletest.Refusal{}, wait("Error presenting challenge: no such zone", 5*time.Second, "30m", event("PresentError", "Error presenting challenge: no such zone"))},
		{"present, the third time", Present{}, 2, fault.New(fault.Permanent, "NoZone", "no such zone"), lifecycletest.Refusal{}, wait("Error presenting challenge: no such zone", 20*time.Second, "30m", event("PresentError", "Error presenting challenge: no such zone"))},
		{"present, very often", Present{}, 99, plain, lifecycletest.Refusal{}, wait("Error presenting challenge: unclear", 30*time.Minute, "30m", event("PresentError", "Error presenting challenge: unclear"))},
		{"present, later", Present{}, 0, later, lifecycletest.Refusal{}, wait("Error presenting challenge: later", time.Minute, "5m", event("PresentError", "Error presenting challenge: later"))},
		{"present, unclassified", Present{}, 0, plain, lifecycletest.Refusal{}, wait("Error presenting challenge: unclear", 5*time.Second, "30m", event("PresentError", "Error presenting challenge: unclear"))},
		{"probe, very often", Probe{}, 99, plain, lifecycletest.Refusal{}, wait("Waiting for DNS-01 challenge propagation: unclear", 10*time.Second, "10s", nil)},
		{"accept: broken, very often", accept, 99, nil, lifecycletest.Refuse(500, acme.TypeServerInternal, ""), wait("Error accepting challenge: 500 "+problem+"serverInternal: no", 2*time.Minute, "2m", nil)},
		{"clean up, after others failed", CleanUp{}, 9, plain, lifecycletest.Refusal{}, wait("Error cleaning up challenge: unclear", 5*time.Second, "1m", event("CleanUpError", "Error cleaning up challenge: unclear"))},
		{"clean up", CleanUp{}, 0, plain, lifecycletest.Refusal{}, wait("Error cleaning up challenge: unclear", 5*time.Second, "1m", event("CleanUpError", "Error cleaning up challenge: unclear"))},
		{"probe", Probe{}, 0, plain, lifecycletest.Refusal{}, wait("Waiting for DNS-01 challenge propagation: unclear", 5*time.Second, "10s", nil)},
		{"finalizer", AddFinalizer{}, 1, plain, lifecycletest.Refusal{}, func(p *Plan) {
			p.Do, p.Persist, p.Until = ReleaseSlot{}, plan.Before, now.Add(2*plan.APIServer.Min)
		}},
		{"accept: busy", accept, 0, nil, lifecycletest.Refuse(503, acme.TypeServerInternal, "60"), wait("Error accepting challenge: 503 "+problem+"serverInternal: no", time.Minute, "5m", nil)},
		{"accept: broken", accept, 0, nil, lifecycletest.Refuse(500, acme.TypeServerInternal, ""), wait("Error accepting challenge: 500 "+problem+"serverInternal: no", 5*time.Second, "2m", nil)},
		{"accept: rate limit", accept, 0, nil, lifecycletest.Refuse(429, acme.TypeRateLimited, "120"), wait("Error accepting challenge: 429 "+problem+"rateLimited: no", 2*time.Minute, "5m", nil)},
		{"accept: account unknown", accept, 0, nil, lifecycletest.Refuse(400, acme.TypeAccountDoesNotExist, ""), suspect("400 "+problem+"accountDoesNotExist: no", wait("Error accepting challenge: 400 "+problem+"accountDoesNotExist: no", 0, "", nil))},
		{"accept: account gone", accept, 0, nil, lifecycletest.Refuse(404, acme.TypeAccountDoesNotExist, ""), suspect("404 "+problem+"accountDoesNotExist: no", end(acmev1.Expired, "Error accepting challenge: 404 "+problem+"accountDoesNotExist: no", nil))},
		{"accept: gone", accept, 0, nil, lifecycletest.Refuse(404, acme.TypeMalformed, ""), end(acmev1.Expired, "Error accepting challenge: 404 "+problem+"malformed: no", nil)},
		{"accept: no longer pending", accept, 0, nil, lifecycletest.Refuse(400, acme.TypeMalformed, ""), end(acmev1.Expired, "Error accepting challenge: 400 "+problem+"malformed: no", nil)},
		{"accept: refused", accept, 0, nil, lifecycletest.Refuse(403, acme.TypeCAA, ""), end(acmev1.Errored, "Error accepting challenge: 403 "+problem+"caa: no", event("Failed", errored+"Error accepting challenge: 403 "+problem+"caa: no"))},
		{"check: gone", fetch, 0, nil, lifecycletest.Refuse(404, acme.TypeMalformed, ""), end(acmev1.Expired, "Error accepting authorization: 404 "+problem+"malformed: no", nil)},
		{"check: refused", fetch, 0, nil, lifecycletest.Refuse(400, acme.TypeMalformed, ""), end(acmev1.Errored, "Error accepting authorization: 400 "+problem+"malformed: no", event("Failed", errored+"Error accepting authorization: 400 "+problem+"malformed: no"))},
		{"check: no network", fetch, 0, &acme.NetworkError{Host: "acme", Why: "refused"}, lifecycletest.Refusal{}, wait("Error accepting authorization: cannot reach the ACME server acme: refused", 5*time.Second, "2m", nil)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := presented()
			err := test.err
			if err == nil {
				err = test.refusal.Asked(t, askServer(test.action))
			}
			switch test.action.(type) {
			case Accept, FetchAuthorization:
				err = acme.Classify(err, now)
			}
			want := Plan{Status: *c.Object.Status.DeepCopy()}
			test.want(&want)
			samePlan(t, want, c.Failed(plan.Failure{Action: test.action, Err: err, Attempts: test.attempts, Began: began}, now))
		})
	}
}

// TestPresentFailedIsPending holds that a Challenge that cannot be presented is
// pending, and one that has a state keeps it.
func TestPresentFailedIsPending(t *testing.T) {
	for _, test := range []struct {
		action      plan.Action
		state, want acmev1.State
	}{
		{Present{}, "", acmev1.Pending},
		{Present{}, acmev1.Pending, acmev1.Pending},
		{CleanUp{}, "", ""},
		{CleanUp{}, acmev1.Valid, acmev1.Valid},
	} {
		c := presented()
		c.Object.Status = acmev1.ChallengeStatus{State: test.state}
		if p := c.Failed(plan.Failure{Action: test.action, Err: errors.New("no")}, now); p.Status.State != test.want {
			t.Errorf("%s in state %q: state %q, want %q", test.action, test.state, p.Status.State, test.want)
		}
	}
}

// TestCleanUpFailed holds that a deleted Challenge is looked at again no later
// than when its clean-up is given up.
func TestCleanUpFailed(t *testing.T) {
	const message = "Error cleaning up challenge: no"
	tests := []struct {
		name      string
		deleted   time.Duration // ago, negative for not at all
		presented bool
		retry     time.Duration
		want      time.Duration
		next      string
	}{
		{"ended", -1, true, time.Minute, time.Minute, "; the next try is within 5m"},
		{"deleted", time.Minute, true, time.Minute, time.Minute, "; the next try is within 5m"},
		{"deleted, fails to the end", 9 * time.Minute, true, 30 * time.Minute, time.Minute, ""},
		{"deleted, presenting failed", 10 * time.Second, false, time.Minute, 20 * time.Second, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := presented()
			noSlot(&c)
			c.Object.Status.Presented = test.presented
			if test.deleted >= 0 {
				c.Object.DeletionTimestamp = at(now.Add(-test.deleted))
			} else {
				c.Object.Status.State = acmev1.Valid
			}
			want := Plan{
				Status: *c.Object.Status.DeepCopy(), Until: now.Add(test.want), Hold: true,
				Events: []plan.Event{{Warning: true, Reason: "CleanUpError", Message: message, Component: "cert-manager-challenges"}},
			}
			want.Status.Reason = message + test.next
			got := c.Failed(plan.Failure{Action: CleanUp{}, Err: fault.Until(now.Add(test.retry), "Busy", "no")}, now)
			samePlan(t, want, got)
		})
	}
}
