package certificaterequest

import (
	"errors"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/facts"
	core "github.com/everleaf/everleaf/internal/lifecycle/request"
)

func TestOrder(t *testing.T) {
	const manager = "cert-manager-certificaterequests-issuer-acme"
	i := newIssuer(cmv1.IssuerConfig{ACME: &acmev1.ACMEIssuer{}})
	r, chain := newRequest(t)
	_, foreign := newRequest(t)
	l := newLab(t, &signer{}, r, i)
	order := func() *acmev1.Order {
		t.Helper()
		list := &acmev1.OrderList{}
		if err := l.client.List(t.Context(), list); err != nil || len(list.Items) != 1 {
			t.Fatalf("%d Orders, error %v", len(list.Items), err)
		}
		return &list.Items[0]
	}
	answered := func(chain []byte) {
		t.Helper()
		o := order()
		o.Status = acmev1.OrderStatus{State: acmev1.Valid, Certificate: chain}
		if err := l.client.Status().Update(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		l.sync()
	}
	got, writes := l.reconcile()
	first := order()
	same(t, "writes", []string{"status as cert-manager-certificaterequests-approver", "create " + first.Name}, writes)
	if want := "False Pending: " + core.WaitingOnOrder("app", first.Name, "", ""); ready(got) != want || !condition.Approved(got) {
		t.Errorf("ready %q, want %q", ready(got), want)
	}
	if _, writes := l.reconcile(); len(writes) > 0 {
		t.Errorf("writes while it waits: %q", writes)
	}
	answered(foreign)
	_, writes = l.reconcile()
	same(t, "writes for another key's certificate", []string{"delete " + first.Name, "create " + first.Name}, writes)
	if n := order().Annotations[facts.OrderReplacesAnnotation]; n != "1" {
		t.Errorf("replaces %q", n)
	}
	l.writes = nil
	answered(chain)
	got, writes = l.reconcile()
	same(t, "writes in the end", []string{"status as " + manager}, writes)
	if !slices.Equal(got.Status.Certificate, chain) {
		t.Errorf("certificate %q", got.Status.Certificate)
	}
}

// TestOrderTaken holds what becomes of an Order whose name is taken.
func TestOrderTaken(t *testing.T) {
	for name, owner := range map[string]types.UID{"the request's": "request-uid", "somebody else's": "other-uid"} {
		t.Run(name, func(t *testing.T) {
			i := newIssuer(cmv1.IssuerConfig{ACME: &acmev1.ACMEIssuer{}})
			r, _ := newRequest(t)
			l := newLab(t, &signer{}, r, i)
			l.reconcile()
			list := &acmev1.OrderList{}
			if err := l.client.List(t.Context(), list); err != nil || len(list.Items) != 1 {
				t.Fatalf("%d Orders, error %v", len(list.Items), err)
			}
			list.Items[0].OwnerReferences[0].UID = owner
			if owner == "other-uid" {
				list.Items[0].OwnerReferences[0].Name = "other"
			}
			if err := errors.Join(l.client.Update(t.Context(), &list.Items[0]), l.orders.Replace(nil, "")); err != nil {
				t.Fatal(err)
			}
			l.reconcile()
			wait := 200 * time.Millisecond
			if owner == "request-uid" {
				wait = 5 * time.Second
			}
			if l.result.RequeueAfter != wait {
				t.Errorf("comes back after %s, want %s", l.result.RequeueAfter, wait)
			}
		})
	}
}

// TestOrderOfFormerRequest holds that the Order of a request of the same name that
// is gone is replaced at once, and not waited for.
func TestOrderOfFormerRequest(t *testing.T) {
	i := newIssuer(cmv1.IssuerConfig{ACME: &acmev1.ACMEIssuer{}})
	r, _ := newRequest(t)
	l := newLab(t, &signer{}, r, i)
	l.reconcile()
	list := &acmev1.OrderList{}
	if err := l.client.List(t.Context(), list); err != nil || len(list.Items) != 1 {
		t.Fatalf("%d Orders, error %v", len(list.Items), err)
	}
	list.Items[0].OwnerReferences[0].UID = "former-uid"
	if err := errors.Join(l.client.Update(t.Context(), &list.Items[0]), l.orders.Replace(nil, "")); err != nil {
		t.Fatal(err)
	}
	l.reconcile()
	if err := l.client.List(t.Context(), list); err != nil || len(list.Items) != 1 || list.Items[0].OwnerReferences[0].UID != r.UID {
		t.Errorf("%+v, error %v", list.Items, err)
	}
}

func TestTakeCertificateFromMemory(t *testing.T) {
	i := newIssuer(cmv1.IssuerConfig{ACME: &acmev1.ACMEIssuer{}})
	r, chain := newRequest(t)
	r.Status.Conditions = []cmv1.CertificateRequestCondition{{Type: cmv1.CertificateRequestConditionApproved, Status: cmmeta.ConditionTrue}}
	o := &acmev1.Order{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "app", Name: "o", UID: "order-uid",
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(r, cmv1.SchemeGroupVersion.WithKind(cmv1.CertificateRequestKind))},
		},
		Status: acmev1.OrderStatus{State: acmev1.Valid, Certificate: chain},
	}
	for name, test := range map[string]struct {
		answer cluster.Answer
		ca     string
	}{
		"handed on":     {cluster.Answer{Chain: chain, CA: []byte("root")}, "root"},
		"another chain": {cluster.Answer{Chain: []byte("x"), CA: []byte("root")}, ""},
		"none":          {},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, &signer{}, r, i, o)
			l.Answers.Put("order-uid", test.answer)
			got, _ := l.reconcile()
			if !slices.Equal(got.Status.Certificate, chain) || string(got.Status.CA) != test.ca {
				t.Errorf("certificate %q, CA %q", got.Status.Certificate, got.Status.CA)
			}
		})
	}
}
