package issuer

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	kubefake "k8s.io/client-go/kubernetes/fake"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/issuer"
)

var now = time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)

// stub is an issuer type that finds what the test wants.
type stub struct {
	name   facts.IssuerType
	status issuer.Status
	err    error
	// hangs has checks last until their time is up.
	hangs bool
	// checked and forgotten are what the type was asked.
	checked   []issuer.Issuer
	forgotten []types.UID
}

func (s *stub) Name() facts.IssuerType { return s.name }

func (*stub) Secrets(*cmv1.IssuerSpec) []string { return []string{"one", "two"} }

func (s *stub) Check(ctx context.Context, i issuer.Issuer) (issuer.Status, error) {
	s.checked = append(s.checked, i)
	if s.hangs {
		<-ctx.Done()
		return issuer.Status{}, fault.New(fault.Transient, "ErrRegisterACMEAccount", "no answer: %v", ctx.Err())
	}
	return s.status, s.err
}

func (s *stub) Forget(uid types.UID) { s.forgotten = append(s.forgotten, uid) }

// lab is an API server with a Controller and two issuer types.
type lab struct {
	*Controller
	t        *testing.T
	client   client.Client
	clock    *clocktesting.FakeClock
	acme, ca *stub
	ready    []string
	result   reconcile.Result
}

func newLab(t *testing.T, kind string, objects ...client.Object) *lab {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := cmv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	l := &lab{
		t: t, clock: clocktesting.NewFakeClock(now), acme: &stub{name: facts.IssuerACME},
		ca: &stub{name: facts.IssuerCA, status: issuer.Status{Reason: "KeyPairVerified", Message: "Signing CA verified"}},
	}
	registry := issuer.Registry{l.acme, l.ca}
	refs := cluster.NewIssuers(nil, "cert-manager").SecretRefs(registry.Secrets)
	l.client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithStatusSubresource(&cmv1.Issuer{}, &cmv1.ClusterIssuer{}).
		WithIndex(&cmv1.Issuer{}, cluster.IndexSecretRef, refs).
		WithIndex(&cmv1.ClusterIssuer{}, cluster.IndexSecretRef, refs).Build()
	core := kubefake.NewClientset()
	events := cluster.NewEvents(core, scheme, l.clock, logr.Discard(), false, func() {})
	d := Deps{
		Kind: kind, Cache: l.client, Issuers: cluster.NewIssuers(l.client, "cert-manager"), Types: &registry,
		Server:       cluster.NewServer(cluster.NewWriter(l.client, core, cluster.NewGate(nil)), events, l.client),
		AccountReady: &controller.Topic[cmv1.GenericIssuer]{}, News: &controller.Topic[controller.IssuerNews]{}, Clock: l.clock,
	}
	d.AccountReady.Subscribe(func(_ context.Context, i cmv1.GenericIssuer) { l.ready = append(l.ready, i.GetName()) })
	var err error
	if l.Controller, err = New(d, nil); err != nil {
		t.Fatal(err)
	}
	return l
}

// reconcile reconciles the issuer i of a namespace, and returns its Ready
// condition.
func (l *lab) reconcile(namespace string) string {
	l.t.Helper()
	key := types.NamespacedName{Namespace: namespace, Name: "i"}
	var err error
	if l.result, err = l.driver.Reconcile(l.t.Context(), reconcile.Request{NamespacedName: key}); err != nil {
		l.t.Fatal(err)
	}
	got := l.empty()
	if err := l.client.Get(l.t.Context(), key, got); client.IgnoreNotFound(err) != nil {
		l.t.Fatal(err)
	}
	c := condition.Find(got.GetStatus().Conditions, cmv1.IssuerConditionReady)
	if c == nil {
		return ""
	}
	return string(c.Status) + " " + c.Reason + ": " + c.Message
}

func caIssuer(namespace, uid string) *cmv1.Issuer {
	i := &cmv1.Issuer{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "i", UID: types.UID(uid), Generation: 1}}
	i.Spec.CA = &cmv1.CAIssuer{SecretName: "ca"}
	return i
}

