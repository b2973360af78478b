package challenge

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/plan"
	"github.com/everleaf/everleaf/internal/propagation"
)

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
	sibling := func(s Progress) func(*State) {
		return func(c *State) { c.Siblings = append(c.Siblings, s) }
	}
	problem := &acme.Problem{Type: acme.ErrorNamespace + acme.TypeUnauthorized, Detail: "no TXT record", Status: 403}
	invalid := func(c *State) {
		beingValidated(time.Second, 0, 1, acme.StatusInvalid)(c)
		c.Memory.Authorization.Challenges = []acme.Challenge{{URL: "other"}, {URL: c.Object.Spec.URL, Error: problem}}
	}
	do := func(a plan.Action) func(*Plan) { return func(p *Plan) { p.Do = a } }
	asked, _ := called()
	accept, fetch := Accept{URL: asked.Spec.URL}, FetchAuthorization{URL: asked.Spec.AuthorizationURL}
	until := func(d time.Duration) func(*Plan) { return func(p *Plan) { p.Until = now.Add(d) } }
	end := func(state acmev1.State, reason string, events ...plan.Event) func(*Plan) {
		return func(p *Plan) {
			p.Status.State, p.Status.Reason, p.Status.Processing, p.Events = state, reason, false, events
		}
	}
	// waiting is the plan that waits for a time, or, if that is negative, for an event.
	waiting := func(d time.Duration, reason string) func(*Plan) {
		return func(p *Plan) {
			if p.Status.Reason = reason; d >= 0 {
				p.Until = now.Add(d)
			}
		}
	}
	note := func(reason string) func(*Plan) { return do(NoteWait{Reason: reason}) }
	const accountReason = `Waiting for the ACME account of ClusterIssuer "ca", which is not ready`
	const queueReason = `Waiting for one of the 60 places for challenges of ClusterIssuer "ca" in progress (--max-concurrent-challenges): others are before it`
	const siblingReason = `Waiting for the other records of "example.com", which the ACME server can see together with this one`
	const assumedMessage = `DNS record for "example.com" is taken to be there; waiting until no resolver of the CA can have an older answer in its cache`
	const undecided = "Waiting for the ACME server to validate: it was asked and has not decided yet"
	noAccount := func(c *State) { c.Account = nil }
	queued := func(c *State) { c.Slot = Queued }
	waits := func(ago time.Duration, reason string) func(*State) {
		return func(c *State) { c.Memory.Waiting, c.Memory.WaitingSince = reason, now.Add(-ago) }
	}
	accepts := func(n int) func(*State) { return func(c *State) { c.Memory.Accepts = n } }
	absent := func(ago time.Duration) func(*propagation.LedgerEntry) {
		return func(e *propagation.LedgerEntry) { e.AbsentSince = now.Add(-ago) }
	}
	assumed := func(lookups ...propagation.Lookup) func(*State) {
		return func(c *State) {
			c.Memory.Evidence = propagation.Assumption{
				Name:  "_acme-challenge.example.com.",
				Entry: propagation.LedgerEntry{VisibleSince: now.Add(-time.Second), Lookups: lookups},
			}
		}
	}
	missing := observation(false, 0, 2).Verdict(now).Message
	cached := func(e *propagation.LedgerEntry) {
		e.Lookups = []propagation.Lookup{{Started: now.Add(-3 * time.Second), Ended: now.Add(-2 * time.Second)}}
	}
	if missing == "" {
		t.Fatal("the judge has nothing to say")
	}
	const refused = "Error accepting authorization: acme: authorization error for example.com: 403 urn:ietf:params:acme:error:unauthorized: no TXT record"
	tests := []struct {
		name  string
		state []func(*State)
		want  func(*Plan)
	}{
		{"new", []func(*State){unpresented}, do(Present{})},
		{"new, no finalizer", []func(*State){unpresented, func(c *State) { c.Object.Finalizers = []string{"x"} }}, do(AddFinalizer{})},
		{"new, legacy finalizer", []func(*State){unpresented, func(c *State) { c.Object.Finalizers = []string{acmev1.ACMELegacyFinalizer} }}, do(Present{})},
		{"new, issuer not ready", []func(*State){unpresented, noSlot, noAccount}, note(accountReason)},
		{"new, issuer not ready for a second", []func(*State){unpresented, noSlot, noAccount, waits(time.Second, accountReason)}, until(time.Second)},
		{"new, issuer not ready for two", []func(*State){unpresented, noSlot, noAccount, waits(2*time.Second, accountReason)}, waiting(-1, accountReason)},
		{"new, issuer no longer ready", []func(*State){unpresented, func(c *State) { c.Account = nil }}, do(ReleaseSlot{})},
		{"new, asks for a slot", []func(*State){unpresented, noSlot}, do(TakeSlot{})},
		{"new, no slot", []func(*State){unpresented, queued}, note(queueReason)},
		{"new, no slot for a second", []func(*State){unpresented, queued, waits(time.Second, queueReason)}, until(9 * time.Second)},
		{"new, no slot for ten", []func(*State){unpresented, queued, waits(10*time.Second, queueReason)}, waiting(-1, queueReason)},
		{"presented, no slot", []func(*State){queued}, note(queueReason)},
		{"presented, asks for a slot", []func(*State){noSlot}, do(TakeSlot{})},
		{"waits, and is queued still", []func(*State){probed(false, 0, 9), queued}, do(ReleaseSlot{})},
		{"new, its turn", []func(*State){unpresented, func(c *State) { c.Slot = Offered }}, do(TakeSlot{})},
		{"new, name failed too often while it had a slot", []func(*State){unpresented, func(c *State) { c.FailuresEnd = now.Add(hour) }}, do(ReleaseSlot{})},
		{"presented, name has failed too often", []func(*State){func(c *State) { c.FailuresEnd = now.Add(hour) }}, do(Probe{})},
		{"new, name has failed too often", []func(*State){unpresented, noSlot, func(c *State) { c.FailuresEnd = now.Add(hour) }}, func(p *Plan) {
			p.Status.State = acmev1.Pending
			waiting(hour, `Waiting before "example.com" is tried again: its validation has failed too often within an hour`)(p)
		}},
		{"new, the name has no failures to wait for", []func(*State){unpresented, func(c *State) { c.FailuresEnd = now }}, do(Present{})},
		{"forged", []func(*State){unpresented, noSlot, func(c *State) { c.Untrusted = "no" }}, note("no")},
		{"forged for long", []func(*State){unpresented, noSlot, func(c *State) { c.Untrusted = "no" }, waits(time.Hour, "no")}, waiting(untrustedRecheck, "no")},
		{"forged, has a slot", []func(*State){unpresented, func(c *State) { c.Untrusted = "no" }}, do(ReleaseSlot{})},
		{"orphan", []func(*State){unpresented, noSlot, func(c *State) { c.Untrusted, c.Orphan = "no", true }}, end(acmev1.Errored, "no")},
		{"just presented", []func(*State){unpresented, func(c *State) {
			c.Memory = Memory{Presented: true, PresentedAt: now.Add(-time.Second)}
			c.Object.Status.Reason = "old"
		}}, func(p *Plan) {
			p.Persist = plan.Before
			p.Status = acmev1.ChallengeStatus{State: acmev1.Pending, Presented: true, Processing: true, PresentedAt: at(now.Add(-time.Second))}
			p.Events = []plan.Event{{Reason: "Presented", Component: "cert-manager-challenges", Verbose: true, Message: "Presented challenge using DNS-01 challenge mechanism"}}
		}},
		{"presenting failed", []func(*State){unpresented, func(c *State) { c.Memory.Presented = true }}, do(Present{})},

		{"presented", nil, do(Probe{})},
		{"presented by another process", []func(*State){restarted}, do(fetch)},
		{"asked for validation, no answer", []func(*State){probed(true, time.Hour, 9), func(c *State) { c.Memory.Unanswered = true }}, do(fetch)},
		{"the other did not ask for validation", []func(*State){restarted, func(c *State) {
			c.Memory.Authorization, c.Memory.CheckedAt = &acme.Authorization{Status: acme.StatusPending}, now
		}}, do(Probe{})},
		{"the other has asked", []func(*State){restarted, beingValidated(0, 0, 0, acme.StatusPending)}, until(250 * time.Millisecond)},
		{"the other has finished", []func(*State){restarted, func(c *State) {
			c.Memory.Authorization, c.Memory.CheckedAt = &acme.Authorization{Status: acme.StatusValid}, now
		}}, until(untold)},

		{"not there at the first look", []func(*State){probed(false, 0, 1)}, until(time.Second)},
		{"not there at the second", []func(*State){probed(false, 0, 2)}, waiting(2*time.Second, "Waiting for DNS-01 challenge propagation: "+missing)},
		{"not there for long, others can use its slot", []func(*State){probed(false, 0, 9)}, do(ReleaseSlot{})},
		{"not there for long", []func(*State){noSlot, probed(false, 0, 9)}, waiting(10*time.Second, "Waiting for DNS-01 challenge propagation: "+missing)},
		{"time to look again", []func(*State){probed(false, time.Second, 1)}, do(Probe{})},
		{"there", []func(*State){probed(true, 0, 1)}, do(accept)},
		{"there, may be cached", []func(*State){noSlot, probed(true, 0, 1, cached)}, func(p *Plan) {
			p.Until = now.Add(-2*time.Second + 11*time.Second)
			p.Status.Reason = "Waiting for DNS-01 challenge propagation: " + observation(true, 0, 1, cached).Verdict(now).Message
		}},
		{"there, another value is coming", []func(*State){probed(true, 0, 1), sibling(Progress{})}, note(siblingReason)},
		{"there, another value is coming soon", []func(*State){probed(true, time.Second, 1), sibling(Progress{}), waits(time.Second, siblingReason)}, until(time.Second)},
		{"there, another value takes long", []func(*State){noSlot, probed(true, 4*time.Second, 1), sibling(Progress{}), waits(4*time.Second, siblingReason)}, waiting(6*time.Second, siblingReason)},

		{"lost for less than a minute", []func(*State){noSlot, probed(false, 0, 9, absent(55*time.Second))}, waiting(5*time.Second, "Waiting for DNS-01 challenge propagation: "+missing)},
		{"lost", []func(*State){probed(false, 0, 9, absent(time.Minute))}, func(p *Plan) {
			p.Do, p.Persist = Present{}, plan.Before
			p.Status.Reason = "Waiting for DNS-01 challenge propagation: " + missing + "; it is written again"
		}},
		{
			"written again a moment ago",
			[]func(*State){probed(false, 5*time.Second, 9, absent(time.Hour)), func(c *State) {
				c.Memory.Rewrites, c.Memory.PresentedAt = 1, now.Add(-time.Second)
			}, func(c *State) { c.Memory.Evidence = observation(false, 0, 2, absent(time.Hour)) }},
			waiting(2*time.Second, "Waiting for DNS-01 challenge propagation: "+missing+"; it is written again"),
		},
		{"there, another value did not come", []func(*State){probed(true, 10*time.Second, 1), sibling(Progress{})}, do(accept)},
		{"there, so is another", []func(*State){probed(true, 0, 1), sibling(Progress{Visible: true})}, do(accept)},
		{"there, another is being validated", []func(*State){probed(true, 0, 1), sibling(Progress{Accepted: true})}, do(accept)},
		{"waits instead of looking", []func(*State){noSlot, instead(90 * time.Second)}, waiting(30*time.Second, "Waiting 1m30s before accepting DNS-01 challenge without self-check")},
		{"has waited instead of looking", []func(*State){instead(time.Minute)}, do(Probe{})},
		{"has waited instead of looking, nothing is cached", []func(*State){instead(time.Minute), assumed()}, do(accept)},
		{"has waited instead of looking, may be cached", []func(*State){noSlot, instead(time.Minute), assumed(propagation.Lookup{
			Started: now.Add(-70 * time.Second), Ended: now.Add(-20 * time.Second), Failed: true,
		})}, waiting(41*time.Second, "Waiting for DNS-01 challenge propagation: "+assumedMessage)},
		{"waits instead, since unknown", []func(*State){noSlot, instead(time.Minute), func(c *State) { c.Object.Status.PresentedAt = nil }}, func(p *Plan) {
			waiting(time.Minute, "Waiting 1m0s before accepting DNS-01 challenge without self-check")(p)
			p.Status.PresentedAt = &metav1.Time{Time: now}
		}},

		{"asked to validate", []func(*State){beingValidated(0, 0, 0, "")}, until(100 * time.Millisecond)},
		{"time to see", []func(*State){beingValidated(100*time.Millisecond, 0, 0, "")}, do(fetch)},
		{"looked at before it was asked", []func(*State){beingValidated(time.Second, time.Minute, 1, acme.StatusPending)}, do(fetch)},
		{"not decided", []func(*State){beingValidated(time.Second, 0, 2, acme.StatusPending)}, until(time.Second)},
		{"not decided, time to see", []func(*State){beingValidated(5*time.Second, time.Second, 2, acme.StatusPending)}, do(fetch)},
		{"not decided for ten seconds", []func(*State){noSlot, beingValidated(11*time.Second, 0, 9, acme.StatusPending)}, waiting(5*time.Second, undecided)},
		{"not decided for long", []func(*State){beingValidated(119*time.Second, 0, 9, acme.StatusPending)}, waiting(time.Second, undecided)},
		{"lost by the server", []func(*State){beingValidated(2*time.Minute, 0, 9, acme.StatusPending)}, func(p *Plan) { p.Do, p.Status.Reason = accept, undecided }},
		{"asked again", []func(*State){noSlot, beingValidated(4*time.Minute, 0, 9, acme.StatusPending), accepts(2)}, waiting(10*time.Second, undecided)},
		{"lost again", []func(*State){beingValidated(5*time.Minute, 0, 9, acme.StatusPending), accepts(2)}, func(p *Plan) { p.Do, p.Status.Reason = accept, undecided }},
		{"lost a third time", []func(*State){beingValidated(15*time.Minute, 0, 9, acme.StatusPending), accepts(3)}, func(p *Plan) { p.Do, p.Status.Reason = accept, undecided }},
		{
			"lost for good",
			[]func(*State){beingValidated(15*time.Minute, 0, 9, acme.StatusPending), accepts(4)},
			end(acmev1.Expired, `The ACME server was asked 4 times to validate "example.com" and has not begun; the order is given up`),
		},
		{"the server works on it for long", []func(*State){noSlot, beingValidated(time.Hour, 0, 9, acme.StatusPending), func(c *State) {
			c.Memory.Authorization.Challenges = []acme.Challenge{{URL: c.Object.Spec.URL, Status: acme.StatusProcessing}}
		}}, waiting(10*time.Second, undecided)},

		{"a server asked to be left alone", []func(*State){noSlot, probed(true, 0, 1), func(c *State) {
			c.Memory.NotBefore, c.Object.Status.Reason = now.Add(hour), "Error accepting challenge: 429"
		}}, waiting(hour, "Error accepting challenge: 429")},
		{"a server asked to be left alone, until now", []func(*State){probed(true, 0, 1), func(c *State) { c.Memory.NotBefore = now }}, do(accept)},
		{"the server says when to ask", []func(*State){noSlot, beingValidated(time.Second, 0, 2, acme.StatusPending), polled(7 * time.Second)}, until(7 * time.Second)},
		{"the server has said when to ask", []func(*State){beingValidated(5*time.Second, 5*time.Second, 2, acme.StatusPending), polled(0)}, do(fetch)},
		{"sooner than makes sense", []func(*State){beingValidated(time.Second, 0, 2, acme.StatusPending), polled(time.Millisecond)}, until(time.Second)},
		{
			"the server asks for patience",
			[]func(*State){noSlot, beingValidated(5*time.Minute, 0, 9, acme.StatusPending), polled(hour)},
			waiting(hour, "Waiting for the ACME server to validate: it asks for patience until "+now.Add(hour).Format(time.RFC3339)),
		},
		{"valid, as the Order knows", []func(*State){beingValidated(time.Second, 0, 1, acme.StatusValid)}, until(untold)},
		{"valid, with others for the name", []func(*State){beingValidated(time.Second, 0, 1, acme.StatusValid), func(c *State) { c.Others = true }}, end(acmev1.Valid, "Successfully authorized domain")},
		{"valid, and it says what it waited for", []func(*State){beingValidated(time.Second, 0, 1, acme.StatusValid), func(c *State) { c.Object.Status.Reason = "old" }}, end(acmev1.Valid, "Successfully authorized domain")},
		{"valid, and the issuer is no longer ready", []func(*State){beingValidated(time.Minute, untold, 1, acme.StatusValid), noAccount}, end(acmev1.Valid, "Successfully authorized domain")},
		{"valid, and its Order has not ended", []func(*State){beingValidated(time.Minute, untold, 1, acme.StatusValid)}, end(acmev1.Valid, "Successfully authorized domain")},
		{"invalid", []func(*State){invalid}, end(acmev1.Invalid, refused, plan.Event{
			Warning: true, Reason: "Failed", Component: "cert-manager-challenges", Message: "Accepting challenge authorization failed: " + refused,
		})},
		{"deactivated", []func(*State){beingValidated(time.Second, 0, 1, acme.StatusDeactivated)}, end(acmev1.Expired, `The authorization for "example.com" is deactivated at the ACME server`)},
		{"expired", []func(*State){beingValidated(time.Second, 0, 1, acme.StatusExpired)}, end(acmev1.Expired, `The authorization for "example.com" is expired at the ACME server`)},
		{"revoked", []func(*State){beingValidated(time.Second, 0, 1, acme.StatusRevoked)}, end(acmev1.Expired, `The authorization for "example.com" is revoked at the ACME server`)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := presented()
			for _, f := range test.state {
				f(&c)
			}
			want := Plan{Status: *c.Object.Status.DeepCopy()}
			test.want(&want)
			got := c.Next(now)
			if want.Do != (ReleaseSlot{}) && !needsSlot(want.Do) && got.Do == (ReleaseSlot{}) {
				c.Slot = NoSlot
				got = c.Next(now)
			}
			samePlan(t, want, got)
		})
	}
}
