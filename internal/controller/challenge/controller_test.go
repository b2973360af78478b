package challenge

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/fault"
	issueracme "github.com/everleaf/everleaf/internal/issuer/acme"
	core "github.com/everleaf/everleaf/internal/lifecycle/challenge"
	"github.com/everleaf/everleaf/internal/lifecycle/order"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
	"github.com/everleaf/everleaf/internal/propagation"
	"github.com/everleaf/everleaf/internal/solver"
)

var start = time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC)

// secretsOf returns the Secret of an issuer's account key.
func secretsOf(spec *cmv1.IssuerSpec) []string {
	if spec.ACME == nil {
		return nil
	}
	return []string{spec.ACME.PrivateKey.Name}
}

// api is an API server that stores what it is given.
type api struct {
	client.Client
	events []plan.Event
}

func (*api) Behind(plan.Ref) string                        { return "" }
func (*api) Confirm(context.Context, plan.Confirm) error   { return nil }
func (a *api) Send(_ runtime.Object, events ...plan.Event) { a.events = append(a.events, events...) }

func (a *api) Live(ctx context.Context, key types.NamespacedName, into client.Object) error {
	return a.Get(ctx, key, into)
}

func (a *api) UpdateStatus(ctx context.Context, _ plan.Ref, o client.Object, _ string) error {
	return a.Status().Update(ctx, o)
}

func (a *api) PatchMetadata(ctx context.Context, _ plan.Ref, before, changed client.Object, _ string) error {
	return a.Patch(ctx, changed, client.MergeFrom(before))
}

// recorder is a Solver that records what its Sessions are asked.
type recorder struct {
	mu  sync.Mutex
	log []string
	// fail is the result of the next calls.
	fail []error
}

func (r *recorder) Begin(c solver.Challenge) solver.Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = append(r.log, "begin "+c.DNSName)
	return &recorded{recorder: r}
}

// Server implements solver.Placed.
func (*recorder) Server(c *acmev1.ACMEChallengeSolver) string {
	if c.DNS01 == nil || c.DNS01.RFC2136 == nil {
		return ""
	}
	return "the server " + c.DNS01.RFC2136.Nameserver
}

func (r *recorder) called(what string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = append(r.log, what)
	if len(r.fail) == 0 {
		return nil
	}
	err := r.fail[0]
	r.fail = r.fail[1:]
	return err
}

type recorded struct {
	*recorder
	presented bool
}

func (s *recorded) Present(context.Context) error {
	s.presented = true
	return s.called("present")
}

func (s *recorded) Check(context.Context) (propagation.Evidence, error) {
	return verdict{}, s.called("check")
}

func (s *recorded) CleanUp(context.Context) error { return s.called("clean up") }

func (s *recorded) Detach() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, "detach")
}

func (s *recorded) Presented() bool { return s.presented }
func (s *recorded) String() string  { return "here" }

// stage is a Controller with what is around it.
type stage struct {
	*Controller
	api    *api
	solver *recorder
	clock  *clocktesting.FakeClock
	// orders is the cache of Orders.
	orders cache.Indexer
	left   *leftInMemory
}

