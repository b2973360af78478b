package certificate

import (
	"math"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

// TestRevisionOfOthers has revisions in the status that everleaf has not written:
// the next request has a revision all the same, and is taken for what it is.
func TestRevisionOfOthers(t *testing.T) {
	for _, test := range []struct{ revision, want int }{
		{-5, 1}, {0, 1}, {1, 2}, {7, 8}, {math.MaxInt32, 1}, {math.MaxInt, 1}, {math.MinInt, 1},
	} {
		c := State{Object: newCertificate(), Backoff: plan.DefaultIssuance, Keys: []*facts.Secret{nextKey("web-k", key(1))}}
		c.Object.Status = begun("web-k")
		c.Object.Status.Revision = ptr.To(test.revision)
		create, ok := c.Next(now).Do.(CreateRequest)
		if !ok || create.Revision != test.want {
			t.Errorf("revision %d: %v, want revision %d", test.revision, c.Next(now).Do, test.want)
		}
		c.Requests = factsOf(newRequest(c.Object, key(1), create.Revision))
		if p := c.Next(now); p.Do != nil {
			t.Errorf("revision %d: the request for it does not do: %v", test.revision, p.Do)
		}
	}
}

// TestClocksOfOthers has requests that this process has made and that failed, and
// times that others have written: one failure counts once, and the next attempt
// begins with another request.
func TestClocksOfOthers(t *testing.T) {
	for _, test := range []struct {
		name            string
		begun, failed   time.Time
		lastFailure     *metav1.Time
		own, wantFailed bool
	}{
		{"Issuing is ahead, own request", now.Add(hour), now.Add(-time.Minute), nil, true, true},
		{"Issuing is ahead, request of a process before", now.Add(hour), now.Add(-time.Minute), nil, false, false},
		{"issuer's clock is behind, own request", now.Add(-time.Minute), now.Add(-hour), nil, true, true},
		{"second failure in one second", now, now, at(now), true, true},
		{"failure of the attempt before", now, now.Add(-hour), at(now.Add(-hour)), false, false},
	} {
		c := issuedState()
		c.Object.Status.Conditions = append(c.Object.Status.Conditions, issuingIs(cmmeta.ConditionTrue, "ManuallyTriggered", "by hand", test.begun))
		c.Object.Status.LastFailureTime = test.lastFailure
		c.Keys = []*facts.Secret{nextKey("web-k", key(2))}
		r := newRequest(c.Object, key(2), 2, failedAt(test.failed, "no"))
		c.Requests = append(c.Requests, factsOf(r)...)
		if test.own {
			c.Memory.Request, c.Memory.Kept = r.UID, true
		}
		p := c.Next(now)
		if got := !issuing(p.Status); got != test.wantFailed {
			t.Errorf("%s: failed %t: %v", test.name, got, p.Do)
		}
		if _, deletes := p.Do.(DeleteRequests); deletes == test.wantFailed {
			t.Errorf("%s: %v", test.name, p.Do)
		}
	}
}

// TestFutureFailure has a failure that a wrong clock has recorded: it counts as
// one of now, and does not move with the time.
func TestFutureFailure(t *testing.T) {
	c := State{Object: newCertificate(), Backoff: plan.DefaultIssuance}
	c.Object.Status = cmv1.CertificateStatus{
		Conditions:      []cmv1.CertificateCondition{issuingIs(cmmeta.ConditionFalse, "Failed", "no", now)},
		LastFailureTime: at(now.Add(365 * day)), FailedIssuanceAttempts: ptr.To(1),
	}
	p := c.Next(now)
	if !p.Status.LastFailureTime.Time.Equal(now) || !p.Until.Equal(now.Add(hour)) || p.Do != nil {
		t.Errorf("%+v", p)
	}
	c.Object.Status = p.Status
	if p := c.Next(now.Add(hour)); !issuing(p.Status) {
		t.Errorf("after the back-off: %+v", p)
	}
}

// TestLostObjects has an issuance whose request or key does not stay: it fails,
// with its back-off, instead of being made once more.
func TestLostObjects(t *testing.T) {
	for _, test := range []struct {
		name  string
		state func(*State)
		want  string
	}{
		{"request", func(c *State) {
			c.Keys, c.Memory.Requests = []*facts.Secret{nextKey("web-k", key(1))}, 3
		}, `CertificateRequest "web-1" was created 3 times`},
		{"key", func(c *State) {
			c.Memory.Keys, c.Memory.Key = 3, &MemoryKey{Digest: pki.DigestOf(key(1).Public()), CreatedAt: now}
		}, "The Secret with the next private key was created 3 times"},
	} {
		c := State{Object: newCertificate(), Backoff: plan.DefaultIssuance}
		test.state(&c)
		p := c.Next(now)
		begun := condition.Find(p.Status.Conditions, cmv1.CertificateConditionIssuing)
		if p.Do != nil || begun.Status != cmmeta.ConditionFalse || !strings.Contains(begun.Message, test.want) || !p.Until.Equal(now.Add(hour)) {
			t.Errorf("%s: %+v", test.name, p)
		}
		c.Memory.Requests, c.Memory.Keys = 2, 2
		if p := c.Next(now); p.Do == nil {
			t.Errorf("%s, twice: %+v", test.name, p)
		}
	}
}

// TestRenewalFloor has specs and issuers that would have each certificate followed
// by another at once.
func TestRenewalFloor(t *testing.T) {
	for _, test := range []struct {
		name              string
		life, before, age time.Duration
		want              time.Duration
		warning           string
	}{
		{"a day before the end", 90 * day, day, 0, 89 * day, ""},
		{"ten days of ninety", 90 * day, 80 * day, 0, 10 * day, ""},
		{"a second after", hour, hour - time.Second, 0, 6 * time.Minute, "asked for 2160h, issued for 1h; renewBefore 59m59s leaves 1s; the certificate would be renewed at 2026-11-22T06:00:01Z, and is renewed at 2026-11-22T06:06:00Z, because no certificate is renewed before a tenth of its life, 24h at most, has passed; set spec.renewBefore to 54m or less"},
		{"twenty hours of a day", day, 20 * hour, 0, 4 * hour, ""},
		{"nine tenths", day, 21*hour + 36*time.Minute, 0, 2*hour + 24*time.Minute, ""},
		{"more than nine tenths", day, 23 * hour, 0, 2*hour + 24*time.Minute, "set spec.renewBefore to 21h36m or less"},
		{"a moment after, long life", 90 * day, 90*day - time.Second, 0, day, "is renewed at 2026-11-23T06:00:00Z"},
		{"older than its request, and due when it comes", hour, 0, 50 * time.Minute, time.Minute, "asked for 2160h, issued for 1h; the certificate would be renewed at 2026-11-22T05:50:00Z, and is renewed at 2026-11-22T06:01:00Z"},
		{"longer than the life", 90 * day, 91 * day, 0, 60 * day, "asked for 2160h, issued for 2160h; renewBefore 2184h leaves nothing, so that it is ignored and the certificate is renewed at 2027-01-21T06:00:00Z; set spec.renewBefore to less than 2160h"},
		{"as long as the life", 90 * day, 90 * day, 0, 60 * day, "renewBefore 2160h leaves nothing"},
	} {
		t.Run(test.name, func(t *testing.T) {
			crt := newCertificate()
			if test.before > 0 {
				crt.Spec.RenewBefore = &metav1.Duration{Duration: test.before}
			}
			c := State{Object: crt, Backoff: plan.DefaultIssuance}
			r := newRequest(crt, key(1), 1, signed(now.Add(-test.age), now.Add(test.life-test.age)), func(r *cmv1.CertificateRequest) { r.CreationTimestamp = *at(now) })
			c.Requests = factsOf(r)
			c.Secret = secretFor(c, r, key(1))
			p := c.Next(now)
			if got := p.Status.RenewalTime.Sub(now); got != test.want {
				t.Errorf("renewed after %s, want %s", got, test.want)
			}
			var warnings []string
			for _, e := range p.Events {
				if e.Warning {
					warnings = append(warnings, e.Reason+": "+e.Message)
				}
			}
			if (len(warnings) == 1) != (test.warning != "") || !strings.Contains(strings.Join(warnings, ""), test.warning) {
				t.Errorf("warnings %q, want %q", warnings, test.warning)
			}
			c.Object.Status = p.Status
			if p := c.Next(now.Add(test.want - time.Second)); p.Do != nil && issuing(p.Status) {
				t.Errorf("renewed before its time: %+v", p)
			}
			if p := c.Next(now.Add(test.want)); !issuing(p.Status) {
				t.Errorf("not renewed: %+v", p)
			}
		})
	}
}

// TestSecretInUse has a target Secret that an issuer needs.
func TestSecretInUse(t *testing.T) {
	c := State{Object: newCertificate(), Backoff: plan.DefaultIssuance, SecretUsedBy: `Issuer "own"`}
	c.Secret = facts.OfSecret(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "app", Name: "web-tls"}, Data: map[string][]byte{"tls.key": []byte("x"), "tls.crt": []byte("x")},
	}, pki.Limits{})
	p := c.Next(now)
	const why = `Secret "app/web-tls" is in use by Issuer "own" and was not made by a Certificate, so it is not overwritten; use another spec.secretName, or, if it may be overwritten, annotate the Secret with cert-manager.io/certificate-name=web; everleaf looks again within 3 minutes`
	begun := condition.Find(p.Status.Conditions, cmv1.CertificateConditionIssuing)
	if p.Do != nil || !strings.HasSuffix(begun.Message, "; waiting: "+why) || p.Persist != plan.AtEnd || !p.Until.Equal(now.Add(3*time.Minute)) ||
		len(p.Events) != 1 || p.Events[0].Message != why || !p.Events[0].Warning {
		t.Errorf("%+v", p)
	}
	c.Secret.Annotations = map[string]string{cmv1.CertificateNameKey: "web"}
	if p := c.Next(now); p.Do == nil {
		t.Errorf("made by a Certificate: %+v", p)
	}
	c.Secret = nil
	if p := c.Next(now); p.Do == nil {
		t.Errorf("no Secret: %+v", p)
	}
}

