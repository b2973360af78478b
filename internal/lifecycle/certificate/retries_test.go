package certificate

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/lifecycle/lifecycletest"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

// player plays the driver, the API server and the issuer of one Certificate.
type player struct {
	State
	t   *testing.T
	now time.Time
	// answer is how the issuer answers a request.
	answer func(now time.Time) func(*cmv1.CertificateRequest)
	// made are the times of the requests, each with failedIssuanceAttempts as its
	// failure left it.
	made     []time.Time
	attempts []int
	requests int
	// signed is the last request that was answered with a certificate.
	signed *cmv1.CertificateRequest
}

// run plays until a time.
func (w *player) run(end time.Time) {
	w.t.Helper()
	for range 10000 {
		p := w.Next(w.now)
		changed := w.store(p.Status)
		if p.Do != nil {
			w.do(p.Do)
		}
		if p.Do != nil || changed {
			continue
		}
		if p.Until.IsZero() || p.Until.After(end) {
			w.now = end
			return
		}
		if !p.Until.After(w.now) {
			w.t.Fatalf("at %s it waits until %s", w.now, p.Until)
		}
		w.now = p.Until
	}
	w.t.Fatal("it does not come to an end")
}

// store stores a status with the precision of the API, and reports whether it differs.
func (w *player) store(s cmv1.CertificateStatus) bool {
	if was := w.Object.Status.LastFailureTime; s.LastFailureTime != nil && (was == nil || !s.LastFailureTime.Equal(was)) {
		w.attempts = append(w.attempts, *s.FailedIssuanceAttempts)
	}
	for _, at := range []*metav1.Time{s.LastFailureTime, s.NotAfter, s.NotBefore, s.RenewalTime} {
		if at != nil {
			at.Time = at.Truncate(time.Second)
		}
	}
	changed := !cmp.Equal(w.Object.Status, s)
	w.Object.Status = s
	return changed
}

func (w *player) do(action plan.Action) {
	switch a := action.(type) {
	case GenerateKey:
		w.Memory.Kept, w.Memory.Key = true, &MemoryKey{Digest: pki.DigestOf(key(2).Public()), CreatedAt: w.now, Name: "web-k"}
	case StoreKey:
		w.Keys, w.Memory.Key = []*facts.Secret{nextKey("web-k", key(2))}, nil
	case DeleteKeys:
		w.Keys = nil
	case CreateRequest:
		w.requests++
		w.made = append(w.made, w.now)
		r := newRequest(w.Object, key(2), a.Revision, w.answer(w.now), func(r *cmv1.CertificateRequest) {
			r.UID, r.CreationTimestamp = types.UID(strconv.Itoa(w.requests)), metav1.NewTime(w.now.Truncate(time.Second))
			r.Annotations[facts.FailedAttemptsAnnotation] = strconv.Itoa(a.FailedAttempts)
			r.Annotations[facts.IssuerVersionAnnotation] = w.IssuerVersion
			if a.Row.Generation > 0 {
				r.Annotations[facts.IssuancesAnnotation] = a.Row.String()
			}
		})
		w.Requests = append(w.Requests, factsOf(r)...)
		w.Memory.Request = r.UID
		if len(r.Status.Certificate) > 0 {
			w.signed = r
		}
	case DeleteRequests:
		w.Memory.FailedAttempts = a.FailedAttempts
		w.Requests = slices.DeleteFunc(w.Requests, func(r *facts.Request) bool { return slices.Contains(a.Requests, r) })
	case DeleteRevisions:
		w.Requests = slices.DeleteFunc(w.Requests, func(r *facts.Request) bool { return slices.Contains(a.Requests, r) })
	case StoreSecret:
		w.Remembered = w.Known(a.Request, w.now)
		w.Secret = secretFor(w.State, w.signed, key(2))
	case Forget:
		w.Memory = Memory{}
	case Announce:
		w.Memory.BegunAt = time.Time{}
	default:
		w.t.Fatalf("what is %T", a)
	}
}

// waits are the times between the attempts, in words.
func (w *player) waits() string {
	var waits []string
	for i := 1; i < len(w.made); i++ {
		waits = append(waits, plan.InWords(w.made[i].Sub(w.made[i-1])))
	}
	return strings.Join(waits, " ")
}

