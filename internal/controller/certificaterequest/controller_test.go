package certificaterequest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	kubefake "k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/issuer"
	core "github.com/everleaf/everleaf/internal/lifecycle/request"
	"github.com/everleaf/everleaf/internal/pki"
)

// signer is an issuer type that the product does not have: it says what the test
// wants.
type signer struct {
	name facts.IssuerType
	// answers are what Sign returns, in order.
	answers []answer
	asked   []issuer.Request
}

type answer struct {
	outcome core.Outcome
	err     error
}

func (s *signer) Name() facts.IssuerType          { return s.name }
func (*signer) Secrets(*cmv1.IssuerSpec) []string { return nil }
func (*signer) Check(context.Context, issuer.Issuer) (issuer.Status, error) {
	return issuer.Status{}, nil
}

func (s *signer) Sign(_ context.Context, r issuer.Request) (core.Outcome, error) {
	s.asked = append(s.asked, r)
	next := s.answers[0]
	s.answers = s.answers[1:]
	return next.outcome, next.err
}

// acmeType is the type whose requests are answered by Orders.
type acmeType struct{ issuer.Type }

func (acmeType) Name() facts.IssuerType { return facts.IssuerACME }

type permission bool

func (p permission) May(context.Context, string, cmmeta.IssuerReference) (bool, error) {
	return bool(p), nil
}

var now = time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)

const name = "web-1"

// lab is an API server with a Controller, whose caches show everything at once.
type lab struct {
	*Controller
	t        *testing.T
	client   client.Client
	clock    *clocktesting.FakeClock
	requests cache.Indexer
	orders   cache.Indexer
	// writes are what was written, and refuse the results of the next status writes.
	writes []string
	refuse []error
	result reconcile.Result
}

func newLab(t *testing.T, s *signer, objects ...client.Object) *lab {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(cmv1.AddToScheme(scheme), acmev1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	l := &lab{t: t, clock: clocktesting.NewFakeClock(now)}
	l.client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithStatusSubresource(&cmv1.CertificateRequest{}, &acmev1.Order{}).
		WithInterceptorFuncs(interceptor.Funcs{
			SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, opts ...client.SubResourceUpdateOption) error {
				if len(l.refuse) > 0 {
					err := l.refuse[0]
					l.refuse = l.refuse[1:]
					return err
				}
				options := client.SubResourceUpdateOptions{}
				options.ApplyOptions(opts)
				l.writes = append(l.writes, "status as "+options.FieldManager)
				return c.SubResource(sub).Update(ctx, o, opts...)
			},
			Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
				l.writes = append(l.writes, "patch "+o.GetName())
				return c.Patch(ctx, o, p, opts...)
			},
			Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
				l.writes = append(l.writes, "create "+o.GetName())
				return c.Create(ctx, o, opts...)
			},
			Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
				l.writes = append(l.writes, "delete "+o.GetName())
				return c.Delete(ctx, o, opts...)
			},
		}).Build()
	core := kubefake.NewClientset()
	events := cluster.NewEvents(core, scheme, l.clock, logr.Discard(), false, func() {})
	informer := func(o runtime.Object) cache.SharedIndexInformer {
		return cache.NewSharedIndexInformer(&cache.ListWatch{}, o, 0, cache.Indexers{})
	}
	requests, orders := informer(&cmv1.CertificateRequest{}), informer(&acmev1.Order{})
	l.requests, l.orders = requests.GetIndexer(), orders.GetIndexer()
	types := issuer.NewRegistry(s, acmeType{})
	deps := Deps{
		Answers: &cluster.Answers{}, Issuers: cluster.NewIssuers(l.client, "cert-manager"), Approval: permission(true), Types: &types,
		Server: cluster.NewServer(cluster.NewWriter(l.client, core, cluster.NewGate(nil)), events, l.client), Clock: l.clock,
	}
	var err error
	if deps.Requests, err = cluster.NewRequests(requests, pki.Limits{}); err != nil {
		t.Fatal(err)
	}
	if deps.Orders, err = cluster.NewOrders(orders, pki.Limits{}); err != nil {
		t.Fatal(err)
	}
	if l.Controller, err = New(deps, Config{}, nil); err != nil {
		t.Fatal(err)
	}
	l.sync()
	return l
}

