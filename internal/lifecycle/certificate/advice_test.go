package certificate

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/condition"
)

// advisedState is issuedState, whose CA was asked now and has suggested a window.
func advisedState(start, end time.Time, change ...func(*cmv1.Certificate)) State {
	c := issuedState(change...)
	c.Advised = true
	// It is part of what decides, and another one each time.
	leaf, secret := *c.Secret.Leaf, *c.Secret
	leaf.Digest, leaf.CertID = [32]byte{1}, "a.b"
	secret.Leaf, c.Secret = &leaf, &secret
	c.Object.Status.ACME = &cmv1.CertificateACMEStatus{ARI: &cmv1.ACMERenewalInfo{
		SuggestedWindow: &cmv1.ACMERenewalWindow{Start: metav1.NewTime(start), End: metav1.NewTime(end)},
		LastChecked:     at(now), NextCheck: at(now.Add(6 * hour)),
	}}
	return c
}

// TestTakesAdvice has the issuers whose CA advises.
func TestTakesAdvice(t *testing.T) {
	for name, test := range map[string]struct {
		issuer cmv1.IssuerConfig
		want   bool
	}{
		"no ACME server": {cmv1.IssuerConfig{CA: &cmv1.CAIssuer{}}, false},
		"by default":     {cmv1.IssuerConfig{ACME: &acmev1.ACMEIssuer{}}, true},
		"wanted":         {cmv1.IssuerConfig{ACME: &acmev1.ACMEIssuer{RenewalInformationSource: "ARI"}}, true},
		"not wanted":     {cmv1.IssuerConfig{ACME: &acmev1.ACMEIssuer{RenewalInformationSource: "None"}}, false},
	} {
		if got := TakesAdvice(&cmv1.IssuerSpec{IssuerConfig: test.issuer}); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// TestAdvisedRenewal has a certificate of 90 days that would be renewed after 60, and was
// issued ten days ago.
func TestAdvisedRenewal(t *testing.T) {
	plain := born.Add(60 * day)
	start, end := born.Add(40*day), born.Add(42*day)
	chosen := time.Date(2026, 12, 22, 23, 23, 0, 0, time.UTC) // by the hash of this Certificate
	tests := []struct {
		name   string
		change func(*State)
		want   time.Time
	}{
		{"in the window", nil, chosen},
		{"kept in the window", func(c *State) { c.Object.Status.RenewalTime = at(start.Add(hour)) }, start.Add(hour)},
		{"kept at its start", func(c *State) { c.Object.Status.RenewalTime = at(start) }, start},
		{"the window has the renewal without advice", func(c *State) {
			c.Object.Status.RenewalTime = at(plain)
			c.Object.Status.ACME.ARI.SuggestedWindow = &cmv1.ACMERenewalWindow{Start: *at(plain.Add(-day)), End: *at(plain.Add(day))}
		}, chosen.Add(19 * day)},
		{"not kept at its end", func(c *State) { c.Object.Status.RenewalTime = at(end) }, chosen},
		{"none", func(c *State) { c.Object.Status.ACME = nil }, plain},
		{"no window", func(c *State) { c.Object.Status.ACME.ARI.SuggestedWindow = nil }, plain},
		{"nothing about it", func(c *State) { c.Object.Status.ACME.ARI = nil }, plain},
		{"not taken", func(c *State) { c.Advised = false }, plain},
		{"never checked", func(c *State) { c.Object.Status.ACME.ARI.LastChecked = nil }, plain},
		{"on an earlier certificate", func(c *State) { c.Object.Status.ACME.ARI.LastChecked = at(born.Add(-time.Second)) }, plain},
		{"on an earlier certificate than was requested", func(c *State) {
			c.Requests[0].CreatedAt = now.Add(time.Second)
		}, plain},
		{"as old as the certificate", func(c *State) { c.Object.Status.ACME.ARI.LastChecked = at(born) }, chosen},
		{"after an error", func(c *State) { c.Object.Status.ACME.ARI.LastError = "x" }, chosen},
		{"it ends before it starts", func(c *State) {
			c.Object.Status.ACME.ARI.SuggestedWindow.End = metav1.NewTime(start.Add(-hour))
		}, start},
		{"an instant", func(c *State) { c.Object.Status.ACME.ARI.SuggestedWindow.End = metav1.NewTime(start) }, start},
		{"when it has expired", func(c *State) {
			c.Object.Status.ACME.ARI.SuggestedWindow = &cmv1.ACMERenewalWindow{Start: *at(born.Add(90 * day)), End: *at(born.Add(91 * day))}
		}, plain},
		{"beyond its end", func(c *State) {
			c.Object.Status.ACME.ARI.SuggestedWindow = &cmv1.ACMERenewalWindow{Start: *at(born.Add(89 * day)), End: *at(born.Add(900 * day))}
		}, time.Date(2027, 2, 9, 14, 41, 30, 0, time.UTC)},
		{"before it was issued", func(c *State) {
			c.Object.Status.ACME.ARI.SuggestedWindow = &cmv1.ACMERenewalWindow{Start: *at(born), End: *at(born.Add(day))}
		}, plain},
		{"right after it was issued", func(c *State) {
			c.Object.Status.ACME.ARI.SuggestedWindow = &cmv1.ACMERenewalWindow{Start: *at(born.Add(time.Second)), End: *at(born.Add(hour))}
		}, born.Add(6 * hour)},
		{"in a window of the spec", func(c *State) {
			renewedIn(window("0 5 * * *", "", 2*hour))(c.Object)
		}, time.Date(2026, 12, 23, 5, 0, 0, 0, time.UTC)},
		{"in no window of the spec", func(c *State) {
			renewedIn(window("0 0 1 1 *", "", day), window("0 0 30 2 *", "", hour))(c.Object)
			c.Object.Status.ACME.ARI.SuggestedWindow = &cmv1.ACMERenewalWindow{Start: *at(born.Add(70 * day)), End: *at(born.Add(71 * day))}
		}, plain},
		{"with a wrong window", func(c *State) { renewedIn(window("daily", "", hour))(c.Object) }, plain},
		{"never, by the spec", func(c *State) {
			c.Object.Spec.Renewal = &cmv1.CertificateRenewal{Policy: cmv1.RenewalPolicyDisabled}
		}, time.Time{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := advisedState(start, end)
			if test.change != nil {
				test.change(&c)
			}
			var got time.Time
			if p := c.Next(now); p.Status.RenewalTime != nil {
				got = p.Status.RenewalTime.Time
			}
			if !got.Equal(test.want) {
				t.Errorf("renewal at %s, want %s", got, test.want)
			}
		})
	}
}

// TestAdvisedRenewalIsDue renews at the chosen instant, not before, and at once after the
// window.
func TestAdvisedRenewalIsDue(t *testing.T) {
	c := advisedState(born.Add(40*day), born.Add(42*day))
	c.Spread = hour
	p := c.Next(now)
	if issuing(p.Status) || !p.Until.Equal(p.Status.RenewalTime.Time) {
		t.Fatalf("until %s, renewal at %s", p.Until, p.Status.RenewalTime)
	}
	c.Object.Status = p.Status
	if p := c.Next(p.Until.Add(-time.Second)); issuing(p.Status) {
		t.Error("renewed before its time")
	}
	for _, when := range []time.Time{p.Until, born.Add(45 * day)} {
		begun := condition.Find(c.Next(when).Status.Conditions, cmv1.CertificateConditionIssuing)
		if want := "Renewing certificate as renewal was scheduled at " + p.Until.UTC().String(); begun == nil || begun.Reason != "Renewing" || begun.Message != want {
			t.Errorf("at %s: %+v", when, begun)
		}
	}
}
