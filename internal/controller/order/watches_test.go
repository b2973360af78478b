package order

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
)

// wakes returns a function that returns who has been woken since.
func (s *started) wakes(t *testing.T) func() []types.NamespacedName {
	t.Helper()
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	t.Cleanup(queue.ShutDown)
	if err := s.driver.Requeue.Start(t.Context(), queue); err != nil {
		t.Fatal(err)
	}
	return func() []types.NamespacedName {
		var keys []types.NamespacedName
		for queue.Len() > 0 {
			item, _ := queue.Get()
			queue.Done(item)
			keys = append(keys, item.NamespacedName)
		}
		return keys
	}
}

func TestWatches(t *testing.T) {
	from := request(t, "a.example")
	open := orderFor(t, from)
	foreign := orderFor(t, from, func(o *acmev1.Order) {
		o.Name, o.UID, o.Spec.IssuerRef = "foreign", "foreign", cmmeta.IssuerReference{Name: "acme", Kind: "ClusterIssuer"}
	})
	ended := orderFor(t, from, func(o *acmev1.Order) { o.Name, o.UID, o.Status.State = "ended", "ended", acmev1.Invalid })
	s := start(t, from, open, foreign, ended)
	s.cache(t, from, open, foreign, ended)
	controlledBy := func(kind string) *acmev1.Challenge {
		return &acmev1.Challenge{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "c", OwnerReferences: []metav1.OwnerReference{{
			Kind: kind, Name: "o", Controller: ptr.To(true),
		}}}}
	}
	keys := map[string]func(context.Context, client.Object) []types.NamespacedName{}
	for _, w := range s.Registration().Watches {
		keys[w.Kind] = w.Keys
	}
	for _, test := range []struct {
		name, kind string
		event      client.Object
		want       []types.NamespacedName
	}{
		{"an Issuer", "Issuer", &cmv1.Issuer{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "acme"}}, []types.NamespacedName{client.ObjectKeyFromObject(open)}},
		{"an Issuer of another namespace", "Issuer", &cmv1.Issuer{ObjectMeta: metav1.ObjectMeta{Namespace: "x", Name: "acme"}}, nil},
		{"a ClusterIssuer", "ClusterIssuer", &cmv1.ClusterIssuer{ObjectMeta: metav1.ObjectMeta{Name: "acme"}}, []types.NamespacedName{client.ObjectKeyFromObject(foreign)}},
		{"no issuer", "Issuer", open, nil},
		{"a Challenge", "Challenge", controlledBy("Order"), []types.NamespacedName{{Namespace: "ns", Name: "o"}}},
		{"a Challenge of something else", "Challenge", controlledBy("Pod"), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, keys[test.kind](t.Context(), test.event)); diff != "" {
				t.Errorf("keys (-want +got):\n%s", diff)
			}
		})
	}
	woken := s.wakes(t)
	s.deps.AccountReady.Publish(t.Context(), &cmv1.Issuer{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "acme"}})
	if diff := cmp.Diff([]types.NamespacedName{client.ObjectKeyFromObject(open)}, woken()); diff != "" {
		t.Errorf("woken by an account (-want +got):\n%s", diff)
	}
}

func TestNewRefusesWhatIsMissing(t *testing.T) {
	if _, err := New(Deps{}); err == nil {
		t.Error("a controller without anything that it needs")
	}
}