// The ways in which issuers fail.
func ofOrder(state, reason string) func(time.Time) func(*cmv1.CertificateRequest) {
	return func(now time.Time) func(*cmv1.CertificateRequest) {
		return failedAt(now, fmt.Sprintf("Failed to wait for order resource \"web-1-7\" to become ready: order is in %q state: %s", state, reason))
	}
}

func refused(now time.Time) func(*cmv1.CertificateRequest) {
	return failedAt(now, "Error signing certificate: no")
}

func denied(now time.Time) func(*cmv1.CertificateRequest) {
	return requestIs(cmv1.CertificateRequestConditionDenied, cmmeta.ConditionTrue, "policy", "no", now)
}

func external(c *State) { c.Object.Spec.IssuerRef.Group = "example.com" }

// TestRetries has issuances that fail for hours: when they are tried again, how often
// status.failedIssuanceAttempts rises, and how long cert-manager would wait if it took
// over. It is the same whether the process lives or ends after each failure.
func TestRetries(t *testing.T) {
	validation := ofOrder("invalid", "Error accepting authorization: acme: authorization error for web.example.com: 403 urn:ietf:params:acme:error:unauthorized: no")
	for _, test := range []struct {
		name   string
		state  func(*State)
		answer func(time.Time) func(*cmv1.CertificateRequest)
		hours  int
		waits  string
		counts []int
		back   time.Duration
	}{
		{"validation", nil, validation, 30, "5m 10m 20m 40m 1h20m 2h40m 5h20m 6h 6h 6h", []int{1, 1, 1, 1, 1, 2, 3, 4, 4, 4, 4}, 8 * hour},
		{"transient", nil, ofOrder("expired", "gone (replaced 3 times)"), 6, "5s 10s 20s 40s 1m20s 2m40s 5m20s 10m40s 21m20s 42m40s 1h 1h 1h 1h", []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2}, 2 * hour},
		{"an issuer of ours refuses", nil, refused, 25, "6h 6h 6h 6h", []int{1, 2, 3, 4, 4}, 8 * hour},
		{"the CA refuses", nil, ofOrder("errored", "Failed to create Order: 400 urn:ietf:params:acme:error:rejectedIdentifier: no"), 25, "6h 6h 6h 6h", []int{1, 2, 3, 4, 4}, 8 * hour},
		{"denied", nil, denied, 25, "6h 6h 6h 6h", []int{1, 2, 3, 4, 4}, 8 * hour},
		{"an external issuer fails", external, refused, 25, "1h 2h 4h 6h 6h 6h", []int{1, 2, 3, 4, 4, 4, 4}, 8 * hour},
		{"expired on arrival", nil, func(now time.Time) func(*cmv1.CertificateRequest) { return signed(now.Add(-day), now) }, 25, "1h 2h 4h 6h 6h 6h", []int{1, 2, 3, 4, 4, 4, 4}, 8 * hour},
		{"as cert-manager", func(c *State) { c.Backoff = plan.DefaultIssuance }, validation, 150, "1h 2h 4h 8h 16h 32h 32h 32h", []int{1, 2, 3, 4, 5, 6, 7, 8, 9}, 32 * hour},
		{"as cert-manager, soon", func(c *State) { c.Backoff = plan.Backoff{Min: 30 * time.Second, Max: time.Minute} }, refused, 0, "", []int{1}, hour},
	} {
		for _, restarts := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, restarts %t", test.name, restarts), func(t *testing.T) {
				c := State{Object: newCertificate()}
				if test.state != nil {
					test.state(&c)
				}
				w := &player{State: c, t: t, now: now, answer: test.answer}
				end := now.Add(time.Duration(test.hours) * hour)
				for w.now.Before(end) && restarts {
					lives := 7 * time.Second
					if w.now.Sub(now) > 10*time.Minute {
						lives = 17 * time.Minute
					}
					w.run(plan.Earliest(w.now.Add(lives), end))
					w.Memory = Memory{}
				}
				w.run(end)
				if diff := cmp.Diff(test.waits, w.waits()); diff != "" {
					t.Errorf("waits (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(test.counts, w.attempts); diff != "" {
					t.Errorf("failedIssuanceAttempts (-want +got):\n%s", diff)
				}
				if back := plan.DefaultIssuance.Delay(*w.Object.Status.FailedIssuanceAttempts); back != test.back {
					t.Errorf("cert-manager would wait for %s", back)
				}
				last := w.made[len(w.made)-1]
				if at := w.Object.Status.LastFailureTime; !at.Time.Equal(last) {
					t.Errorf("the last failure is at %s, and the last attempt was at %s", at, last)
				}
			})
		}
	}
}

