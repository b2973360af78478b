package certificate

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/plan"
)

// The window that the tests' CA suggests, and the instant in it that is chosen.
var (
	windowStart, windowEnd = born.Add(40 * day), born.Add(42 * day)
	chosen                 = time.Date(2026, 12, 22, 23, 23, 0, 0, time.UTC)
)

// polled is a Certificate whose CA was asked when it was issued, ten days before now, and
// is to be asked again now. The process has run since before that.
func polled(change ...func(*Polling)) Polling {
	c := Polling{State: advisedState(windowStart, windowEnd), Advising: true, Takes: true, Ready: true}
	c.State.Started = born.Add(-day)
	c.State.Object.Status.RenewalTime = at(chosen)
	c.State.Object.Status.ACME.ARI.LastChecked, c.State.Object.Status.ACME.ARI.NextCheck = at(now.Add(-6*hour)), at(now)
	for _, f := range change {
		f(&c)
	}
	return c
}

func ariOf(c *Polling) *cmv1.ACMERenewalInfo { return c.State.Object.Status.ACME.ARI }

// asks is the plan to ask the CA.
func asks(c Polling) Plan { return stays(c, time.Time{}, AskCA{CertID: "a.b"}) }

// stays is a plan that changes nothing.
func stays(c Polling, until time.Time, do plan.Action) Plan {
	return Plan{Status: *c.State.Object.Status.DeepCopy(), Manager: "cert-manager-certificates-readiness", Until: until, Do: do}
}

