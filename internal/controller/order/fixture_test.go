package order

import (
	"context"
	"crypto"
	"testing"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kubefake "k8s.io/client-go/kubernetes/fake"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/facts"
	issueracme "github.com/everleaf/everleaf/internal/issuer/acme"
	core "github.com/everleaf/everleaf/internal/lifecycle/order"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
	"github.com/everleaf/everleaf/test/pebble"
)

var now = time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC)

// request is an approved CertificateRequest for a name.
func request(t *testing.T, dnsName string) *cmv1.CertificateRequest {
	t.Helper()
	key, err := pki.GenerateKey(pki.KeySpec{Algorithm: pki.ECDSA, Size: 256})
	if err != nil {
		t.Fatal(err)
	}
	csr, err := pki.BuildRequest(pki.Template{DNSNames: []string{dnsName}}, key, pki.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return &cmv1.CertificateRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "one", UID: "request"},
		Spec:       cmv1.CertificateRequestSpec{IssuerRef: cmmeta.IssuerReference{Name: "acme"}, Request: csr},
		Status: cmv1.CertificateRequestStatus{Conditions: []cmv1.CertificateRequestCondition{{
			Type: cmv1.CertificateRequestConditionApproved, Status: cmmeta.ConditionTrue,
		}}},
	}
}

// orderFor is the Order of a request.
func orderFor(t *testing.T, from *cmv1.CertificateRequest, change ...func(*acmev1.Order)) *acmev1.Order {
	t.Helper()
	object, fault := core.Build(from, &acmev1.ACMEIssuer{}, pki.Limits{})
	if fault != nil {
		t.Fatal(fault)
	}
	object.UID = "order"
	for _, f := range change {
		f(object)
	}
	return object
}

// account registers at a server, and counts the orders that are made there.
func account(t *testing.T, server *pebble.Server, orders *int) *acme.Client {
	t.Helper()
	var key crypto.Signer
	key, err := pki.GenerateKey(pki.KeySpec{Algorithm: pki.ECDSA, Size: 256})
	if err != nil {
		t.Fatal(err)
	}
	transport, err := acme.HTTPClient(acme.TransportOptions{CABundle: server.CABundle})
	if err != nil {
		t.Fatal(err)
	}
	c := acme.New(acme.Config{
		DirectoryURL: server.DirectoryURL, Key: key, HTTPClient: transport, Clock: clock.RealClock{},
		Observe: func(action, _, _, _ string, _ int, _ time.Duration) {
			if action == "authorize_order" {
				*orders++
			}
		},
	})
	if _, err := c.Register(t.Context(), acme.AccountRequest{TermsAgreed: true}); err != nil {
		t.Fatal(err)
	}
	return c
}

// started is a controller of a new process. Its caches of Orders and requests
// hold what is put there.
type started struct {
	*Controller
	objects  client.Client
	orders   toolscache.Indexer
	requests toolscache.Indexer
	// live counts the reads from the API server by kind, refuse fails the next
	// status writes and deletions.
	live   map[string]int
	refuse error
	// driving drives Orders with an account.
	driving *controller.Driver[*acmev1.Order, acmev1.OrderStatus]
}

// accountFacts has a solver for all names.
var accountFacts = facts.Account{Thumbprint: "thumb", Issuer: &acmev1.ACMEIssuer{Solvers: []acmev1.ACMEChallengeSolver{{
	DNS01: &acmev1.ACMEChallengeSolverDNS01{RFC2136: &acmev1.ACMEIssuerDNS01ProviderRFC2136{Nameserver: "127.0.0.1:53"}},
}}}}