// TestRetriesAfterChanges has what ends a wait: a change of the spec begins another row
// of failures, one of the issuer goes on with it.
func TestRetriesAfterChanges(t *testing.T) {
	w := &player{State: State{Object: newCertificate(), IssuerVersion: "i/1"}, t: t, now: now, answer: ofOrder("invalid", "no")}
	w.run(now.Add(4 * hour))
	if waits := "5m 10m 20m 40m 1h20m"; w.waits() != waits {
		t.Fatalf("waits %s, want %s", w.waits(), waits)
	}
	w.made = nil
	w.Object.Spec.DNSNames, w.Object.Generation = []string{"other.example.com"}, 2
	w.run(w.now.Add(20 * time.Minute))
	if len(w.made) != 3 || !w.made[0].Equal(now.Add(4*hour)) || w.waits() != "5m 10m" {
		t.Errorf("after a change of the spec: attempts at %v", w.made)
	}

	// A tool changes the issuer each second.
	w.made = w.made[len(w.made)-1:]
	for i := range 3000 {
		w.IssuerVersion = fmt.Sprintf("i/%d", i+2)
		w.run(w.now.Add(time.Second))
	}
	if n := len(w.made); n < 4 || n > 8 {
		t.Errorf("after changes of the issuer: attempts at %v", w.made)
	}
}

// TestRetriesOfShortLives has renewals that fail: they are tried often enough before the
// certificate dies, and as usual once it is dead.
func TestRetriesOfShortLives(t *testing.T) {
	for _, test := range []struct {
		name         string
		life         time.Duration
		answer       func(time.Time) func(*cmv1.CertificateRequest)
		least        int
		waits, after string
	}{
		{"an hour", hour, denied, 4, "5m 5m 5m", "6h"},
		{"an hour, transient", hour, ofOrder("expired", "gone"), 20, "5s 10s 20s 40s 1m20s 2m40s 3m41s 2m46s 2m4s", "1h"},
		{"six days", 6 * day, denied, 20, "6h 6h 6h 6h 6h 4h30m 3h22m30s 2h31m52s", "6h"},
		{"ninety days", 90 * day, denied, 120, "6h 6h 6h", "6h"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := issuedState()
			c.Backoff = plan.Backoff{}
			leaf := *c.Secret.Leaf
			leaf.NotBefore, leaf.NotAfter = now, now.Add(test.life)
			c.Secret.Leaf = &leaf
			w := &player{State: c, t: t, now: now, answer: test.answer}
			w.run(leaf.NotAfter.Add(-time.Second))
			if len(w.made) < test.least || !strings.HasPrefix(w.waits(), test.waits) {
				t.Errorf("%d attempts before it dies: %s", len(w.made), w.waits())
			}
			if left := leaf.NotAfter.Sub(w.made[len(w.made)-1]); left > 10*time.Minute {
				t.Errorf("the last attempt is %s before the end", left)
			}
			w.run(leaf.NotAfter.Add(13 * hour))
			if !strings.HasSuffix(w.waits(), test.after) {
				t.Errorf("after the end: %s", w.waits())
			}
		})
	}
}

