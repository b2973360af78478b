package certificate

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/plan"
)

// TestBackoff has a Certificate whose first issuance failed two times.
func TestBackoff(t *testing.T) {
	failed := now.Add(-time.Minute)
	end := failed.Add(2 * hour)
	none := plan.Backoff{Min: time.Nanosecond, Max: time.Nanosecond}
	issuerWas := func(then, present string) func(*State) {
		return func(c *State) {
			c.IssuerVersion = present
			c.Requests = factsOf(newRequest(c.Object, key(1), 1, failedAt(failed, "no"), func(r *cmv1.CertificateRequest) {
				r.Annotations[facts.IssuerVersionAnnotation] = then
			}))
		}
	}
	other := newCertificate(func(crt *cmv1.Certificate) { crt.Spec.DNSNames = []string{"old.example.com"} })
	tests := []struct {
		name  string
		state func(*State)
		now   time.Time
		until time.Time
	}{
		{"waits", func(*State) {}, now, end},
		{"waits without its request", func(c *State) { c.Requests = nil }, now, end},
		{"no count", func(c *State) { c.Object.Status.FailedIssuanceAttempts = nil }, now, failed.Add(hour)},
		{"count below one", func(c *State) { c.Object.Status.FailedIssuanceAttempts = ptr.To(-1) }, now, failed.Add(hour)},
		{"a moment before", func(*State) {}, end.Add(-1), end},
		{"over", func(*State) {}, end, time.Time{}},
		{"clock set back", func(*State) {}, failed.Add(-day), failed.Add(-day + 2*hour)},
		{"other spec", func(c *State) { c.Requests = factsOf(newRequest(other, key(1), 1)) }, now, time.Time{}},
		{"other size of the key", func(c *State) {
			c.Requests = factsOf(newRequest(c.Object, key(1), 1, failedAt(failed, "no")))
			c.Object.Spec.PrivateKey = &cmv1.CertificatePrivateKey{Algorithm: cmv1.ECDSAKeyAlgorithm, Size: 384}
			c.Object.Generation = 2
		}, now, time.Time{}},
		{"request of nonsense", func(c *State) {
			c.Requests = factsOf(newRequest(c.Object, key(1), 1, failedAt(failed, "no"), func(r *cmv1.CertificateRequest) { r.Spec.Request = nil }))
		}, now, time.Time{}},
		{"no request, other spec", func(c *State) { c.Requests, c.Object.Generation = nil, 2 }, now, time.Time{}},
		{"request, other generation", func(c *State) { c.Object.Generation = 2 }, now, end},
		{"no request, generation not reported", func(c *State) {
			c.Requests, c.Object.Generation, c.Object.Status.Conditions[0].ObservedGeneration = nil, 2, 0
		}, now, end},
		{"switched off", func(c *State) { c.Backoff = none }, now, time.Time{}},
		{"switched off, a moment ago", func(c *State) { c.Backoff = none }, failed.Add(5*time.Second - 1), failed.Add(5 * time.Second)},
		{"switched off, some seconds ago", func(c *State) { c.Backoff = none }, failed.Add(5 * time.Second), time.Time{}},
		{"issuer changed", issuerWas("i/1", "i/2"), now, time.Time{}},
		{"another issuer of the name", issuerWas("i/1", "j/1"), now, time.Time{}},
		{"issuer changed, a moment after the failure", issuerWas("i/1", "i/2"), failed.Add(20*time.Second - 1), failed.Add(20 * time.Second)},
		{"issuer changed, after many failures", func(c *State) {
			issuerWas("i/1", "i/2")(c)
			c.Object.Status.FailedIssuanceAttempts = ptr.To(20)
		}, now, failed.Add(hour)},
		{"issuer changed, short back-off", func(c *State) {
			issuerWas("i/1", "i/2")(c)
			c.Backoff = none
		}, failed.Add(time.Second), failed.Add(5 * time.Second)},
		{"issuer unchanged", issuerWas("i/2", "i/2"), now, end},
		{"issuer gone", issuerWas("i/1", ""), now, end},
		{"issuer not known", issuerWas("", "i/2"), now, end},
		{"by hand", func(c *State) {
			c.Object.Status.Conditions[0] = issuingIs(cmmeta.ConditionTrue, "ManuallyTriggered", "now", now)
		}, now, time.Time{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			crt := newCertificate()
			crt.Status = cmv1.CertificateStatus{
				Conditions:      []cmv1.CertificateCondition{issuingIs(cmmeta.ConditionFalse, "Failed", "no", failed)},
				LastFailureTime: at(failed), FailedIssuanceAttempts: ptr.To(2),
			}
			c := State{Object: crt, Backoff: plan.DefaultIssuance}
			c.Requests = factsOf(newRequest(crt, key(1), 1, failedAt(failed, "no")))
			test.state(&c)
			c.compare()
			trigger, until := c.trigger(test.now)
			if (trigger != nil) != test.until.IsZero() || !until.Equal(test.until) {
				t.Errorf("got trigger %v until %s, want until %s", trigger, until, test.until)
			}
			// What ends the back-off early is gone once there is a new request: the status
			// says before that an issuance goes on.
			p, begins := c.Next(test.now), trigger != nil && !issuing(crt.Status)
			early := begins && c.nextTry(c.lastFailure(test.now), max(ptr.Deref(crt.Status.FailedIssuanceAttempts, 1), 1)).After(test.now)
			if begins && (p.Do == nil || !issuing(p.Status) || (p.Persist == plan.Before) != early) {
				t.Errorf("begins early: %t; the plan is %v, its status stored at %v", early, p.Do, p.Persist)
			}
		})
	}
}