func TestPolling(t *testing.T) {
	never := time.Time{}
	restarted := func(c *Polling) {
		c.State.Started = now.Add(-time.Minute)
		ariOf(c).NextCheck = at(now.Add(-2 * time.Minute))
	}
	// Of a certificate that lives 80 days longer, first checks have turns every 6 hours.
	first := now.Add(2*hour + 8*time.Minute + 59*time.Second)
	for name, test := range map[string]struct {
		change func(*Polling)
		until  time.Time
		asked  bool
	}{
		"due":      {nil, never, true},
		"not due":  {func(c *Polling) { ariOf(c).NextCheck = at(now.Add(time.Second)) }, now.Add(time.Second), false},
		"deleted":  {func(c *Polling) { c.State.Object.DeletionTimestamp = at(now) }, never, false},
		"no issue": {func(c *Polling) { c.State.Object.Status.Conditions[0].Status = cmmeta.ConditionFalse }, never, true},
		"is being issued": {func(c *Polling) {
			c.State.Object.Status.Conditions = append(c.State.Object.Status.Conditions, issuingIs(cmmeta.ConditionTrue, "Renewing", "x", now))
		}, never, false},
		"issuing has failed": {func(c *Polling) {
			c.State.Object.Status.Conditions = append(c.State.Object.Status.Conditions, issuingIs(cmmeta.ConditionFalse, "Failed", "x", now))
		}, never, true},
		"the spec has changed":         {func(c *Polling) { c.State.Object.Generation = 2 }, never, false},
		"not looked at yet":            {func(c *Polling) { c.State.Object.Status.Conditions = nil }, never, false},
		"no certificate yet":           {func(c *Polling) { c.State.Object.Status.NotAfter = nil }, never, false},
		"the status is about another":  {func(c *Polling) { c.State.Object.Status.NotAfter = at(now) }, now.Add(10 * time.Minute), false},
		"no Secret":                    {func(c *Polling) { c.State.Secret = nil }, now.Add(10 * time.Minute), false},
		"no certificate in it":         {func(c *Polling) { c.State.Secret.Leaf = nil }, now.Add(10 * time.Minute), false},
		"a temporary one":              {func(c *Polling) { c.State.Secret.Leaf.Temporary = true }, now.Add(10 * time.Minute), false},
		"one without a name":           {func(c *Polling) { c.State.Secret.Leaf.CertID = "" }, now.Add(10 * time.Minute), false},
		"an expired one":               {func(c *Polling) { expires(c, now) }, never, false},
		"an issuer that is no server":  {func(c *Polling) { c.Advising, c.Takes = false, false }, never, false},
		"advice is not taken":          {func(c *Polling) { c.Takes = false }, now.Add(10 * time.Minute), false},
		"an account that is not ready": {func(c *Polling) { c.Ready = false }, now.Add(10 * time.Minute), false},
		"later, whatever is ready":     {func(c *Polling) { c.Ready = false; ariOf(c).NextCheck = at(now.Add(hour)) }, now.Add(hour), false},
		"never asked":                  {func(c *Polling) { c.State.Object.Status.ACME = nil }, never, true},
		"asked about an earlier one":   {func(c *Polling) { ariOf(c).LastChecked = at(born.Add(-1)); ariOf(c).NextCheck = at(now.Add(hour)) }, never, true},
		"asked in the future":          {func(c *Polling) { ariOf(c).LastChecked = at(now.Add(day)); ariOf(c).NextCheck = at(now.Add(2 * day)) }, never, true},
		"asked again in years":         {func(c *Polling) { ariOf(c).NextCheck = at(now.Add(900 * day)) }, now.Add(-6*hour + 7*day + 16*hour + 48*time.Minute), false},
		"due before the start":         {restarted, first, false},
		"due after the start":          {func(c *Polling) { c.State.Started = now.Add(-hour); ariOf(c).NextCheck = at(now.Add(-time.Minute)) }, never, true},
		"long after the start":         {func(c *Polling) { c.State.Started = now.Add(-3 * hour) }, never, true},
		"not asked before the start":   {func(c *Polling) { restarted(c); c.State.Object.Status.ACME = nil }, first, false},
		"issued after the start":       {func(c *Polling) { restarted(c); c.State.Object.Status.ACME = nil; c.State.Requests[0].CreatedAt = now }, never, true},
		"issued in the second of the start": {func(c *Polling) {
			c.State.Started, c.State.Object.Status.ACME = now.Add(time.Millisecond), nil
			c.State.Requests[0].CreatedAt = now
		}, never, true},
		"a short life after the start":    {func(c *Polling) { restarted(c); expires(c, now.Add(hour)) }, now.Add(3*time.Minute + 47*time.Second), false},
		"asked a moment ago":              {told(now.Add(-time.Minute), nil), now.Add(53 * time.Minute), false},
		"asked an hour ago":               {told(now.Add(-hour), nil), never, true},
		"asked by a clock that was wrong": {told(now.Add(day), nil), never, true},
		"asked about another certificate": {told(now, func(a *Asked) { a.CertID = "c.d" }), never, true},
		"a CA without advice":             {told(now.Add(-hour), func(a *Asked) { a.None = true }), now.Add(5 * hour), false},
		"a CA that had none":              {told(now.Add(-6*hour), func(a *Asked) { a.None = true }), never, true},
		"the write was not seen to end":   {told(now.Add(-6*hour), func(a *Asked) { a.Told = false }), never, true},
	} {
		t.Run(name, func(t *testing.T) {
			c := polled()
			if test.change != nil {
				test.change(&c)
			}
			want := stays(c, test.until, nil)
			if test.asked {
				want = asks(c)
			}
			got := c.Next(now)
			got.Until = got.Until.Truncate(time.Second)
			samePlan(t, want, got)
		})
	}
}

// expires has the certificate end at a time.
func expires(c *Polling, end time.Time) {
	c.State.Secret.Leaf.NotAfter, c.State.Object.Status.NotAfter = end, at(end)
}

// told has the process remember a question whose answer is in the status.
func told(when time.Time, change func(*Asked)) func(*Polling) {
	return func(c *Polling) {
		c.Asked = &Asked{CertID: "a.b", At: when, Told: true}
		if change != nil {
			change(c.Asked)
		}
	}
}

