package order

import (
	"context"
	"crypto"
	"errors"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/cluster"
	core "github.com/everleaf/everleaf/internal/lifecycle/order"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/test/pebble"
)

// request is an approved CertificateRequest for a name.
func request(t *testing.T, dnsName string) *cmv1.CertificateRequest {
	t.Helper()
	key, err := pki.GenerateKey(pki.KeySpec{Algorithm: pki.ECDSA, Size: 256})
	if err != nil {
		t.Fatal(err)
	}
	csr, err := pki.BuildRequest(pki.Template{DNSNames: []string{dnsName}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return &cmv1.CertificateRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "one", UID: "request"},
		Spec:       cmv1.CertificateRequestSpec{IssuerRef: cmmeta.IssuerReference{Name: "acme"}, Request: csr},
		Status: cmv1.CertificateRequestStatus{Conditions: []cmv1.CertificateRequestCondition{{
			Type: cmv1.CertificateRequestConditionApproved, Status: cmmeta.ConditionTrue,
		}}},
	}
}

// account registers at a server, and counts the orders that are made there.
func account(t *testing.T, server *pebble.Server, orders *int) *acme.Client {
	t.Helper()
	var key crypto.Signer
	key, err := pki.GenerateKey(pki.KeySpec{Algorithm: pki.ECDSA, Size: 256})
	if err != nil {
		t.Fatal(err)
	}
	transport, err := acme.HTTPClient(acme.TransportOptions{CABundle: server.CABundle})
	if err != nil {
		t.Fatal(err)
	}
	c := acme.New(acme.Config{
		DirectoryURL: server.DirectoryURL, Key: key, HTTPClient: transport, Clock: clock.RealClock{},
		Observe: func(action, _, _, _ string, _ int, _ time.Duration) {
			if action == "authorize_order" {
				*orders++
			}
		},
	})
	if _, err := c.Register(t.Context(), acme.AccountRequest{TermsAgreed: true}); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestURLThatCannotBeStored holds that an order is not made again because the
// API server did not take its URL.
func TestURLThatCannotBeStored(t *testing.T) {
	server := pebble.Start(t, pebble.Options{Env: []string{"PEBBLE_WFE_NONCEREJECT=0"}})
	orders := 0
	asked := account(t, server, &orders)
	from := request(t, "a.example")
	object, fault := core.Build(from, &acmev1.ACMEIssuer{}, pki.Limits{})
	if fault != nil {
		t.Fatal(fault)
	}
	object.UID = "order"
	scheme := runtime.NewScheme()
	if err := acmev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	refuse := true
	api := fake.NewClientBuilder().WithScheme(scheme).WithObjects(object).WithStatusSubresource(object).
		WithInterceptorFuncs(interceptor.Funcs{SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, opts ...client.SubResourceUpdateOption) error {
			if refuse {
				return errors.New("no answer")
			}
			return c.SubResource(sub).Update(ctx, o, opts...)
		}}).Build()
	r := &Reconciler{Live: api, Write: cluster.NewWriter(api, nil, cluster.NewGate(nil)), Clock: clock.RealClock{}}
	w := &work{
		Reconciler: r, client: asked, session: r.sessionOf(client.ObjectKeyFromObject(object), object.UID),
		owner: cluster.Owner{Kind: cluster.Order, NamespacedName: client.ObjectKeyFromObject(object)},
		state: core.State{Object: object, Request: from},
	}
	for range 3 {
		if err := w.create(t.Context()); err == nil {
			t.Fatal("no error from an API server that does not answer")
		}
	}
	refuse = false
	if err := w.create(t.Context()); err != nil {
		t.Fatal(err)
	}
	stored := &acmev1.Order{}
	if err := api.Get(t.Context(), w.owner.NamespacedName, stored); err != nil {
		t.Fatal(err)
	}
	if orders != 1 || stored.Status.URL == "" || len(stored.Status.Authorizations) != 1 {
		t.Errorf("%d orders were made, status %+v", orders, stored.Status)
	}
}

// TestChangedSpecIsNotOrdered holds that what is ordered is what was checked.
func TestChangedSpecIsNotOrdered(t *testing.T) {
	from := request(t, "a.example")
	object, fault := core.Build(from, &acmev1.ACMEIssuer{}, pki.Limits{})
	if fault != nil {
		t.Fatal(fault)
	}
	object.UID = "order"
	live := object.DeepCopy()
	live.Spec.DNSNames = append(live.Spec.DNSNames, "victim.example")
	scheme := runtime.NewScheme()
	if err := acmev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	r := &Reconciler{Live: fake.NewClientBuilder().WithScheme(scheme).WithObjects(live).Build(), Clock: clock.RealClock{}}
	w := &work{
		Reconciler: r, session: r.sessionOf(client.ObjectKeyFromObject(object), object.UID),
		owner: cluster.Owner{Kind: cluster.Order, NamespacedName: client.ObjectKeyFromObject(object)},
		state: core.State{Object: object, Request: from},
	}
	if err := w.create(t.Context()); !errors.Is(err, cluster.ErrStale) {
		t.Errorf("error %v, want %v", err, cluster.ErrStale)
	}
}

func TestClaims(t *testing.T) {
	r := &Reconciler{}
	order := func(name, url string) *acmev1.Order {
		return &acmev1.Order{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID(name)},
			Spec:       acmev1.OrderSpec{DNSNames: []string{"a.example"}, IssuerRef: cmmeta.IssuerReference{Name: "acme"}},
			Status:     acmev1.OrderStatus{URL: url},
		}
	}
	of := func(o *acmev1.Order) *work {
		return &work{Reconciler: r, session: r.sessionOf(client.ObjectKeyFromObject(o), o.UID)}
	}
	a, b := order("a", ""), order("b", "")
	for range 2 {
		if !of(a).claim(a) {
			t.Error("the first Order gets no claim, or not twice")
		}
	}
	if of(b).claim(b) {
		t.Error("two Orders have a claim")
	}
	other := order("other", "")
	other.Spec.Profile = "short"
	if !of(other).claim(other) {
		t.Error("an Order of another class gets no claim")
	}
	of(a).release()
	if !of(b).claim(b) {
		t.Error("the second gets no claim after the first has given its own back")
	}
	of(a).release() // not its own
	if of(a).claim(a) {
		t.Error("a claim was given back by another")
	}
	r.sessionOf(client.ObjectKeyFromObject(b), "b made anew")
	if !of(a).claim(a) {
		t.Error("the claim of an Order that is gone stays")
	}
	r.drop(client.ObjectKeyFromObject(a))
	r.drop(client.ObjectKeyFromObject(other))
	if len(r.claims) != 0 {
		t.Errorf("claims are left: %v", r.claims)
	}
}

func TestEnded(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*acmev1.Order)
		want   bool
	}{
		{"new", func(*acmev1.Order) {}, false},
		{"pending", func(o *acmev1.Order) { o.Status.State = acmev1.Pending }, false},
		{"valid, not downloaded", func(o *acmev1.Order) { o.Status.State = acmev1.Valid }, false},
		{"complete", func(o *acmev1.Order) { o.Status.State, o.Status.Certificate = acmev1.Valid, []byte("x") }, true},
		{"failed", func(o *acmev1.Order) { o.Status.State = acmev1.Expired }, true},
		{"deleted", func(o *acmev1.Order) { o.DeletionTimestamp = ptr.To(metav1.Now()) }, true},
	} {
		o := &acmev1.Order{}
		test.change(o)
		if got := ended(o); got != test.want {
			t.Errorf("%s: %t, want %t", test.name, got, test.want)
		}
	}
}
