package cluster

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	certificatesv1beta1 "k8s.io/api/certificates/v1beta1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/lifecycle/podcertificate"
	"github.com/everleaf/everleaf/internal/plan"
)

// podServer is an API server whose versions of PodCertificateRequests come and go. It has
// one for a ClusterIssuer of ours, one for somebody else, and one that has ended.
type podServer struct {
	mu      sync.Mutex
	away    bool
	version string
	written []string
}

func (s *podServer) set(away bool, version string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away, s.version = away, version
}

func (s *podServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	away, version := s.away, s.version
	s.mu.Unlock()
	answer, refuse := answers(w)
	request := func(name, signer, condition string) podcertificate.Object {
		o := podcertificate.Object{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, ResourceVersion: "6"},
			Spec:       certificatesv1beta1.PodCertificateRequestSpec{SignerName: signer},
		}
		if condition != "" {
			o.Status.Conditions = []metav1.Condition{{Type: condition, Status: metav1.ConditionTrue}}
		}
		return o
	}
	const group = "/apis/certificates.k8s.io/"
	switch path := r.URL.Path; {
	case away:
		refuse(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable)
	case path == group+"v1" && version != "v1":
		answer(metav1.APIResourceList{
			TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: "certificates.k8s.io/v1",
			APIResources: []metav1.APIResource{{Name: "certificatesigningrequests"}},
		})
	case path == group+version:
		answer(metav1.APIResourceList{
			TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: "certificates.k8s.io/" + version,
			APIResources: []metav1.APIResource{{Name: "podcertificaterequests"}, {Name: "podcertificaterequests/status"}},
		})
	case path == group+version+"/podcertificaterequests" && r.URL.Query().Get("watch") == "":
		answer(podcertificate.List{
			TypeMeta: metav1.TypeMeta{Kind: "PodCertificateRequestList", APIVersion: "certificates.k8s.io/" + version}, ListMeta: metav1.ListMeta{ResourceVersion: "7"},
			Items: []podcertificate.Object{
				request("ours", "clusterissuers.cert-manager.io/mesh", ""), request("theirs", "example.org/x", ""),
				request("ended", "clusterissuers.cert-manager.io/mesh", "Issued"),
			},
		})
	case path == group+version+"/podcertificaterequests" && r.URL.Query().Get("sendInitialEvents") == "":
		<-r.Context().Done()
	case path == group+version+"/namespaces/shop/podcertificaterequests/ours/status" && r.Method == http.MethodPut:
		var o map[string]any
		_ = json.NewDecoder(r.Body).Decode(&o)
		s.mu.Lock()
		s.written = append(s.written, o["apiVersion"].(string)+" "+r.URL.Query().Get("fieldManager"))
		s.mu.Unlock()
		o["metadata"].(map[string]any)["resourceVersion"] = "8"
		answer(o)
	default:
		refuse(http.StatusNotFound, metav1.StatusReasonNotFound)
	}
}

// TestPodCertificates: the kind is absent, comes as v1beta1, the API server is away, it
// comes as v1, and goes.
func TestPodCertificates(t *testing.T) {
	api := &podServer{}
	server := httptest.NewServer(api)
	defer server.Close()
	lines := make(chan string, 10)
	p, err := NewPodCertificates(&rest.Config{Host: server.URL}, PodCertificatesConfig{
		Interval: time.Hour, Log: funcr.New(func(_, line string) { lines <- line }, funcr.Options{}),
		Observe: func(i cache.SharedIndexInformer) error {
			return i.SetWatchErrorHandlerWithContext(func(context.Context, *cache.Reflector, error) {})
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	gate := NewGate(map[string]Store{podcertificate.Kind: p})
	writing := PodCertificateServer{Server: NewServer(NewWriter(nil, nil, gate), nil, nil), Requests: p}
	subject := plan.Ref{Kind: podcertificate.Kind, NamespacedName: types.NamespacedName{Namespace: "shop", Name: "ours"}}
	ctx, cancel := context.WithCancel(t.Context())
	// The server ends after its watches.
	defer cancel()
	seen := make(chan string, 10)
	p.Attach(podcertificate.Kind, func(_ context.Context, informer cache.SharedIndexInformer) error {
		_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: func(o any) { seen <- o.(metav1.Object).GetName() }})
		return err
	})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = p.Start(ctx)
	}()
	mesh := &cmv1.ClusterIssuer{ObjectMeta: metav1.ObjectMeta{Name: "mesh"}}
	says := func(want string) {
		t.Helper()
		if line := <-lines; !strings.Contains(line, want) {
			t.Errorf("said %s, want %q", line, want)
		}
	}
	// has checks what there is of a version, or that there is nothing.
	has := func(version string) {
		t.Helper()
		o, open, err := p.Get(subject.NamespacedName)
		if version == "" {
			if !apierrors.IsNotFound(err) || len(p.OpenOf(mesh)) > 0 {
				t.Errorf("found %v, %v", o, err)
			}
			return
		}
		if err != nil || !open || o.APIVersion != "certificates.k8s.io/"+version || len(p.OpenOf(mesh)) != 1 {
			t.Fatalf("found %+v, %v, %v, %d of the issuer", o, open, err, len(p.OpenOf(mesh)))
		}
		for _, name := range []string{"theirs", "ended"} {
			if o, open, err := p.Get(types.NamespacedName{Namespace: "shop", Name: name}); o != nil || open || err != nil {
				t.Errorf("found %s: %v, %v, %v", name, o, open, err)
			}
		}
	}
	writes := func() {
		t.Helper()
		o, _, err := p.Get(subject.NamespacedName)
		if err != nil {
			t.Fatal(err)
		}
		changed := o.DeepCopy()
		if err := writing.UpdateStatus(t.Context(), subject, changed, "m"); err != nil || changed.ResourceVersion != "8" {
			t.Errorf("wrote %v: %v", changed, err)
		}
		if kind := writing.Behind(subject); kind != podcertificate.Kind {
			t.Errorf("behind in %q", kind)
		}
	}
	// come waits for the objects of a new informer.
	come := func() {
		t.Helper()
		for range 3 {
			<-seen
		}
	}
	says("not signed")
	has("")
	api.set(false, "v1beta1")
	p.Look(ctx)
	says("v1beta1 are signed")
	come()
	has("v1beta1")
	writes()
	api.set(true, "v1beta1")
	p.Look(ctx)
	says("does not say")
	p.Look(ctx)
	has("v1beta1")
	api.set(false, "v1")
	p.Look(ctx)
	says("/v1 are signed")
	come()
	has("v1")
	writes()
	api.set(false, "")
	p.Look(ctx)
	says("not signed")
	p.Look(ctx)
	has("")
	if kind := writing.Behind(subject); kind != "" {
		t.Errorf("behind in %q, which is absent", kind)
	}
	cancel()
	<-ended
	if diff := cmp.Diff([]string{"certificates.k8s.io/v1beta1 m", "certificates.k8s.io/v1 m"}, api.written); diff != "" {
		t.Errorf("written (-want +got):\n%s", diff)
	}
	if len(lines) > 0 {
		t.Errorf("said also %s", <-lines)
	}
}
