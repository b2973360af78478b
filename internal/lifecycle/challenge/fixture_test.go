package challenge

import (
	"context"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/lifecycle/lifecycletest"
	"github.com/everleaf/everleaf/internal/lifecycle/order"
	"github.com/everleaf/everleaf/internal/pki"
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

// challengeRequests are the requests of a Challenge's steps.
var challengeRequests = map[Step]func(*acme.Client, string) error{
	Accept: func(c *acme.Client, base string) error {
		_, err := c.Accept(context.Background(), base+"/c")
		return err
	},
	Check: func(c *acme.Client, base string) error {
		_, err := c.Authorization(context.Background(), base+"/a")
		return err
	},
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
