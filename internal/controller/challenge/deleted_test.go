package challenge

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/fault"
	core "github.com/everleaf/everleaf/internal/lifecycle/challenge"
	"github.com/everleaf/everleaf/internal/plan"
)

// TestDeletedWithinLimit deletes a Challenge whose DNS provider limits calls. Nothing asks
// the provider before the limit ends. The Challenge waits for that no longer than for any
// other clean-up; then it is let go, the record is reported as left behind, and it is
// removed when the limit has ended.
func TestDeletedWithinLimit(t *testing.T) {
	const minute, hour = time.Minute, time.Hour
	// here is a Challenge that this process has presented, earlier one that an earlier
	// process has.
	here := func(t *testing.T, s *stage) { s.do(t, s.load(t, "a"), core.Present{}) }
	earlier := func(*testing.T, *stage) {}
	for name, test := range map[string]struct {
		presented func(*testing.T, *stage)
		// status is that of the Challenge, except the time.
		status acmev1.ChallengeStatus
		// limit is how long the provider limits calls.
		limit time.Duration
		// kept is how long the Challenge is kept, swept how long after its deletion
		// nothing is left to do, waits what its status says meanwhile.
		kept, swept time.Duration
		waits       string
		// says is the message of the Warnings after the name and the Challenge, empty
		// without one; cleanUps is how often the record was removed.
		says     string
		cleanUps int
	}{
		"ends in time": {
			here,
			acmev1.ChallengeStatus{State: acmev1.Pending, Presented: true},
			5 * minute, 5 * minute, 5 * minute,
			"Waiting to remove the record: the DNS provider limits calls until 2000-01-01T00:05:00Z", "", 1,
		},
		"ends later": {
			here,
			acmev1.ChallengeStatus{State: acmev1.Pending, Presented: true},
			3 * hour, 10 * minute, 3 * hour,
			"Waiting to remove the record: the DNS provider limits calls until 2000-01-01T03:00:00Z",
			"the DNS provider limits calls until 2000-01-01T03:00:00Z; everleaf tries again for 24h", 1,
		},
		"ends later, valid": {
			here,
			acmev1.ChallengeStatus{State: acmev1.Valid, Presented: true, Reason: "Successfully authorized domain"},
			3 * hour, 10 * minute, 3 * hour,
			"Successfully authorized domain", "the DNS provider limits calls until 2000-01-01T03:00:00Z; everleaf tries again for 24h", 1,
		},
		"ends later, presented by an earlier process": {
			earlier,
			acmev1.ChallengeStatus{State: acmev1.Valid, Presented: true, Reason: "Successfully authorized domain"},
			3 * hour, 10 * minute, 3 * hour,
			"Successfully authorized domain", "the DNS provider limits calls until 2000-01-01T03:00:00Z; everleaf tries again for 24h", 1,
		},
		"ends too late": {
			here,
			acmev1.ChallengeStatus{State: acmev1.Pending, Presented: true},
			48 * hour, 10 * minute, 24*hour + 10*minute,
			"Waiting to remove the record: the DNS provider limits calls until 2000-01-03T00:00:00Z",
			"the DNS provider limits calls until 2000-01-03T00:00:00Z; everleaf tries again for 24h", 0,
		},
		"the server has refused to write": {
			here,
			acmev1.ChallengeStatus{State: acmev1.Pending},
			3 * hour, 30 * time.Second, 3 * hour,
			"Waiting to remove the record: the DNS provider limits calls until 2000-01-01T03:00:00Z", "", 1,
		},
		"may have been presented by an earlier process": {
			earlier,
			acmev1.ChallengeStatus{},
			3 * hour, 30 * time.Second, 3 * hour,
			"Waiting to remove the record: the DNS provider limits calls until 2000-01-01T03:00:00Z", "", 1,
		},
	} {
		inBubble(t, name, func(t *testing.T) {
			began := time.Now()
			s := newStage(t, acmeIssuer("one"), challengeOf("other", "one", "o", with("shared")), challengeOf("a", "one", "o", with("shared"), func(c *acmev1.Challenge) {
				if c.Status = test.status; c.Status.Presented {
					c.Status.PresentedAt = &metav1.Time{Time: began}
				}
			}))
			s.clock.SetTime(began)
			s.withTokens(t, "one", "shared")
			abandoned := 0
			s.Abandoned = func() { abandoned++ }
			test.presented(t, s)
			limit := began.Add(test.limit)
			s.solver.fail = []error{fault.Until(limit, reasonRateLimited, "HTTP 429")}
			if err := s.load(t, "other").Do(t.Context(), core.Present{}); err == nil {
				t.Fatal("the provider does not limit calls")
			}
			s.solver.log = nil
			if err := s.api.Delete(t.Context(), s.stored(t, "a")); err != nil {
				t.Fatal(err)
			}

			waits := ""
			for s.reconcileOnce(t, "a"); s.exists(t, "a"); s.reconcileOnce(t, "a") {
				waits = s.stored(t, "a").Status.Reason
				s.clock.Step(10 * time.Second)
			}
			if kept := s.clock.Now().Sub(began); kept != test.kept || waits != test.waits {
				t.Errorf("kept for %s, want %s; meanwhile it says %q, want %q", kept, test.kept, waits, test.waits)
			}
			var events []plan.Event
			if test.says != "" {
				event := plan.Event{Warning: true, Reason: EventRecordAbandoned, Component: core.Manager, Message: `The record at here with the value "key-a", of the deleted Challenge ns/a, ` +
					"could not be removed and is left behind: " + test.says}
				events = []plan.Event{event, event}
			}
			if diff := cmp.Diff(events, s.api.events); diff != "" || abandoned != len(events)/2 {
				t.Errorf("counted %d times; events of the Challenge and the issuer (-want +got):\n%s", abandoned, diff)
			}
			// The object is gone.
			s.reconcileOnce(t, "a")
			if left := s.LeftBehind(); (left == 1) != (test.swept > test.kept) {
				t.Errorf("%d records are left behind", left)
			}

			s.passes(t)
			if swept := s.clock.Now().Sub(began); swept < test.swept || swept > test.swept+minute+saveDelay || s.LeftBehind() != 0 {
				t.Errorf("swept after %s, want %s; %d are left", swept, test.swept, s.LeftBehind())
			}
			cleanUps := 0
			for _, line := range s.solver.log {
				if line == "clean up" {
					cleanUps++
				}
			}
			if cleanUps != test.cleanUps {
				t.Errorf("removed %d times, want %d: %v", cleanUps, test.cleanUps, s.solver.log)
			}
			if len(s.left.data) > 0 {
				t.Errorf("still stored: %s", s.left.data)
			}
		})
	}
}

