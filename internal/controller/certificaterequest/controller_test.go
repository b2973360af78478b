package certificaterequest

import (
	"context"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	core "github.com/everleaf/everleaf/internal/lifecycle/request"
)

func TestPermission(t *testing.T) {
	s, i := vault()
	r, _ := newRequest(t)
	l := newLab(t, s, r, i)
	l.Controller.Approval = permission(false)
	if got, writes := l.reconcile(); len(writes) > 0 || len(got.Status.Conditions) > 0 {
		t.Errorf("writes %q, conditions %v", writes, got.Status.Conditions)
	}
	w, err := l.Load(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if until := w.Next(now).Until; !until.Equal(now.Add(core.ApprovalRecheck)) {
		t.Errorf("asks again at %s", until)
	}
	if w.(*work).Unannounced {
		t.Error("no event has said that the approval is missing")
	}
	l.config.LeaveApproval = true
	if w, err = l.Load(t.Context(), r); err != nil || !w.Next(now).Until.IsZero() {
		t.Errorf("asks for the permission although others approve; error %v", err)
	}
}

func TestWatches(t *testing.T) {
	s, i := vault()
	s.secrets = []string{"issuer-key"}
	waiting, _ := newRequest(t)
	finished := waiting.DeepCopy()
	finished.Name = "web-0"
	finished.Status.Conditions = []cmv1.CertificateRequestCondition{{
		Type: cmv1.CertificateRequestConditionReady, Status: cmmeta.ConditionTrue, Reason: cmv1.CertificateRequestReasonIssued,
	}}
	global := waiting.DeepCopy()
	global.Name, global.Annotations, global.Spec.IssuerRef.Kind = "global-1", nil, cmv1.ClusterIssuerKind
	everywhere := &cmv1.ClusterIssuer{ObjectMeta: metav1.ObjectMeta{Name: "i"}, Spec: i.Spec}
	l := newLab(t, s, waiting, finished, global, i, everywhere)
	meta := func(namespace, name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: namespace, Name: name}
	}
	order := &acmev1.Order{ObjectMeta: meta("app", "o")}
	owned := order.DeepCopy()
	owned.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(waiting, cmv1.SchemeGroupVersion.WithKind(cmv1.CertificateRequestKind))}
	secret := func(namespace, name string) client.Object {
		return &metav1.PartialObjectMetadata{ObjectMeta: meta(namespace, name)}
	}
	keys := map[string]func(context.Context, client.Object) []types.NamespacedName{}
	for _, w := range l.Registration().Watches {
		keys[w.Kind] = w.Keys
	}
	for _, test := range []struct {
		name, kind string
		object     client.Object
		want       []string
	}{
		{"Secret of the key", "Secret", secret("app", "web-key"), []string{name}},
		{"Secret elsewhere", "Secret", secret("other", "web-key"), nil},
		{"another Secret", "Secret", secret("app", "web-tls"), nil},
		// A request may wait although its issuer has been ready all the time.
		{"Secret of the Issuer", "Secret", secret("app", "issuer-key"), []string{name}},
		{"Secret of the ClusterIssuer", "Secret", secret("cert-manager", "issuer-key"), []string{"global-1"}},
		{"Order", "Order", owned, []string{name}},
		{"Order of nobody", "Order", order, nil},
		{"Issuer", "Issuer", i, []string{name}},
		{"Issuer elsewhere", "Issuer", &cmv1.Issuer{ObjectMeta: meta("other", "i")}, nil},
		{"ClusterIssuer", "ClusterIssuer", &cmv1.ClusterIssuer{ObjectMeta: meta("", "i")}, []string{"global-1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, k := range keys[test.kind](t.Context(), test.object) {
				got = append(got, k.Name)
			}
			same(t, "wakes", test.want, got)
		})
	}
}

func TestNewRefusesGaps(t *testing.T) {
	s, i := vault()
	l := newLab(t, s, i)
	deps := l.Deps
	deps.Answers = nil
	if _, err := New(deps, Config{}, nil); err == nil {
		t.Error("a Controller without Answers")
	}
}

// TestOtherKind has requests whose issuer does not exist, and issuers of its name.
func TestOtherKind(t *testing.T) {
	s, i := vault()
	global := &cmv1.ClusterIssuer{ObjectMeta: metav1.ObjectMeta{Name: i.Name}, Spec: i.Spec}
	elsewhere := i.DeepCopy()
	elsewhere.Namespace = "other"
	for _, test := range []struct {
		name, kind, group string
		issuer            client.Object
		want              string
	}{
		{"an Issuer is named, there is a ClusterIssuer", "", "", global, "ClusterIssuer"},
		{"a ClusterIssuer is named, there is an Issuer", "ClusterIssuer", "", i, "Issuer"},
		{"a ClusterIssuer is named, there is an Issuer elsewhere", "ClusterIssuer", "", elsewhere, ""},
		{"the issuer is there", "Issuer", "", i, ""},
		{"an issuer of another group", "Issuer", "example.com", global, ""},
	} {
		r, _ := newRequest(t)
		r.Spec.IssuerRef.Kind, r.Spec.IssuerRef.Group = test.kind, test.group
		w, err := newLab(t, s, r, test.issuer).Load(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		same(t, test.name, test.want, w.(*work).OtherKind)
	}
}
