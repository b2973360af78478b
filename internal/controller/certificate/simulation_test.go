package certificate

import (
	"crypto"
	"fmt"
	rand "math/rand/v2"
	"slices"
	"testing"
	"time"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/lifecycle/request"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

// world is an API server with one Certificate, and a process that looks after
// it and is killed now and then, between any two writes.
type world struct {
	t      *testing.T
	random *rand.Rand
	state  State
	memory crypto.Signer
	// stored are the private keys in Secrets, by name.
	stored map[string]crypto.Signer
	now    time.Time
	// slow says that the issuer needs more than one look at a request.
	slow bool
	// killing is how likely a write is the last of its process.
	killing                             float64
	kills, keys, created, failed, count int
}

func newWorld(t *testing.T, seed uint64) *world {
	random := rand.New(rand.NewPCG(seed, 1))
	w := &world{t: t, random: random, stored: map[string]crypto.Signer{}, now: now, killing: 0.2}
	w.state = State{Object: newCertificate(), Backoff: plan.DefaultIssuance, SignsInline: seed%2 == 0}
	w.slow = seed%3 == 0
	if seed%5 == 0 {
		w.state.Object.Spec.PrivateKey.RotationPolicy = cmv1.RotationPolicyNever
	}
	return w
}

// wrote ends a write: the process may be killed now.
func (w *world) wrote() {
	w.now = w.now.Add(time.Duration(w.random.IntN(300)) * time.Millisecond)
	if w.random.Float64() < w.killing {
		w.kills++
		w.memory, w.state.Memory = nil, nil
		panic("killed")
	}
}

// reconcile takes steps until the plan is to wait, or the process is killed.
func (w *world) reconcile() (p Plan) {
	defer func() {
		if r := recover(); r != nil && r != "killed" {
			panic(r)
		}
	}()
	for range 50 {
		p = Next(w.state, w.now)
		if !p.Issuing {
			w.memory, w.state.Memory = nil, nil
		}
		if p.Persist == plan.Before || (p.Step == Wait && p.Persist == plan.AtEnd) {
			w.state.Object = w.state.Object.DeepCopy()
			w.state.Object.Status = p.Status
			w.wrote()
		}
		if p.Step == Wait {
			return p
		}
		w.carryOut(p)
	}
	w.t.Fatalf("no end of steps; the last was %q", p.Step)
	return p
}

func (w *world) carryOut(plan Plan) {
	crt := w.state.Object
	switch plan.Step {
	case GenerateKey:
		w.keys++
		w.hold(key(100 + w.keys%50))
	case ReuseKey:
		w.hold(w.stored[crt.Spec.SecretName])
	case StoreKey:
		name := fmt.Sprintf("web-%d", w.count)
		w.count++
		w.stored[name] = w.memory
		w.state.Keys = append(w.state.Keys, nextKey(name, w.memory))
		w.state.Memory = nil
		w.wrote()
	case DeleteKeys:
		for _, k := range plan.Keys {
			w.state.Keys = slices.DeleteFunc(slices.Clone(w.state.Keys), func(o *facts.Secret) bool { return o.Name == k.Name })
			w.wrote()
		}
	case DeleteRequests:
		for _, r := range plan.Requests {
			w.state.Requests = slices.DeleteFunc(slices.Clone(w.state.Requests), func(o *cmv1.CertificateRequest) bool { return o.Name == r.Name })
			w.wrote()
		}
	case CreateRequest:
		w.create(plan)
	case StoreSecret:
		k := w.memory
		if len(plan.Keys) == 1 {
			k = w.stored[plan.Keys[0].Name]
		}
		w.state.Secret = secretFor(w.state, plan.Requests[0], k)
		w.stored[crt.Spec.SecretName] = k
		w.wrote()
	default:
		w.t.Fatalf("unexpected step %q", plan.Step)
	}
}

func (w *world) hold(k crypto.Signer) {
	w.memory = k
	w.state.Memory = &MemoryKey{Digest: pki.DigestOf(k.Public()), CreatedAt: w.now}
}

func (w *world) create(plan Plan) {
	k := w.memory
	if len(plan.Keys) == 1 {
		k = w.stored[plan.Keys[0].Name]
	}
	r := newRequest(w.state.Object, k, plan.Revision)
	r.CreationTimestamp = *at(w.now)
	for _, o := range w.state.Requests {
		if o.Name == r.Name {
			w.t.Fatalf("%s is there already", r.Name)
		}
	}
	w.created++
	w.state.Requests = append(slices.Clone(w.state.Requests), r)
	w.wrote()
}

// sign is the reconciler of requests: it approves and signs in one write, or
// refuses one in eight for good.
func (w *world) sign() {
	for i, r := range w.state.Requests {
		plan := request.Next(request.State{Object: r, Issuer: &facts.Issuer{Spec: &cmv1.IssuerSpec{IssuerConfig: cmv1.IssuerConfig{CA: &cmv1.CAIssuer{}}}, Ready: true}, MayApprove: true}, w.now)
		if plan.Step != request.Sign || (w.slow && w.random.IntN(3) > 0) {
			continue
		}
		answer := r.DeepCopy()
		answer.Status = plan.Status
		if w.random.IntN(8) == 0 {
			failedAt(w.now.Truncate(time.Second), "no")(answer)
			w.failed++
		} else {
			bare := r.DeepCopy()
			signed(w.now, w.now.Add(90*day))(bare)
			plan = request.Signed(plan, facts.IssuerCA, request.Outcome{Chain: bare.Status.Certificate}, nil, w.now)
			answer.Status = plan.Status
		}
		w.state.Requests = slices.Clone(w.state.Requests)
		w.state.Requests[i] = answer
	}
}

// TestSimulation issues and renews with crashes between any two writes: each
// revision is issued once, and nothing is left behind.
func TestSimulation(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t, seed)
			for revision := 1; revision <= 3; revision++ {
				w.until(revision)
				w.check(revision)
				w.now = w.state.Object.Status.RenewalTime.Time
			}
			// Each request but those stored was refused, or its key was lost.
			if extra := w.created - 3; extra > w.kills+w.failed {
				t.Errorf("%d requests too many, after %d kills and %d refusals", extra, w.kills, w.failed)
			}
		})
	}
}