// TestOtherSpecAfterFailure: a new spec ends the back-off also if the process that makes its
// request ends then, or reads its caches again.
func TestOtherSpecAfterFailure(t *testing.T) {
	for _, inline := range []bool{true, false} {
		w := &player{State: State{Object: newCertificate(), SignsInline: inline}, t: t, now: now, answer: func(now time.Time) func(*cmv1.CertificateRequest) {
			return failedAt(now, "no")
		}}
		w.run(now.Add(time.Minute))
		w.Object.Generation, w.Object.Spec.DNSNames = 2, []string{"new.example.com"}
		for range 10 {
			p := w.Next(w.now)
			if p.Persist == plan.Before {
				w.store(p.Status)
			}
			if p.Do == nil {
				break
			}
			w.do(p.Do)
			if _, made := p.Do.(CreateRequest); made {
				break
			}
		}
		if len(w.made) != 2 {
			t.Fatalf("%d requests", len(w.made))
		}
		w.compare()
		if trigger, until := w.trigger(w.now); trigger == nil {
			t.Errorf("inline %t: with a new request it waits until %s", inline, until)
		}
	}
}

// TestFailureOfAnotherSpec has a Certificate that is issued, and has failed since:
// what is dropped of the failure, and what stays.
func TestFailureOfAnotherSpec(t *testing.T) {
	failed := now.Add(-time.Minute)
	const ours = "The certificate request has failed to complete and will be retried: no; next try at 2026-11-22T06:59:00Z"
	const theirs = "The certificate request has failed to complete and will be retried: no"
	for _, test := range []struct {
		name    string
		message string
		change  func(*State)
		stays   bool
	}{
		{"corrected back", ours, func(c *State) { c.Object.Generation = 3 }, false},
		{"corrected back, with the failed request", ours, func(c *State) {
			c.Object.Generation = 3
			wrong := newCertificate(func(crt *cmv1.Certificate) { crt.Spec.DNSNames = []string{"rev_.example.com"} })
			c.Requests = append(c.Requests, factsOf(newRequest(wrong, key(2), 2, failedAt(failed, "no")))...)
		}, false},
		{"spec as it was", ours, func(c *State) { c.Object.Generation = 2 }, true},
		{"generation not reported", ours, func(c *State) {
			c.Object.Generation, c.Object.Status.Conditions[1].ObservedGeneration = 3, 0
		}, true},
		{"recorded by cert-manager", theirs, func(c *State) { c.Object.Generation = 3 }, true},
		{"due for renewal, and waiting", ours, func(c *State) {
			c.Object.Generation = 3
			c.Object.Spec.RenewBefore = &metav1.Duration{Duration: 90*day - hour}
			leaf := *c.Secret.Leaf
			leaf.NotBefore, leaf.NotAfter = born.Add(-60*day), born.Add(30*day)
			c.Secret.Leaf = &leaf
			c.Requests = append(c.Requests, factsOf(newRequest(c.Object, key(2), 2, failedAt(failed, "no")))...)
		}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := issuedState()
			status := &c.Object.Status
			status.Conditions = append(status.Conditions, issuingIs(cmmeta.ConditionFalse, "Failed", test.message, failed))
			status.Conditions[1].ObservedGeneration = 2
			status.LastFailureTime, status.FailedIssuanceAttempts = at(failed), ptr.To(1)
			test.change(&c)
			p := c.Next(now)
			want := c.Object.Status.DeepCopy()
			if !test.stays {
				want.Conditions, want.LastFailureTime, want.FailedIssuanceAttempts = want.Conditions[:1], nil, nil
			}
			got := p.Status
			got.NotBefore, got.NotAfter, got.RenewalTime = want.NotBefore, want.NotAfter, want.RenewalTime
			got.Conditions[0].ObservedGeneration = want.Conditions[0].ObservedGeneration
			samePlan(t, *want, got)
			if p.Do != nil || p.Until.IsZero() {
				t.Errorf("does %v, until %s", p.Do, p.Until)
			}
		})
	}
}