func same(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestReady(t *testing.T) {
	l := newLab(t, cmv1.IssuerKind, caIssuer("app", "1"))
	same(t, "ready", "True KeyPairVerified: Signing CA verified", l.reconcile("app"))
	same(t, "comes back", reconcile.Result{}, l.result)
	same(t, "forgotten by ACME", []types.UID{"1"}, l.acme.forgotten)
	if i := l.ca.checked[0]; i.UID != "1" || i.Namespace != "app" || i.Spec.CA == nil || i.Ready {
		t.Errorf("checked %+v", i)
	}
	l.reconcile("app")
	if i := l.ca.checked[1]; !i.Ready {
		t.Errorf("checked again %+v", i)
	}
}

func TestClusterIssuer(t *testing.T) {
	i := &cmv1.ClusterIssuer{ObjectMeta: metav1.ObjectMeta{Name: "i", UID: "1"}}
	i.Spec.ACME = &acmev1.ACMEIssuer{}
	i.Status.ACME = &acmev1.ACMEIssuerStatus{URI: "https://ca/1"}
	l := newLab(t, cmv1.ClusterIssuerKind, i)
	l.acme.status = issuer.Status{
		Reason: "ACMEAccountRegistered", Message: "registered", Account: &acmev1.ACMEIssuerStatus{URI: "https://ca/2"}, AccountReady: true,
	}
	same(t, "ready", "True ACMEAccountRegistered: registered", l.reconcile(""))
	same(t, "announced", []string{"i"}, l.ready)
	if i := l.acme.checked[0]; i.Namespace != "cert-manager" || i.Account.URI != "https://ca/1" {
		t.Errorf("checked %+v", i)
	}
	got := &cmv1.ClusterIssuer{}
	if err := l.client.Get(t.Context(), types.NamespacedName{Name: "i"}, got); err != nil || got.Status.ACME.URI != "https://ca/2" {
		t.Errorf("account %+v, error %v", got.Status.ACME, err)
	}
}

func TestUnsupported(t *testing.T) {
	i := caIssuer("app", "1")
	i.Spec.IssuerConfig = cmv1.IssuerConfig{Vault: &cmv1.VaultIssuer{}}
	l := newLab(t, cmv1.IssuerKind, i)
	const message = `This version of everleaf has no issuers of type "vault": nothing is signed, and the requests for it are left alone`
	same(t, "ready", "False InvalidConfig: "+message, l.reconcile("app"))
	same(t, "forgotten by ACME", []types.UID{"1"}, l.acme.forgotten)
}

// TestUnsupportedStays holds that what cert-manager says of an issuer stays, and that
// its event comes once.
func TestUnsupportedStays(t *testing.T) {
	i := caIssuer("app", "1")
	i.Spec.IssuerConfig = cmv1.IssuerConfig{Vault: &cmv1.VaultIssuer{}}
	i.Status.Conditions = []cmv1.IssuerCondition{{Type: cmv1.IssuerConditionReady, Status: cmmeta.ConditionTrue, Reason: "VaultVerified", Message: "Vault verified", ObservedGeneration: 1}}
	l := newLab(t, cmv1.IssuerKind, i)
	for range 2 {
		same(t, "ready", "True VaultVerified: Vault verified", l.reconcile("app"))
	}
	w, err := l.Load(t.Context(), i)
	if err != nil {
		t.Fatal(err)
	}
	if s := w.(*work).State; !s.Unserved || !s.Announced {
		t.Errorf("unserved %t, announced %t", s.Unserved, s.Announced)
	}
}

// TestLeftAlone holds that only a new spec brings a check forward that the server
// has put off.
func TestLeftAlone(t *testing.T) {
	l := newLab(t, cmv1.IssuerKind, caIssuer("app", "1"))
	l.ca.err = fault.Until(now.Add(time.Hour), "ErrGetKeyPair", "busy")
	check := func(step, ready string, checks int) {
		t.Helper()
		same(t, step, ready, l.reconcile("app"))
		same(t, step+": checks", checks, len(l.ca.checked))
	}
	check("put off", "False ErrGetKeyPair: busy; the next try is at 2026-11-22T07:00:00Z", 1)
	l.ca.err = nil
	check("an event", "False ErrGetKeyPair: busy; the next try is at 2026-11-22T07:00:00Z", 1)
	i := &cmv1.Issuer{}
	if err := l.client.Get(t.Context(), types.NamespacedName{Namespace: "app", Name: "i"}, i); err != nil {
		t.Fatal(err)
	}
	i.Generation++
	if err := l.client.Update(t.Context(), i); err != nil {
		t.Fatal(err)
	}
	check("a new spec", "True KeyPairVerified: Signing CA verified", 2)
}

// TestCheckedAgain holds that an issuer which is ready for a time is checked at its
// end, such as when its CA expires.
func TestCheckedAgain(t *testing.T) {
	l := newLab(t, cmv1.IssuerKind, caIssuer("app", "1"))
	l.ca.status.Until = now.Add(time.Minute)
	l.reconcile("app")
	same(t, "comes back", reconcile.Result{RequeueAfter: time.Minute}, l.result)
	if at := l.ca.checked[0].Now; !at.Equal(now) {
		t.Errorf("checked as of %s, want %s", at, now)
	}
}

// TestTimeOutIsStored holds that a check which uses up its time leaves some for
// the status that says so.
func TestTimeOutIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, cmv1.IssuerKind, acmeIssuer("app"))
		l.acme.hangs = true
		same(t, "ready", "False ErrRegisterACMEAccount: no answer: context deadline exceeded; the next try is within 5m", l.reconcile("app"))
	})
}

