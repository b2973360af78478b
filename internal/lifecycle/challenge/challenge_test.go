package challenge

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/plan"
	"github.com/everleaf/everleaf/internal/propagation"
)

// presented is a Challenge whose record this process has presented a minute ago.
func presented() State {
	c, account := called()
	c.Finalizers = []string{acmev1.ACMEFinalizer}
	c.Status.Presented, c.Status.Processing, c.Status.PresentedAt = true, true, at(now.Add(-time.Minute))
	return State{
		Object: c, CA: account.Issuer.Server, Account: account, OwnSolver: true, Slot: Held, Slots: 60,
		Memory: Memory{Presented: true}, CheckRetry: 10 * time.Second,
	}
}

// observation is a probe's evidence: the answers of the zone's one server, a
// time ago.
func observation(has bool, ago time.Duration, probes int, change ...func(*propagation.LedgerEntry)) propagation.Observation {
	seen := now.Add(-ago)
	o := propagation.Observation{
		Report: propagation.Report{Name: "_acme-challenge.example.com.", Final: "_acme-challenge.example.com.", Answers: []propagation.Answer{{
			Server: "ns1.example.com.", Role: propagation.RoleBoth, Authoritative: true, Rcode: "NOERROR", Has: has,
		}}},
		Entry:  propagation.LedgerEntry{FirstProbe: seen, Probes: probes},
		Policy: propagation.Policy{Retry: 10 * time.Second, TTL: 10 * time.Second},
		At:     seen,
	}
	if has {
		o.Entry.VisibleSince = seen
	}
	for _, f := range change {
		f(&o.Entry)
	}
	return o
}

// probed puts a probe's evidence into the memory.
func probed(has bool, ago time.Duration, probes int, change ...func(*propagation.LedgerEntry)) func(*State) {
	return func(c *State) { c.Memory.Evidence = observation(has, ago, probes, change...) }
}

// seenValid is the memory of an authorization that became valid a time ago.
func seenValid(ago time.Duration) func(*State) {
	return func(c *State) {
		c.Memory.Authorization, c.Memory.CheckedAt = &acme.Authorization{Status: acme.StatusValid}, now.Add(-ago)
	}
}

func noSlot(c *State) { c.Slot = NoSlot }

// beingValidated is a memory of a server that was asked to validate, and of
// what it said about it, both a time ago.
func beingValidated(accepted, checked time.Duration, checks int, status string) func(*State) {
	return func(c *State) {
		c.Memory.AcceptedAt = now.Add(-accepted)
		if status != "" {
			c.Memory.Authorization = &acme.Authorization{Status: status}
			c.Memory.CheckedAt, c.Memory.Checks = now.Add(-checked), checks
		}
	}
}

// polled is a server that says when it is to be asked for the authorization again.
func polled(in time.Duration) func(*State) {
	return func(c *State) { c.Memory.Authorization.RetryAfter = now.Add(in) }
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
	verified := plan.Event{Reason: "DomainVerified", Component: "cert-manager-challenges", Message: `Domain "example.com" verified with "DNS-01" validation`}
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
			p.Events = []plan.Event{{Reason: "Presented", Component: "cert-manager-challenges", Message: "Presented challenge using DNS-01 challenge mechanism"}}
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
		}}, end(acmev1.Valid, "Successfully authorized domain", verified)},

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
		{"waits instead, since unknown", []func(*State){instead(time.Minute), func(c *State) { c.Object.Status.PresentedAt = nil }}, do(Probe{})},

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
		{"valid", []func(*State){beingValidated(time.Second, 0, 1, acme.StatusValid)}, end(acmev1.Valid, "Successfully authorized domain", verified)},
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

