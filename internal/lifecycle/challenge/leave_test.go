package challenge

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/plan"
)

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

// A Challenge that has ended keeps why while it waits for another one that has
// written its value: the Order takes the reason from there.
func TestSharedElsewhereKeepsTheReason(t *testing.T) {
	c, account := called()
	c.Finalizers = []string{acmev1.ACMEFinalizer}
	at := metav1.NewTime(now.Add(-time.Minute))
	c.Status = acmev1.ChallengeStatus{State: acmev1.Invalid, Reason: "the CA says why", Presented: true, PresentedAt: &at}
	s := State{Object: c, Account: account, CA: "ca", OwnSolver: true, SharedElsewhere: true, Memory: Memory{Presented: true}}
	if got, want := s.Next(now), (Plan{Status: c.Status, Until: now.Add(sharedRecheck)}); !cmp.Equal(got, want) {
		t.Errorf("plan (-want +got):\n%s", cmp.Diff(want, got))
	}
}

// A record is not left behind without a try to remove it.
func TestSharedElsewhereIsCleanedUp(t *testing.T) {
	c, account := called()
	c.Finalizers = []string{acmev1.ACMEFinalizer}
	at := metav1.NewTime(now)
	c.DeletionTimestamp = &at
	c.Status = acmev1.ChallengeStatus{State: acmev1.Pending, Presented: true, PresentedAt: &at}
	s := State{Object: c, Account: account, CA: "ca", OwnSolver: true, SharedElsewhere: true, Memory: Memory{Presented: true}}
	for at := now; ; {
		p := s.Next(at)
		switch a := p.Do.(type) {
		case CleanUp:
			if want := now.Add(abandonCleanUp - lastCleanUp); !at.Equal(want) {
				t.Errorf("cleaned up at %s, want %s", at, want)
			}
			return
		case NoteWait:
			s.Memory.Waiting, s.Memory.WaitingSince = a.Reason, at
		case RemoveFinalizer:
			t.Fatalf("at %s the record is abandoned without a try", at)
		default:
			s.Object.Status = p.Status
			at = p.Until
		}
	}
}