// sync brings the caches up to date.
func (l *lab) sync() {
	l.t.Helper()
	requests, orders := &cmv1.CertificateRequestList{}, &acmev1.OrderList{}
	if err := errors.Join(l.client.List(l.t.Context(), requests), l.client.List(l.t.Context(), orders)); err != nil {
		l.t.Fatal(err)
	}
	var r, o []any
	for i := range requests.Items {
		r = append(r, l.reduced(cluster.ReduceRequest, &requests.Items[i]))
	}
	for i := range orders.Items {
		o = append(o, l.reduced(cluster.ReduceOrder, &orders.Items[i]))
	}
	if err := errors.Join(l.requests.Replace(r, ""), l.orders.Replace(o, "")); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) reduced(transform func(pki.Limits) cache.TransformFunc, o any) any {
	l.t.Helper()
	item, err := transform(pki.Limits{})(o)
	if err != nil {
		l.t.Fatal(err)
	}
	return item
}

// reconcile reconciles the request once, and returns it and what was written.
func (l *lab) reconcile() (*cmv1.CertificateRequest, []string) {
	l.t.Helper()
	l.writes = nil
	key := types.NamespacedName{Namespace: "app", Name: name}
	var err error
	if l.result, err = l.driver.Reconcile(l.t.Context(), reconcile.Request{NamespacedName: key}); err != nil {
		l.t.Fatal(err)
	}
	l.sync()
	got := &cmv1.CertificateRequest{}
	if err := l.client.Get(l.t.Context(), key, got); err != nil {
		l.t.Fatal(err)
	}
	return got, l.writes
}

func ready(r *cmv1.CertificateRequest) string {
	c := condition.Find(r.Status.Conditions, cmv1.CertificateRequestConditionReady)
	if c == nil {
		return ""
	}
	return string(c.Status) + " " + c.Reason + ": " + c.Message
}

