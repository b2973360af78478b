package certificate

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/plan"
)

func renewedIn(windows ...cmv1.CertificateRenewalWindow) func(*cmv1.Certificate) {
	return func(crt *cmv1.Certificate) {
		crt.Spec.Renewal = &cmv1.CertificateRenewal{Policy: cmv1.RenewalPolicyRenewBefore, Windows: windows}
	}
}

func window(cron, zone string, length time.Duration) cmv1.CertificateRenewalWindow {
	return cmv1.CertificateRenewalWindow{Cron: cron, Timezone: zone, WindowDuration: metav1.Duration{Duration: length}}
}

// TestWindows has a certificate that would be renewed on Monday, 11 January, at 6.
func TestWindows(t *testing.T) {
	plain := born.Add(60 * day)
	const (
		why     = "Could not calculate renewal time: "
		outside = "; the certificate is renewed without windows, at status.renewalTime; correct "
		never   = "spec.renewal.windows, none of which begins in the rest of the certificate's life, or renew earlier by spec.renewBefore"
	)
	for _, test := range []struct {
		name    string
		change  func(*cmv1.Certificate)
		at      time.Time
		problem string
		// correct is what the status asks to correct.
		correct string
	}{
		{"later", renewedIn(window("0 4 * * 2", "America/Chicago", 3*hour)), plain.Add(28 * hour), "", ""},
		{"now", renewedIn(window("0 5 * * *", "", 3*hour)), plain, "", ""},
		{"none", renewedIn(), plain, "", ""},
		{"no duration", renewedIn(window("@daily", "", 0)), plain, "windowDuration must be a positive duration in window 0: 0s", "spec.renewal"},
		{"no such zone", renewedIn(window("@daily", "", hour), window("@daily", "Mars", hour)), plain, `error parsing timezone in window 1: unknown time zone "Mars"`, "spec.renewal"},
		{"no expression", renewedIn(window("daily", "", hour)), plain, "error parsing cron in window 0: failed to parse cron spec 'daily': expected exactly 5 fields, found 1: [daily]", "the cron expression in spec.renewal.windows: minute (0-59), hour (0-23), day of the month (1-31), month (1-12), day of the week (0-6)"},
		{"never", renewedIn(window("0 0 30 2 *", "", hour)), plain, "cannot find a time with the given windows between 2026-11-12T06:00:00Z and 2027-02-10T06:00:00Z for: 2027-01-11T06:00:00Z", never},
		{"when it has expired", renewedIn(window("0 0 1 3 *", "", hour)), plain, "cannot find a time with the given windows between 2026-11-12T06:00:00Z and 2027-02-10T06:00:00Z for: 2027-01-11T06:00:00Z", never},
		{"no policy", func(crt *cmv1.Certificate) { crt.Spec.Renewal = &cmv1.CertificateRenewal{} }, plain, "unsupported renewal policy: ", "spec.renewal"},
		{"unknown policy", func(crt *cmv1.Certificate) { crt.Spec.Renewal = &cmv1.CertificateRenewal{Policy: "Never"} }, plain, "unsupported renewal policy: Never", "spec.renewal"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := issuedState(test.change)
			before := c.Object.Status.DeepCopy()
			want := Plan{Status: *before.DeepCopy(), Until: test.at}
			want.Status.RenewalTime = at(test.at)
			if test.problem != "" {
				want.Status.Conditions = []cmv1.CertificateCondition{readyIs(cmmeta.ConditionFalse, "WindowError", why+test.problem+outside+test.correct, now)}
				want.Events = []plan.Event{{Warning: true, Reason: "WindowError", Message: why + test.problem + outside + test.correct, Component: "cert-manager-certificates-readiness"}}
			}
			samePlan(t, want, c.Next(now))
			// The event is sent once.
			c.Object.Status, want.Events = want.Status, nil
			samePlan(t, want, c.Next(now.Add(hour)))
			if p := c.Next(test.at.Add(-time.Second)); issuing(p.Status) {
				t.Error("renewed before its time")
			}
			message := "Renewing certificate as renewal was scheduled at " + test.at.String()
			if test.problem != "" {
				message = "Renewing certificate without satisfying renewal windows at: " + test.at.String()
			}
			p := c.Next(test.at)
			var events []plan.Event
			if test.problem != "" {
				events = []plan.Event{{Warning: true, Reason: "WindowError", Message: "Renewing certificate without satisfying renewal windows due to " + test.problem, Component: "cert-manager-certificates-trigger"}}
			}
			if diff := cmp.Diff(events, p.Events); diff != "" {
				t.Errorf("events at its time (-want +got):\n%s", diff)
			}
			if begun := condition.Find(p.Status.Conditions, cmv1.CertificateConditionIssuing); begun == nil || begun.Reason != "Renewing" || begun.Message != message {
				t.Errorf("at its time: %+v, want %s", begun, message)
			}
			// The issuance goes on without another event.
			c.Object.Status = p.Status
			if p := c.Next(test.at); len(p.Events) > 0 {
				t.Errorf("sent again: %+v", p.Events)
			}
			// Nothing but the renewal waits for a window.
			c.Secret = nil
			if p := c.Next(now); !issuing(p.Status) {
				t.Errorf("without its Secret: %+v", p)
			}
		})
	}
}