func acmeIssuer(namespace string) *cmv1.Issuer {
	i := caIssuer(namespace, namespace)
	i.Spec.IssuerConfig = cmv1.IssuerConfig{ACME: &acmev1.ACMEIssuer{Server: "https://ca.example/dir"}}
	return i
}

// TestWaitsForAPlace holds that an issuer whose server hangs leaves workers for
// others, that one for the same server waits without a worker and says so, and
// that one with its CA in the cluster waits for neither.
func TestWaitsForAPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, cmv1.IssuerKind, acmeIssuer("hangs"), acmeIssuer("waits"), caIssuer("app", "1"))
		l.driver.SetUp(4, nil)
		l.acme.hangs = true
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, _ = l.driver.Reconcile(t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "hangs", Name: "i"}})
		}()
		synctest.Wait()
		same(t, "at once", "", l.reconcile("waits"))
		l.clock.Step(10 * time.Second)
		same(t, "later", "False ErrInitIssuer: Error initializing issuer: waiting for the ACME server ca.example, which has not answered other requests in time; the next try is when its turn comes, by itself", l.reconcile("waits"))
		same(t, "CA", "True KeyPairVerified: Signing CA verified", l.reconcile("app"))
		same(t, "checks at the server", 1, len(l.acme.checked))
		<-ended
	})
}

func TestRetried(t *testing.T) {
	l := newLab(t, cmv1.IssuerKind, caIssuer("app", "1"))
	l.ca.err = errors.New("connection refused")
	for i, wait := range []time.Duration{200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond} {
		l.reconcile("app")
		if l.result.RequeueAfter != wait {
			t.Errorf("failure %d: comes back after %s, want %s", i+1, l.result.RequeueAfter, wait)
		}
		l.clock.Step(wait)
	}
}

// TestEventsDoNotRepeatACheck holds that failures whose text alternates do not
// have the issuer checked again by the events of its own status, and that a
// Secret does.
// The log says once that an issuer is not ready, whatever the retries say, and once that it
// is ready again.
func TestLogged(t *testing.T) {
	l := newLab(t, cmv1.IssuerKind, caIssuer("app", "1"))
	var lines []string
	ctx := logr.NewContext(t.Context(), funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{}))
	check := func(err error) {
		t.Helper()
		l.ca.err = err
		if _, err := l.driver.Reconcile(ctx, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "app", Name: "i"}}); err != nil {
			t.Fatal(err)
		}
		l.clock.Step(time.Hour)
	}
	check(nil)
	check(fault.New(fault.Transient, "ErrGetKeyPair", "no key"))
	check(fault.New(fault.Transient, "ErrGetKeyPair", "no certificate"))
	check(nil)
	check(nil)
	check(errors.New("connection refused"))
	same(t, "log", []string{
		`"level"=0 "msg"="The issuer is not ready" "reason"="ErrGetKeyPair" "message"="no key"`,
		`"level"=0 "msg"="The issuer is ready again"`,
		`"level"=0 "msg"="The issuer is not ready" "reason"="ErrInitIssuer" "message"="Error initializing issuer: the API server did not answer as expected"`,
		`"msg"="Action failed and will be retried" "error"="connection refused" "action"="check the issuer"`,
	}, lines)
}

