package ingress

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/controller/shim"
	core "github.com/everleaf/everleaf/internal/lifecycle/shim"
	"github.com/everleaf/everleaf/internal/plan"
)

var now = time.Date(2026, 11, 27, 4, 0, 0, 0, time.UTC)

// server is an API server whose caches do not lag. It keeps what is written and sent.
type server struct {
	client client.Client
	writes []string
	sent   []string
	// refuse is what creates fail with.
	refuse error
	// newer reports whether objects are newer than the caches have them.
	newer bool
}

func (*server) Behind(plan.Ref) string { return "" }

func (s *server) Live(ctx context.Context, key types.NamespacedName, into client.Object) error {
	s.writes = append(s.writes, "look at "+key.Name)
	return s.client.Get(ctx, key, into)
}

func (s *server) Confirm(_ context.Context, c plan.Confirm) error {
	s.writes = append(s.writes, fmt.Sprintf("confirm %s %s at %s", c.Kind, c.Name, c.Version))
	if s.newer {
		return cluster.ErrStale
	}
	return nil
}

func (*server) UpdateStatus(context.Context, plan.Ref, client.Object, string) error {
	return errors.New("an Ingress has no status of ours")
}

func (s *server) Send(_ runtime.Object, events ...plan.Event) {
	for _, e := range events {
		s.sent = append(s.sent, e.Reason)
	}
}

func (s *server) Create(ctx context.Context, _ plan.Ref, _ string, obj client.Object, manager string) error {
	if s.refuse != nil {
		return s.refuse
	}
	s.writes = append(s.writes, "create "+obj.GetName())
	return s.client.Create(ctx, obj, client.FieldOwner(manager))
}

func (s *server) Patch(ctx context.Context, _ plan.Ref, _ string, before, changed client.Object, manager string) error {
	s.writes = append(s.writes, "patch "+changed.GetName())
	return s.client.Patch(ctx, changed, client.MergeFrom(before), client.FieldOwner(manager))
}

func (s *server) Delete(ctx context.Context, _ plan.Ref, _ string, obj client.Object) error {
	s.writes = append(s.writes, "delete "+obj.GetName())
	return s.client.Delete(ctx, obj)
}

// lab is a server with a Controller.
type lab struct {
	*Controller
	t      *testing.T
	server *server
	clock  *clocktesting.FakeClock
}

func newLab(t *testing.T, config shim.Config, objects ...client.Object) *lab {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, cmv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	config.DefaultIssuer.Kind = cmv1.IssuerKind
	config.AutoAnnotations = []string{"kubernetes.io/tls-acme"}
	l := &lab{t: t, server: &server{}, clock: clocktesting.NewFakeClock(now)}
	kinds := map[string]client.Object{cmv1.CertificateKind: &cmv1.Certificate{}, cmv1.ClusterIssuerKind: &cmv1.ClusterIssuer{}, core.KindIngress: &networkingv1.Ingress{}}
	builder := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithReturnManagedFields()
	with := func(cache client.Client) *Controller {
		c, err := New(shim.Deps{Cache: cache, Issuers: cluster.NewIssuers(cache, ""), Server: l.server, Clock: l.clock}, config, nil)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, index := range with(fake.NewClientBuilder().Build()).Registration().Indexes {
		builder = builder.WithIndex(kinds[index.Kind], index.Name, index.Values)
	}
	l.server.client = builder.Build()
	l.Controller = with(l.server.client)
	return l
}

// reconcile reconciles an Ingress, and returns what was written and sent.
func (l *lab) reconcile(name string) (writes, sent []string) {
	l.t.Helper()
	l.server.writes, l.server.sent = nil, nil
	_, err := l.Registration().Reconciler.Reconcile(l.t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "lab", Name: name}})
	if err != nil {
		l.t.Fatal(err)
	}
	return l.server.writes, l.server.sent
}

