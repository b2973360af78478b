package cluster

import (
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/lifecycle/order"
	"github.com/everleaf/everleaf/internal/pki"
)

func entryMeta(name string) metav1.ObjectMeta {
	controls := true
	return metav1.ObjectMeta{
		Namespace: "ns", Name: name, UID: types.UID(name), ResourceVersion: "7",
		ManagedFields:   []metav1.ManagedFieldsEntry{{Manager: "x"}},
		OwnerReferences: []metav1.OwnerReference{{Kind: "Owner", Name: "owner", UID: "owner-uid", Controller: &controls}},
	}
}

func names[O metav1.Object](objects []O) []string {
	var all []string
	for _, o := range objects {
		all = append(all, o.GetName())
	}
	return all
}

// TestRequests has a request that waits and one that has ended.
func TestRequests(t *testing.T) {
	issuer := &cmv1.Issuer{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "ca"}}
	request := func(name string, change func(*cmv1.CertificateRequest)) *cmv1.CertificateRequest {
		r := &cmv1.CertificateRequest{ObjectMeta: entryMeta(name), Spec: cmv1.CertificateRequestSpec{IssuerRef: cmmeta.IssuerReference{Name: "ca"}}}
		r.Annotations = map[string]string{cmv1.CertificateRequestPrivateKeyAnnotationKey: "key"}
		change(r)
		return r
	}
	waits := request("waits", func(*cmv1.CertificateRequest) {})
	ended := request("ended", func(r *cmv1.CertificateRequest) {
		r.Status.Conditions = []cmv1.CertificateRequestCondition{{Type: cmv1.CertificateRequestConditionReady, Status: cmmeta.ConditionTrue}}
	})
	informer := cache.NewSharedIndexInformer(&cache.ListWatch{}, &cmv1.CertificateRequest{}, 0, cache.Indexers{})
	requests, err := NewRequests(informer, pki.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*cmv1.CertificateRequest{waits, ended} {
		item, err := ReduceRequest(pki.Limits{})(r.DeepCopy())
		if err != nil {
			t.Fatal(err)
		}
		if e := item.(*entry[*cmv1.CertificateRequest, facts.Request]); (e.object != nil) != (r == waits) || len(e.ManagedFields) > 0 || e.UID != r.UID || e.ResourceVersion != "7" {
			t.Errorf("%s is kept as %+v", r.Name, e)
		}
		if err := informer.GetIndexer().Add(item); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]bool{"waits": true, "ended": false} {
		o, open, err := requests.Get(types.NamespacedName{Namespace: "ns", Name: name})
		if err != nil || open != want || (o != nil) != want {
			t.Errorf("%s: object %v, open %t, error %v", name, o, open, err)
		}
	}
	if _, _, err := requests.Get(types.NamespacedName{Namespace: "ns", Name: "none"}); !apierrors.IsNotFound(err) {
		t.Errorf("a request that is not there: %v", err)
	}
	if n := len(requests.ControlledBy(owned("ns", "owner-uid"))); n != 2 {
		t.Errorf("the owner has %d requests", n)
	}
	if of, with := names(requests.OpenOf(issuer)), names(requests.OpenWithKey("ns", "key")); len(of) != 1 || of[0] != "waits" || len(with) != 1 || with[0] != "waits" {
		t.Errorf("open of the issuer: %q, with the key: %q", of, with)
	}
	if n := len(requests.OpenWithKey("other", "key")) + len(append(requests.ControlledBy(owned("ns", "other")), requests.ControlledBy(owned("elsewhere", "owner-uid"))...)); n != 0 {
		t.Errorf("%d requests are found for others", n)
	}
}

// TestOrders has the same of Orders.
func TestOrders(t *testing.T) {
	issuer := &cmv1.ClusterIssuer{ObjectMeta: metav1.ObjectMeta{Name: "acme"}}
	newOrder := func(name string, state acmev1.State) *acmev1.Order {
		o := &acmev1.Order{ObjectMeta: entryMeta(name)}
		o.Spec.IssuerRef = cmmeta.IssuerReference{Name: "acme", Kind: cmv1.ClusterIssuerKind}
		o.Spec.DNSNames, o.Status.State = []string{"example.com"}, state
		return o
	}
	informer := cache.NewSharedIndexInformer(&cache.ListWatch{}, &acmev1.Order{}, 0, cache.Indexers{})
	orders, err := NewOrders(informer, pki.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	// A valid order is open until its certificate is stored.
	want := map[string]bool{"pending": true, "valid": true, "issued": false, "invalid": false}
	for _, o := range []*acmev1.Order{
		newOrder("pending", acmev1.Pending), newOrder("valid", acmev1.Valid), newOrder("issued", acmev1.Valid), newOrder("invalid", acmev1.Invalid),
	} {
		if o.Name == "issued" {
			o.Status.Certificate = []byte("x")
		}
		item, err := ReduceOrder(pki.Limits{})(o)
		if err != nil {
			t.Fatal(err)
		}
		if e := item.(*entry[*acmev1.Order, facts.Order]); (e.object != nil) != want[o.Name] {
			t.Errorf("%s is kept as %+v", o.Name, e)
		}
		if err := informer.GetIndexer().Add(item); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range want {
		o, open, err := orders.Get(types.NamespacedName{Namespace: "ns", Name: name})
		if err != nil || open != want || (o != nil) != want {
			t.Errorf("%s: object %v, open %t, error %v", name, o, open, err)
		}
	}
	if _, _, err := orders.Get(types.NamespacedName{Namespace: "ns", Name: "none"}); !apierrors.IsNotFound(err) {
		t.Errorf("an Order that is not there: %v", err)
	}
	class := order.Class(newOrder("", ""))
	if a, b, c := len(orders.ControlledBy(owned("ns", "owner-uid"))), len(orders.OpenOf(issuer)), len(orders.OpenOfClass(class)); a != 4 || b != 2 || c != 2 {
		t.Errorf("%d of the owner, %d open of the issuer, %d of the class", a, b, c)
	}
}

// owned is an owner; one in another namespace owns nothing here.
func owned(namespace string, uid types.UID) metav1.Object {
	return &metav1.ObjectMeta{Namespace: namespace, UID: uid}
}