// first does what is done before any controller reconciles.
func (s *stage) first(t *testing.T) {
	t.Helper()
	if err := s.Registration().First(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func newStage(t *testing.T, objects ...client.Object) *stage {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{acmev1.AddToScheme, cmv1.AddToScheme, corev1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	informer := func(o client.Object) cache.SharedIndexInformer {
		return cache.NewSharedIndexInformer(&cache.ListWatch{}, o, 0, cache.Indexers{})
	}
	orderInformer := informer(&acmev1.Order{})
	orders, err := cluster.NewOrders(orderInformer, pki.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	requests, err := cluster.NewRequests(informer(&cmv1.CertificateRequest{}), pki.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{solver: &recorder{}, clock: clocktesting.NewFakeClock(start), api: &api{}, orders: orderInformer.GetIndexer(), left: &leftInMemory{}}
	deps := Deps{
		Limits: pki.DefaultLimits,
		Cache:  fake.NewFakeClient(), API: s.api, Orders: orders, Requests: requests,
		Issuers: cluster.NewIssuers(fake.NewFakeClient(), "system"), Accounts: &issueracme.Accounts{},
		Solvers:       solver.Solvers{acmev1.ACMEChallengeTypeDNS01: s.solver},
		IssuerSecrets: cluster.NewIssuers(nil, "system").SecretRefs(secretsOf),
		AccountReady:  &controller.Topic[cmv1.GenericIssuer]{}, Suspected: &controller.Topic[controller.IssuerNews]{}, Verified: &controller.Topic[controller.Verified]{},
		MaxConcurrent: 1, Clock: s.clock, Left: s.left, Abandoned: func() {}, Failed: func() {},
	}
	kinds := map[string]client.Object{
		acmev1.ChallengeKind: &acmev1.Challenge{}, cmv1.IssuerKind: &cmv1.Issuer{}, cmv1.ClusterIssuerKind: &cmv1.ClusterIssuer{},
	}
	first, err := New(deps)
	if err != nil {
		t.Fatal(err)
	}
	builder := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(&acmev1.Challenge{})
	for _, index := range first.Registration().Indexes {
		builder.WithIndex(kinds[index.Kind], index.Name, index.Values)
	}
	s.api.Client = builder.Build()
	deps.Cache, deps.Issuers = s.api.Client, cluster.NewIssuers(s.api.Client, "system")
	if s.Controller, err = New(deps); err != nil {
		t.Fatal(err)
	}
	return s
}

// reconcileOnce reconciles a Challenge and returns when it comes back.
func (s *stage) reconcileOnce(t *testing.T, name string) time.Duration {
	t.Helper()
	result, err := s.Reconcile(t.Context(), reconcile.Request{NamespacedName: key(name)})
	if err != nil {
		t.Fatal(err)
	}
	return result.RequeueAfter
}

func (s *stage) stored(t *testing.T, name string) *acmev1.Challenge {
	t.Helper()
	c := &acmev1.Challenge{}
	if err := s.api.Get(t.Context(), key(name), c); err != nil {
		t.Fatal(err)
	}
	return c
}

func acmeIssuer(name string) *cmv1.Issuer {
	i := &cmv1.Issuer{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID(name)}}
	i.Spec.ACME = &acmev1.ACMEIssuer{
		Server: "https://ca.example/directory", PrivateKey: cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: name + "-key"}},
		Solvers: []acmev1.ACMEChallengeSolver{{DNS01: &acmev1.ACMEChallengeSolverDNS01{}}},
	}
	return i
}

func challengeOf(name, issuer, orderName string, change ...func(*acmev1.Challenge)) *acmev1.Challenge {
	c := &acmev1.Challenge{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "ns", Name: name, UID: types.UID(name), Finalizers: []string{acmev1.ACMEFinalizer},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: acmev1.SchemeGroupVersion.String(), Kind: acmev1.OrderKind, Name: orderName, UID: types.UID(orderName), Controller: ptr.To(true),
			}},
		},
		Spec: acmev1.ChallengeSpec{
			Type: acmev1.ACMEChallengeTypeDNS01, DNSName: name + ".example", Key: "key-" + name,
			IssuerRef: cmmeta.IssuerReference{Name: issuer}, Solver: acmev1.ACMEChallengeSolver{DNS01: &acmev1.ACMEChallengeSolverDNS01{}},
		},
	}
	for _, f := range change {
		f(c)
	}
	return c
}