// woken are the Ingresses that the event of an object wakes.
func (l *lab) woken(kind string, o client.Object) []string {
	var names []string
	for _, w := range l.Registration().Watches {
		if w.Kind != kind {
			continue
		}
		for _, key := range w.Keys(l.t.Context(), o) {
			names = append(names, key.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (l *lab) change(o client.Object, change func()) {
	l.t.Helper()
	if err := l.server.client.Get(l.t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
		l.t.Fatal(err)
	}
	change()
	if err := l.server.client.Update(l.t.Context(), o, client.FieldOwner("test")); err != nil {
		l.t.Fatal(err)
	}
}

func ingressOf(name, secret string, annotations ...string) *networkingv1.Ingress {
	i := &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: name, UID: types.UID(name), Annotations: map[string]string{}}}
	for n := 0; n < len(annotations); n += 2 {
		i.Annotations[annotations[n]] = annotations[n+1]
	}
	i.Spec.TLS = []networkingv1.IngressTLS{{SecretName: secret, Hosts: []string{name + ".example.test"}}}
	return i
}

func check(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: -want +got:\n%s", what, cmp.Diff(want, got))
	}
}

func TestReconcile(t *testing.T) {
	app := ingressOf("app", "app-tls", "cert-manager.io/issuer", "ca", "acme.cert-manager.io/http01-edit-in-place", "true")
	issuer := &cmv1.Issuer{ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: "ca"}}
	l := newLab(t, shim.Config{}, app, issuer, ingressOf("other", "x"))
	writes, sent := l.reconcile("app")
	check(t, "written", writes, []string{"confirm Ingress app at 999", "create app-tls"})
	check(t, "sent", sent, []string{"CreateCertificate"})
	writes, sent = l.reconcile("app")
	check(t, "written again", append(writes, sent...), nil)
	writes, sent = l.reconcile("other")
	check(t, "written for one that asks for nothing", append(writes, sent...), nil)

	l.change(app, func() { delete(app.Annotations, "acme.cert-manager.io/http01-edit-in-place") })
	writes, _ = l.reconcile("app")
	check(t, "written after an annotation was removed", writes, []string{"look at app-tls", "confirm Ingress app at " + app.ResourceVersion, "patch app-tls"})
	var c cmv1.Certificate
	if err := l.server.client.Get(t.Context(), types.NamespacedName{Namespace: "lab", Name: "app-tls"}, &c); err != nil || len(c.Annotations) > 0 {
		t.Errorf("the annotations are %v, %v", c.Annotations, err)
	}

	l.change(app, func() { app.Spec.TLS = nil })
	writes, sent = l.reconcile("app")
	check(t, "written without TLS", writes, []string{"confirm Ingress app at " + app.ResourceVersion, "delete app-tls"})
	check(t, "sent", sent, []string{"DeleteCertificate"})
	if err := l.server.client.Delete(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	writes, sent = l.reconcile("app")
	check(t, "written for one that is gone", append(writes, sent...), nil)
}

// TestWoken has the events of other objects that wake an Ingress.
func TestWoken(t *testing.T) {
	one, two := ingressOf("one", "shared", "cert-manager.io/cluster-issuer", "ca"), ingressOf("two", "shared", "cert-manager.io/issuer", "le")
	l := newLab(t, shim.Config{}, one, two, ingressOf("three", "other"))
	shared := &cmv1.Certificate{ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: "shared"}}
	check(t, "by a Certificate", l.woken(cmv1.CertificateKind, shared), []string{"one", "two"})
	elsewhere := shared.DeepCopy()
	elsewhere.Namespace = "elsewhere"
	check(t, "by one in another namespace", l.woken(cmv1.CertificateKind, elsewhere), nil)
	owned := &cmv1.Certificate{ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: "old"}}
	owned.OwnerReferences = []metav1.OwnerReference{{Kind: "Ingress", Name: "three", UID: "three", Controller: new(bool)}}
	*owned.OwnerReferences[0].Controller = true
	check(t, "by one that it controls", l.woken(cmv1.CertificateKind, owned), []string{"three"})

	ca, inLab := &cmv1.ClusterIssuer{ObjectMeta: metav1.ObjectMeta{Name: "ca"}}, &cmv1.Issuer{ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: "ca"}}
	check(t, "by an issuer, before anybody lacks it", l.woken(cmv1.ClusterIssuerKind, ca), nil)
	l.reconcile("one")
	check(t, "by the issuer that it lacks", l.woken(cmv1.ClusterIssuerKind, ca), []string{"one"})
	check(t, "by its namesake", l.woken(cmv1.IssuerKind, inLab), []string{"one"})
	inLab.Namespace = "elsewhere"
	check(t, "by one in another namespace", l.woken(cmv1.IssuerKind, inLab), nil)
	if err := l.server.client.Create(t.Context(), ca); err != nil {
		t.Fatal(err)
	}
	l.reconcile("one")
	check(t, "when the issuer is there", l.woken(cmv1.ClusterIssuerKind, ca), nil)
}

