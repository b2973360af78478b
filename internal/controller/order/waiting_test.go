package order

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/plan"
)

// TestStuckOrderLetsTheNextGo holds that an Order that has its order at the server
// and does not end holds back the next of its class for five minutes.
func TestStuckOrderLetsTheNextGo(t *testing.T) {
	from, first, second := pair(t)
	first.CreationTimestamp = metav1.NewTime(now)
	first.Status = acmev1.OrderStatus{State: acmev1.Pending, URL: "https://acme/o"}
	second.CreationTimestamp = metav1.NewTime(now.Add(time.Minute))
	s := start(t, from, first, second)
	s.cache(t, from, first, second)
	for _, step := range []struct {
		at time.Duration
		by string
	}{{time.Minute, "ns/" + first.Name}, {5*time.Minute - time.Second, "ns/" + first.Name}, {5 * time.Minute, ""}, {time.Hour, ""}} {
		s.deps.Clock.(*clocktesting.FakeClock).SetTime(now.Add(step.at))
		w := s.work(t, second)
		if w.BlockedBy != step.by || (step.by != "" && !w.BlockedUntil.Equal(now.Add(5*time.Minute))) {
			t.Errorf("after %s: blocked by %q until %s", step.at, w.BlockedBy, w.BlockedUntil)
		}
	}
}

// TestOrderWithoutAccount holds what an Order says while its issuer is not ready.
func TestOrderWithoutAccount(t *testing.T) {
	ready := func(status cmmeta.ConditionStatus) func(*cmv1.Issuer) {
		return func(i *cmv1.Issuer) {
			i.Status.Conditions = []cmv1.IssuerCondition{{Type: cmv1.IssuerConditionReady, Status: status, Message: "because"}}
		}
	}
	isACME := func(i *cmv1.Issuer) { i.Spec.ACME = &acmev1.ACMEIssuer{} }
	for _, test := range []struct {
		name   string
		issuer []func(*cmv1.Issuer)
		want   string
	}{
		{"none", nil, `Issuer "acme" does not exist`},
		{"of another type", []func(*cmv1.Issuer){func(*cmv1.Issuer) {}}, `Issuer "acme" is not an ACME issuer`},
		{"not checked yet", []func(*cmv1.Issuer){isACME}, `Issuer "acme" is not ready`},
		{"not ready", []func(*cmv1.Issuer){isACME, ready(cmmeta.ConditionFalse)}, `Issuer "acme" is not ready: because`},
		{"ready, and not set up in this process", []func(*cmv1.Issuer){isACME, ready(cmmeta.ConditionTrue)}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			from := request(t, "a.example")
			object := orderFor(t, from)
			objects := []client.Object{from, object}
			if test.issuer != nil {
				issuer := &cmv1.Issuer{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "acme"}}
				for _, change := range test.issuer {
					change(issuer)
				}
				objects = append(objects, issuer)
			}
			s := start(t, objects...)
			s.cache(t, from, object)
			if w := s.work(t, object); w.NotReady != test.want || w.Account != nil {
				t.Errorf("not ready: %q", w.NotReady)
			}
		})
	}
}

// TestRateLimitOfOneOrder holds that news of the issuer does not end the wait that
// the server has asked for.
func TestRateLimitOfOneOrder(t *testing.T) {
	from := request(t, "a.example")
	object := orderFor(t, from)
	s := start(t, from, object)
	s.cache(t, from, object)
	asked := 0
	s.failWith(func(action plan.Action) error {
		asked++
		return acme.Classify(&acme.Problem{
			Status: 429, Type: acme.ErrorNamespace + acme.TypeRateLimited, Detail: "too many certificates for a.example", RetryAfter: now.Add(time.Hour),
		}, now)
	})
	issuer := &cmv1.Issuer{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "acme"}}
	for range 3 {
		if result := s.reconcile(t, nil, object); result.RequeueAfter != time.Hour && result.RequeueAfter != 0 {
			t.Errorf("comes back after %s", result.RequeueAfter)
		}
		s.cache(t, object)
		s.Registration().Watches[0].Keys(t.Context(), issuer)
	}
	if asked != 1 || !strings.HasPrefix(object.Status.Reason, "Failed to create Order: 429 ") {
		t.Errorf("asked %d times, reason %q", asked, object.Status.Reason)
	}
	if held := s.memories.Find(client.ObjectKeyFromObject(object), object.UID); held == nil || !held.NotBefore.Equal(now.Add(time.Hour)) {
		t.Errorf("the wait is not remembered: %+v", held)
	}
}