// TestKindOfFailure has what tells how a failed issuance is to be repeated: only what
// the request says, because its Order may be gone.
func TestKindOfFailure(t *testing.T) {
	order := func(state, reason string) *facts.Failure {
		return &facts.Failure{Reason: "Failed", Message: fmt.Sprintf("Failed to wait for order resource \"x\" to become ready: order is in %q state: %s", state, reason)}
	}
	const acme = "urn:ietf:params:acme:error:"
	for _, test := range []struct {
		name    string
		failure *facts.Failure
		group   string
		want    failureKind
	}{
		{"signing", &facts.Failure{Reason: "Failed", Message: "Error signing certificate: no"}, "", userFailure},
		{"denied", &facts.Failure{Reason: "policy", Refused: true}, "example.com", userFailure},
		{"external", &facts.Failure{Reason: "Failed", Message: "no"}, "example.com", unknownFailure},
		{"external, which talks like us", order("invalid", ""), "example.com", unknownFailure},
		{"validation", order("invalid", "403 "+acme+"unauthorized: no"), "", validationFailure},
		{"validation without a reason", order("invalid", ""), "cert-manager.io", validationFailure},
		{"CAA", order("invalid", "403 "+acme+"caa: no"), "", userFailure},
		{"expired", order("expired", "gone"), "", transientFailure},
		{"errored", order("errored", "Failed to create Order: 400 "+acme+"malformed: no"), "", userFailure},
		{"no solver", order("errored", "Failed to determine a valid solver configuration"), "", userFailure},
		{"rate limit, as cert-manager ends an order", order("errored", "Failed to create Order: 429 "+acme+"rateLimited: no"), "", unknownFailure},
		{"certificate missing", order("errored", "Failed to retrieve signed certificate: 404 "+acme+"malformed: no"), "", unknownFailure},
		{"no state", &facts.Failure{Reason: "Failed", Message: "Failed to wait for order resource"}, "", userFailure},
	} {
		r := &facts.Request{Failure: test.failure, IssuerRef: cmmeta.IssuerReference{Name: "x", Kind: cmv1.IssuerKind, Group: test.group}}
		if got := kindOf(r); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
}

// TestNextTryOfStatus has statuses of others, and of processes with other flags.
func TestNextTryOfStatus(t *testing.T) {
	failed := now.Add(-time.Minute)
	for _, test := range []struct {
		name, message string
		attempts      int
		backoff       plan.Backoff
		want          time.Time
	}{
		{"ours", "no" + nextTry + "2026-11-22T06:04:00Z", 1, plan.Backoff{}, now.Add(4 * time.Minute)},
		{"ours, of an issuer that says so too", "busy" + nextTry + "noon" + nextTry + "2026-11-22T06:04:00Z", 1, plan.Backoff{}, now.Add(4 * time.Minute)},
		{"cert-manager's", "no", 2, plan.Backoff{}, failed.Add(2 * hour)},
		{"cert-manager's, after many", "no", 9, plan.Backoff{}, failed.Add(6 * hour)},
		{"of another back-off", "no" + nextTry + "2026-11-23T14:00:00Z", 6, plan.Backoff{}, failed.Add(6 * hour)},
		{"before the failure", "no" + nextTry + "2020-11-23T14:00:00Z", 6, plan.Backoff{}, time.Time{}},
		{"no time", "no" + nextTry + "noon", 1, plan.Backoff{}, failed.Add(hour)},
		{"flags set since", "no" + nextTry + "2026-11-22T06:04:00Z", 3, plan.DefaultIssuance, failed.Add(4 * hour)},
	} {
		c := State{Object: newCertificate(), Backoff: test.backoff}
		c.Object.Status = cmv1.CertificateStatus{
			Conditions:      []cmv1.CertificateCondition{issuingIs(cmmeta.ConditionFalse, "Failed", test.message, failed)},
			LastFailureTime: at(failed), FailedIssuanceAttempts: ptr.To(test.attempts),
		}
		if _, until := c.trigger(now); !until.Equal(test.want) {
			t.Errorf("%s: until %s, want %s", test.name, until, test.want)
		}
	}
}

// TestRecordedFailure takes over the failures that cert-manager has recorded: they are
// repeated when cert-manager would repeat them, and then as it fits.
func TestRecordedFailure(t *testing.T) {
	eachDump(t, func(t *testing.T, r lifecycletest.Recorded) {
		found := 0
		for i := range r.Certificates {
			crt := &r.Certificates[i]
			if crt.Status.LastFailureTime == nil {
				continue
			}
			found++
			c := State{Object: crt, Secret: nil}
			for _, request := range r.Requests {
				if metav1.IsControlledBy(request, crt) {
					c.Requests = append(c.Requests, factsOf(request)...)
				}
			}
			due := crt.Status.LastFailureTime.Add(plan.DefaultIssuance.Delay(*crt.Status.FailedIssuanceAttempts))
			p := c.Next(r.Time)
			if p.Do != nil || !p.Until.Equal(due) {
				t.Errorf("%s: %v until %s, want %s", crt.Name, p.Do, p.Until, due)
			}
			if _, again := c.Next(due).Do.(DeleteRequests); !again {
				t.Errorf("%s: when it is due: %v", crt.Name, c.Next(due).Do)
			}
			if kind := kindOf(c.Requests[0]); crt.Name == "acme-failed" && kind != validationFailure {
				t.Errorf("%s: a failure of kind %d", crt.Name, kind)
			}
		}
		if found == 0 {
			t.Error("no failure was recorded")
		}
	})
}