// TestFactsStay holds that a plan holds nothing of the facts that belong to a
// cache: what is stored is decoded into it.
func TestFactsStay(t *testing.T) {
	c := State{Object: newCertificate(), Keys: []*facts.Secret{nextKey("web-k", key(1))}}
	if p := c.Next(now); p.Status.NextPrivateKeySecretName == &c.Keys[0].Name {
		t.Error("the status has the name of a cached Secret by reference")
	}
}

// TestTemplateLabel holds that no template makes the target Secret look like a next
// private key.
func TestTemplateLabel(t *testing.T) {
	c := issuedState(func(crt *cmv1.Certificate) {
		crt.Spec.SecretTemplate = &cmv1.CertificateSecretTemplate{Labels: map[string]string{cmv1.IsNextPrivateKeySecretLabelKey: "true", "a": "b"}}
	})
	if _, ok := PresentMetadata(c).Labels[cmv1.IsNextPrivateKeySecretLabelKey]; ok || PresentMetadata(c).Labels["a"] != "b" {
		t.Errorf("labels %v", PresentMetadata(c).Labels)
	}
	if p := c.Next(now); p.Do != nil {
		t.Errorf("the Secret is outdated for ever: %v", p.Do)
	}
}

// TestHistoryLimitOfOthers has limits that admission refuses today.
func TestHistoryLimitOfOthers(t *testing.T) {
	for _, limit := range []int32{-7, 0, 1} {
		c := issuedState(func(crt *cmv1.Certificate) { crt.Spec.RevisionHistoryLimit = ptr.To(limit) })
		if p := c.Next(now); p.Do != nil {
			t.Errorf("limit %d: the present request goes: %v", limit, p.Do)
		}
	}
}

// TestFinalDotInSpec holds that a name with a final dot is the same name.
func TestFinalDotInSpec(t *testing.T) {
	c := issuedState(func(crt *cmv1.Certificate) { crt.Spec.DNSNames = []string{"web.example.com."} })
	samePlan(t, Plan{Status: c.Object.Status, Until: born.Add(60 * day)}, c.Next(now))
	c.Requests = nil
	samePlan(t, Plan{Status: c.Object.Status, Until: born.Add(60 * day)}, c.Next(now))
	c = issuedState()
	c.Object.Spec.DNSNames = []string{"web.example.com."}
	samePlan(t, Plan{Status: c.Object.Status, Until: born.Add(60 * day)}, c.Next(now))
}