// TestDeletedWhileNobodyRan holds that a record is removed although the time for it has
// passed before a controller saw that the Challenge was deleted, and that the reason why
// the Challenge has ended does not pass for why the record is left behind.
func TestDeletedWhileNobodyRan(t *testing.T) {
	inBubble(t, "deleted", func(t *testing.T) {
		deleted := metav1.NewTime(start.Add(-time.Hour))
		s := newStage(t, acmeIssuer("one"), challengeOf("a", "one", "o", func(c *acmev1.Challenge) {
			c.DeletionTimestamp = &deleted
			c.Status = acmev1.ChallengeStatus{State: acmev1.Valid, Presented: true, PresentedAt: &deleted, Reason: "Successfully authorized domain"}
		}))
		if s.reconcileOnce(t, "a"); s.exists(t, "a") {
			t.Error("it is still there")
		}
		event := plan.Event{
			Warning: true, Reason: EventRecordAbandoned, Component: core.Manager,
			Message: `The record at here with the value "key-a", of the deleted Challenge ns/a, could not be removed and is left behind; everleaf tries again for 24h`,
		}
		if diff := cmp.Diff([]plan.Event{event, event}, s.api.events); diff != "" {
			t.Errorf("events of the Challenge and the issuer (-want +got):\n%s", diff)
		}
		s.passes(t)
		if diff := cmp.Diff([]string{"begin a.example", "clean up"}, s.solver.log); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func (s *stage) exists(t *testing.T, name string) bool {
	t.Helper()
	err := s.api.Get(t.Context(), key(name), &acmev1.Challenge{})
	if client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	}
	return err == nil
}