// newRequest is a request of a Certificate, and a chain that answers it.
func newRequest(t *testing.T) (*cmv1.CertificateRequest, []byte) {
	t.Helper()
	k, err := pki.GenerateKey(pki.KeySpec{Algorithm: pki.ECDSA, Size: 256})
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := pki.BuildRequest(pki.Template{DNSNames: []string{"a.test"}}, k)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := pki.ParseRequest(encoded, pki.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	template, err := pki.CertificateFromRequest(csr, pki.SignOptions{NotBefore: now, NotAfter: now.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := pki.Sign(template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	owner := &cmv1.Certificate{ObjectMeta: metav1.ObjectMeta{Name: "web", UID: "web-uid"}}
	return &cmv1.CertificateRequest{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "app", Name: name, UID: "request-uid",
			Annotations:     map[string]string{cmv1.CertificateRequestPrivateKeyAnnotationKey: "web-key"},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(owner, cmv1.SchemeGroupVersion.WithKind(cmv1.CertificateKind))},
		},
		Spec: cmv1.CertificateRequestSpec{Request: encoded, IssuerRef: cmmeta.IssuerReference{Name: "i"}},
	}, pki.EncodeChain(leaf)
}

func newIssuer(config cmv1.IssuerConfig) *cmv1.Issuer {
	return &cmv1.Issuer{
		ObjectMeta: metav1.ObjectMeta{Namespace: "app", Name: "i", UID: "issuer-uid", Generation: 1},
		Spec:       cmv1.IssuerSpec{IssuerConfig: config},
		Status:     cmv1.IssuerStatus{Conditions: []cmv1.IssuerCondition{{Type: cmv1.IssuerConditionReady, Status: cmmeta.ConditionTrue}}},
	}
}

const managerVault = "cert-manager-certificaterequests-issuer-vault"

func vault() (*signer, *cmv1.Issuer) {
	return &signer{name: facts.IssuerVault}, newIssuer(cmv1.IssuerConfig{Vault: &cmv1.VaultIssuer{}})
}

func same(t *testing.T, step string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", step, diff)
	}
}

// TestApprovedAndIssuedAtOnce holds the number of writes: one.
func TestApprovedAndIssuedAtOnce(t *testing.T) {
	s, i := vault()
	r, chain := newRequest(t)
	s.answers = []answer{{outcome: core.Outcome{Chain: chain, CA: []byte("root")}}}
	l := newLab(t, s, r, i)
	got, writes := l.reconcile()
	same(t, "writes", []string{"status as " + managerVault}, writes)
	if ready(got) != "True Issued: Certificate fetched from issuer successfully" || !condition.Approved(got) {
		t.Errorf("conditions %v", got.Status.Conditions)
	}
	handed, ok := l.Answers.Take("request-uid")
	if want := (cluster.Answer{Chain: chain, CA: []byte("root")}); !ok || cmp.Diff(want, handed) != "" {
		t.Errorf("handed on: %t", ok)
	}
	if _, writes := l.reconcile(); len(writes) > 0 || l.memory.Len() > 0 {
		t.Errorf("a finished request: writes %q, %d remembered", writes, l.memory.Len())
	}
}

// TestStatusRefused holds that a status that cannot be stored costs no second
// certificate.
func TestStatusRefused(t *testing.T) {
	s, i := vault()
	r, chain := newRequest(t)
	s.answers = []answer{{outcome: core.Outcome{Chain: chain}}}
	l := newLab(t, s, r, i)
	l.refuse = []error{errors.New("down")}
	if got, _ := l.reconcile(); ready(got) != "" {
		t.Fatalf("ready %q", ready(got))
	}
	if got, _ := l.reconcile(); !slices.Equal(got.Status.Certificate, chain) || len(s.asked) != 1 {
		t.Errorf("certificate %q, asked %d times", got.Status.Certificate, len(s.asked))
	}
}

// TestSlowIssuer adds an issuer type that needs days for an answer to a registry:
// what it must know later survives the process, in the request's annotations.
func TestSlowIssuer(t *testing.T) {
	s, i := vault()
	r, chain := newRequest(t)
	later := now.Add(72 * time.Hour)
	s.answers = []answer{{outcome: core.Outcome{Pending: &core.Pending{
		Until: later, Annotations: map[string]string{"example.com/pickup": "7"}, Message: "A person at the CA decides",
	}}}}
	l := newLab(t, s, r, i)
	got, writes := l.reconcile()
	same(t, "writes", []string{"patch " + name, "status as cert-manager-certificaterequests-approver"}, writes)
	if ready(got) != "False Pending: A person at the CA decides" || got.Annotations["example.com/pickup"] != "7" ||
		got.Annotations[cmv1.CertificateRequestPrivateKeyAnnotationKey] != "web-key" {
		t.Fatalf("ready %q, annotations %v", ready(got), got.Annotations)
	}
	if _, writes := l.reconcile(); len(writes) > 0 || len(s.asked) != 1 {
		t.Errorf("an event brings the next look forward: writes %q, asked %d times", writes, len(s.asked))
	}

	// Another process asks at once, as it does not know the time.
	s.answers = []answer{{outcome: core.Outcome{Chain: chain}}}
	restarted := newLab(t, s, got, i)
	got, _ = restarted.reconcile()
	if pickup := s.asked[1].Object.Annotations["example.com/pickup"]; pickup != "7" {
		t.Errorf("asked again with the pickup %q", pickup)
	}
	if ready(got) != "True Issued: Certificate fetched from issuer successfully" {
		t.Errorf("ready %q", ready(got))
	}

	// The first process asks when the time has come.
	s.answers = []answer{{outcome: core.Outcome{Chain: chain}}}
	l.clock.SetTime(later)
	if got, _ := l.reconcile(); ready(got) != "True Issued: Certificate fetched from issuer successfully" || len(s.asked) != 3 {
		t.Errorf("ready %q, asked %d times", ready(got), len(s.asked))
	}
}

// TestImpatientIssuer holds that an issuer that names no time is not asked in a
// loop.
func TestImpatientIssuer(t *testing.T) {
	s, i := vault()
	r, _ := newRequest(t)
	s.answers = []answer{{outcome: core.Outcome{Pending: &core.Pending{Message: "Soon"}}}}
	l := newLab(t, s, r, i)
	l.reconcile()
	if l.result.RequeueAfter != core.PendingFloor || len(s.asked) != 1 {
		t.Errorf("asked %d times, again after %s", len(s.asked), l.result.RequeueAfter)
	}
}

func TestSignFailures(t *testing.T) {
	missing := fault.New(fault.User, "SecretMissing", "none").Because(apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, "x"))
	for _, test := range []struct {
		name string
		err  error
		want string
		// again is how often the issuer is asked when an event comes.
		again int
	}{
		{"a Secret that nobody has made", missing, "False Pending: none", 2},
		{"the server wants to be left alone", fault.Until(now.Add(time.Hour), "Busy", "busy"), "False Pending: busy", 1},
		{"never", fault.New(fault.Permanent, "SigningError", "bad"), "False Failed: bad", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, i := vault()
			r, _ := newRequest(t)
			s.answers = []answer{{err: test.err}, {err: test.err}}
			l := newLab(t, s, r, i)
			got, writes := l.reconcile()
			if ready(got) != test.want || len(writes) != 1 {
				t.Errorf("ready %q, writes %q", ready(got), writes)
			}
			if _, writes := l.reconcile(); len(writes) > 0 || len(s.asked) != test.again {
				t.Errorf("asked %d times, want %d; writes %q", len(s.asked), test.again, writes)
			}
		})
	}
}

