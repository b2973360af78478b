package certificate

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

// someState is a state that may be found, or that others may have made.
func someState(random *rand.Rand) State {
	pick := func(options ...func(*State)) func(*State) { return options[random.IntN(len(options))] }
	none := func(*State) {}
	c := State{Object: newCertificate(), Backoff: plan.DefaultIssuance}
	if random.IntN(2) == 0 {
		c = issuedState()
	}
	status := &c.Object.Status
	begin := func(reason string, when time.Time) func(*State) {
		return func(*State) {
			status.Conditions = append(status.Conditions, issuingIs(cmmeta.ConditionTrue, reason, "because", when))
		}
	}
	request := func(created time.Time, change ...func(*cmv1.CertificateRequest)) func(*State) {
		return func(c *State) {
			k := key(1 + random.IntN(2))
			c.Requests = append(c.Requests, factsOf(newRequest(c.Object, k, c.nextRevision(), append(change, func(r *cmv1.CertificateRequest) {
				r.CreationTimestamp = *at(created)
			})...))...)
		}
	}
	ready := func(reason, message string) func(*cmv1.CertificateRequest) {
		return requestIs(cmv1.CertificateRequestConditionReady, cmmeta.ConditionFalse, reason, message, now)
	}
	memoryKey := func(age time.Duration) func(*State) {
		return func(c *State) {
			c.Memory.Key = &MemoryKey{Digest: pki.DigestOf(key(1).Public()), CreatedAt: now.Add(-age), Name: "web-k"}
		}
	}
	generating := func(age time.Duration) func(*State) {
		return func(c *State) { c.Memory.Generating, c.Memory.GeneratingSince = true, now.Add(-age) }
	}
	failed := func(when time.Time) func(*State) {
		return func(c *State) {
			status.Conditions = append(status.Conditions, issuingIs(cmmeta.ConditionFalse, "Failed", "no", when))
			status.LastFailureTime, status.FailedIssuanceAttempts = at(when), ptr.To(random.IntN(4))
		}
	}
	for _, f := range []func(*State){
		pick(none, none, begin("ManuallyTriggered", now), begin("Renewing", now.Add(hour)), failed(now), failed(now.Add(-day)), failed(now.Add(day))),
		pick(none, none, func(c *State) { c.Object.Spec.DNSNames, c.Object.Generation = []string{"new.example.com"}, 2 }),
		pick(none, none, func(c *State) { c.Object.Spec.PrivateKey.Size = 384 }, func(c *State) { c.Object.Spec.LiteralSubject = "CN=x" }),
		pick(none, func(c *State) { c.Object.Spec.PrivateKey.RotationPolicy = cmv1.RotationPolicyNever }),
		pick(none, none, none, func(c *State) { c.Secret = nil }, func(c *State) {
			c.Secret = facts.OfSecret(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "web-tls"}}, pki.Limits{})
		}, func(c *State) {
			if c.Secret != nil {
				leaf := *c.Secret.Leaf
				leaf.NotAfter = now.Add(-hour)
				c.Secret.Leaf = &leaf
			}
		}),
		pick(none, none, func(c *State) { c.Keys = []*facts.Secret{nextKey("web-k", key(1))} }, memoryKey(0), memoryKey(time.Minute), generating(0), generating(time.Minute)),
		pick(
			none, request(now), request(born), request(born, requestIs(cmv1.CertificateRequestConditionApproved, cmmeta.ConditionTrue, "x", "x", now)),
			request(born, ready("Pending", "no issuer")), request(born, ready("Pending", `Waiting on certificate issuance from order app/web-1-7: "pending"`)),
			request(born, ready("Queued", "")), request(born, failedAt(now, "no")), request(born, signed(now, now.Add(90*day))), request(born, signed(born, now)),
		),
		pick(none, none, none, func(c *State) { c.SecretOwnedBy = "older" }),
		pick(none, none, none, func(c *State) { c.SecretUsedBy = `Issuer "own"` }),
		pick(none, func(c *State) { c.SignsInline = true }),
		pick(none, none, func(c *State) { c.Memory.BegunAt, c.Memory.Kept = now.Add(-time.Second), true }),
		pick(none, none, none, func(c *State) { c.Memory.Requests, c.Memory.Keys = 3, 3 }),
		pick(none, func(c *State) { c.Started = now }),
		pick(none, none, none, func(c *State) { status.Revision = ptr.To(-5) }),
	} {
		f(&c)
	}
	return c
}

