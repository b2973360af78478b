package certificate

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	rand "math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/facts"
	core "github.com/everleaf/everleaf/internal/lifecycle/certificate"
	"github.com/everleaf/everleaf/internal/lifecycle/lifecycletest"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

const life = 90 * 24 * time.Hour

// world is an API server with one Certificate, its Secrets and its requests, and
// a process that runs the real driver and the real decisions, and is killed now
// and then, between any two writes.
type world struct {
	t      *testing.T
	random *rand.Rand
	clock  *clocktesting.FakeClock

	// What the API server has. Secrets with next private keys are keys.
	version  int
	object   *cmv1.Certificate
	secret   *facts.Secret
	keys     []*facts.Secret
	requests []*cmv1.CertificateRequest
	// stored are the private keys in Secrets, by name.
	stored map[string]crypto.Signer

	// process is what a kill loses.
	process process
	// inline reports that the issuer signs inline, slow that it needs more than
	// one look at a request, aside that keys are made beside the reconcile.
	inline, slow, aside bool
	// last is the last plan.
	last core.Plan

	kills, errors, generated, created, refused, names int
	// succeeded counts the events of issuances that succeeded, announced those
	// of issuances that took long.
	succeeded, announced int
}

// process is one process with its driver and its memory.
type process struct {
	driver *controller.Driver[*cmv1.Certificate, cmv1.CertificateStatus]
	memory core.Memory
	key    crypto.Signer
}

// How likely a write is the last of its process, and how likely it fails.
const killing, failing = 0.2, 0.05

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{
		t: t, random: rand.New(rand.NewPCG(seed, 1)), clock: clocktesting.NewFakeClock(lifecycletest.Now), stored: map[string]crypto.Signer{},
		object: lifecycletest.NewCertificate(), inline: seed%2 == 0, slow: seed%3 == 0, aside: seed%7 == 0,
	}
	w.object.ResourceVersion = "0"
	if seed%5 == 0 {
		w.object.Spec.PrivateKey.RotationPolicy = cmv1.RotationPolicyNever
	}
	w.start()
	return w
}

// start starts a process.
func (w *world) start() {
	w.process = process{driver: controller.NewDriver(simulatedKind{w}, controller.Settings[*cmv1.Certificate, cmv1.CertificateStatus]{
		Kind: cmv1.CertificateKind, Manager: core.ManagerIssuing,
		New:    func() *cmv1.Certificate { return &cmv1.Certificate{} },
		Status: func(o *cmv1.Certificate) *cmv1.CertificateStatus { return &o.Status },
		API:    w, Clock: w.clock,
	})}
}

var (
	errKilled   = errors.New("killed")
	errNoAnswer = errors.New("no answer")
)

// write is one write at the API server, which may fail or be the last of its process.
func (w *world) write(do func(version string)) error {
	if w.random.Float64() < failing {
		w.errors++
		return errNoAnswer
	}
	w.version++
	do(strconv.Itoa(w.version))
	w.clock.Step(time.Duration(w.random.IntN(300)) * time.Millisecond)
	if w.random.Float64() < killing {
		w.kills++
		panic(errKilled)
	}
	return nil
}

// reconcile runs the driver once, and starts a new process if it is killed.
func (w *world) reconcile() {
	defer func() {
		if r := recover(); r == errKilled {
			w.start()
		} else if r != nil {
			panic(r)
		}
	}()
	failures := w.errors
	request := reconcile.Request{NamespacedName: client.ObjectKeyFromObject(w.object)}
	if _, err := w.process.driver.Reconcile(w.t.Context(), request); err != nil {
		w.t.Fatal(err)
	}
	if w.last.Do != nil && w.errors == failures {
		w.t.Fatalf("no end of actions; the last was %q", w.last.Do)
	}
	if w.process.memory.Generating {
		w.hold(lifecycletest.Key(100 + w.generated%50))
	}
}

// Behind implements controller.API.
func (w *world) Behind(plan.Ref) string { return "" }

// Live implements controller.API.
func (w *world) Live(_ context.Context, _ types.NamespacedName, into client.Object) error {
	w.object.DeepCopyInto(into.(*cmv1.Certificate))
	return nil
}

