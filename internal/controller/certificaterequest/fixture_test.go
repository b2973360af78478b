package certificaterequest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
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
	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/issuer"
	core "github.com/everleaf/everleaf/internal/lifecycle/request"
	"github.com/everleaf/everleaf/internal/pki"
)

// signer is an issuer type that the product does not have: it says what the test
// wants.
type signer struct {
	name facts.IssuerType
	// secrets are those that an issuer uses.
	secrets []string
	// server is the foreign server that is asked.
	server string
	// during is called in the middle of Sign, unless it is nil.
	during func(context.Context)
	// answers are what Sign returns, in order.
	answers []answer
	asked   []issuer.Request
}

type answer struct {
	outcome core.Outcome
	err     error
}

func (s *signer) Name() facts.IssuerType            { return s.name }
func (s *signer) Secrets(*cmv1.IssuerSpec) []string { return s.secrets }
func (*signer) Check(context.Context, issuer.Issuer) (issuer.Status, error) {
	return issuer.Status{}, nil
}

func (s *signer) Server(*cmv1.IssuerSpec) string { return s.server }

func (s *signer) Sign(ctx context.Context, r issuer.Request) (core.Outcome, error) {
	s.asked = append(s.asked, r)
	if s.during != nil {
		s.during(ctx)
	}
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

// secretFacts are the facts of Secrets, by name.
type secretFacts map[string]*facts.Secret

func (s secretFacts) Facts(_ context.Context, _, name string) (*facts.Secret, error) {
	return s[name], nil
}

// lab is an API server with a Controller, whose caches show everything at once.
type lab struct {
	*Controller
	t        *testing.T
	client   client.Client
	clock    *clocktesting.FakeClock
	requests cache.Indexer
	orders   cache.Indexer
	secrets  secretFacts
	// suspected hears of issuers that are to be checked again.
	suspected controller.Topic[controller.IssuerNews]
	// writes are what was written, and refuse the results of the next status writes.
	writes []string
	refuse []error
	// refuseCreate fails all creates.
	refuseCreate error
	result       reconcile.Result
}

func newLab(t *testing.T, s *signer, objects ...client.Object) *lab {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(cmv1.AddToScheme(scheme), acmev1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	l := &lab{t: t, clock: clocktesting.NewFakeClock(now), secrets: secretFacts{}}
	refs := cluster.NewIssuers(nil, "cert-manager").SecretRefs(s.Secrets)
	l.client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithIndex(&cmv1.Issuer{}, cluster.IndexSecretRef, refs).WithIndex(&cmv1.ClusterIssuer{}, cluster.IndexSecretRef, refs).
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
				if l.refuseCreate != nil {
					return l.refuseCreate
				}
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
	types := issuer.Registry{s, acmeType{}}
	deps := Deps{
		Cache: l.client, Secrets: l.secrets,
		Answers: cluster.NewAnswers(), Issuers: cluster.NewIssuers(l.client, "cert-manager"), Approval: permission(true),
		Server: cluster.NewServer(cluster.NewWriter(l.client, core, cluster.NewGate(nil)), events, l.client), Clock: l.clock,
	}
	deps.Signers = &controller.Signers{Types: &types, Issuers: deps.Issuers, Suspected: &l.suspected, Clock: l.clock}
	var err error
	if deps.Requests, err = cluster.NewRequests(requests, pki.Limits{}); err != nil {
		t.Fatal(err)
	}
	if deps.Orders, err = cluster.NewOrders(orders, pki.Limits{}); err != nil {
		t.Fatal(err)
	}
	if l.Controller, err = New(deps, Config{RenewalInformation: true}, nil); err != nil {
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
	encoded, err := pki.BuildRequest(pki.Template{DNSNames: []string{"a.test"}}, k, pki.Limits{})
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