// TestMarkedIssuer: the ClusterIssuer that is marked is the default; a mark wakes the
// Ingresses that name no issuer, once.
func TestMarkedIssuer(t *testing.T) {
	auto, named := ingressOf("auto", "auto-tls", "kubernetes.io/tls-acme", "true"), ingressOf("named", "named-tls", "cert-manager.io/issuer", "ca")
	for marks, want := range map[bool]string{false: "", true: "house"} {
		l := newLab(t, shim.Config{MarkedIssuers: marks}, auto.DeepCopy(), named.DeepCopy())
		house := &cmv1.ClusterIssuer{ObjectMeta: metav1.ObjectMeta{Name: "house", Annotations: map[string]string{core.DefaultIssuerAnnotation: "true"}}}
		if err := l.server.client.Create(t.Context(), house); err != nil {
			t.Fatal(err)
		}
		woken := l.woken(cmv1.ClusterIssuerKind, house)
		check(t, "woken again", l.woken(cmv1.ClusterIssuerKind, house), nil)
		l.reconcile("auto")
		var c cmv1.Certificate
		err := l.server.client.Get(t.Context(), types.NamespacedName{Namespace: "lab", Name: "auto-tls"}, &c)
		if !marks {
			check(t, "woken without the option", woken, nil)
			if err == nil {
				t.Error("a mark has an effect without the option")
			}
			continue
		}
		check(t, "woken", woken, []string{"auto"})
		if ref := (cmmeta.IssuerReference{Name: want, Kind: cmv1.ClusterIssuerKind, Group: "cert-manager.io"}); err != nil || c.Spec.IssuerRef != ref {
			t.Errorf("the issuer is %v, %v", c.Spec.IssuerRef, err)
		}
	}
}

// TestRefused: a write that is refused is tried again later, whatever wakes the Ingress.
func TestRefused(t *testing.T) {
	l := newLab(t, shim.Config{}, ingressOf("app", "app-tls", "cert-manager.io/issuer", "ca"))
	l.server.refuse = errors.New("no answer")
	l.reconcile("app")
	l.server.refuse = nil
	writes, _ := l.reconcile("app")
	check(t, "written at once", writes, nil)
	l.clock.Step(6 * time.Second)
	writes, _ = l.reconcile("app")
	check(t, "written later", writes, []string{"confirm Ingress app at 999", "create app-tls"})
}

// TestOutdated: nothing is written by an Ingress that is a newer one at the API server,
// which is asked once for all Certificates.
func TestOutdated(t *testing.T) {
	app := ingressOf("app", "app-tls", "cert-manager.io/issuer", "ca")
	app.Spec.TLS = append(app.Spec.TLS, networkingv1.IngressTLS{SecretName: "b-tls", Hosts: []string{"b.example.test"}})
	l := newLab(t, shim.Config{}, app, &cmv1.Issuer{ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: "ca"}})
	l.server.newer = true
	writes, sent := l.reconcile("app")
	check(t, "written by an older one", append(writes, sent...), []string{"confirm Ingress app at 999"})
	l.server.newer = false
	writes, _ = l.reconcile("app")
	check(t, "written when it is seen", writes, []string{"confirm Ingress app at 999", "create app-tls", "create b-tls"})

	l.change(app, func() { app.Spec.TLS[0].Hosts = []string{"c.example.test"} })
	l.server.newer = true
	writes, _ = l.reconcile("app")
	check(t, "changed by an older one", writes, []string{"confirm Ingress app at " + app.ResourceVersion})
}

// TestMutated: a webhook that gives each Certificate a label, and notes another thing each
// time, does not have it written on and on.
func TestMutated(t *testing.T) {
	l := newLab(t, shim.Config{}, ingressOf("app", "app-tls", "cert-manager.io/issuer", "ca"), &cmv1.Issuer{ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: "ca"}})
	seen := 0
	mutate := func(o client.Object) client.Object {
		seen++
		c := o.(*cmv1.Certificate)
		metav1.SetMetaDataLabel(&c.ObjectMeta, "policy", "mine")
		metav1.SetMetaDataAnnotation(&c.ObjectMeta, "policy/seen", fmt.Sprint(seen))
		return c
	}
	l.server.client = interceptor.NewClient(l.server.client.(client.WithWatch), interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			return c.Create(ctx, mutate(o), opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			if err := c.Patch(ctx, o, p, opts...); err != nil {
				return err
			}
			return c.Update(ctx, mutate(o))
		},
	})
	writes, _ := l.reconcile("app")
	check(t, "written", writes, []string{"confirm Ingress app at 999", "create app-tls"})
	writes, sent := l.reconcile("app")
	check(t, "written at once", append(writes, sent...), nil)
	l.clock.Step(time.Second)
	writes, _ = l.reconcile("app")
	check(t, "written after a second", writes, []string{"confirm Ingress app at 999", "patch app-tls"})
	writes, sent = l.reconcile("app")
	check(t, "written again at once", append(writes, sent...), nil)
}

func TestIncomplete(t *testing.T) {
	if _, err := New(shim.Deps{}, shim.Config{}, nil); err == nil {
		t.Error("a controller without anything was made")
	}
	var _ controller.Kind[*networkingv1.Ingress, core.None] = newLab(t, shim.Config{})
}