// TestPollingAnswers has answers that the status does not speak of yet.
func TestPollingAnswers(t *testing.T) {
	moved := acme.RenewalInfo{Start: born.Add(20 * day), End: born.Add(20 * day), ExplanationURL: "https://ca.example/why"}
	const fetch, follow = "Could not fetch ACME Renewal Information: ", "Could not calculate renewal time using ACME Renewal Information: "
	noWindow := "cannot find a time with the given windows between 2026-11-12T06:00:00Z and 2027-02-10T06:00:00Z for: 2026-12-02T06:00:00Z"
	limited := fault.Until(now.Add(3*hour), "RateLimited", "429 rateLimited")
	unlimited := acme.Classify(&acme.Problem{Type: acme.TypeRateLimited, Status: http.StatusTooManyRequests}, now)
	missing := acme.Classify(&acme.Problem{Status: http.StatusNotFound, RetryAfter: now.Add(2 * day)}, now)
	for name, test := range map[string]struct {
		change func(*Polling)
		asked  Asked
		// next is until the next check, before it is spread.
		next time.Duration
		want func(*cmv1.CertificateStatus)
		says string
	}{
		"a window": {nil, Asked{Info: moved}, 6 * hour, func(s *cmv1.CertificateStatus) {
			s.RenewalTime = at(born.Add(20 * day))
			s.ACME.ARI.SuggestedWindow = &cmv1.ACMERenewalWindow{Start: *at(moved.Start), End: *at(moved.End)}
			s.ACME.ARI.ExplanationURL = moved.ExplanationURL
		}, ""},
		"the same window": {nil, Asked{Info: acme.RenewalInfo{Start: windowStart, End: windowEnd}}, 6 * hour, nil, ""},
		"after an error": {func(c *Polling) { ariOf(c).LastError = "x" }, Asked{Info: acme.RenewalInfo{Start: windowStart, End: windowEnd}}, 6 * hour, func(s *cmv1.CertificateStatus) {
			s.ACME.ARI.LastError = ""
		}, ""},
		"the first window": {
			func(c *Polling) {
				c.State.Object.Status.ACME = nil
				c.State.Object.Status.RenewalTime = at(born.Add(60 * day))
			},
			Asked{Info: acme.RenewalInfo{Start: windowStart, End: windowEnd}},
			6 * hour, func(s *cmv1.CertificateStatus) {
				s.ACME = &cmv1.CertificateACMEStatus{ARI: &cmv1.ACMERenewalInfo{
					SuggestedWindow: &cmv1.ACMERenewalWindow{Start: *at(windowStart), End: *at(windowEnd)},
				}}
				s.RenewalTime = at(chosen)
			}, "",
		},
		"again soon":     {nil, Asked{Info: acme.RenewalInfo{Start: windowStart, End: windowEnd, RetryAfter: now.Add(time.Minute)}}, hour, nil, ""},
		"again in a day": {nil, Asked{Info: acme.RenewalInfo{Start: windowStart, End: windowEnd, RetryAfter: now.Add(day)}}, day, nil, ""},
		"again in years": {nil, Asked{Info: acme.RenewalInfo{Start: windowStart, End: windowEnd, RetryAfter: now.Add(900 * day)}}, 7 * day, nil, ""},
		"again before":   {nil, Asked{Info: acme.RenewalInfo{Start: windowStart, End: windowEnd, RetryAfter: now.Add(-day)}}, hour, nil, ""},
		"a window that the spec does not allow": {
			func(c *Polling) { renewedIn(window("0 0 30 2 *", "", hour))(c.State.Object) },
			Asked{Info: acme.RenewalInfo{Start: moved.Start, End: moved.End, RetryAfter: now.Add(day)}},
			6 * hour,
			func(s *cmv1.CertificateStatus) {
				s.RenewalTime = at(born.Add(60 * day))
				s.ACME.ARI.SuggestedWindow = &cmv1.ACMERenewalWindow{Start: *at(moved.Start), End: *at(moved.End)}
				s.ACME.ARI.LastError = follow + noWindow
			}, follow + noWindow,
		},
		"a spec with a mistake": {
			func(c *Polling) { renewedIn(window("daily", "", hour))(c.State.Object) },
			Asked{Info: acme.RenewalInfo{Start: windowStart, End: windowEnd}},
			6 * hour,
			func(s *cmv1.CertificateStatus) {
				s.RenewalTime = at(born.Add(60 * day))
				s.ACME.ARI.LastError = follow + "error parsing cron in window 0: failed to parse cron spec 'daily': expected exactly 5 fields, found 1: [daily]"
			}, follow + "error parsing cron in window 0: failed to parse cron spec 'daily': expected exactly 5 fields, found 1: [daily]",
		},
		"a certificate that is never renewed": {func(c *Polling) {
			c.State.Object.Spec.Renewal = &cmv1.CertificateRenewal{Policy: cmv1.RenewalPolicyDisabled}
		}, Asked{Info: acme.RenewalInfo{Start: windowStart, End: windowEnd}}, 6 * hour, func(s *cmv1.CertificateStatus) { s.RenewalTime = nil }, ""},
		"no answer": {nil, Asked{Err: fault.New(fault.Transient, "NetworkError", "cannot reach it")}, 6 * hour, func(s *cmv1.CertificateStatus) {
			s.ACME.ARI.LastError = fetch + "cannot reach it"
		}, fetch + "cannot reach it"},
		"no answer again": {
			func(c *Polling) { ariOf(c).LastError = fetch + "cannot reach it" },
			Asked{Err: fault.New(fault.Transient, "NetworkError", "cannot reach it")},
			6 * hour, nil, "",
		},
		"no answer ever": {
			func(c *Polling) {
				c.State.Object.Status.ACME = nil
				c.State.Object.Status.RenewalTime = at(born.Add(60 * day))
			},
			Asked{Err: fault.New(fault.Transient, "NetworkError", "cannot reach it")},
			6 * hour, func(s *cmv1.CertificateStatus) {
				s.ACME = &cmv1.CertificateACMEStatus{ARI: &cmv1.ACMERenewalInfo{LastError: fetch + "cannot reach it"}}
			}, fetch + "cannot reach it",
		},
		"no answer, and advice on an earlier one": {
			func(c *Polling) { ariOf(c).LastChecked = at(born.Add(-day)) },
			Asked{Err: fault.New(fault.Transient, "NetworkError", "cannot reach it")},
			6 * hour, func(s *cmv1.CertificateStatus) {
				s.ACME = &cmv1.CertificateACMEStatus{ARI: &cmv1.ACMERenewalInfo{LastError: fetch + "cannot reach it"}}
				s.RenewalTime = at(born.Add(60 * day))
			}, fetch + "cannot reach it",
		},
		"a rate limit": {nil, Asked{Err: limited}, 3 * hour, func(s *cmv1.CertificateStatus) {
			s.ACME.ARI.LastError = fetch + "429 rateLimited"
		}, fetch + "429 rateLimited"},
		"a rate limit without a time": {nil, Asked{Err: unlimited}, 6 * hour, func(s *cmv1.CertificateStatus) {
			s.ACME.ARI.LastError = fetch + unlimited.Error()
		}, fetch + unlimited.Error()},
		"unknown to the CA, for two days": {nil, Asked{Err: missing}, 2 * day, func(s *cmv1.CertificateStatus) {
			s.ACME.ARI.LastError = fetch + missing.Error()
		}, fetch + missing.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			c := polled()
			if test.change != nil {
				test.change(&c)
			}
			test.asked.CertID, test.asked.At = "a.b", now
			c.Asked = &test.asked
			want := stays(c, time.Time{}, nil)
			if test.want != nil {
				test.want(&want.Status)
			}
			spreads := 0.9 + 0.2*share("check", "web-uid", now.String())
			next := now.Add(time.Duration(spreads * float64(test.next)).Truncate(time.Second))
			want.Status.ACME.ARI.LastChecked, want.Status.ACME.ARI.NextCheck, want.Until = at(now), at(next), next
			if test.says != "" {
				want.Events = []plan.Event{{Warning: true, Reason: "ARIError", Message: test.says, Component: "cert-manager-certificates-readiness"}}
			}
			samePlan(t, want, c.Next(now))
			if err := test.asked.Err; err != nil {
				c.Asked = nil
				samePlan(t, want, c.Failed(plan.Failure{Action: AskCA{}, Err: err}, now))
				c.Asked = &test.asked
			}
			// The other controller agrees, and the CA is not asked again before its time.
			c.State.Object.Status = want.Status
			c.Asked.Told = true
			if got := c.State.Next(now).Status; !got.RenewalTime.Equal(want.Status.RenewalTime) {
				t.Errorf("renewal at %s, here at %s", got.RenewalTime, want.Status.RenewalTime)
			}
			samePlan(t, stays(c, next, nil), c.Next(now.Add(time.Second)))
			samePlan(t, asks(c), c.Next(next))
			// After a lost answer to the write.
			c.Asked.Told = false
			samePlan(t, asks(c), c.Next(next))
		})
	}
}

