package challenge

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/plan"
	"github.com/everleaf/everleaf/internal/propagation"
)

// absence is the Evidence that no server has the record since a time, in the words
// of a message.
type absence struct {
	at, since time.Time
	message   string
}

func (a absence) Verdict(time.Time) propagation.Verdict {
	return propagation.Verdict{State: propagation.Wait, Until: a.at.Add(10 * time.Second), AbsentSince: a.since, Message: a.message}
}

// TestRecordThatStaysAbsent has an hour of a record that no server ever shows. It is
// written again less and less often, and the status is written only when there is
// something new to say.
func TestRecordThatStaysAbsent(t *testing.T) {
	for name, test := range map[string]struct {
		says    func(probe int) string
		rewrote []time.Duration
		writes  int
	}{
		"one answer": {
			func(int) string { return "no server has it" },
			[]time.Duration{time.Minute, 3 * time.Minute, 7 * time.Minute, 15 * time.Minute, 31 * time.Minute},
			2,
		},
		// One write a minute, and some in the first minute.
		"answers that vary": {
			func(probe int) string { return fmt.Sprintf("the server answers %d", probe%2) },
			[]time.Duration{time.Minute, 3 * time.Minute, 7 * time.Minute, 15 * time.Minute, 31 * time.Minute},
			66,
		},
	} {
		t.Run(name, func(t *testing.T) {
			began := now
			s := presented()
			s.Object.Status.PresentedAt = at(began)
			s.Memory.PresentedAt = began
			var rewrote []time.Duration
			writes, probes := 0, 0
			store := func(status acmev1.ChallengeStatus) {
				if !equality.Semantic.DeepEqual(s.Object.Status, status) {
					s.Object.Status = status
					writes++
				}
			}
			for now := began; now.Before(began.Add(hour)); {
				p := s.Next(now)
				if p.Persist == plan.Before || p.Do == nil {
					store(p.Status)
				}
				switch a := p.Do.(type) {
				case nil:
					now = p.Until
				case TakeSlot:
					s.Slot = Held
				case ReleaseSlot:
					s.Slot = NoSlot
				case Present:
					rewrote = append(rewrote, now.Sub(began))
					s.Memory.Rewrites++
					s.Memory.PresentedAt, s.Memory.Evidence = now, nil
				case Probe:
					probes++
					s.Memory.Saw(absence{now, began, test.says(probes)}, began, now)
				default:
					t.Fatalf("%T", a)
				}
			}
			samePlan(t, test.rewrote, rewrote)
			if writes > test.writes {
				t.Errorf("the status is written %d times, want at most %d", writes, test.writes)
			}
		})
	}
}

// TestRewriteAtMostHourly holds that the wait stops growing.
func TestRewriteAtMostHourly(t *testing.T) {
	for rewrites, want := range map[int]time.Duration{0: time.Minute, 1: 2 * time.Minute, 5: 32 * time.Minute, 6: hour, 1000: hour} {
		s := presented()
		s.Memory.Rewrites = rewrites
		if got := s.rewriteAt(now).Sub(now); got != want {
			t.Errorf("after %d: %s, want %s", rewrites, got, want)
		}
	}
}

// TestReportIsSteady has probes that find something else each time.
func TestReportIsSteady(t *testing.T) {
	message := func(after time.Duration) string { return "found at " + after.String() }
	for name, test := range map[string]struct {
		probes []time.Duration
		want   time.Duration
	}{
		"first":                      {[]time.Duration{time.Second}, time.Second},
		"soon after it was written":  {[]time.Duration{time.Second, 3 * time.Second}, 3 * time.Second},
		"later, a moment afterwards": {[]time.Duration{20 * time.Second, 30 * time.Second}, 20 * time.Second},
		"later, as long afterwards":  {[]time.Duration{20 * time.Second, 40 * time.Second}, 40 * time.Second},
		"long after, half a minute":  {[]time.Duration{hour, hour + 30*time.Second}, hour},
		"long after, one minute":     {[]time.Duration{hour, hour + time.Minute}, hour + time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			s := presented()
			for _, after := range test.probes {
				s.Memory.Saw(absence{now.Add(after), now.Add(after), message(after)}, now, now.Add(after))
			}
			s.Slot = NoSlot
			if got, want := s.Next(now.Add(test.probes[len(test.probes)-1])).Status.Reason, "Waiting for DNS-01 challenge propagation: "+message(test.want); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}

// TestVisibleIsReportedAtOnce holds that what a probe has found before does not hide
// that the record is there.
func TestVisibleIsReportedAtOnce(t *testing.T) {
	lookup := func(e *propagation.LedgerEntry) {
		e.Lookups = []propagation.Lookup{{Started: now.Add(-3 * time.Second), Ended: now.Add(-2 * time.Second), Failed: true}}
	}
	s := presented()
	s.Slot = NoSlot
	s.Memory.Saw(absence{now, now, "no server has it"}, time.Time{}, now)
	o := observation(true, 0, 9, lookup)
	s.Memory.Saw(o, time.Time{}, now)
	if got, want := s.Next(now).Status.Reason, "Waiting for DNS-01 challenge propagation: "+o.Verdict(now).Message; got != want || o.Verdict(now).Message == "" {
		t.Errorf("%q, want %q", got, want)
	}
}
