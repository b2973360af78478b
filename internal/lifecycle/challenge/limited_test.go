package challenge

import (
	"testing"
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/plan"
	"github.com/everleaf/everleaf/internal/propagation"
)

// TestProviderLimitsCalls holds that nothing asks a DNS provider that limits calls, not
// even for a Challenge that is deleted, and that the rest goes on.
func TestProviderLimitsCalls(t *testing.T) {
	limited := func(d time.Duration) func(*State) {
		return func(s *State) { s.ProviderNotBefore = now.Add(d) }
	}
	deleted := func(ago time.Duration) func(*State) {
		return func(s *State) { noSlot(s); s.Object.DeletionTimestamp = at(now.Add(-ago)) }
	}
	do := func(a plan.Action) func(*Plan) { return func(p *Plan) { p.Do = a } }
	unpresented := func(s *State) {
		s.Object.Status, s.Memory = acmev1.ChallengeStatus{State: acmev1.Pending}, Memory{}
	}
	polls := func(s *State) { s.ProbePolls = true }
	toPresent := "Waiting to present the record: the DNS provider limits calls until " + now.Add(hour).Format(time.RFC3339)
	toCheck := "Waiting to check the record: the DNS provider limits calls until " + now.Add(hour).Format(time.RFC3339)
	toRemove := func(d time.Duration) string {
		return "Waiting to remove the record: the DNS provider limits calls until " + now.Add(d).Format(time.RFC3339)
	}
	// told has waited for a reason for so long that the status says it.
	told := func(reason string) func(*State) {
		return func(s *State) { noSlot(s); s.Memory.Waiting, s.Memory.WaitingSince = reason, now.Add(-limitPatience) }
	}
	waits := func(d time.Duration, reason string) func(*Plan) {
		return func(p *Plan) { p.Until, p.Status.Reason = now.Add(d), reason }
	}
	missing := probed(false, 0, 9, func(e *propagation.LedgerEntry) { e.AbsentSince = now.Add(-rewriteAfter) })
	for _, test := range []struct {
		name  string
		state []func(*State)
		want  func(*Plan)
	}{
		{"to present", []func(*State){unpresented, limited(hour)}, do(NoteWait{Reason: toPresent})},
		{"to present, with a slot", []func(*State){unpresented, limited(hour), told(toPresent), func(s *State) { s.Slot = Held }}, do(ReleaseSlot{})},
		{"to present, for a moment", []func(*State){unpresented, noSlot, limited(hour), func(s *State) {
			s.Memory.Waiting, s.Memory.WaitingSince = toPresent, now
		}}, func(p *Plan) { p.Until = now.Add(limitPatience) }},
		{"to present, for long", []func(*State){unpresented, limited(hour), told(toPresent)}, waits(hour, toPresent)},
		{"to present, until now", []func(*State){unpresented, limited(0)}, do(Present{})},
		{"to present, which has failed itself", []func(*State){unpresented, noSlot, limited(hour), func(s *State) {
			s.Memory.NotBefore, s.Object.Status.Reason = now.Add(hour), "Error presenting challenge: HTTP 429"
		}}, func(p *Plan) { p.Until = now.Add(hour) }},

		{"to probe name servers", []func(*State){limited(hour)}, do(Probe{})},
		{"to probe, and ask the provider", []func(*State){polls, limited(hour), told(toCheck)}, waits(hour, toCheck)},
		{"to probe, and ask the provider, until now", []func(*State){polls, limited(0)}, do(Probe{})},
		{"to write again", []func(*State){missing, limited(hour)}, do(ReleaseSlot{})},
		{"to have it validated", []func(*State){probed(true, 0, 1), limited(hour)}, do(Accept{URL: presented().Object.Spec.URL})},

		{"deleted, the limit ends in time", []func(*State){deleted(0), limited(time.Minute), told(toRemove(time.Minute))}, waits(time.Minute, toRemove(time.Minute))},
		{"deleted, the limit has ended", []func(*State){deleted(0), limited(0)}, func(p *Plan) { p.Do, p.Until = CleanUp{}, now.Add(abandonCleanUp) }},
		{"deleted, given up before the limit ends", []func(*State){deleted(time.Minute), limited(hour), told(toRemove(hour))}, waits(abandonCleanUp-time.Minute, toRemove(hour))},
		{"deleted, given up", []func(*State){deleted(abandonCleanUp), limited(hour)}, do(RemoveFinalizer{Abandoned: true})},
		{"deleted, given up, presenting failed", []func(*State){deleted(abandonAttempt), limited(hour), func(s *State) {
			s.Object.Status.Presented, s.Memory.CleanUps = false, 1
		}}, do(RemoveFinalizer{Untried: true})},
		{"deleted, nothing to remove", []func(*State){deleted(0), limited(hour), func(s *State) { s.Memory.CleanedUp = true }}, do(RemoveFinalizer{})},
		{"valid, keeps its reason", []func(*State){noSlot, limited(hour), func(s *State) {
			s.Object.Status.State, s.Object.Status.Reason = acmev1.Valid, "Successfully authorized domain"
		}}, waits(hour, "Successfully authorized domain")},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := presented()
			for _, f := range test.state {
				f(&s)
			}
			want := Plan{Status: *s.Object.Status.DeepCopy()}
			test.want(&want)
			samePlan(t, want, s.Next(now))
		})
	}
}