// TestPollingNone has a CA that has no renewal information.
func TestPollingNone(t *testing.T) {
	c := polled(told(now, func(a *Asked) { a.Told, a.None = false, true }))
	want := stays(c, now.Add(6*hour), nil)
	want.Status.ACME, want.Status.RenewalTime = nil, at(born.Add(60*day))
	samePlan(t, want, c.Next(now))
	c.State.Object.Status = want.Status
	samePlan(t, want, c.Next(now.Add(5*hour)))
	samePlan(t, asks(c), c.Next(now.Add(6*hour)))
}

// TestPollingForeign has a certificate of another issuer than that of the spec.
func TestPollingForeign(t *testing.T) {
	for name, change := range map[string]func(*Polling){
		"another":    func(c *Polling) { c.State.Object.Spec.IssuerRef.Name = "other" },
		"not stated": func(c *Polling) { c.State.Secret.Annotations = nil },
	} {
		t.Run(name, func(t *testing.T) {
			c := polled(change)
			want := stays(c, time.Time{}, nil)
			want.Status.ACME, want.Status.RenewalTime = nil, at(born.Add(60*day))
			want.Events = []plan.Event{{
				Warning: true, Reason: "ARIError", Component: "cert-manager-certificates-readiness",
				Message: "Secret app/web-tls does not have matching issuer annotations for Certificate app/web: its ACME Renewal Information is dropped",
			}}
			samePlan(t, want, c.Next(now))
			c.State.Object.Status, want.Events = want.Status, nil
			samePlan(t, want, c.Next(now))
		})
	}
}