func TestEventsDoNotRepeatACheck(t *testing.T) {
	l := newLab(t, cmv1.IssuerKind, caIssuer("app", "1"))
	for i := range 4 {
		l.ca.err = fault.New(fault.Transient, "ErrGetKeyPair", "text %d", i%2)
		l.reconcile("app")
	}
	same(t, "checks after events", 1, len(l.ca.checked))
	l.clock.Step(200 * time.Millisecond)
	same(t, "after the wait", "False ErrGetKeyPair: text 1; the next try is within 5m", l.reconcile("app"))
	same(t, "checks after the wait", 2, len(l.ca.checked))
	l.ca.err = nil
	l.Registration().Watches[0].Keys(t.Context(), &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "app", Name: "one"}})
	same(t, "after a Secret", "True KeyPairVerified: Signing CA verified", l.reconcile("app"))
}

// TestForgotten holds that an account does not outlive its issuer.
func TestForgotten(t *testing.T) {
	i := caIssuer("app", "1")
	l := newLab(t, cmv1.IssuerKind, i)
	l.reconcile("app")
	l.ca.forgotten = nil
	if err := l.client.Delete(t.Context(), i); err != nil {
		t.Fatal(err)
	}
	if err := l.client.Create(t.Context(), caIssuer("app", "2")); err != nil {
		t.Fatal(err)
	}
	l.reconcile("app")
	same(t, "made again", []types.UID{"1"}, l.ca.forgotten)
	if err := l.client.Delete(t.Context(), caIssuer("app", "2")); err != nil {
		t.Fatal(err)
	}
	l.reconcile("app")
	same(t, "deleted", []types.UID{"1", "2"}, l.ca.forgotten)
}

func TestWatches(t *testing.T) {
	global := &cmv1.ClusterIssuer{ObjectMeta: metav1.ObjectMeta{Name: "global"}}
	global.Spec.CA = &cmv1.CAIssuer{SecretName: "ca"}
	for kind, test := range map[string]struct {
		secrets map[string][]types.NamespacedName
		name    string
	}{
		cmv1.IssuerKind: {map[string][]types.NamespacedName{
			"app/one": {{Namespace: "app", Name: "i"}}, "app/two": {{Namespace: "app", Name: "i"}}, "app/three": nil, "cert-manager/one": nil,
		}, "issuers"},
		cmv1.ClusterIssuerKind: {map[string][]types.NamespacedName{"app/one": nil, "cert-manager/one": {{Name: "global"}}}, "clusterissuers"},
	} {
		l := newLab(t, kind, caIssuer("app", "1"), global)
		r := l.Registration()
		same(t, "name", test.name, r.Name)
		for secret, want := range test.secrets {
			namespace, name, _ := strings.Cut(secret, "/")
			object := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
			same(t, kind+" of "+secret, want, r.Watches[0].Keys(t.Context(), object))
		}
		same(t, "index", []string{"app/one", "app/two"}, r.Indexes[0].Values(caIssuer("app", "1")))
	}
}

// TestNews holds that news of an issuer of the kind has it checked; a key that
// never comes lets the test time out.
func TestNews(t *testing.T) {
	l := newLab(t, cmv1.IssuerKind)
	queue := controller.NewQueue("test", controller.Backoff(time.Second, time.Minute))
	defer queue.ShutDown()
	if err := l.driver.Requeue.Start(t.Context(), queue); err != nil {
		t.Fatal(err)
	}
	l.News.Publish(t.Context(), controller.IssuerNews{Issuer: &cmv1.ClusterIssuer{ObjectMeta: metav1.ObjectMeta{Name: "i"}}, At: now})
	l.News.Publish(t.Context(), controller.IssuerNews{Issuer: caIssuer("app", "1"), At: now})
	got, _ := queue.Get()
	same(t, "checked", types.NamespacedName{Namespace: "app", Name: "i"}, got.NamespacedName)
}
