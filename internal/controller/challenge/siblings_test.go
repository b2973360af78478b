package challenge

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/facts"
	core "github.com/everleaf/everleaf/internal/lifecycle/challenge"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/solver"
)

// TestVisibleWakesLateSiblings holds that a Challenge whose value has become
// visible wakes a sibling that was created after its own reconcile had begun:
// the sibling has looked before and would wait for its whole patience.
func TestVisibleWakesLateSiblings(t *testing.T) {
	apex := challengeOf("apex", "ca", "order")
	s := newStage(t, acmeIssuer("ca"), apex)
	ctx := t.Context()
	queue := controller.NewQueue("challenges", controller.Backoff(1, 1))
	defer queue.ShutDown()
	if err := s.Requeue.Start(ctx, queue); err != nil {
		t.Fatal(err)
	}
	loaded, err := s.Load(ctx, s.stored(t, "apex"))
	if err != nil {
		t.Fatal(err)
	}
	sibling := func(name string, change func(*acmev1.Challenge)) {
		c := challengeOf(name, "ca", "order", func(c *acmev1.Challenge) { c.Spec.DNSName = "APEX.example" }, change)
		if err := s.api.Create(ctx, c); err != nil {
			t.Fatal(err)
		}
	}
	sibling("wildcard", func(c *acmev1.Challenge) { c.Spec.Wildcard = true })
	sibling("ended", func(c *acmev1.Challenge) { c.Status.State = acmev1.Valid })
	sibling("http", func(c *acmev1.Challenge) { c.Spec.Type = acmev1.ACMEChallengeTypeHTTP01 })

	loaded.(*work).wakeSiblings(ctx)
	request, _ := queue.Get()
	if want := client.ObjectKeyFromObject(challengeOf("wildcard", "ca", "order")); request.NamespacedName != want {
		t.Errorf("woke %s, want %s", request.NamespacedName, want)
	}
	if n := queue.Len(); n != 0 {
		t.Errorf("%d others are woken", n)
	}
}

// TestSiblingThatWaits holds that nobody waits for a Challenge of another that waits
// itself, such as one whose account has failed to validate the name too often.
func TestSiblingThatWaits(t *testing.T) {
	for name, test := range map[string]struct {
		status acmev1.ChallengeStatus
		want   int
	}{
		"new":                            {acmev1.ChallengeStatus{}, 1},
		"waits":                          {acmev1.ChallengeStatus{State: acmev1.Pending, Reason: "Waiting before it is tried again"}, 0},
		"presented":                      {acmev1.ChallengeStatus{State: acmev1.Pending, Presented: true}, 1},
		"presented, and not seen by all": {acmev1.ChallengeStatus{State: acmev1.Pending, Presented: true, Reason: "Waiting for propagation"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, acmeIssuer("one"), challengeOf("a", "one", "o"), challengeOf("b", "one", "p", func(c *acmev1.Challenge) {
				c.Spec.DNSName, c.CreationTimestamp, c.Status = "a.example", metav1.NewTime(start), test.status
			}))
			s.Solvers[acmev1.ACMEChallengeTypeDNS01] = grouping{s.solver}
			w := s.load(t, "a")
			w.Account, w.order, w.Siblings = &facts.Account{Issuer: acmeIssuer("one").Spec.ACME}, &acmev1.Order{ObjectMeta: metav1.ObjectMeta{UID: "o"}}, nil
			if w.loadSiblings(t.Context(), nil); len(w.Siblings) != test.want {
				t.Errorf("%d siblings, want %d", len(w.Siblings), test.want)
			}
		})
	}
}

// TestSiblingPresentedLate holds that Challenges which have waited long for the same, such
// as a right token, wait for each other when they are presented at last.
func TestSiblingPresentedLate(t *testing.T) {
	ago := func(d time.Duration) *metav1.Time { return &metav1.Time{Time: start.Add(-d)} }
	failed := acmev1.ChallengeStatus{State: acmev1.Pending, Reason: "Error presenting challenge: the token is wrong"}
	presented := func(at *metav1.Time) acmev1.ChallengeStatus {
		return acmev1.ChallengeStatus{State: acmev1.Pending, Presented: true, PresentedAt: at}
	}
	for name, test := range map[string]struct {
		status acmev1.ChallengeStatus
		known  core.Progress
		want   int
	}{
		"not presented":                         {failed, core.Progress{}, 0},
		"is being presented":                    {failed, core.Progress{Presented: true, PresentedAt: start.Add(-time.Second)}, 1},
		"presented a moment ago":                {presented(ago(time.Second)), core.Progress{}, 1},
		"presented by an earlier process":       {presented(ago(29 * time.Second)), core.Progress{}, 1},
		"presented long ago":                    {presented(ago(30 * time.Second)), core.Progress{}, 0},
		"presented long ago, and written again": {presented(ago(time.Hour)), core.Progress{Presented: true, PresentedAt: start.Add(-time.Second)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, acmeIssuer("one"), challengeOf("a", "one", "o"), challengeOf("b", "one", "p", func(c *acmev1.Challenge) {
				c.Spec.DNSName, c.Spec.Wildcard, c.CreationTimestamp, c.Status = "a.example", true, *ago(time.Hour), test.status
			}))
			s.Solvers[acmev1.ACMEChallengeTypeDNS01] = grouping{s.solver}
			s.memories.Of(key("b"), "b", nil).progress.Store(&test.known)
			w := s.load(t, "a")
			w.Account, w.order, w.Siblings = &facts.Account{Issuer: acmeIssuer("one").Spec.ACME}, &acmev1.Order{ObjectMeta: metav1.ObjectMeta{UID: "o"}}, nil
			if w.loadSiblings(t.Context(), nil); len(w.Siblings) != test.want {
				t.Errorf("%d siblings, want %d", len(w.Siblings), test.want)
			}
		})
	}
}

