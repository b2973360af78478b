package certificaterequest

import (
	"errors"
	"testing"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/facts"
)

// TestReplacementThatCannotBeCreated holds that an Order counts those that it
// replaces also if it could not be created right after the former was deleted.
func TestReplacementThatCannotBeCreated(t *testing.T) {
	r, _ := newRequest(t)
	l := newLab(t, &signer{}, r, newIssuer(cmv1.IssuerConfig{ACME: &acmev1.ACMEIssuer{}}))
	orders := func() []acmev1.Order {
		t.Helper()
		list := &acmev1.OrderList{}
		if err := l.client.List(t.Context(), list); err != nil {
			t.Fatal(err)
		}
		return list.Items
	}
	l.reconcile()
	for _, want := range []string{"1", "2"} {
		expired := orders()[0]
		expired.Status = acmev1.OrderStatus{State: acmev1.Expired, Reason: "gone"}
		if err := l.client.Status().Update(t.Context(), &expired); err != nil {
			t.Fatal(err)
		}
		l.sync()
		l.refuseCreate = errors.New("no answer")
		l.reconcile()
		l.sync()
		if left := orders(); len(left) != 0 {
			t.Fatalf("%d Orders are left", len(left))
		}
		l.refuseCreate = nil
		l.reconcile()
		l.sync()
		if made := orders(); len(made) != 1 || made[0].Annotations[facts.OrderReplacesAnnotation] != want {
			t.Fatalf("want one Order that replaces %s: %+v", want, made)
		}
	}
}