// settle stores the status of plans without an action until there is an action or
// nothing changes any more, as the driver does.
func settle(t *testing.T, c State) (State, Plan) {
	t.Helper()
	c.Object = c.Object.DeepCopy()
	for range 10 {
		p := c.Next(now)
		if p.Do != nil || p.Persist == plan.Held || equality.Semantic.DeepEqual(p.Status, c.Object.Status) {
			return c, p
		}
		c.Object.Status = p.Status
	}
	t.Fatalf("the status does not settle: %+v", c.Object.Status)
	return c, Plan{}
}

// unexplained says what a plan leaves open that waits, or returns "".
func unexplained(c State, p Plan) string {
	begun := condition.Find(p.Status.Conditions, cmv1.CertificateConditionIssuing)
	soon := !p.Until.IsZero() && !p.Until.After(now.Add(keyInMemory))
	switch {
	case begun == nil && condition.True(p.Status.Conditions, cmv1.CertificateConditionReady):
		return ""
	case !c.inherited(now).IsZero() && !p.Until.IsZero() && !p.Until.After(c.Started.Add(takeover)):
		return ""
	case begun == nil && c.SecretOwnedBy != "":
		ready := condition.Find(p.Status.Conditions, cmv1.CertificateConditionReady)
		if ready.Reason != cmv1.CertificateReasonIncorrectCertificate {
			return "whose Secret it is"
		}
		return ""
	case begun == nil:
		return "why nothing is issued"
	case begun.Status != cmmeta.ConditionTrue && begun.Message == "":
		return "why the issuance failed"
	case begun.Status != cmmeta.ConditionTrue && p.Until.IsZero():
		return "when the next try is"
	case begun.Status != cmmeta.ConditionTrue, soon, strings.Contains(begun.Message, causeMark):
		return ""
	}
	for _, r := range c.requestsOf(c.nextRevision()) {
		if r.Waiting != "" && c.causeOfWaiting(r) == "" {
			// The Order takes its usual course, and the request says so.
			return ""
		}
	}
	return "what it waits for"
}

// TestEveryWaitHasAReason takes states at random: where nothing is done, the
// conditions say why, and until when if that is known. So they do where an action is
// refused.
func TestEveryWaitHasAReason(t *testing.T) {
	refused := apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "x", errors.New("no"))
	waits, failures := map[string]int{}, map[string]int{}
	for seed := range uint64(1500) {
		c, p := settle(t, someState(rand.New(rand.NewPCG(seed, 7))))
		if p.Do == nil {
			if left := unexplained(c, p); left != "" {
				t.Fatalf("seed %d: nothing says %s:\nfrom %+v\nto %+v\nuntil %s", seed, left, c.Object.Status, p.Status, p.Until)
			}
			if begun := condition.Find(p.Status.Conditions, cmv1.CertificateConditionIssuing); begun != nil {
				_, cause, _ := strings.Cut(begun.Message, causeMark)
				waits[fmt.Sprintf("%s %.30s", begun.Status, cause)]++
			}
			continue
		}
		if p.Persist == plan.Before && !issuing(p.Status) {
			// Nothing waits for it: something is tidied up.
			continue
		}
		f := c.Failed(plan.Failure{Action: p.Do, Err: refused}, now)
		if issuing(p.Status) && !strings.Contains(condition.Find(f.Status.Conditions, cmv1.CertificateConditionIssuing).Message, causeMark) {
			t.Fatalf("seed %d: nothing says that it failed to %s: %+v", seed, p.Do, f.Status)
		}
		if f.Until.IsZero() || len(f.Events) != 1 {
			t.Fatalf("seed %d: %+v", seed, f)
		}
		failures[fmt.Sprintf("%T", p.Do)]++
	}
	if len(waits) < 9 || len(failures) < 8 {
		t.Errorf("too few kinds of waits and actions were met: %v, %v", waits, failures)
	}
}
