package challenge

import (
	"context"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/lifecycle/lifecycletest"
	"github.com/everleaf/everleaf/internal/lifecycle/order"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
	"github.com/everleaf/everleaf/internal/propagation"
)

const hour = lifecycletest.Hour

// The fixtures that all kinds share.
var (
	now      = lifecycletest.Now
	at       = lifecycletest.At
	eachDump = lifecycletest.EachDump
)

func samePlan[T any](t *testing.T, want, got T) {
	t.Helper()
	lifecycletest.SamePlan(t, want, got)
}

// askServer makes the request of an action.
func askServer(action plan.Action) func(*acme.Client, string) error {
	return func(c *acme.Client, base string) error {
		var err error
		if _, ok := action.(Accept); ok {
			_, err = c.Accept(context.Background(), base+"/c")
		} else {
			_, err = c.Authorization(context.Background(), base+"/a")
		}
		return err
	}
}

// called is a Challenge that an Order for a name calls for, and its account.
func called() (*acmev1.Challenge, *facts.Account) {
	account := &facts.Account{Issuer: lifecycletest.ACMEIssuer.Spec.ACME, Thumbprint: "thumb"}
	r := lifecycletest.NewRequest(lifecycletest.NewCertificate(func(c *cmv1.Certificate) {
		c.Spec.DNSNames = []string{"example.com", "*.example.com"}
	}), lifecycletest.Key(1), 1)
	o := lifecycletest.MustOrder(order.Build(r, account.Issuer, pki.Limits{}))
	o.UID = "order-uid"
	o.Status.Authorizations = []acmev1.ACMEAuthorization{
		lifecycletest.Authorization("example.com", false), lifecycletest.Authorization("example.com", true),
	}
	wanted, _ := order.WantedChallenges(o, account)
	c := &acmev1.Challenge{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "app", Name: order.ChallengeName(o.Name, wanted[0]),
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(o, acmev1.SchemeGroupVersion.WithKind("Order"))},
		},
		Spec: wanted[0], Status: acmev1.ChallengeStatus{State: acmev1.Pending},
	}
	return c, account
}

// presented is a Challenge whose record this process has presented a minute ago.
func presented() State {
	c, account := called()
	c.Finalizers = []string{acmev1.ACMEFinalizer}
	c.Status.Presented, c.Status.Processing, c.Status.PresentedAt = true, true, at(now.Add(-time.Minute))
	return State{
		Object: c, CA: account.Issuer.Server, Account: account, OwnSolver: true, Slot: Held, Slots: 60,
		Memory: Memory{Presented: true}, CheckRetry: 10 * time.Second,
	}
}

// observation is a probe's evidence: the answers of the zone's one server, a
// time ago.
func observation(has bool, ago time.Duration, probes int, change ...func(*propagation.LedgerEntry)) propagation.Observation {
	seen := now.Add(-ago)
	o := propagation.Observation{
		Report: propagation.Report{Name: "_acme-challenge.example.com.", Final: "_acme-challenge.example.com.", Answers: []propagation.Answer{{
			Server: "ns1.example.com.", Role: propagation.RoleBoth, Authoritative: true, Rcode: "NOERROR", Has: has,
		}}},
		Entry:  propagation.LedgerEntry{FirstProbe: seen, Probes: probes},
		Policy: propagation.Policy{Retry: 10 * time.Second, TTL: 10 * time.Second},
		At:     seen,
	}
	if has {
		o.Entry.VisibleSince = seen
	}
	for _, f := range change {
		f(&o.Entry)
	}
	return o
}

// probed puts a probe's evidence into the memory.
func probed(has bool, ago time.Duration, probes int, change ...func(*propagation.LedgerEntry)) func(*State) {
	return func(c *State) { c.Memory.Evidence = observation(has, ago, probes, change...) }
}

// seenValid is the memory of an authorization that became valid a time ago.
func seenValid(ago time.Duration) func(*State) {
	return func(c *State) {
		c.Memory.Authorization, c.Memory.CheckedAt = &acme.Authorization{Status: acme.StatusValid}, now.Add(-ago)
	}
}

func noSlot(c *State) { c.Slot = NoSlot }

// beingValidated is a memory of a server that was asked to validate, and of
// what it said about it, both a time ago.
func beingValidated(accepted, checked time.Duration, checks int, status string) func(*State) {
	return func(c *State) {
		c.Memory.AcceptedAt = now.Add(-accepted)
		if status != "" {
			c.Memory.Authorization = &acme.Authorization{Status: status}
			c.Memory.CheckedAt, c.Memory.Checks = now.Add(-checked), checks
		}
	}
}

// polled is a server that says when it is to be asked for the authorization again.
func polled(in time.Duration) func(*State) {
	return func(c *State) { c.Memory.Authorization.RetryAfter = now.Add(in) }
}
