package renewalinformation

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	kubefake "k8s.io/client-go/kubernetes/fake"
	metadatafake "k8s.io/client-go/metadata/fake"
	toolscache "k8s.io/client-go/tools/cache"
	realclock "k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlfake "sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/lifecycle/lifecycletest"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

var (
	now     = lifecycletest.Now
	subject = types.NamespacedName{Namespace: "app", Name: "web"}
)

// stage is a controller of a Certificate that was issued after the start, with an ACME
// server and an API server.
type stage struct {
	*Controller
	t      *testing.T
	clock  *clocktesting.FakeClock
	client client.Client
	events []plan.Event
	// asked counts the questions, conflicts how many writes of a status are still refused,
	// stored those that were not.
	asked     atomic.Int32
	conflicts int
	stored    int
	// status is what the ACME server answers, none that it has no renewal information.
	status int
	none   bool
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, clock: clocktesting.NewFakeClock(now), status: http.StatusOK}
	server := httptest.NewTLSServer(s)
	t.Cleanup(server.Close)
	crt := lifecycletest.NewCertificate(func(c *cmv1.Certificate) { c.Spec.IssuerRef.Name = "acme" })
	notAfter := now.Add(90 * lifecycletest.Day)
	issued := lifecycletest.NewRequest(crt, lifecycletest.Key(1), 1, lifecycletest.Signed(now, notAfter))
	crt.Status = cmv1.CertificateStatus{
		Conditions: []cmv1.CertificateCondition{{Type: cmv1.CertificateConditionReady, Status: cmmeta.ConditionTrue, ObservedGeneration: 1, LastTransitionTime: lifecycletest.At(now)}},
		NotBefore:  lifecycletest.At(now), NotAfter: lifecycletest.At(notAfter), Revision: lifecycletest.Ptr(1),
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "app", Name: "web-tls", Labels: map[string]string{cmv1.PartOfCertManagerControllerLabelKey: "true"},
			Annotations: map[string]string{cmv1.IssuerNameAnnotationKey: "acme", cmv1.IssuerKindAnnotationKey: cmv1.ClusterIssuerKind},
		},
		Data: map[string][]byte{"tls.crt": issued.Status.Certificate},
	}
	i := &cmv1.ClusterIssuer{ObjectMeta: metav1.ObjectMeta{Name: "acme", UID: "acme-uid"}}
	i.Spec.ACME = &acmev1.ACMEIssuer{Server: server.URL}
	i.Status.Conditions = []cmv1.IssuerCondition{{Type: cmv1.IssuerConditionReady, Status: cmmeta.ConditionTrue}}
	s.start(secret, account{acme.New(acme.Config{DirectoryURL: server.URL, HTTPClient: server.Client(), Clock: s.clock})}, crt, i)
	return s
}