// until runs until a revision is issued and the reconciler rests.
func (w *world) until(revision int) {
	w.t.Helper()
	for range 500 {
		kills := w.kills
		plan := w.reconcile()
		if r := w.state.Object.Status.Revision; w.kills == kills && r != nil && *r == revision && plan.Step == Wait && !plan.Issuing {
			return
		}
		w.sign()
		w.now = w.now.Add(100 * time.Millisecond)
		if w.kills == kills && !plan.Issuing && plan.Until.After(w.now) {
			w.now = plan.Until
		}
	}
	w.t.Fatalf("revision %d is not issued: %+v", revision, w.state.Object.Status)
}

func (w *world) check(revision int) {
	w.t.Helper()
	status := w.state.Object.Status
	ready := condition.Find(status.Conditions, cmv1.CertificateConditionReady)
	switch {
	case ready == nil || ready.Status != cmmeta.ConditionTrue:
		w.t.Errorf("revision %d: not ready: %+v", revision, status)
	case len(status.Conditions) != 1 || status.NextPrivateKeySecretName != nil || status.LastFailureTime != nil || status.FailedIssuanceAttempts != nil:
		w.t.Errorf("revision %d: leftovers in the status: %+v", revision, status)
	case len(w.state.Keys) > 0 || w.memory != nil:
		w.t.Errorf("revision %d: keys are left", revision)
	case len(w.state.Requests) != 1 || request.Revision(w.state.Requests[0]) != revision || !holds(w.state.Secret, w.state.Requests[0].Status.Certificate):
		w.t.Errorf("revision %d: its request is not the one that is left", revision)
	}
	reused := w.state.Object.Spec.PrivateKey.RotationPolicy == cmv1.RotationPolicyNever
	if w.state.Secret.KeyDigest != w.state.Secret.Leaf.KeyDigest || (reused && revision > 1 && w.state.Secret.KeyDigest != pki.DigestOf(w.stored["first"].Public())) {
		w.t.Errorf("revision %d: wrong key", revision)
	}
	if revision == 1 {
		w.stored["first"] = w.stored[w.state.Object.Spec.SecretName]
	}
}