// TestWindowErrorEnds corrects the windows of a certificate.
func TestWindowErrorEnds(t *testing.T) {
	c := issuedState(renewedIn(window("@daily", "", hour)))
	c.Object.Status.Conditions = []cmv1.CertificateCondition{readyIs(cmmeta.ConditionFalse, "WindowError", "x", now)}
	p := c.Next(now)
	if ready := condition.Find(p.Status.Conditions, cmv1.CertificateConditionReady); ready.Status != cmmeta.ConditionTrue || len(p.Events) > 0 {
		t.Errorf("%+v, events %+v", ready, p.Events)
	}
}

// TestWindowErrorBesideRepair has a bad window that comes together with a label: the event
// goes with the status, which the repair stores.
func TestWindowErrorBesideRepair(t *testing.T) {
	c := issuedState(renewedIn(window("daily", "", hour)))
	c.Object.Spec.SecretTemplate = &cmv1.CertificateSecretTemplate{Labels: map[string]string{"a": "b"}}
	p := c.Next(now)
	if _, ok := p.Do.(RepairSecret); !ok || p.Persist != plan.Before || len(p.Events) != 1 || p.Events[0].Reason != "WindowError" {
		t.Errorf("%v, events %+v", p.Do, p.Events)
	}
}

// TestRenewalsAreSpread has 1,000 certificates that are due at the same second.
func TestRenewalsAreSpread(t *testing.T) {
	due := born.Add(60 * day)
	minutes := map[int]int{}
	for i := range 1000 {
		c := issuedState()
		c.Object.UID, c.Spread = types.UID(fmt.Sprint(i)), hour
		if !c.Next(now).Status.RenewalTime.Time.Equal(due) {
			t.Fatal("the renewal time is not what the spec says")
		}
		until := c.Next(due.Add(-1)).Until
		if again := c.Next(now).Until; !again.Equal(until) {
			t.Fatalf("begins at %s, and at %s", until, again)
		}
		if !until.Equal(due) && issuing(c.Next(until.Add(-1)).Status) || !issuing(c.Next(until).Status) {
			t.Fatalf("does not begin at %s", until)
		}
		minutes[int(until.Sub(due).Minutes())]++
	}
	for minute := range 60 {
		if n := minutes[minute]; n == 0 || n > 40 {
			t.Errorf("%d begin in minute %d", n, minute)
		}
	}
	if len(minutes) != 60 {
		t.Errorf("they begin in %d minutes", len(minutes))
	}
}