// start makes the controller, whose caches show what there is.
func (s *stage) start(secret *corev1.Secret, accounts Accounts, objects ...client.Object) {
	s.t.Helper()
	scheme := runtime.NewScheme()
	if err := cmv1.AddToScheme(scheme); err != nil {
		s.t.Fatal(err)
	}
	s.client = ctrlfake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(&cmv1.Certificate{}).
		WithInterceptorFuncs(interceptor.Funcs{SubResourceUpdate: s.update}).Build()
	core := kubefake.NewClientset(secret)
	secrets, err := cluster.NewSecrets(core, metadatafake.NewSimpleMetadataClient(metadatafake.NewTestScheme()), "", pki.Limits{})
	if err != nil {
		s.t.Fatal(err)
	}
	requests, err := cluster.NewRequests(toolscache.NewSharedIndexInformer(&toolscache.ListWatch{}, &cmv1.CertificateRequest{}, 0, toolscache.Indexers{}), pki.Limits{})
	if err != nil {
		s.t.Fatal(err)
	}
	events := cluster.NewEvents(core, scheme, realclock.RealClock{}, logr.Discard(), true, s.t.FailNow)
	server := cluster.NewServer(cluster.NewWriter(s.client, core, cluster.NewGate(nil)), events, s.client)
	server.Observe = func(_ runtime.Object, e plan.Event) { s.events = append(s.events, e) }
	s.Controller, err = New(Deps{
		Cache: s.client, Secrets: secrets, Requests: requests, Issuers: cluster.NewIssuers(s.client, "cert-manager"),
		Accounts: accounts, Server: server, Clock: s.clock,
	}, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(s.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = secrets.Start(ctx)
	}()
	s.t.Cleanup(func() { stop(); <-done })
	if !secrets.WaitForSync(ctx) {
		s.t.Fatal("the caches of Secrets are not filled")
	}
}

// update refuses some writes of a status.
func (s *stage) update(ctx context.Context, c client.Client, sub string, o client.Object, options ...client.SubResourceUpdateOption) error {
	if s.conflicts > 0 {
		s.conflicts--
		return apierrors.NewConflict(schema.GroupResource{Resource: "certificates"}, o.GetName(), nil)
	}
	s.stored++
	return c.SubResource(sub).Update(ctx, o, options...)
}

// account is the one of all issuers.
type account struct{ client *acme.Client }

// Get implements Accounts.
func (a account) Get(types.UID) (*acme.Client, *facts.Account, bool) { return a.client, nil, true }

// ServeHTTP is the ACME server.
func (s *stage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := map[string]any{"suggestedWindow": map[string]time.Time{"start": now.Add(50 * lifecycletest.Day), "end": now.Add(52 * lifecycletest.Day)}}
	if r.URL.Path == "/" {
		base := "https://" + r.Host
		answer = map[string]any{"newNonce": base + "/n", "newAccount": base + "/a", "newOrder": base + "/o"}
		if !s.none {
			answer["renewalInfo"] = base + "/r"
		}
	} else if s.asked.Add(1); s.status != http.StatusOK {
		w.WriteHeader(s.status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

// reconcile runs the controller once.
func (s *stage) reconcile() {
	s.t.Helper()
	_, err := s.Registration().Reconciler.Reconcile(s.t.Context(), reconcile.Request{NamespacedName: subject})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) certificate() cmv1.CertificateStatus {
	s.t.Helper()
	crt := &cmv1.Certificate{}
	if err := s.client.Get(s.t.Context(), subject, crt); err != nil {
		s.t.Fatal(err)
	}
	return crt.Status
}

// TestQuestion has the answers of an ACME server. Each is asked for once and stored by one
// write, also if the first write meets a conflict.
func TestQuestion(t *testing.T) {
	const failed = "Could not fetch ACME Renewal Information: "
	for name, test := range map[string]struct {
		status int
		want   cmv1.ACMERenewalInfo
		events []plan.Event
	}{
		"a window": {http.StatusOK, cmv1.ACMERenewalInfo{SuggestedWindow: &cmv1.ACMERenewalWindow{
			Start: *lifecycletest.At(now.Add(50 * lifecycletest.Day)), End: *lifecycletest.At(now.Add(52 * lifecycletest.Day)),
		}}, nil},
		"no answer": {http.StatusInternalServerError, cmv1.ACMERenewalInfo{}, []plan.Event{{Warning: true, Reason: "ARIError", Component: "cert-manager-certificates-readiness"}}},
	} {
		for _, conflicts := range []int{0, 2} {
			t.Run(name, func(t *testing.T) {
				s := newStage(t)
				s.status, s.conflicts = test.status, conflicts
				for range conflicts + 2 {
					s.reconcile()
				}
				got := s.certificate()
				if got.ACME == nil || got.ACME.ARI == nil || got.RenewalTime == nil {
					t.Fatalf("%+v", got)
				}
				if failedNow := got.ACME.ARI.LastError != ""; failedNow != (test.events != nil) {
					t.Errorf("error %q", got.ACME.ARI.LastError)
				}
				if diff := cmp.Diff(test.want, *got.ACME.ARI, cmpopts.IgnoreFields(cmv1.ACMERenewalInfo{}, "LastChecked", "NextCheck", "LastError")); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
				if diff := cmp.Diff(test.events, s.events, cmpopts.IgnoreFields(plan.Event{}, "Message")); diff != "" {
					t.Errorf("events (-want +got):\n%s", diff)
				}
				for _, e := range s.events {
					if e.Message != got.ACME.ARI.LastError || !strings.HasPrefix(e.Message, failed) {
						t.Errorf("the event says %q", e.Message)
					}
				}
				if n := s.asked.Load(); n != 1 || s.stored != 1 {
					t.Errorf("asked %d times, stored %d times", n, s.stored)
				}
				s.clock.SetTime(got.ACME.ARI.NextCheck.Time)
				s.reconcile()
				if n := s.asked.Load(); n != 2 {
					t.Errorf("asked %d times after the next check", n)
				}
			})
		}
	}
}

// TestNoInformation has an ACME server without renewal information: nothing is stored.
func TestNoInformation(t *testing.T) {
	s := newStage(t)
	s.none = true
	for range 3 {
		s.reconcile()
	}
	if s.asked.Load() > 0 || s.stored > 0 || len(s.events) > 0 {
		t.Errorf("asked %d times, stored %d times, events %v", s.asked.Load(), s.stored, s.events)
	}
}

// TestForget drops what is remembered of a Certificate that is gone.
func TestForget(t *testing.T) {
	s := newStage(t)
	s.reconcile()
	if s.memory.Len() != 1 {
		t.Fatal("nothing is remembered")
	}
	if err := s.client.Delete(t.Context(), &cmv1.Certificate{ObjectMeta: metav1.ObjectMeta{Namespace: "app", Name: "web"}}); err != nil {
		t.Fatal(err)
	}
	s.reconcile()
	if s.memory.Len() != 0 {
		t.Error("it is still remembered")
	}
}