func TestRival(t *testing.T) {
	c := issuedState()
	c.SecretOwnedBy = "older"
	c.Secret.Annotations[cmv1.CertificateNameKey] = "older"
	want := Plan{Status: *c.Object.Status.DeepCopy(), Until: now.Add(3 * time.Minute)}
	want.Status.Conditions = []cmv1.CertificateCondition{readyIs(cmmeta.ConditionFalse, "IncorrectCertificate",
		`Secret was issued for "older". If this message is not transient, you might have two conflicting Certificates pointing to the same secret.`, now)}
	samePlan(t, want, c.Next(now))
}

// TestSharedSecret has a Certificate whose Secret another one is to make.
func TestSharedSecret(t *testing.T) {
	c := State{Object: newCertificate(), Backoff: plan.DefaultIssuance, SecretOwnedBy: "older"}
	want := Plan{Until: now.Add(3 * time.Minute)}
	want.Status.Conditions = []cmv1.CertificateCondition{
		issuingIs(cmmeta.ConditionFalse, "SecretShared",
			`Secret "app/web-tls" belongs to Certificate "older", which has the same spec.secretName; use another spec.secretName; everleaf looks again within 3 minutes`, now),
		readyIs(cmmeta.ConditionFalse, "DoesNotExist", noSecret, now),
	}
	samePlan(t, want, c.Next(now))
}

// TestRivalRenewed has a Certificate whose Secret is another's, and somebody asks for its
// issuance, which would replace what the other has.
func TestRivalRenewed(t *testing.T) {
	const refused = `Nothing is issued: Secret "app/web-tls" belongs to Certificate "older", which has the same spec.secretName; use another spec.secretName; everleaf looks again within 3 minutes`
	c := issuedState()
	c.SecretOwnedBy = "older"
	c.Secret.Annotations[cmv1.CertificateNameKey] = "older"
	c.Object.Status.Conditions = []cmv1.CertificateCondition{
		issuingIs(cmmeta.ConditionTrue, "ManuallyTriggered", "Certificate re-issuance manually triggered", now.Add(-time.Second)),
		readyIs(cmmeta.ConditionFalse, "IncorrectCertificate",
			`Secret was issued for "older". If this message is not transient, you might have two conflicting Certificates pointing to the same secret.`, now),
	}
	want := Plan{Status: *c.Object.Status.DeepCopy(), Until: now.Add(3 * time.Minute)}
	want.Status.Conditions[0] = issuingIs(cmmeta.ConditionFalse, "SecretShared", refused, now)
	want.Events = []plan.Event{{Warning: true, Reason: "SecretShared", Message: refused, Component: "cert-manager-certificates-issuing"}}
	samePlan(t, want, c.Next(now))

	// It stays, without another event, until the Secret is nobody else's.
	c.Object.Status = want.Status
	want.Events = nil
	samePlan(t, want, c.Next(now))
	c.SecretOwnedBy = ""
	if p := c.Next(now); !issuing(p.Status) {
		t.Errorf("nothing is issued once the Secret is nobody else's: %+v", p.Status.Conditions)
	}
}

func TestSecretOwner(t *testing.T) {
	named := func(name string, age time.Duration) cmv1.Certificate {
		return *newCertificate(func(c *cmv1.Certificate) {
			c.Name, c.CreationTimestamp = name, *at(now.Add(-age))
		})
	}
	leaving := named("0", day)
	leaving.DeletionTimestamp = at(now)
	of := func(name string) *facts.Secret {
		return &facts.Secret{Annotations: map[string]string{cmv1.CertificateNameKey: name}}
	}
	tests := []struct {
		name    string
		sharing []cmv1.Certificate
		secret  *facts.Secret
		want    string
	}{
		{"the one it was issued for", []cmv1.Certificate{named("a", 2*hour), named("b", hour)}, of("b"), "b"},
		{"issued for one that is gone", []cmv1.Certificate{named("a", hour), named("b", 2*hour)}, of("x"), "b"},
		{"no Secret: the oldest", []cmv1.Certificate{named("a", hour), named("b", 2*hour)}, nil, "b"},
		{"as old: by name", []cmv1.Certificate{named("b", hour), named("a", hour)}, &facts.Secret{}, "a"},
		{"none that leaves", []cmv1.Certificate{leaving, named("a", hour)}, of("0"), "a"},
		{"all leave", []cmv1.Certificate{leaving}, nil, "0"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := SecretOwner(test.sharing, test.secret); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