// TestManySiblings holds that a Challenge looks no further than for the first sibling
// that it waits for: a name can be in very many Orders.
func TestManySiblings(t *testing.T) {
	const many = 50
	visible, coming := core.Progress{Visible: true}, core.Progress{}
	for name, test := range map[string]struct {
		challenges []core.Progress
		orders     int
		want       []core.Progress
	}{
		"Challenges that come":    {[]core.Progress{coming, coming, coming}, many, []core.Progress{coming}},
		"Orders without one":      {[]core.Progress{visible}, many, []core.Progress{visible, coming}},
		"Orders that have theirs": {[]core.Progress{visible, visible}, 0, []core.Progress{visible, visible}},
	} {
		t.Run(name, func(t *testing.T) {
			objects := []client.Object{acmeIssuer("one"), challengeOf("a", "one", "o")}
			var others []string
			for i := range test.challenges {
				others = append(others, fmt.Sprintf("c%d", i))
				objects = append(objects, challengeOf(others[i], "one", "order-"+others[i], func(c *acmev1.Challenge) {
					c.Spec.DNSName, c.CreationTimestamp = "a.example", metav1.NewTime(start)
				}))
			}
			s := newStage(t, objects...)
			s.Solvers[acmev1.ACMEChallengeTypeDNS01] = grouping{s.solver}
			for i, progress := range test.challenges {
				c := s.stored(t, others[i])
				s.memories.Of(client.ObjectKeyFromObject(c), c.UID, nil).progress.Store(&progress)
				s.addOrder(t, "order-"+others[i])
			}
			for i := range test.orders {
				s.addOrder(t, fmt.Sprintf("new%d", i))
			}
			w := s.load(t, "a")
			w.Account, w.order, w.Siblings = &facts.Account{Issuer: acmeIssuer("one").Spec.ACME}, &acmev1.Order{ObjectMeta: metav1.ObjectMeta{UID: "o"}}, nil
			w.loadSiblings(t.Context(), nil)
			if diff := cmp.Diff(test.want, w.Siblings); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// addOrder puts a new Order for a.example and a name of its own into the cache.
func (s *stage) addOrder(t *testing.T, name string) {
	t.Helper()
	o := &acmev1.Order{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID(name), CreationTimestamp: metav1.NewTime(start)}}
	o.Spec.DNSNames, o.Spec.IssuerRef.Name = []string{"a.example", name + ".example"}, "one"
	item, err := cluster.ReduceOrder(pki.DefaultLimits)(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.orders.Add(item); err != nil {
		t.Fatal(err)
	}
}

// TestSharedAcross has two http-01 challenges of one authorization, in two namespaces. Each
// has its own path in the Ingress of its own namespace, and removes it.
func TestSharedAcross(t *testing.T) {
	edit := func(c *acmev1.Challenge) {
		c.Spec.Type, c.Spec.DNSName, c.Spec.Key = acmev1.ACMEChallengeTypeHTTP01, "web.example", "token.thumbprint"
		c.Spec.Solver = acmev1.ACMEChallengeSolver{HTTP01: &acmev1.ACMEChallengeSolverHTTP01{Ingress: &acmev1.ACMEChallengeSolverHTTP01Ingress{Name: "web"}}}
		c.Status = acmev1.ChallengeStatus{State: acmev1.Pending, Presented: true, PresentedAt: &metav1.Time{Time: time.Now()}}
	}
	elsewhere := func(c *acmev1.Challenge) { c.Namespace = "elsewhere" }
	s := newStage(t, acmeIssuer("one"), challengeOf("a", "one", "o", edit), challengeOf("b", "one", "p", edit, elsewhere))
	s.Controller.Solvers[acmev1.ACMEChallengeTypeHTTP01] = unaided{s.solver}
	if w := s.load(t, "a"); w.Shared || w.SharedElsewhere {
		t.Errorf("shared: %v, with another solver: %v", w.Shared, w.SharedElsewhere)
	}
}

// unaided is a solver whose challenges share nothing.
type unaided struct{ solver.Solver }

func (unaided) Unaided() {}
