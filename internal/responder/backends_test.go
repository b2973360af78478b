package responder

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
)

// slice returns an EndpointSlice with endpoints that are ready, and more ports than one
// by name=port.
func slice(name string, ports []discoveryv1.EndpointPort, endpoints ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: "cert-manager", Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: "responder"}},
		Ports:      ports, Endpoints: endpoints,
	}
}

func port(name string, number int32) discoveryv1.EndpointPort {
	return discoveryv1.EndpointPort{Name: &name, Port: &number, Protocol: ptr.To(corev1.ProtocolTCP)}
}

func endpoint(ready *bool, addresses ...string) discoveryv1.Endpoint {
	return discoveryv1.Endpoint{Addresses: addresses, Conditions: discoveryv1.EndpointConditions{Ready: ready}}
}

func TestReady(t *testing.T) {
	yes, no := ptr.To(true), ptr.To(false)
	http := []discoveryv1.EndpointPort{port("http", 8089)}
	for _, tt := range []struct {
		name      string
		slices    []*discoveryv1.EndpointSlice
		addresses []string
		port      int32
	}{
		{"none", nil, nil, 0},
		{"no port", []*discoveryv1.EndpointSlice{slice("a", nil, endpoint(yes, "10.0.0.1"))}, nil, 0},
		{
			"both families, in order, each once",
			[]*discoveryv1.EndpointSlice{
				slice("six", http, endpoint(yes, "fd00::2"), endpoint(yes, "fd00::1")),
				slice("four", http, endpoint(yes, "10.0.0.2"), endpoint(nil, "10.0.0.1")), slice("again", http, endpoint(yes, "10.0.0.2")),
			},
			[]string{"10.0.0.1", "10.0.0.2", "fd00::1", "fd00::2"},
			8089,
		},
		{"not ready", []*discoveryv1.EndpointSlice{slice("a", http, endpoint(no, "10.0.0.1"))}, nil, 0},
		{"names", []*discoveryv1.EndpointSlice{slice("a", http, endpoint(yes, "pod.example"))}, nil, 0},
		{
			"the named one of several ports",
			[]*discoveryv1.EndpointSlice{slice("a", []discoveryv1.EndpointPort{port("metrics", 9402), port("http", 8089)}, endpoint(yes, "10.0.0.1"))},
			[]string{"10.0.0.1"},
			8089,
		},
		{"the only port", []*discoveryv1.EndpointSlice{slice("a", []discoveryv1.EndpointPort{port("", 9000)}, endpoint(yes, "10.0.0.1"))}, []string{"10.0.0.1"}, 9000},
		{
			"an upgrade that changes the port",
			[]*discoveryv1.EndpointSlice{
				slice("old", http, endpoint(yes, "10.0.0.1")),
				slice("new", []discoveryv1.EndpointPort{port("http", 9089)}, endpoint(yes, "10.0.0.2"), endpoint(yes, "10.0.0.3")),
			},
			[]string{"10.0.0.2", "10.0.0.3"},
			9089,
		},
		{
			"half of an upgrade",
			[]*discoveryv1.EndpointSlice{
				slice("new", []discoveryv1.EndpointPort{port("http", 9089)}, endpoint(yes, "10.0.0.2")), slice("old", http, endpoint(yes, "10.0.0.1")),
			},
			[]string{"10.0.0.1"},
			8089,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			addresses, port := ready(tt.slices)
			var got []string
			for _, a := range addresses {
				got = append(got, a.String())
			}
			if diff := cmp.Diff(tt.addresses, got); diff != "" || port != tt.port {
				t.Errorf("port %d, want %d; -want +got:\n%s", port, tt.port, diff)
			}
		})
	}
}

func TestFixed(t *testing.T) {
	addresses, port := Fixed{netip.MustParseAddrPort("10.0.0.2:9000"), netip.MustParseAddrPort("10.0.0.1:9000")}.Ready()
	if want := []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")}; port != 9000 || cmp.Diff(want, addresses, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })) != "" {
		t.Errorf("got %v, %d", addresses, port)
	}
}

// TestServiceFollows holds that a Service's Backends know of changes, and tell only of
// those that matter.
func TestServiceFollows(t *testing.T) {
	http := []discoveryv1.EndpointPort{port("http", 8089)}
	core := fake.NewClientset()
	s, err := NewService(core, types.NamespacedName{Namespace: "cert-manager", Name: "responder"}, logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Obstacle(); got != "the EndpointSlices of Service cert-manager/responder have not been read yet" {
		t.Errorf("before the start: %q", got)
	}
	changes := make(chan string, 10)
	s.Subscribe(func() {
		addresses, _ := s.Ready()
		var all []string
		for _, a := range addresses {
			all = append(all, a.String())
		}
		changes <- strings.Join(all, " ")
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Start(ctx) }()
	defer func() {
		cancel()
		<-done
	}()
	if !cache.WaitForCacheSync(ctx.Done(), s.informer.HasSynced) {
		t.Fatal("not filled")
	}
	if got := s.Obstacle(); got != "" {
		t.Errorf("when all is read: %q", got)
	}
	of := core.DiscoveryV1().EndpointSlices("cert-manager")
	for _, step := range []struct {
		do   func() error
		want string
	}{
		{func() error {
			_, err := of.Create(ctx, slice("a", http, endpoint(ptr.To(true), "10.0.0.1")), metav1.CreateOptions{})
			return err
		}, "10.0.0.1"},
		{func() error {
			// Somebody else's, and one that adds nothing.
			if _, err := of.Create(ctx, slice("b", http, endpoint(ptr.To(false), "10.0.0.2")), metav1.CreateOptions{}); err != nil {
				return err
			}
			_, err := of.Update(ctx, slice("b", http, endpoint(ptr.To(true), "10.0.0.2")), metav1.UpdateOptions{})
			return err
		}, "10.0.0.1 10.0.0.2"},
		{func() error { return of.Delete(ctx, "a", metav1.DeleteOptions{}) }, "10.0.0.2"},
		{func() error { return of.Delete(ctx, "b", metav1.DeleteOptions{}) }, ""},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		if got := <-changes; got != step.want {
			t.Errorf("told of %q, want %q", got, step.want)
		}
	}
}

// TestServiceReadsItsSlicesOnly holds that no more is listed and watched than is allowed
// and needed.
func TestServiceReadsItsSlicesOnly(t *testing.T) {
	core := fake.NewClientset()
	refused := apierrors.NewForbidden(discoveryv1.Resource("endpointslices"), "", errors.New("no right"))
	asked := make(chan string, 100)
	core.PrependReactor("list", "endpointslices", func(a clienttesting.Action) (bool, runtime.Object, error) {
		list := a.(clienttesting.ListActionImpl)
		asked <- list.GetNamespace() + " " + list.ListOptions.LabelSelector
		return true, nil, refused
	})
	failed := make(chan string, 100)
	log := funcr.New(func(_, line string) { failed <- line }, funcr.Options{})
	s, err := NewService(core, types.NamespacedName{Namespace: "cert-manager", Name: "responder"}, log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Start(ctx) }()
	defer func() {
		cancel()
		<-done
	}()
	if got, want := <-asked, "cert-manager kubernetes.io/service-name=responder"; got != want {
		t.Errorf("listed %q, want %q", got, want)
	}
	if line := <-failed; !strings.Contains(line, `"service"="cert-manager/responder"`) {
		t.Errorf("logged %s", line)
	}
	if got := s.Obstacle(); !strings.Contains(got, "have not been read yet: ") || !strings.Contains(got, "forbidden") {
		t.Errorf("got %q", got)
	}
}