// TestIssuerChanged holds that an answer does not outlive the spec of its issuer.
func TestIssuerChanged(t *testing.T) {
	s, i := vault()
	r, chain := newRequest(t)
	s.answers = []answer{{err: fault.Until(now.Add(time.Hour), "Busy", "busy")}, {outcome: core.Outcome{Chain: chain}}}
	l := newLab(t, s, r, i)
	l.reconcile()
	i = &cmv1.Issuer{}
	if err := l.client.Get(t.Context(), types.NamespacedName{Namespace: "app", Name: "i"}, i); err != nil {
		t.Fatal(err)
	}
	i.Generation++
	if err := l.client.Update(t.Context(), i); err != nil {
		t.Fatal(err)
	}
	if got, _ := l.reconcile(); len(got.Status.Certificate) == 0 {
		t.Errorf("ready %q", ready(got))
	}
}

func TestOrder(t *testing.T) {
	const manager = "cert-manager-certificaterequests-issuer-acme"
	i := newIssuer(cmv1.IssuerConfig{ACME: &acmev1.ACMEIssuer{}})
	r, chain := newRequest(t)
	_, foreign := newRequest(t)
	l := newLab(t, &signer{}, r, i)
	order := func() *acmev1.Order {
		t.Helper()
		list := &acmev1.OrderList{}
		if err := l.client.List(t.Context(), list); err != nil || len(list.Items) != 1 {
			t.Fatalf("%d Orders, error %v", len(list.Items), err)
		}
		return &list.Items[0]
	}
	answered := func(chain []byte) {
		t.Helper()
		o := order()
		o.Status = acmev1.OrderStatus{State: acmev1.Valid, Certificate: chain}
		if err := l.client.Status().Update(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		l.sync()
	}
	got, writes := l.reconcile()
	first := order()
	same(t, "writes", []string{"status as cert-manager-certificaterequests-approver", "create " + first.Name}, writes)
	if want := "False Pending: " + core.WaitingOnOrder("app", first.Name, "", ""); ready(got) != want || !condition.Approved(got) {
		t.Errorf("ready %q, want %q", ready(got), want)
	}
	if _, writes := l.reconcile(); len(writes) > 0 {
		t.Errorf("writes while it waits: %q", writes)
	}
	answered(foreign)
	_, writes = l.reconcile()
	same(t, "writes for another key's certificate", []string{"delete " + first.Name, "create " + first.Name}, writes)
	if n := order().Annotations[facts.OrderReplacesAnnotation]; n != "1" {
		t.Errorf("replaces %q", n)
	}
	l.writes = nil
	answered(chain)
	got, writes = l.reconcile()
	same(t, "writes in the end", []string{"status as " + manager}, writes)
	if !slices.Equal(got.Status.Certificate, chain) {
		t.Errorf("certificate %q", got.Status.Certificate)
	}
}

// TestOrderTaken holds what becomes of an Order whose name is taken.
func TestOrderTaken(t *testing.T) {
	for name, owner := range map[string]types.UID{"the request's": "request-uid", "somebody else's": "other-uid"} {
		t.Run(name, func(t *testing.T) {
			i := newIssuer(cmv1.IssuerConfig{ACME: &acmev1.ACMEIssuer{}})
			r, _ := newRequest(t)
			l := newLab(t, &signer{}, r, i)
			l.reconcile()
			list := &acmev1.OrderList{}
			if err := l.client.List(t.Context(), list); err != nil || len(list.Items) != 1 {
				t.Fatalf("%d Orders, error %v", len(list.Items), err)
			}
			list.Items[0].OwnerReferences[0].UID = owner
			if err := errors.Join(l.client.Update(t.Context(), &list.Items[0]), l.orders.Replace(nil, "")); err != nil {
				t.Fatal(err)
			}
			l.reconcile()
			wait := 200 * time.Millisecond
			if owner == "request-uid" {
				wait = 5 * time.Second
			}
			if l.result.RequeueAfter != wait {
				t.Errorf("comes back after %s, want %s", l.result.RequeueAfter, wait)
			}
		})
	}
}

func TestTakeCertificateFromMemory(t *testing.T) {
	i := newIssuer(cmv1.IssuerConfig{ACME: &acmev1.ACMEIssuer{}})
	r, chain := newRequest(t)
	r.Status.Conditions = []cmv1.CertificateRequestCondition{{Type: cmv1.CertificateRequestConditionApproved, Status: cmmeta.ConditionTrue}}
	o := &acmev1.Order{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "app", Name: "o", UID: "order-uid",
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(r, cmv1.SchemeGroupVersion.WithKind(cmv1.CertificateRequestKind))},
		},
		Status: acmev1.OrderStatus{State: acmev1.Valid, Certificate: chain},
	}
	for name, test := range map[string]struct {
		answer cluster.Answer
		ca     string
	}{
		"handed on":     {cluster.Answer{Chain: chain, CA: []byte("root")}, "root"},
		"another chain": {cluster.Answer{Chain: []byte("x"), CA: []byte("root")}, ""},
		"none":          {},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, &signer{}, r, i, o)
			l.Answers.Put("order-uid", test.answer)
			got, _ := l.reconcile()
			if !slices.Equal(got.Status.Certificate, chain) || string(got.Status.CA) != test.ca {
				t.Errorf("certificate %q, CA %q", got.Status.Certificate, got.Status.CA)
			}
		})
	}
}