// Confirm implements controller.API.
func (w *world) Confirm(_ context.Context, c plan.Confirm) error {
	version := ""
	switch {
	case c.Kind == cmv1.CertificateKind:
		version = w.object.ResourceVersion
	case c.Name == w.object.Spec.SecretName && w.secret != nil:
		version = w.secret.ResourceVersion
	case slices.ContainsFunc(w.keys, func(k *facts.Secret) bool { return k.Name == c.Name }):
		version = "next private key"
	}
	if version != c.Version {
		w.t.Errorf("what the plan took for granted does not hold: %+v is at %q", c, version)
		return cluster.ErrStale
	}
	return nil
}

// UpdateStatus implements controller.API.
func (w *world) UpdateStatus(_ context.Context, _ plan.Ref, o client.Object, _ string) error {
	if o.GetResourceVersion() != w.object.ResourceVersion {
		w.t.Errorf("a status is stored for version %s, at version %s", o.GetResourceVersion(), w.object.ResourceVersion)
	}
	return w.write(func(version string) {
		o.SetResourceVersion(version)
		w.object = o.DeepCopyObject().(*cmv1.Certificate)
	})
}

// Send implements controller.API.
func (w *world) Send(_ runtime.Object, events ...plan.Event) {
	for _, e := range events {
		switch {
		case e.Reason == "Issuing" && e.Component == core.ManagerIssuing:
			w.succeeded++
		case e.Reason == "Issuing":
			w.announced++
		}
	}
}

// simulatedKind is the Kind of Certificates in a world.
type simulatedKind struct{ *world }

// Get implements controller.Kind.
func (k simulatedKind) Get(context.Context, types.NamespacedName) (*cmv1.Certificate, bool, error) {
	return k.object.DeepCopy(), true, nil
}

// Load implements controller.Kind.
func (k simulatedKind) Load(_ context.Context, o *cmv1.Certificate) (controller.Work[*cmv1.Certificate, cmv1.CertificateStatus], error) {
	w := &simulatedWork{world: k.world, State: core.State{Object: o, Backoff: plan.DefaultIssuance, SignsInline: k.inline}}
	w.look()
	return w, nil
}

// Forget implements controller.Kind.
func (k simulatedKind) Forget(types.NamespacedName) { k.t.Error("the Certificate counts as gone") }

// simulatedWork is one reconcile in a world.
type simulatedWork struct {
	*world
	core.State
}

// look brings the state up to date.
func (w *simulatedWork) look() {
	w.Secret, w.Keys, w.Memory, w.Requests = w.secret, slices.Clone(w.keys), w.process.memory, nil
	for _, r := range w.requests {
		w.Requests = append(w.Requests, facts.OfRequest(r, pki.Limits{}))
	}
}

// Object implements controller.Work.
func (w *simulatedWork) Object() *cmv1.Certificate { return w.State.Object }

// Replace implements controller.Work.
func (w *simulatedWork) Replace(o *cmv1.Certificate) { w.State.Object = o }

// Next implements controller.Work.
func (w *simulatedWork) Next(now time.Time) core.Plan {
	w.last = w.State.Next(now)
	return w.last
}

// Failed implements controller.Work.
func (w *simulatedWork) Failed(f plan.Failure, now time.Time) core.Plan {
	w.last = w.State.Failed(f, now)
	return w.last
}

// Do implements controller.Work.
func (w *simulatedWork) Do(_ context.Context, action plan.Action) error {
	defer w.look()
	switch a := action.(type) {
	case core.GenerateKey:
		w.begin(a.Begins)
		w.generated++
		if w.aside {
			w.process.memory.Generating, w.process.memory.GeneratingSince = true, w.clock.Now()
			return nil
		}
		w.hold(lifecycletest.Key(100 + w.generated%50))
		return nil
	case core.ReuseKey:
		w.begin(a.Begins)
		w.hold(w.stored[w.secret.Name])
		return nil
	case core.Announce:
		w.process.memory.BegunAt = time.Time{}
		return nil
	case core.Forget:
		w.process.memory, w.process.key = core.Memory{}, nil
		return nil
	case core.StoreKey:
		return w.storeKey()
	case core.DeleteKeys:
		return w.deleteKeys(a.Keys)
	case core.CreateRequest:
		return w.createRequest(a)
	case core.DeleteRequests:
		return w.deleteRequests(a.Requests)
	case core.DeleteRevisions:
		return w.deleteRequests(a.Requests)
	case core.StoreSecret:
		return w.storeSecret(a)
	default:
		w.t.Fatalf("unexpected action %q", action)
		return nil
	}
}