// TestSlotEndsWithAccepting holds that a Challenge has its slot from presenting to
// accepting, and needs none to follow the validation.
func TestSlotEndsWithAccepting(t *testing.T) {
	for name, test := range map[string]struct {
		change        func(*State)
		with, without plan.Action
	}{
		"before":               {probed(true, 0, 1), Accept{}, TakeSlot{}},
		"asked":                {beingValidated(time.Second, 0, 0, ""), ReleaseSlot{}, FetchAuthorization{}},
		"pending for long":     {beingValidated(2*time.Minute, 0, 9, acme.StatusPending), Accept{}, TakeSlot{}},
		"being validated":      {beingValidated(time.Second, time.Second, 9, acme.StatusPending), ReleaseSlot{}, nil},
		"by another process":   {func(c *State) { c.Memory = Memory{} }, ReleaseSlot{}, FetchAuthorization{}},
		"the server has ended": {beingValidated(time.Second, 0, 1, acme.StatusValid), ReleaseSlot{}, nil},
	} {
		c := presented()
		test.change(&c)
		for slot, want := range map[Slot]plan.Action{Held: test.with, NoSlot: test.without} {
			c.Slot = slot
			if got := c.Next(now).Do; fmt.Sprintf("%T", got) != fmt.Sprintf("%T", want) {
				t.Errorf("%s, with slot %q: %T, want %T", name, slot, got, want)
			}
		}
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
	// crashed is what is known if an earlier process has written the record and
	// ended before the status said so, untouched if this one has not begun to.
	crashed := func(c *State) { c.Object.Status, c.Memory = acmev1.ChallengeStatus{}, Memory{} }
	untouched := func(c *State) { c.Object.Status, c.Memory = acmev1.ChallengeStatus{}, Memory{Began: true} }
	unknown := func(c *State) { c.Object.Status.Presented, c.Memory.Unknown = false, true }
	remembered := func(c *State) { c.Memory.Remembered = true }
	shared := func(c *State) { c.Shared = true }
	release := func(p *Plan) { p.Do = RemoveFinalizer{} }
	abandon := func(p *Plan) { p.Do = RemoveFinalizer{Abandoned: true} }
	untried := func(p *Plan) { p.Do = RemoveFinalizer{Untried: true} }
	cleanUp := func(p *Plan) { p.Do = CleanUp{} }
	cleanUpBy := func(left time.Duration) func(*Plan) {
		return func(p *Plan) { p.Do, p.Until = CleanUp{}, now.Add(left) }
	}
	unpresent := func(p *Plan) {
		p.Do, p.Persist, p.Status.Presented, p.Status.Processing = RemoveFinalizer{}, plan.Before, false, false
	}
	none := func(*Plan) {}
	until := func(d time.Duration) func(*Plan) { return func(p *Plan) { p.Until = now.Add(d) } }
	tests := []struct {
		name  string
		state []func(*State)
		want  func(*Plan)
	}{
		{"valid: its Order may end soon", []func(*State){state(acmev1.Valid), seenValid(10 * time.Second)}, until(20 * time.Second)},
		{"valid: its Order takes long", []func(*State){state(acmev1.Valid), seenValid(30 * time.Second)}, cleanUp},
		{"valid, restarted", []func(*State){state(acmev1.Valid), restarted, remembered}, cleanUp},
		{"invalid", []func(*State){state(acmev1.Invalid), func(c *State) {
			c.Memory.Authorization, c.Memory.CheckedAt = &acme.Authorization{Status: acme.StatusInvalid}, now
		}}, cleanUp},
		{"cleaned up", []func(*State){state(acmev1.Valid), cleaned}, unpresent},
		{"another Challenge needs the value", []func(*State){state(acmev1.Valid), shared}, unpresent},
		{"has a slot", []func(*State){state(acmev1.Valid), func(c *State) { c.Slot = Held }}, func(p *Plan) { p.Do = ReleaseSlot{} }},
		{"is queued", []func(*State){state(acmev1.Valid), func(c *State) { c.Slot = Queued }}, func(p *Plan) { p.Do = ReleaseSlot{} }},
		{"valid, nothing remembered", []func(*State){state(acmev1.Valid), restarted}, func(p *Plan) {
			p.Do = RememberValidation{PresentedAt: now.Add(-time.Minute), EndedAt: now}
		}},
		{"invalid, nothing remembered", []func(*State){state(acmev1.Invalid), restarted}, func(p *Plan) {
			p.Do = RememberValidation{PresentedAt: now.Add(-time.Minute), EndedAt: now, Failed: true}
		}},
		{"invalid, nothing remembered, never presented", []func(*State){untouched, state(acmev1.Invalid)}, release},
		{"invalid, nothing remembered, issuer gone", []func(*State){state(acmev1.Invalid), restarted, foreign, func(c *State) { c.CA = "" }}, abandon},
		{"invalid, nothing remembered, forged", []func(*State){state(acmev1.Invalid), restarted, func(c *State) { c.Untrusted = "no" }}, cleanUp},
		{"deleted, nothing remembered", []func(*State){deleted(0), state(acmev1.Invalid), restarted}, func(p *Plan) {
			p.Do = RememberValidation{PresentedAt: now.Add(-time.Minute), EndedAt: now, Failed: true}
		}},
		{"cleaned up, restarted", []func(*State){state(acmev1.Valid), restarted, remembered, unconfirmed}, release},
		{"released", []func(*State){state(acmev1.Valid), func(c *State) { c.Object.Finalizers = nil }}, none},
		{"errored before anything was done", []func(*State){untouched, state(acmev1.Errored)}, release},
		{"ended, of a solver that is not the issuer's", []func(*State){state(acmev1.Valid), restarted, remembered, foreign}, abandon},

		{"deleted", []func(*State){deleted(0)}, cleanUpBy(abandonCleanUp)},
		{"deleted, valid a moment ago", []func(*State){deleted(0), state(acmev1.Valid), seenValid(0)}, cleanUpBy(abandonCleanUp)},
		{"deleted, restarted, issuer not ready", []func(*State){deleted(0), restarted, func(c *State) { c.Account = nil }}, cleanUpBy(abandonCleanUp)},
		{"deleted, its Order gone", []func(*State){deleted(0), restarted, func(c *State) { c.Untrusted, c.Orphan = "no", true }}, cleanUpBy(abandonCleanUp)},
		{"deleted, of a solver that is not the issuer's", []func(*State){deleted(0), restarted, foreign}, abandon},
		{"deleted, issuer changed since we presented it", []func(*State){deleted(0), foreign}, cleanUpBy(abandonCleanUp)},
		{"deleted, never touched", []func(*State){deleted(0), untouched}, release},
		{"deleted, may have been presented by another process", []func(*State){deleted(0), crashed}, cleanUpBy(abandonAttempt)},
		{"deleted, may have been presented by another process, clean-up failed", []func(*State){deleted(0), crashed, func(c *State) { c.Memory.CleanUps = 1 }}, release},
		{"deleted, may have been presented by another process with another solver", []func(*State){deleted(0), crashed, foreign}, release},
		{"errored, may have been presented by another process", []func(*State){crashed, state(acmev1.Errored)}, cleanUp},
		{"deleted, while a server asked to be left alone", []func(*State){deleted(0), func(c *State) { c.Memory.NotBefore = now.Add(hour) }}, cleanUpBy(abandonCleanUp)},
		{"deleted half a minute ago, presenting got no answer", []func(*State){deleted(30 * time.Second), unknown}, cleanUpBy(abandonCleanUp - 30*time.Second)},
		{"deleted ten minutes ago, presenting got no answer", []func(*State){deleted(10 * time.Minute), unknown}, abandon},
		{"invalid for long, nothing remembered", []func(*State){state(acmev1.Invalid), restarted, func(c *State) {
			c.Object.Status.PresentedAt, c.OrderEnded = at(now.Add(-48*time.Hour)), now.Add(-47*time.Hour)
		}}, func(p *Plan) {
			p.Do = RememberValidation{PresentedAt: now.Add(-48 * time.Hour), EndedAt: now.Add(-47 * time.Hour), Failed: true}
		}},
		{"errored, nothing remembered", []func(*State){state(acmev1.Errored), restarted, func(c *State) { c.Object.Status.PresentedAt = at(now.Add(-hour)) }}, func(p *Plan) {
			p.Do = RememberValidation{PresentedAt: now.Add(-hour), EndedAt: now.Add(5*time.Minute - hour)}
		}},
		{"deleted, never touched, of another solver", []func(*State){deleted(0), untouched, foreign}, release},
		{"deleted, no finalizer of ours", []func(*State){deleted(0), func(c *State) { c.Object.Finalizers = []string{"x"} }}, none},
		{"deleted, cleaned up", []func(*State){deleted(0), cleaned}, release},
		{"deleted ten minutes ago", []func(*State){deleted(10 * time.Minute)}, abandon},
		{"deleted, presenting failed", []func(*State){deleted(0), unconfirmed}, cleanUpBy(abandonAttempt)},
		{"deleted half a minute ago, presenting failed, as the clean-up", []func(*State){deleted(30 * time.Second), unconfirmed, func(c *State) { c.Memory.CleanUps = 1 }}, release},
		{"deleted half a minute ago, presenting failed, and no clean-up was tried", []func(*State){deleted(30 * time.Second), unconfirmed}, untried},
		{"deleted half a minute ago, may have been presented by another process", []func(*State){deleted(30 * time.Second), crashed}, untried},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := presented()
			noSlot(&c)
			for _, f := range test.state {
				f(&c)
			}
			want := Plan{Status: *c.Object.Status.DeepCopy()}
			test.want(&want)
			samePlan(t, want, c.Next(now))
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

// TestAlreadyAccepted holds that a server that validates already was not
// refused anything.
func TestAlreadyAccepted(t *testing.T) {
	for _, test := range []struct {
		status int
		kind   string
		want   bool
	}{
		{409, acme.TypeConflict, true},
		{400, acme.TypeConflict, true},
		{409, acme.TypeMalformed, true},
		{400, acme.TypeMalformed, false},
		{500, acme.TypeServerInternal, false},
	} {
		err := &acme.Problem{Type: acme.ErrorNamespace + test.kind, Status: test.status}
		if got := AlreadyAccepted(acme.Classify(err, now)); got != test.want {
			t.Errorf("%d %s: %t", test.status, test.kind, got)
		}
	}
	if AlreadyAccepted(nil) {
		t.Error("no error is none")
	}
}

func TestMissed(t *testing.T) {
	for kind, want := range map[string]bool{acme.TypeUnauthorized: true, acme.TypeDNS: true, acme.TypeIncorrectResponse: true, acme.TypeCAA: false, "": false} {
		a := &acme.Authorization{Challenges: []acme.Challenge{{URL: "c"}}}
		if kind != "" {
			a.Challenges[0].Error = &acme.Problem{Type: acme.ErrorNamespace + kind, Detail: "found other values"}
		}
		if got := Missed(a, "c"); (got != "") != want || want && !strings.Contains(got, "found other values") {
			t.Errorf("%q: %q", kind, got)
		}
	}
}
