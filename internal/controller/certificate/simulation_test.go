package certificate

import (
	"fmt"
	"slices"
	"testing"
	"time"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/facts"
	core "github.com/everleaf/everleaf/internal/lifecycle/certificate"
	"github.com/everleaf/everleaf/internal/lifecycle/lifecycletest"
	"github.com/everleaf/everleaf/internal/pki"
)

// sign answers requests, or refuses one in eight for good.
func (w *world) sign() {
	now := w.clock.Now()
	for i, r := range w.requests {
		if facts.OfRequest(r, pki.Limits{}).Ended() || (w.slow && w.random.IntN(8) > 0) {
			continue
		}
		answer := r.DeepCopy()
		if w.random.IntN(8) == 0 {
			lifecycletest.FailedAt(now.Truncate(time.Second), "no")(answer)
			w.refused++
		} else {
			lifecycletest.Signed(now, now.Add(life))(answer)
		}
		w.requests = slices.Clone(w.requests)
		w.requests[i] = answer
	}
}

// TestSimulation issues and renews with crashes between any two writes: each
// revision is issued once, and nothing is left behind.
func TestSimulation(t *testing.T) {
	var kills, failures, refused, announced int
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t, seed)
			for revision := 1; revision <= 3; revision++ {
				w.until(revision)
				w.check(revision)
				w.clock.SetTime(w.object.Status.RenewalTime.Time)
			}
			// Each request except those stored was refused, or its key was lost.
			if extra := w.created - 3; extra > w.kills+w.refused {
				t.Errorf("%d requests too many, after %d kills and %d refusals", extra, w.kills, w.refused)
			}
			// An event is sent once, unless its process is killed before.
			if w.succeeded > 3 || w.succeeded+w.kills < 3 {
				t.Errorf("%d events of success, after %d kills", w.succeeded, w.kills)
			}
			if w.announced > 3+w.kills+w.refused {
				t.Errorf("%d issuances are announced, after %d kills and %d refusals", w.announced, w.kills, w.refused)
			}
			kills, failures, refused, announced = kills+w.kills, failures+w.errors, refused+w.refused, announced+w.announced
		})
	}
	if kills == 0 || failures == 0 || refused == 0 || announced == 0 {
		t.Errorf("%d kills, %d failed writes, %d refusals, %d announcements: nothing is tested", kills, failures, refused, announced)
	}
}

// until runs until a revision is issued and the reconciler waits.
func (w *world) until(revision int) {
	w.t.Helper()
	for range 500 {
		kills, failures := w.kills, w.errors
		w.reconcile()
		undisturbed := w.kills == kills && w.errors == failures
		issuing := condition.True(w.last.Status.Conditions, cmv1.CertificateConditionIssuing)
		if r := w.object.Status.Revision; undisturbed && r != nil && *r == revision && w.last.Do == nil && !issuing {
			return
		}
		w.sign()
		w.clock.Step(100 * time.Millisecond)
		if undisturbed && !issuing && w.last.Until.After(w.clock.Now()) {
			w.clock.SetTime(w.last.Until)
		}
	}
	w.t.Fatalf("revision %d is not issued: %+v", revision, w.object.Status)
}

func (w *world) check(revision int) {
	w.t.Helper()
	status := w.object.Status
	ready := condition.Find(status.Conditions, cmv1.CertificateConditionReady)
	switch {
	case ready == nil || ready.Status != cmmeta.ConditionTrue:
		w.t.Errorf("revision %d: not ready: %+v", revision, status)
	case len(status.Conditions) != 1 || status.NextPrivateKeySecretName != nil || status.LastFailureTime != nil || status.FailedIssuanceAttempts != nil:
		w.t.Errorf("revision %d: leftovers in the status: %+v", revision, status)
	case len(w.keys) > 0 || w.process.key != nil || w.process.memory != (core.Memory{}):
		w.t.Errorf("revision %d: keys or memory are left: %+v", revision, w.process.memory)
	case len(w.requests) != 1:
		w.t.Errorf("revision %d: %d requests are left", revision, len(w.requests))
	default:
		if r := facts.OfRequest(w.requests[0], pki.Limits{}); r.Revision != revision || !slices.Contains(w.secret.Digests, facts.Digest{Key: "tls.crt", Sum: r.Answer.Digest}) {
			w.t.Errorf("revision %d: its request is not the one that is left", revision)
		}
	}
	reused := w.object.Spec.PrivateKey.RotationPolicy == cmv1.RotationPolicyNever
	if w.secret.KeyDigest != w.secret.Leaf.KeyDigest || (reused && revision > 1 && w.secret.KeyDigest != pki.DigestOf(w.stored["first"].Public())) {
		w.t.Errorf("revision %d: wrong key", revision)
	}
	if revision == 1 {
		w.stored["first"] = w.stored[w.secret.Name]
	}
}
