package lifecycle

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/dns"
)

func eachDump(t *testing.T, test func(*testing.T, recorded)) {
	for _, name := range []string{"in-flight", "settled"} {
		t.Run(name, func(t *testing.T) { test(t, recordedCluster(t, name)) })
	}
}

// TestTakeOverCertificates holds that nothing is issued again, made or deleted
// for any Certificate that cert-manager has left behind, and that the status
// changes in nothing but what we say more.
func TestTakeOverCertificates(t *testing.T) {
	outlives := func(crt *cmv1.Certificate) string {
		return fmt.Sprintf("%s, but it outlives its issuer: it is valid until %s and its issuer's certificate until 2027-02-20T05:07:58Z",
			upToDate, crt.Status.NotAfter.UTC().Format(time.RFC3339))
	}
	const noIssuer = `; waiting: Referenced "Issuer" not found: issuer.cert-manager.io "does-not-exist" not found`
	eachDump(t, func(t *testing.T, r recorded) {
		for i := range r.certificates {
			crt := &r.certificates[i]
			t.Run(crt.Name, func(t *testing.T) {
				want := CertificatePlan{Status: *crt.Status.DeepCopy()}
				issuing := findCondition(want.Status.Conditions, cmv1.CertificateConditionIssuing)
				want.Issuing = issuing != nil && issuing.Status == cmmeta.ConditionTrue
				if at := crt.Status.RenewalTime; at != nil {
					want.Until = at.Time
				}
				if failed := crt.Status.LastFailureTime; failed != nil {
					want.Until = failed.Add(time.Hour)
				}
				switch crt.Name {
				case "ca-ready", "ca-renewed", "dup-a", "formats", "never-rotated", "rsa-default":
					want.Status.Conditions[0].Message = outlives(crt)
				case "no-issuer", "temporary":
					issuing.Message += noIssuer
				case "dup-b":
					want.Until = r.time.Add(rivalRecheck)
				}
				samePlan(t, want, NextCertificate(r.state(crt), r.time))
			})
		}
	})
}

// TestTakeOverRequests holds that no request is touched.
func TestTakeOverRequests(t *testing.T) {
	eachDump(t, func(t *testing.T, r recorded) {
		for _, q := range r.requests {
			t.Run(q.Name, func(t *testing.T) {
				state := Request{Object: q, Issuer: r.issuer(q.Namespace, q.Spec.IssuerRef)}
				for _, o := range r.orders {
					if metav1.IsControlledBy(o, q) {
						state.Orders = append(state.Orders, o)
					}
				}
				samePlan(t, RequestPlan{Status: q.Status}, NextRequest(state, r.time))
			})
		}
	})
}

// TestTakeOverOrders holds that the Orders and Challenges that we would make
// are those that are there, down to their names.
func TestTakeOverOrders(t *testing.T) {
	eachDump(t, func(t *testing.T, r recorded) {
		for _, o := range r.orders {
			t.Run(o.Name, func(t *testing.T) {
				state := Order{Object: o, Account: r.account(t, o.Namespace, o.Spec.IssuerRef)}
				for _, q := range r.requests {
					if metav1.IsControlledBy(o, q) {
						state.Request = q
					}
				}
				built, err := BuildOrder(state.Request, state.Account.Issuer)
				if err != nil {
					t.Fatal(err)
				}
				want := o.DeepCopy()
				want.TypeMeta, want.Status = metav1.TypeMeta{}, acmev1.OrderStatus{}
				want.UID, want.ResourceVersion, want.Generation, want.CreationTimestamp = "", "", 0, metav1.Time{}
				samePlan(t, *want, *built)

				for _, c := range r.challenges {
					if !metav1.IsControlledBy(c, o) {
						continue
					}
					state.Challenges = append(state.Challenges, c)
					if name := ChallengeName(o.Name, c.Spec); name != c.Name {
						t.Errorf("Challenge %s would have the name %s", c.Name, name)
					}
					if why := ChallengeProvenance(c, o, state.Account); why != "" {
						t.Errorf("Challenge %s: %s", c.Name, why)
					}
				}
				plan := NextOrder(state, r.time)
				wantPlan := OrderPlan{Status: o.Status}
				if o.Status.State == acmev1.Pending {
					wantPlan.Until = r.time.Add(orderRefresh)
					wantPlan.Status.Reason = waitingFor(state.Challenges)
				}
				samePlan(t, wantPlan, plan)
			})
		}
	})
}

// TestTakeOverChallenges holds that what was presented is not presented again:
// the server is asked how far it is. What could not be presented is tried.
func TestTakeOverChallenges(t *testing.T) {
	eachDump(t, func(t *testing.T, r recorded) {
		for _, c := range r.challenges {
			t.Run(c.Name, func(t *testing.T) {
				want := ChallengePlan{Status: c.Status}
				switch {
				case ChallengeFinal(c):
				case c.Status.Presented:
					want.Step = ChallengeCheck
				case HasChallengeFinalizer(c):
					want.Step = ChallengePresent
				default:
					want.Step = ChallengeAddFinalizer
				}
				state := Challenge{
					Object: c, Account: r.account(t, c.Namespace, c.Spec.IssuerRef), OwnSolver: true, Slot: true,
					Propagation: dns.Policy{Retry: 10 * time.Second, TTL: 10 * time.Second},
				}
				samePlan(t, want, NextChallenge(state, r.time))
			})
		}
	})
}
