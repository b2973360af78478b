package certificate

import (
	"context"
	"crypto"
	"testing"

	"github.com/go-logr/logr"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	kubefake "k8s.io/client-go/kubernetes/fake"
	metadatafake "k8s.io/client-go/metadata/fake"
	clienttesting "k8s.io/client-go/testing"
	toolscache "k8s.io/client-go/tools/cache"
	realclock "k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlfake "sigs.k8s.io/controller-runtime/pkg/client/fake"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/lifecycle/lifecycletest"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

var now = lifecycletest.Now

// fakes are an API server in two parts: Secrets and events, and all else.
type fakes struct {
	core    *kubefake.Clientset
	objects client.WithWatch
}

func newFakes(t *testing.T, secrets []runtime.Object, objects ...client.Object) fakes {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{cmv1.AddToScheme, corev1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return fakes{
		core: kubefake.NewClientset(secrets...),
		objects: ctrlfake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
			WithStatusSubresource(&cmv1.Certificate{}, &cmv1.CertificateRequest{}).
			WithIndex(&cmv1.Certificate{}, indexSecretName, secretName).
			WithIndex(&cmv1.Certificate{}, indexFailedIssuer, failedIssuer).
			WithIndex(&cmv1.Certificate{}, indexPassword, passwordSecrets).
			WithIndex(&cmv1.Issuer{}, cluster.IndexSecretRef, secretRefs).
			WithIndex(&cmv1.ClusterIssuer{}, cluster.IndexSecretRef, secretRefs).Build(),
	}
}

// secretRefs is the index of the Secrets of issuers.
func secretRefs(o client.Object) []string {
	return cluster.NewIssuers(nil, "cert-manager").SecretRefs(facts.OwnSecrets)(o)
}

// started is a controller of a new process, whose caches show what there is.
type started struct {
	*Controller
	requests toolscache.SharedIndexInformer
	orders   toolscache.SharedIndexInformer
	clock    *clocktesting.FakeClock
}

func (f fakes) start(t *testing.T, config Config) started {
	t.Helper()
	clock := clocktesting.NewFakeClock(now)
	secrets, err := cluster.NewSecrets(f.core, metadatafake.NewSimpleMetadataClient(metadatafake.NewTestScheme()), "", pki.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	informer := toolscache.NewSharedIndexInformer(&toolscache.ListWatch{}, &cmv1.CertificateRequest{}, 0, toolscache.Indexers{})
	requests, err := cluster.NewRequests(informer, pki.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	orderInformer := toolscache.NewSharedIndexInformer(&toolscache.ListWatch{}, &acmev1.Order{}, 0, toolscache.Indexers{})
	orders, err := cluster.NewOrders(orderInformer, pki.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	events := cluster.NewEvents(f.core, f.objects.Scheme(), realclock.RealClock{}, logr.Discard(), true, t.FailNow)
	c, err := New(Deps{
		Cache: f.objects, Secrets: secrets, Requests: requests, Orders: orders, Answers: cluster.NewAnswers(),
		Issuers: cluster.NewIssuers(f.objects, "cert-manager"), Approval: cluster.NewApproval(f.core, clock), Identity: cluster.NewIdentity(f.core, clock),
		Server: cluster.NewServer(cluster.NewWriter(f.objects, f.core, cluster.NewGate(nil)), events, f.objects),
		Keys:   pki.NewKeyPool(1), Clock: clock,
	}, config, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := started{c, informer, orderInformer, clock}
	list := &cmv1.CertificateRequestList{}
	if err := f.objects.List(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	for i := range list.Items {
		s.cache(t, &list.Items[i])
	}
	return s
}

// cache puts a request into the cache.
func (s started) cache(t *testing.T, request *cmv1.CertificateRequest) {
	t.Helper()
	item, err := cluster.ReduceRequest(pki.Limits{})(request)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.requests.GetIndexer().Add(item); err != nil {
		t.Fatal(err)
	}
}

// fill fills the caches of Secrets.
func (s started) fill(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Secrets.Start(ctx)
	}()
	t.Cleanup(func() { stop(); <-done })
	if !s.Secrets.WaitForSync(ctx) {
		t.Fatal("the caches of Secrets are not filled")
	}
}

// signsInline makes the issuer a CA that is ready and whose requests are approved
// by this process.
func (f fakes) signsInline(t *testing.T) {
	t.Helper()
	issuer := clusterIssuer(cmv1.IssuerConfig{CA: &cmv1.CAIssuer{SecretName: "ca"}}, cmmeta.ConditionTrue)
	if err := f.objects.Create(t.Context(), issuer); err != nil {
		t.Fatal(err)
	}
	f.approves(true, nil)
}

// approves answers whether this process may approve requests.
func (f fakes) approves(allowed bool, err error) {
	f.core.PrependReactor("create", "selfsubjectaccessreviews", func(action clienttesting.Action) (bool, runtime.Object, error) {
		review := action.(clienttesting.CreateAction).GetObject().(*authorizationv1.SelfSubjectAccessReview)
		review.Status.Allowed = allowed
		return true, review, err
	})
}

func clusterIssuer(config cmv1.IssuerConfig, ready cmmeta.ConditionStatus) *cmv1.ClusterIssuer {
	i := &cmv1.ClusterIssuer{ObjectMeta: metav1.ObjectMeta{Name: "ca"}, Spec: cmv1.IssuerSpec{IssuerConfig: config}}
	i.Status.Conditions = []cmv1.IssuerCondition{{Type: cmv1.IssuerConditionReady, Status: ready}}
	return i
}

// load is the beginning of a reconcile.
func (s started) load(t *testing.T, object *cmv1.Certificate) *work {
	t.Helper()
	w, err := s.Load(t.Context(), object)
	if err != nil {
		t.Fatal(err)
	}
	return w.(*work)
}

// sent are the events that were sent, by reason and message.
func (f fakes) sent(t *testing.T, s started) []string {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	stop() // send what is queued, and return
	if err := s.Server.Start(ctx); err != nil {
		t.Fatal(err)
	}
	list, err := f.core.CoreV1().Events("app").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var events []string
	for _, e := range list.Items {
		events = append(events, e.Reason+": "+e.Message)
	}
	return events
}

// crt is a Certificate as the fake API server has it.
func crt(change ...func(*cmv1.Certificate)) *cmv1.Certificate {
	stored := func(c *cmv1.Certificate) { c.ResourceVersion = "7" }
	return lifecycletest.NewCertificate(append([]func(*cmv1.Certificate){stored}, change...)...)
}

func key(n int) crypto.Signer { return lifecycletest.Key(n) }

var (
	subject = types.NamespacedName{Namespace: "app", Name: "web"}
	config  = Config{Backoff: plan.DefaultIssuance, CopiedAnnotations: []string{"*", "-kubectl.kubernetes.io/"}}
)