func (w *world) begin(begins bool) {
	w.process.memory.Kept = true
	if begins && w.process.memory.BegunAt.IsZero() {
		w.process.memory.BegunAt = w.clock.Now()
	}
	if w.secret == nil {
		w.process.memory.AbsentAt = w.clock.Now()
	}
}

// hold keeps a private key in memory.
func (w *world) hold(k crypto.Signer) {
	w.process.key, w.process.memory.Generating = k, false
	w.process.memory.Key = &core.MemoryKey{Digest: pki.DigestOf(k.Public()), CreatedAt: w.clock.Now()}
}

// keyIn is the private key in a Secret, or the one in memory.
func (w *world) keyIn(s *facts.Secret) crypto.Signer {
	if s != nil {
		return w.stored[s.Name]
	}
	return w.process.key
}

func (w *world) storeKey() error {
	return w.write(func(string) {
		name := fmt.Sprintf("web-%d", w.names)
		w.names++
		w.stored[name] = w.process.key
		w.keys = append(w.keys, lifecycletest.NextKey(name, w.process.key))
		w.process.memory.Key = nil
		w.process.memory.Keys++
	})
}

func (w *world) deleteKeys(keys []*facts.Secret) error {
	for _, k := range keys {
		err := w.write(func(string) {
			w.keys = slices.DeleteFunc(slices.Clone(w.keys), func(o *facts.Secret) bool { return o.Name == k.Name })
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *world) deleteRequests(requests []*facts.Request) error {
	for _, r := range requests {
		err := w.write(func(string) {
			w.requests = slices.DeleteFunc(slices.Clone(w.requests), func(o *cmv1.CertificateRequest) bool { return o.Name == r.Name })
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *world) createRequest(a core.CreateRequest) error {
	r := lifecycletest.NewRequest(w.object, w.keyIn(a.Key), a.Revision)
	r.CreationTimestamp = metav1.NewTime(w.clock.Now())
	r.UID = types.UID(fmt.Sprintf("%s-%d", r.Name, w.created))
	if a.Key != nil {
		r.Annotations[cmv1.CertificateRequestPrivateKeyAnnotationKey] = a.Key.Name
	}
	if slices.ContainsFunc(w.requests, func(o *cmv1.CertificateRequest) bool { return o.Name == r.Name }) {
		w.t.Fatalf("%s exists", r.Name)
	}
	return w.write(func(string) {
		w.created++
		w.requests = append(slices.Clone(w.requests), r)
		w.process.memory.Request = r.UID
		w.process.memory.Requests++
	})
}

func (w *simulatedWork) storeSecret(a core.StoreSecret) error {
	if a.Absent && w.secret != nil {
		w.t.Error("the target Secret counts as missing")
	}
	i := slices.IndexFunc(w.requests, func(r *cmv1.CertificateRequest) bool { return r.Name == a.Request.Name })
	chain, k := w.requests[i].Status.Certificate, w.keyIn(a.Key)
	leaf := lifecycletest.Must(pki.ParseChain(chain, pki.Limits{}))[0]
	meta := core.MetadataFor(w.State, pki.FactsOf(leaf), a.Request.IssuerRef)
	return w.write(func(version string) {
		s := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: w.object.Namespace, Name: w.object.Spec.SecretName, UID: "secret-uid", ResourceVersion: version,
				Labels: meta.Labels, Annotations: meta.Annotations, OwnerReferences: meta.OwnerReferences,
			},
			Type: corev1.SecretTypeTLS,
			Data: map[string][]byte{"tls.crt": chain, "tls.key": lifecycletest.Must(pki.EncodeKey(k, pki.PKCS8))},
		}
		lifecycletest.Manage(s)
		w.secret, w.stored[s.Name] = facts.OfSecret(s, pki.Limits{}), k
		w.process.memory.AbsentAt = time.Time{}
	})
}
