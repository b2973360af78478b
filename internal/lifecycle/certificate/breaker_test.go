package certificate

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/plan"
)

func ninetyDays(now time.Time) func(*cmv1.CertificateRequest) {
	return signed(now.Truncate(time.Second), now.Truncate(time.Second).Add(90*day))
}

const haltedMessage = `The certificate was issued 3 times within 1h although nobody asked for it, and would be again: Issuing certificate as Secret does not exist. everleaf issues it again when its spec changes, or when somebody sets the condition Issuing to True; find what deletes or changes Secret "app/web-tls" before`

// halt has a Certificate whose Secret somebody deletes every minute, and what becomes of
// it: the number of issuances. The process ends after each.
func (w *player) halt(deletions int) int {
	w.t.Helper()
	before := len(w.made)
	for range deletions {
		w.run(w.now.Add(time.Minute))
		w.Secret, w.Memory, w.Remembered = nil, Memory{}, facts.Row{}
	}
	w.run(w.now.Add(time.Minute))
	return len(w.made) - before
}

func (w *player) issuing() *cmv1.CertificateCondition {
	return condition.Find(w.Object.Status.Conditions, cmv1.CertificateConditionIssuing)
}

// TestBreaker has a Secret that somebody deletes over and over: the third issuance
// within an hour that nobody has asked for is the last one, until the spec changes or
// somebody asks.
func TestBreaker(t *testing.T) {
	begin := func(t *testing.T) *player {
		w := &player{State: State{Object: newCertificate()}, t: t, now: now, answer: ninetyDays}
		if n := w.halt(7); n != 3 {
			t.Fatalf("issued %d times", n)
		}
		since := now.Add(3 * time.Minute)
		want := issuingIs(cmmeta.ConditionFalse, ReasonHalted, haltedMessage, since)
		samePlan(t, &want, w.issuing())
		return w
	}
	t.Run("outlasts the hour", func(t *testing.T) {
		w := begin(t)
		for _, later := range []time.Duration{30 * time.Minute, 31 * time.Minute, 30 * day} {
			// The issuances of an hour are remembered by the process only.
			w.now, w.Memory, w.Remembered = w.now.Add(later), Memory{}, facts.Row{}
			status := w.Object.Status
			samePlan(t, Plan{Status: status}, w.Next(w.now))
			w.run(w.now.Add(time.Minute))
			if len(w.made) != 3 || w.issuing().Reason != ReasonHalted {
				t.Errorf("%s later: issued %d times: %+v", later, len(w.made), w.issuing())
			}
		}
	})
	t.Run("says it once", func(t *testing.T) {
		w := begin(t)
		last := w.Object.Status
		last.Conditions = condition.Remove(last.Conditions, cmv1.CertificateConditionIssuing)
		w.Object.Status = last
		event := plan.Event{Warning: true, Reason: "TooManyIssuances", Message: haltedMessage, Component: "cert-manager-certificates-trigger"}
		p := w.Next(w.now)
		samePlan(t, []plan.Event{event}, p.Events)
		w.store(p.Status)
		samePlan(t, Plan{Status: p.Status}, w.Next(w.now))
	})
	t.Run("spec changed", func(t *testing.T) {
		w := begin(t)
		w.Object.Generation = 2
		if n := w.halt(7); n != 3 {
			t.Errorf("issued %d times", n)
		}
	})
	t.Run("asked for", func(t *testing.T) {
		w := begin(t)
		w.Object.Status.Conditions = condition.Set(w.Object.Status.Conditions, issuingIs(cmmeta.ConditionTrue, "ManuallyTriggered", "by hand", w.now))
		if n := w.halt(7); n != 4 {
			t.Errorf("issued %d times: once as asked for, and 3 times since", n)
		}
	})
	t.Run("asked for over and over", func(t *testing.T) {
		w := &player{State: State{Object: newCertificate()}, t: t, now: now, answer: ninetyDays}
		for range 9 {
			w.run(w.now.Add(time.Minute))
			w.Object.Status.Conditions = condition.Set(w.Object.Status.Conditions, issuingIs(cmmeta.ConditionTrue, "Manual", "x", w.now))
		}
		w.run(w.now.Add(time.Minute))
		if len(w.made) != 10 || w.issuing() != nil {
			t.Errorf("issued %d times: %+v", len(w.made), w.issuing())
		}
	})
	t.Run("the Secret comes back", func(t *testing.T) {
		w := begin(t)
		w.Secret = secretFor(w.State, w.signed, key(2))
		w.run(w.now.Add(time.Minute))
		if w.issuing() != nil {
			t.Errorf("%+v", w.issuing())
		}
		w.Secret = nil
		w.run(w.now.Add(time.Minute))
		if len(w.made) != 3 || w.issuing() == nil {
			t.Errorf("issued %d times: %+v", len(w.made), w.issuing())
		}
	})
	t.Run("not so often", func(t *testing.T) {
		w := &player{State: State{Object: newCertificate()}, t: t, now: now, answer: ninetyDays}
		for range 12 {
			w.run(w.now.Add(25 * time.Minute))
			w.Secret = nil
		}
		if len(w.made) != 12 || w.issuing() != nil {
			t.Errorf("issued %d times: %+v", len(w.made), w.issuing())
		}
	})
}