// TestNoSpread has what begins without a delay, or with a shorter one.
func TestNoSpread(t *testing.T) {
	due := born.Add(60 * day)
	for _, test := range []struct {
		name   string
		change func(*State)
		now    time.Time
		begins time.Duration
	}{
		{"usual", func(*State) {}, due, time.Hour},
		{"short life", func(c *State) { c.Secret.Leaf.NotBefore, c.Secret.Leaf.NotAfter = born, born.Add(hour) }, born.Add(40 * time.Minute), 0},
		{"a day", func(c *State) { c.Secret.Leaf.NotBefore, c.Secret.Leaf.NotAfter = born, born.Add(day) }, born.Add(16 * hour), 8 * hour / 50},
		{"end of a window", func(c *State) { renewedIn(window("0 5 * * *", "", hour+10*time.Minute))(c.Object) }, due, 10 * time.Minute},
		{"somebody asks for it", func(c *State) {
			c.Object.Status.Conditions = append(c.Object.Status.Conditions, issuingIs(cmmeta.ConditionTrue, "ManuallyTriggered", "now", now))
		}, now, 0},
		{"the Secret is deleted", func(c *State) { c.Secret = nil }, now, 0},
		{"another name", func(c *State) { c.Object.Spec.DNSNames = []string{"other.example.com"} }, now, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := issuedState()
			secret, leaf := *c.Secret, *c.Secret.Leaf
			secret.Leaf, c.Secret, c.Spread = &leaf, &secret, hour
			test.change(&c)
			if begins := issuing(c.Next(test.now).Status); begins != (test.begins == 0) {
				t.Errorf("begins at once: %t", begins)
			}
			if !issuing(c.Next(test.now.Add(test.begins)).Status) {
				t.Errorf("does not begin within %s", test.begins)
			}
		})
	}
}

// TestShorterThanAskedFor has an issuer that shortens what is asked for, so that
// renewBefore leaves half a minute: the certificate is ready, and not renewed at once.
func TestShorterThanAskedFor(t *testing.T) {
	crt := newCertificate(func(crt *cmv1.Certificate) {
		crt.Spec.Duration, crt.Spec.RenewBefore = &metav1.Duration{Duration: 336 * hour}, &metav1.Duration{Duration: 168 * hour}
	})
	c := State{Object: crt, Backoff: plan.DefaultIssuance}
	issued := signed(now.Add(-30*time.Second), now.Add(168*hour))
	r := newRequest(crt, key(1), 1, issued, func(r *cmv1.CertificateRequest) { r.CreationTimestamp = *at(now) })
	c.Requests, c.Secret = factsOf(r), secretFor(c, r, key(1))
	p := c.Next(now)
	samePlan(t, plan.Event{
		Warning: true, Reason: "RenewBeforeIgnored", Component: "cert-manager-certificates-issuing",
		Message: "asked for 336h, issued for 168h0m30s; renewBefore 168h leaves 30s; the certificate would be renewed at 2026-11-22T06:00:00Z, and is renewed at 2026-11-22T22:48:00Z, because no certificate is renewed before a tenth of its life, 24h at most, has passed; set spec.renewBefore to 151h12m or less",
	}, p.Events[len(p.Events)-1])
	c.Object.Status = p.Status
	for passed := time.Duration(0); passed < 16*hour; passed += 30 * time.Second {
		p := c.Next(now.Add(passed))
		if ready := condition.True(p.Status.Conditions, cmv1.CertificateConditionReady); !ready || issuing(p.Status) {
			t.Fatalf("after %s: %+v", passed, p.Status.Conditions)
		}
	}
}

// TestPercentage has percentages that are accepted and mean nothing.
func TestPercentage(t *testing.T) {
	for percent, want := range map[int32]string{
		0: "0", 100: "100", 150: "150", -5: "-5", 1: "", 99: "",
	} {
		c := issuedState(func(crt *cmv1.Certificate) { crt.Spec.RenewBeforePercentage = ptr.To(percent) })
		if want != "" {
			want = "asked for 2160h, issued for 2160h; renewBeforePercentage " + want + " is not from 1 to 99, so that it is ignored and the certificate is renewed at 2027-01-11T06:00:00Z; set spec.renewBeforePercentage to a number from 1 to 99"
		}
		if got := c.otherRenewal(1); percent != 99 && got != want {
			t.Errorf("%d: %q, want %q", percent, got, want)
		} else if percent == 99 && strings.Contains(got, "ignored") {
			t.Errorf("%d: %q", percent, got)
		}
	}
}
