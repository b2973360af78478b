package gateway

import (
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
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	gwapi "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/controller/shim"
	core "github.com/everleaf/everleaf/internal/lifecycle/shim"
)

// memory is an API with the indexes that the controllers register.
type memory struct {
	objects map[string][]client.Object
	indexes []controller.Index
}

func (m *memory) Get(kind string, key types.NamespacedName) (runtime.Object, error) {
	for _, o := range m.objects[kind] {
		if client.ObjectKeyFromObject(o) == key {
			return o, nil
		}
	}
	return nil, apierrors.NewNotFound(schema.GroupResource{Resource: kind}, key.Name)
}

func (m *memory) ByIndex(kind, index, value string) []any {
	var found []any
	for _, i := range m.indexes {
		if i.Kind != kind || i.Name != index {
			continue
		}
		for _, o := range m.objects[kind] {
			if slices.Contains(i.Values(o), value) {
				found = append(found, o)
			}
		}
	}
	return found
}

func deps(t *testing.T) shim.Deps {
	t.Helper()
	c := fake.NewClientBuilder().Build()
	clock := clocktesting.NewFakeClock(time.Date(2026, 11, 27, 6, 0, 0, 0, time.UTC))
	kube := kubefake.NewClientset()
	events := cluster.NewEvents(kube, c.Scheme(), clock, logr.Discard(), false, func() {})
	return shim.Deps{
		Cache: c, Issuers: cluster.NewIssuers(c, "cert-manager"), Clock: clock,
		Server: cluster.NewServer(cluster.NewWriter(c, kube, cluster.NewGate(nil)), events, c),
	}
}

func refs(secret string) *gwapi.ListenerTLSConfig {
	return &gwapi.ListenerTLSConfig{CertificateRefs: []gwapi.SecretObjectReference{{Name: gwapi.ObjectName(secret)}}}
}

// TestWatches: what else wakes a Gateway, a ListenerSet and an HTTPRoute.
func TestWatches(t *testing.T) {
	meta := func(namespace, name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: namespace, Name: name}
	}
	entries := []gwapi.ListenerEntry{{Name: "a", TLS: refs("a-tls")}}
	infra := ptr.To(gwapi.Namespace("infra"))
	api := &memory{objects: map[string][]client.Object{
		core.KindGateway: {
			&gwapi.Gateway{ObjectMeta: meta("infra", "gw"), Spec: gwapi.GatewaySpec{Listeners: []gwapi.Listener{{Name: "a", TLS: refs("a-tls")}, {Name: "b"}}}},
			&gwapi.Gateway{ObjectMeta: meta("shop", "gw"), Spec: gwapi.GatewaySpec{Listeners: []gwapi.Listener{{Name: "a", TLS: refs("a-tls")}}}},
		},
		core.KindListenerSet: {
			&gwapi.ListenerSet{ObjectMeta: meta("shop", "far"), Spec: gwapi.ListenerSetSpec{ParentRef: gwapi.ParentGatewayReference{Name: "gw", Namespace: infra}, Listeners: entries}},
			&gwapi.ListenerSet{ObjectMeta: meta("shop", "near"), Spec: gwapi.ListenerSetSpec{ParentRef: gwapi.ParentGatewayReference{Name: "gw"}}},
		},
		core.KindHTTPRoute: {
			&gwapi.HTTPRoute{ObjectMeta: meta("shop", "a")},
			&gwapi.HTTPRoute{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "b", Annotations: map[string]string{core.SecretNameAnnotation: "a-tls"}}},
		},
	}}
	gateways, err := NewGateways(deps(t), api, shim.Config{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	listenerSets, err := NewListenerSets(deps(t), api, shim.Config{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	httpRoutes, err := NewHTTPRoutes(deps(t), api, shim.Config{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	of, to, routes := gateways.Registration(), listenerSets.Registration(), httpRoutes.Registration()
	api.indexes = slices.Concat(of.Indexes, to.Indexes, routes.Indexes)
	for _, test := range []struct {
		name  string
		r     controller.Registration
		kind  string
		event metav1.ObjectMeta
		want  []string
	}{
		{"a Certificate with the name of a Secret", of, "Certificate", meta("infra", "a-tls"), []string{"infra/gw"}},
		{"a Certificate with another name", of, "Certificate", meta("infra", "b-tls"), nil},
		{"a Certificate", to, "Certificate", meta("shop", "a-tls"), []string{"shop/far"}},
		{"a Certificate", routes, "Certificate", meta("shop", "a-tls"), []string{"shop/a", "shop/b"}},
		{"the Gateway of another namespace", to, core.KindGateway, meta("infra", "gw"), []string{"shop/far"}},
		{"the Gateway of the namespace", to, core.KindGateway, meta("shop", "gw"), []string{"shop/near"}},
		{"another Gateway", to, core.KindGateway, meta("shop", "other"), nil},
	} {
		var got []string
		for _, w := range test.r.Watches {
			if w.Kind != test.kind {
				continue
			}
			for _, key := range w.Keys(t.Context(), &metav1.PartialObjectMetadata{ObjectMeta: test.event}) {
				got = append(got, key.String())
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s wakes of %s (-want +got):\n%s", test.name, test.r.Name, diff)
		}
	}
}