// TestBreakerOfRenewals has issuers and specs that make every certificate due soon.
func TestBreakerOfRenewals(t *testing.T) {
	for _, test := range []struct {
		name              string
		life, renewBefore time.Duration
		least, most       int
	}{
		// It is renewed after two thirds of its life, however short that is.
		{"ten minutes", 10 * time.Minute, 0, 12 * 8, 12*10 + 1},
		// Renewals after a tenth stop after the third, and go on in the second half.
		{"an hour, renewed at once", hour, 59 * time.Minute, 24, 48},
	} {
		t.Run(test.name, func(t *testing.T) {
			crt := newCertificate()
			if test.renewBefore > 0 {
				crt.Spec.RenewBefore = &metav1.Duration{Duration: test.renewBefore}
			}
			w := &player{State: State{Object: crt}, t: t, now: now, answer: func(now time.Time) func(*cmv1.CertificateRequest) {
				return signed(now.Truncate(time.Second), now.Truncate(time.Second).Add(test.life))
			}}
			w.run(now.Add(12 * hour))
			if n := len(w.made); n < test.least || n > test.most {
				t.Errorf("issued %d times: %s", n, w.waits())
			}
			if s := w.Object.Status; !condition.True(s.Conditions, cmv1.CertificateConditionReady) {
				t.Errorf("not ready: %+v", s)
			}
			for i := 1; i < len(w.made); i++ {
				if w.made[i].Sub(w.made[i-1]) >= test.life {
					t.Errorf("it died before %s", w.made[i])
				}
			}
		})
	}
}

// TestBreakerWithoutRequests has a clean-up that deletes each request that has ended.
func TestBreakerWithoutRequests(t *testing.T) {
	undo := func(w *player, times int) int {
		before := len(w.made)
		for range times {
			w.run(w.now.Add(time.Minute))
			w.Secret, w.Requests, w.Memory = nil, nil, Memory{}
		}
		w.run(w.now.Add(time.Minute))
		return len(w.made) - before
	}
	w := &player{State: State{Object: newCertificate()}, t: t, now: now, answer: ninetyDays}
	if n := undo(w, 7); n != maxIssuances || w.issuing() == nil || w.issuing().Reason != ReasonHalted {
		t.Fatalf("issued %d times: %+v", n, w.issuing())
	}
	w.Object.Generation = 2
	if n := undo(w, 7); n != maxIssuances {
		t.Errorf("issued %d times after a change of the spec", n)
	}
	w.Object.Status.Conditions = condition.Set(w.Object.Status.Conditions, issuingIs(cmmeta.ConditionTrue, "ManuallyTriggered", "by hand", w.now))
	if n := undo(w, 7); n != maxIssuances+1 {
		t.Errorf("issued %d times: once as asked for, and %d times since", n, maxIssuances)
	}
}

// TestKnown has requests that say less, or something else, than this process remembers.
func TestKnown(t *testing.T) {
	ago := func(minutes ...int) (times []time.Time) {
		for _, m := range minutes {
			times = append(times, now.Add(-time.Duration(m)*time.Minute))
		}
		return times
	}
	for _, test := range []struct {
		name       string
		remembered facts.Row
		request    *facts.Request
		want       []time.Time
	}{
		{"nothing", facts.Row{}, nil, nil},
		{"no request", facts.Row{Generation: 1, At: ago(61, 60, 59, 1)}, nil, ago(59, 1)},
		{"another generation", facts.Row{Generation: 2, At: ago(1)}, nil, nil},
		{"after a restart", facts.Row{}, &facts.Request{Row: facts.Row{Generation: 1, At: ago(9, 1)}}, ago(9, 1)},
		{"a request without its annotation", facts.Row{Generation: 1, At: ago(9, 1)}, &facts.Request{CreatedAt: ago(1)[0]}, ago(9, 1)},
		{"a request that begins another row", facts.Row{Generation: 1, At: ago(9, 1)}, &facts.Request{Row: facts.Row{Generation: 1}}, nil},
		{"a request for another generation", facts.Row{Generation: 1, At: ago(9)}, &facts.Request{Row: facts.Row{Generation: 3, At: ago(5, 1)}}, ago(9)},
	} {
		c := State{Object: newCertificate(), Remembered: test.remembered}
		c.Object.Generation = 1
		samePlan(t, facts.Row{Generation: 1, At: test.want}, c.Known(test.request, now))
	}
}