func TestPermission(t *testing.T) {
	s, i := vault()
	r, _ := newRequest(t)
	l := newLab(t, s, r, i)
	l.Controller.Approval = permission(false)
	if got, writes := l.reconcile(); len(writes) > 0 || len(got.Status.Conditions) > 0 {
		t.Errorf("writes %q, conditions %v", writes, got.Status.Conditions)
	}
	w, err := l.Load(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if until := w.Next(now).Until; !until.Equal(now.Add(core.ApprovalRecheck)) {
		t.Errorf("asks again at %s", until)
	}
	l.config.LeaveApproval = true
	if w, err = l.Load(t.Context(), r); err != nil || !w.Next(now).Until.IsZero() {
		t.Errorf("asks for the permission although others approve; error %v", err)
	}
}

func TestWatches(t *testing.T) {
	s, i := vault()
	waiting, _ := newRequest(t)
	finished := waiting.DeepCopy()
	finished.Name = "web-0"
	finished.Status.Conditions = []cmv1.CertificateRequestCondition{{
		Type: cmv1.CertificateRequestConditionReady, Status: cmmeta.ConditionTrue, Reason: cmv1.CertificateRequestReasonIssued,
	}}
	global := waiting.DeepCopy()
	global.Name, global.Annotations, global.Spec.IssuerRef.Kind = "global-1", nil, cmv1.ClusterIssuerKind
	l := newLab(t, s, waiting, finished, global, i)
	meta := func(namespace, name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: namespace, Name: name}
	}
	order := &acmev1.Order{ObjectMeta: meta("app", "o")}
	owned := order.DeepCopy()
	owned.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(waiting, cmv1.SchemeGroupVersion.WithKind(cmv1.CertificateRequestKind))}
	secret := func(namespace, name string) client.Object {
		return &metav1.PartialObjectMetadata{ObjectMeta: meta(namespace, name)}
	}
	keys := map[string]func(context.Context, client.Object) []types.NamespacedName{}
	for _, w := range l.Registration().Watches {
		keys[w.Kind] = w.Keys
	}
	for _, test := range []struct {
		name, kind string
		object     client.Object
		want       []string
	}{
		{"Secret of the key", "Secret", secret("app", "web-key"), []string{name}},
		{"Secret elsewhere", "Secret", secret("other", "web-key"), nil},
		{"another Secret", "Secret", secret("app", "web-tls"), nil},
		{"Order", "Order", owned, []string{name}},
		{"Order of nobody", "Order", order, nil},
		{"Issuer", "Issuer", i, []string{name}},
		{"Issuer elsewhere", "Issuer", &cmv1.Issuer{ObjectMeta: meta("other", "i")}, nil},
		{"ClusterIssuer", "ClusterIssuer", &cmv1.ClusterIssuer{ObjectMeta: meta("", "i")}, []string{"global-1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, k := range keys[test.kind](t.Context(), test.object) {
				got = append(got, k.Name)
			}
			same(t, "wakes", test.want, got)
		})
	}
}

func TestNewRefusesGaps(t *testing.T) {
	s, i := vault()
	l := newLab(t, s, i)
	deps := l.Deps
	deps.Answers = nil
	if _, err := New(deps, Config{}, nil); err == nil {
		t.Error("a Controller without Answers")
	}
}
