package certificaterequest

import (
	"context"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/fault"
	core "github.com/everleaf/everleaf/internal/lifecycle/request"
)

// TestEndsWithItsRequest: what is asked of a CA for a request that is deleted ends at once,
// and nothing more is written or asked.
func TestEndsWithItsRequest(t *testing.T) {
	s, i := vault()
	r, _ := newRequest(t)
	s.server = "the CA server ca.test"
	s.answers = []answer{{err: fault.New(fault.Permanent, "SigningError", "cancelled")}}
	l := newLab(t, s, r, i)
	s.during = func(ctx context.Context) {
		if err := l.client.Delete(ctx, r.DeepCopy()); err != nil {
			t.Error(err)
		}
		l.sync()
		l.driver.Gone(r)
		<-ctx.Done()
	}
	key := reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "app", Name: name}}
	for range 2 {
		if got, err := l.driver.Reconcile(t.Context(), key); err != nil || got != (reconcile.Result{}) {
			t.Errorf("comes back: %v, error %v", got, err)
		}
	}
	same(t, "writes", []string{"delete " + name}, l.writes)
	if len(s.asked) != 1 || l.memory.Len() != 0 {
		t.Errorf("asked %d times, %d remembered", len(s.asked), l.memory.Len())
	}
}

// TestAsksItsServer: a type that asks a foreign server has the places of that server, and
// a request that finds none says so.
func TestAsksItsServer(t *testing.T) {
	s, i := vault()
	s.server = "the CA server ca.test"
	r, _ := newRequest(t)
	w := &work{Controller: newLab(t, s, r, i).Controller, issuer: i}
	server, longest := w.Endpoint(core.Sign{})
	if server != s.server || longest != controller.SignTimeout {
		t.Errorf("asks %q for %s", server, longest)
	}
	if server, _ := w.Endpoint(core.KeepState{}); server != "" {
		t.Errorf("an action at the API server asks %q", server)
	}
	status := w.Waiting(cmv1.CertificateRequestStatus{}, "waiting for "+s.server, now)
	ready := condition.Find(status.Conditions, cmv1.CertificateRequestConditionReady)
	if ready == nil || ready.Message != "Not signed yet: waiting for the CA server ca.test" || ready.Reason != "Pending" {
		t.Errorf("condition %v", ready)
	}
	if again := w.Waiting(status, "something else", now.Add(time.Hour)); condition.Find(again.Conditions, cmv1.CertificateRequestConditionReady).Message != ready.Message {
		t.Errorf("a cause replaces another one: %v", again.Conditions)
	}
}