// TestPollingWithClockBehind asks about a certificate that is newer than now: the advice is
// taken all the same, and the CA is asked no more often.
func TestPollingWithClockBehind(t *testing.T) {
	c := polled(told(now, func(a *Asked) { a.Told, a.Info = false, acme.RenewalInfo{Start: windowStart, End: windowEnd} }))
	requested := now.Add(10 * time.Minute)
	c.State.Requests[0].CreatedAt, c.State.Object.Status.ACME = requested, nil
	p := c.Next(now)
	if ari := p.Status.ACME.ARI; !ari.LastChecked.Time.Equal(requested) || !ari.NextCheck.After(requested) || !p.Status.RenewalTime.Time.Equal(chosen) {
		t.Errorf("checked at %s, next check at %s, renewal at %s", ari.LastChecked, ari.NextCheck, p.Status.RenewalTime)
	}
	c.State.Object.Status, c.Asked.Told = p.Status, true
	samePlan(t, stays(c, now.Add(54*time.Minute), nil), c.Next(now))
}

// TestPollingUnclassified tries again soon if the API server is why.
func TestPollingUnclassified(t *testing.T) {
	c := polled()
	want := Plan{Status: c.State.Object.Status, Until: now.Add(plan.APIServer.Min)}
	samePlan(t, want, c.Failed(plan.Failure{Action: AskCA{}, Err: errors.New("x")}, now))
}

// TestChecksAreSpread has 1,000 certificates whose checks were due when the process was
// started: none is asked about at once, and as many in each of six hours.
func TestChecksAreSpread(t *testing.T) {
	hours := map[int]int{}
	for i := range 1000 {
		c := polled()
		c.State.Object.UID, c.State.Started = types.UID(fmt.Sprint(i)), now
		c.State.Object.Status.ACME.ARI.NextCheck = &metav1.Time{Time: now.Add(-time.Minute)}
		hours[int(c.Next(now).Until.Sub(now)/hour)]++
	}
	for h, n := range hours {
		if n < 120 || n > 220 || h > 5 {
			t.Errorf("%d in hour %d", n, h)
		}
	}
}