func TestWatches(t *testing.T) {
	clusterIssuer := &cmv1.ClusterIssuer{ObjectMeta: metav1.ObjectMeta{Name: "shared"}, Spec: acmeIssuer("shared").Spec}
	released := func(c *acmev1.Challenge) { c.Finalizers = nil }
	s := newStage(t, acmeIssuer("one"), acmeIssuer("two"), clusterIssuer,
		challengeOf("a", "one", "o1"), challengeOf("b", "two", "o1"), challengeOf("c", "one", "o2", released),
		challengeOf("d", "shared", "o2", func(c *acmev1.Challenge) { c.Spec.IssuerRef.Kind = cmv1.ClusterIssuerKind }),
		challengeOf("e", "one", "o3", func(c *acmev1.Challenge) { c.Spec.IssuerRef.Group = "other.example" }),
	)
	watches := map[string]func(context.Context, client.Object) []types.NamespacedName{}
	for _, w := range s.Registration().Watches {
		watches[w.Kind] = w.Keys
	}
	secret := func(namespace, name string) client.Object {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	}
	orderNamed := func(namespace, name string) client.Object {
		return &acmev1.Order{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(name)}}
	}
	for _, test := range []struct {
		name, kind string
		event      client.Object
		want       []string
	}{
		{"an Order's", acmev1.OrderKind, orderNamed("ns", "o1"), []string{"a", "b"}},
		{"an Order's, whatever their state", acmev1.OrderKind, orderNamed("ns", "o2"), []string{"c", "d"}},
		{"another namespace's Order", acmev1.OrderKind, orderNamed("other", "o1"), nil},
		{"an Issuer's that are not finished", cmv1.IssuerKind, acmeIssuer("one"), []string{"a"}},
		{"a ClusterIssuer's", cmv1.ClusterIssuerKind, clusterIssuer, []string{"d"}},
		{"an Issuer without Challenges", cmv1.IssuerKind, acmeIssuer("shared"), nil},
		{"an Issuer's Secret", plan.KindSecret, secret("ns", "one-key"), []string{"a"}},
		{"a ClusterIssuer's Secret", plan.KindSecret, secret("system", "shared-key"), []string{"d"}},
		{"another namespace's Secret", plan.KindSecret, secret("system", "one-key"), nil},
		{"another Secret", plan.KindSecret, secret("ns", "x"), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, k := range watches[test.kind](t.Context(), test.event) {
				got = append(got, k.Name)
			}
			if diff := cmp.Diff(test.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("woken (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNewRefusesNil(t *testing.T) {
	if _, err := New(Deps{}); err == nil {
		t.Error("made of nothing")
	}
}

// TestCleanUp removes what an earlier process presented: a failure holds the
// Challenge until its time, or until the issuer changes.
func TestCleanUp(t *testing.T) {
	s := newStage(t, acmeIssuer("one"), challengeOf("a", "one", "o", func(c *acmev1.Challenge) {
		c.Status = acmev1.ChallengeStatus{State: acmev1.Valid, Presented: true}
	}))
	s.solver.fail = []error{fault.New(fault.User, "X", "no"), fault.New(fault.User, "X", "no")}
	want := func(when string, after time.Duration, log ...string) {
		t.Helper()
		s.solver.log = nil
		if got := s.reconcileOnce(t, "a"); got != after {
			t.Errorf("%s: comes back after %s, want %s", when, got, after)
		}
		if diff := cmp.Diff(log, s.solver.log, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: (-want +got):\n%s", when, diff)
		}
	}
	want("at first", 5*time.Second, "begin a.example", "clean up")
	if got := s.stored(t, "a").Status.Reason; got != "Error cleaning up challenge: no; the next try is within 1m" {
		t.Errorf("the status says %q", got)
	}
	want("held", 5*time.Second)
	s.Registration().Watches[1].Keys(t.Context(), acmeIssuer("one"))
	want("after a change of the issuer", 10*time.Second, "clean up")
	s.clock.Step(10 * time.Second)
	want("when it is time", 0, "clean up")
	if c := s.stored(t, "a"); core.HasFinalizer(c) || c.Status.Presented {
		t.Errorf("it was not released: %v", c)
	}
}

// TestSessionIsOfWhatWasChecked holds that a Session that has presented nothing
// does not outlive a change of the Challenge, and that one that has does.
func TestSessionIsOfWhatWasChecked(t *testing.T) {
	s := newStage(t, acmeIssuer("one"), challengeOf("a", "one", "o"))
	begin := func() solver.Session {
		t.Helper()
		loaded, err := s.Load(t.Context(), s.stored(t, "a"))
		if err != nil {
			t.Fatal(err)
		}
		session, err := loaded.(*work).session()
		if err != nil {
			t.Fatal(err)
		}
		return session
	}
	change := func(name string) {
		t.Helper()
		c := s.stored(t, "a")
		c.Spec.DNSName = name
		if err := s.api.Update(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	first := begin()
	if begin() != first {
		t.Error("the Session was not kept")
	}
	change("b.example")
	second := begin()
	if second == first {
		t.Error("the Session is that of another name")
	}
	if err := second.Present(t.Context()); err != nil {
		t.Fatal(err)
	}
	change("c.example")
	if begin() != second {
		t.Error("it is not known any more what has been presented")
	}
}

// TestIssuerGone cleans up with what is remembered.
func TestIssuerGone(t *testing.T) {
	s := newStage(t, acmeIssuer("one"), challengeOf("a", "one", "o", func(c *acmev1.Challenge) { c.Finalizers = append(c.Finalizers, "x") }))
	loaded, err := s.Load(t.Context(), s.stored(t, "a"))
	if err != nil {
		t.Fatal(err)
	}
	if err := loaded.Do(t.Context(), core.Present{}); err != nil {
		t.Fatal(err)
	}
	for _, o := range []client.Object{acmeIssuer("one"), s.stored(t, "a")} {
		if err := s.api.Delete(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	s.clock.SetTime(s.stored(t, "a").DeletionTimestamp.Time)
	s.reconcileOnce(t, "a")
	if diff := cmp.Diff([]string{"begin a.example", "present", "clean up"}, s.solver.log); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if core.HasFinalizer(s.stored(t, "a")) {
		t.Error("it was not released")
	}
}

// TestForget gives the slot to the next.
func TestForget(t *testing.T) {
	s := newStage(t)
	for _, name := range []string{"a", "b"} {
		s.slots.Acquire(key(name), core.Issuer{}, false, start)
	}
	s.reconcileOnce(t, "a")
	if got := s.slots.Of(key("b")); got != core.Offered {
		t.Errorf("the next has %q", got)
	}
}

// TestProvenanceIsLookedUpLive holds that an Order that the cache does not show
// decides as the API server has it, and that one that is nowhere ends the
// Challenge.
func TestProvenanceIsLookedUpLive(t *testing.T) {
	s := newStage(t, acmeIssuer("one"), challengeOf("a", "one", "o"), challengeOf("b", "one", "gone"),
		&acmev1.Order{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "o", UID: "o"}})
	for name, want := range map[string]acmev1.State{"a": "", "b": acmev1.Errored} {
		s.reconcileOnce(t, name)
		if got := s.stored(t, name).Status.State; got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if !order.Final(s.stored(t, "b").Status.State) {
		t.Error("b is not final")
	}
}