func start(t *testing.T, objects ...client.Object) *started {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{acmev1.AddToScheme, cmv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	s := &started{live: map[string]int{}}
	s.objects = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(&acmev1.Order{}).
		WithIndex(&acmev1.Challenge{}, cluster.IndexController, cluster.ControllerUID).
		WithInterceptorFuncs(interceptor.Funcs{
			Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
				switch o.(type) {
				case *acmev1.Order:
					s.live["Order"]++
				case *cmv1.CertificateRequest:
					s.live["CertificateRequest"]++
				}
				return c.Get(ctx, key, o, opts...)
			},
			Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
				if s.refuse != nil {
					return s.refuse
				}
				return c.Delete(ctx, o, opts...)
			},
			SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, opts ...client.SubResourceUpdateOption) error {
				if s.refuse != nil {
					return s.refuse
				}
				return c.SubResource(sub).Update(ctx, o, opts...)
			},
		}).Build()
	orderInformer := toolscache.NewSharedIndexInformer(&toolscache.ListWatch{}, &acmev1.Order{}, 0, toolscache.Indexers{})
	orders, err := cluster.NewOrders(orderInformer, pki.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	requestInformer := toolscache.NewSharedIndexInformer(&toolscache.ListWatch{}, &cmv1.CertificateRequest{}, 0, toolscache.Indexers{})
	requests, err := cluster.NewRequests(requestInformer, pki.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	s.orders, s.requests = orderInformer.GetIndexer(), requestInformer.GetIndexer()
	ticking := clocktesting.NewFakeClock(now)
	core := kubefake.NewClientset()
	events := cluster.NewEvents(core, scheme, ticking, logr.Discard(), true, t.FailNow)
	s.Controller, err = New(Deps{
		Cache: s.objects, Orders: orders, Requests: requests, Issuers: cluster.NewIssuers(s.objects, "cert-manager"),
		Accounts: &issueracme.Accounts{}, Answers: cluster.NewAnswers(),
		Server:       cluster.NewServer(cluster.NewWriter(s.objects, core, cluster.NewGate(nil)), events, s.objects),
		AccountReady: &controller.Topic[cmv1.GenericIssuer]{}, Suspected: &controller.Topic[controller.IssuerNews]{}, Verified: &controller.Topic[controller.Verified]{},
		Clock: ticking, Limits: pki.DefaultLimits, Failed: func() {},
		Copied: func(key string) bool { return facts.Copied([]string{"*"}, key) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// cache puts objects into the caches as they are at the API server.
func (s *started) cache(t *testing.T, objects ...client.Object) {
	t.Helper()
	for _, o := range objects {
		if err := s.objects.Get(t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
			t.Fatal(err)
		}
		into, reduce := s.orders, cluster.ReduceOrder(pki.Limits{})
		if _, ok := o.(*cmv1.CertificateRequest); ok {
			into, reduce = s.requests, cluster.ReduceRequest(pki.Limits{})
		}
		item, err := reduce(o.DeepCopyObject())
		if err != nil {
			t.Fatal(err)
		}
		if err := into.Add(item); err != nil {
			t.Fatal(err)
		}
	}
	clear(s.live)
}

// work is the Order that the cache holds, loaded, with an account of its own.
func (s *started) work(t *testing.T, o *acmev1.Order) *work {
	t.Helper()
	object, open, err := s.Get(t.Context(), client.ObjectKeyFromObject(o))
	if err != nil || !open {
		t.Fatalf("no open Order: %t, %v", open, err)
	}
	w, err := s.Load(t.Context(), object)
	if err != nil {
		t.Fatal(err)
	}
	return w.(*work)
}

// withAccount drives Orders with an account, which no issuer has set up.
type withAccount struct {
	*Controller
	client *acme.Client
	// fail is the result of all actions, if it is not nil.
	fail func(plan.Action) error
}

// failing is a work whose actions fail.
type failing struct {
	*work
	fail func(plan.Action) error
}

func (f failing) Do(ctx context.Context, action plan.Action) error {
	if _, local := action.(plan.Local); local {
		return f.work.Do(ctx, action)
	}
	return f.fail(action)
}

func (k withAccount) Load(ctx context.Context, o *acmev1.Order) (controller.Work[*acmev1.Order, acmev1.OrderStatus], error) {
	loaded, err := k.Controller.Load(ctx, o)
	if err != nil {
		return nil, err
	}
	w := loaded.(*work)
	w.client, w.Account = k.client, &accountFacts
	if k.fail != nil {
		return failing{w, k.fail}, nil
	}
	return w, nil
}

// failWith has all actions of Orders end with what fail returns.
func (s *started) failWith(fail func(plan.Action) error) {
	s.driving = controller.NewDriver(withAccount{Controller: s.Controller, fail: fail}, s.driver.Settings)
	s.driver = s.driving
}

// reconcile drives an Order.
func (s *started) reconcile(t *testing.T, c *acme.Client, o *acmev1.Order) reconcile.Result {
	t.Helper()
	if s.driving == nil {
		s.driving = controller.NewDriver(withAccount{Controller: s.Controller, client: c}, s.driver.Settings)
	}
	result, err := s.driving.Reconcile(t.Context(), reconcile.Request{NamespacedName: client.ObjectKeyFromObject(o)})
	if err != nil {
		t.Fatal(err)
	}
	return result
}
