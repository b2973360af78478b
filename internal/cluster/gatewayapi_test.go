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
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	gwapi "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/everleaf/everleaf/internal/lifecycle/shim"
)

// TestGatewayOffer: what an API server has of the Gateway API, and what is said about it.
func TestGatewayOffer(t *testing.T) {
	const missing = "the Gateway API CRDs do not seem to be present, but ExperimentalGatewayAPISupport is set to true. Please install the gateway-api CRDs. "
	const noListenerSets = "found GatewayAPI CRDs; however the Gateway API ListenerSet CRD do not seem to be present, but ListenerSets is set to true. Please install the gateway-api ListenerSet CRD."
	all := []string{shim.KindGateway, shim.KindHTTPRoute, shim.KindListenerSet}
	for _, test := range []struct {
		name    string
		offered gatewayOffer
		kinds   []string
		want    []string
	}{
		{"not asked", gatewayOffer{}, all, []string{"the API server has not said yet whether it has the Gateway API"}},
		{
			"no CRDs",
			gatewayOffer{asked: true, answer: "the server could not find the requested resource"},
			all,
			[]string{missing + "(the server could not find the requested resource)"},
		},
		{
			"v1beta1 only",
			gatewayOffer{asked: true, answer: "x", versions: []string{"v1beta1", "v1alpha2"}},
			all,
			[]string{missing + "(the API server has v1beta1, v1alpha2 of gateway.networking.k8s.io; everleaf needs v1)"},
		},
		{"no kinds", gatewayOffer{asked: true, served: true}, all, []string{missing + "(found 0 APIResources in gateway.networking.k8s.io/v1)"}},
		{"all", gatewayOffer{asked: true, served: true, kinds: []string{"Gateway", "GatewayClass", "HTTPRoute", "ListenerSet"}}, all, nil},
		{"no ListenerSets", gatewayOffer{asked: true, served: true, kinds: []string{"Gateway", "HTTPRoute"}}, all, []string{noListenerSets}},
		{"no ListenerSets wanted", gatewayOffer{asked: true, served: true, kinds: []string{"Gateway", "HTTPRoute"}}, all[:2], nil},
		{
			"no HTTPRoutes",
			gatewayOffer{asked: true, served: true, kinds: []string{"Gateway"}},
			all[:2],
			[]string{missing + "(gateway.networking.k8s.io/v1 has no HTTPRoute)"},
		},
	} {
		if diff := cmp.Diff(test.want, test.offered.problems(test.kinds)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// gatewayServer is an API server whose CRDs come and go. Its Gateways are one.
type gatewayServer struct {
	mu       sync.Mutex
	versions []string
	away     bool
}

func (s *gatewayServer) set(away bool, versions ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away, s.versions = away, versions
}

// answers returns how an API server answers a request, and how it refuses one.
func answers(w http.ResponseWriter) (answer func(any), refuse func(int, metav1.StatusReason)) {
	w.Header().Set("Content-Type", "application/json")
	answer = func(v any) { _ = json.NewEncoder(w).Encode(v) }
	refuse = func(code int, reason metav1.StatusReason) {
		w.WriteHeader(code)
		answer(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Code: int32(code), Reason: reason, Message: "no"})
	}
	return answer, refuse
}

func (s *gatewayServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	away, versions := s.away, s.versions
	s.mu.Unlock()
	answer, refuse := answers(w)
	group := metav1.APIGroup{TypeMeta: metav1.TypeMeta{Kind: "APIGroup", APIVersion: "v1"}, Name: gwapi.GroupName}
	for _, v := range versions {
		group.Versions = append(group.Versions, metav1.GroupVersionForDiscovery{GroupVersion: gwapi.GroupName + "/" + v, Version: v})
	}
	served := len(versions) > 0 && versions[0] == "v1"
	switch path := r.URL.Path; {
	case away:
		refuse(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable)
	case path == "/apis/"+gwapi.GroupName && len(versions) > 0:
		answer(group)
	case path == "/apis/"+gwapi.GroupName+"/v1" && served:
		answer(metav1.APIResourceList{
			TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: gwapi.GroupName + "/v1",
			APIResources: []metav1.APIResource{{Name: "gateways", Kind: shim.KindGateway}, {Name: "httproutes", Kind: shim.KindHTTPRoute}},
		})
	case strings.HasSuffix(path, "/gateways") && served && r.URL.Query().Get("watch") == "":
		answer(gwapi.GatewayList{
			TypeMeta: metav1.TypeMeta{Kind: "GatewayList", APIVersion: gatewayVersion.String()}, ListMeta: metav1.ListMeta{ResourceVersion: "7"},
			Items: []gwapi.Gateway{{ObjectMeta: metav1.ObjectMeta{Namespace: "infra", Name: "gw", Annotations: map[string]string{"a": "1", "b": "2"}}}},
		})
	case strings.HasSuffix(path, "/gateways") && served && r.URL.Query().Get("sendInitialEvents") == "":
		<-r.Context().Done()
	default:
		refuse(http.StatusNotFound, metav1.StatusReasonNotFound)
	}
}

// TestGatewayAPI: the CRDs come, the API server is away, the CRDs go and come back as
// another version.
func TestGatewayAPI(t *testing.T) {
	api := &gatewayServer{}
	server := httptest.NewServer(api)
	defer server.Close()
	scheme := runtime.NewScheme()
	if err := gwapi.Install(scheme); err != nil {
		t.Fatal(err)
	}
	var lines []string
	g, err := NewGatewayAPI(&rest.Config{Host: server.URL}, scheme, GatewayAPIConfig{
		Kinds: []string{shim.KindGateway, shim.KindHTTPRoute}, Compact: CompactGatewayAPI(func(a string) bool { return a == "a" }), Interval: time.Hour,
		Observe: func(i cache.SharedIndexInformer) error {
			return i.SetWatchErrorHandlerWithContext(func(context.Context, *cache.Reflector, error) {})
		},
		Log: funcr.New(func(_, line string) { lines = append(lines, line) }, funcr.Options{}),
	})
	if err != nil {
		t.Fatal(err)
	}
	g.Index(shim.KindGateway, "name", func(o any) ([]string, error) { return []string{o.(*gwapi.Gateway).Name}, nil })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = g.Start(ctx)
	}()
	seen, informers := make(chan *gwapi.Gateway), 0
	g.Attach(shim.KindGateway, func(_ context.Context, informer cache.SharedIndexInformer) error {
		informers++
		_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: func(o any) { seen <- o.(*gwapi.Gateway) }})
		return err
	})
	key := types.NamespacedName{Namespace: "infra", Name: "gw"}
	look := func(when string, active bool, logged int) {
		t.Helper()
		g.Look(ctx)
		if g.Active() != active || len(lines) != logged {
			t.Errorf("%s: active %t (%s), %d lines: %q; want %t and %d lines", when, g.Active(), g.Problem(), len(lines), lines[max(0, len(lines)-1):], active, logged)
		}
	}
	gone := func(when string) {
		t.Helper()
		if _, err := g.Get(shim.KindGateway, key); !apierrors.IsNotFound(err) || len(g.ByIndex(shim.KindGateway, "name", "gw")) > 0 {
			t.Errorf("%s: the Gateway is there: %v", when, err)
		}
	}
	there := func(when string) {
		t.Helper()
		select {
		case found := <-seen:
			if diff := cmp.Diff(map[string]string{"a": "1"}, found.Annotations); diff != "" {
				t.Errorf("%s: annotations (-want +got):\n%s", when, diff)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%s: no Gateway is seen", when)
		}
		if _, err := g.Get(shim.KindGateway, key); err != nil || len(g.ByIndex(shim.KindGateway, "name", "gw")) != 1 {
			t.Errorf("%s: the Gateway is not in the cache: %v", when, err)
		}
	}
	look("without CRDs", false, 1)
	look("still without", false, 1)
	gone("without CRDs")
	api.set(false, "v1", "v1beta1")
	look("with CRDs", true, 2)
	there("with CRDs")
	api.set(true, "v1")
	look("API server away", true, 3)
	look("still away", true, 3)
	api.set(false, "v1")
	look("API server back", true, 3)
	api.set(false)
	look("CRDs deleted", false, 4)
	gone("CRDs deleted")
	api.set(false, "v1beta1")
	look("another version", false, 5)
	if want := "the API server has v1beta1 of gateway.networking.k8s.io; everleaf needs v1"; !strings.Contains(g.Problem(), want) {
		t.Errorf("%q does not say %q", g.Problem(), want)
	}
	if diff := cmp.Diff(map[string]bool{shim.KindGateway: false, shim.KindHTTPRoute: false}, g.Available()); diff != "" {
		t.Errorf("available (-want +got):\n%s", diff)
	}
	api.set(false, "v1")
	look("CRDs back", true, 6)
	there("CRDs back")
	cancel()
	<-ended
	if informers != 2 {
		t.Errorf("%d informers, want 2", informers)
	}
}

// TestGatewayAPIDisabled: nothing is asked, and the reason is said.
func TestGatewayAPIDisabled(t *testing.T) {
	g, err := NewGatewayAPI(&rest.Config{Host: "127.0.0.1:1"}, runtime.NewScheme(), GatewayAPIConfig{Disabled: "--enable-gateway-api is not set"})
	if err != nil {
		t.Fatal(err)
	}
	g.Look(t.Context())
	if err := g.Start(t.Context()); err != nil {
		t.Error(err)
	}
	if want := "gateway api is not enabled: --enable-gateway-api is not set"; g.Problem() != want || g.Active() || len(g.Available()) > 0 {
		t.Errorf("got %q, want %q", g.Problem(), want)
	}
}
