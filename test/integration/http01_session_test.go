package integration

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/propagation"
	"github.com/everleaf/everleaf/internal/selfcheck"
	"github.com/everleaf/everleaf/internal/solver"
	"github.com/everleaf/everleaf/internal/solver/http01"
	"github.com/everleaf/everleaf/test/harness"
)

// answers is a Checker whose answers a test chooses.
type answers struct {
	right bool
	// asks is what the last check asked for.
	asks int
}

func (a *answers) Check(_ context.Context, t selfcheck.Target) selfcheck.Report {
	a.asks = t.Asks
	answer := selfcheck.Answer{Address: "192.0.2.7", Status: 404, Content: selfcheck.OtherContent}
	if a.right {
		answer.Status, answer.Content = 200, selfcheck.RightKey
	}
	return selfcheck.Report{Name: t.DNSName, Since: t.Since, Answers: []selfcheck.Answer{answer}}
}

// responders is a Responder whose pods a test chooses.
type responders struct {
	mu      sync.Mutex
	ready   http01.Backends
	changed []func()
}

func (r *responders) Backends() (http01.Backends, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ready, true
}
func (*responders) Obstacle() string              { return "" }
func (r *responders) Subscribe(f func())          { r.changed = append(r.changed, f) }
func (*responders) Saw(types.UID) http01.Sighting { return http01.Sighting{} }

func (r *responders) set(addresses ...string) {
	r.mu.Lock()
	r.ready = http01.Backends{Port: http01.Port}
	for _, a := range addresses {
		r.ready.Addresses = append(r.ready.Addresses, netip.MustParseAddr(a))
	}
	r.mu.Unlock()
	for _, f := range r.changed {
		f()
	}
}

// http01Lab has a Solver and a namespace in a real API server.
type http01Lab struct {
	*harness.Cluster
	ns      string
	solver  *http01.Solver
	check   *answers
	pods    *responders
	clock   *clocktesting.FakePassiveClock
	traffic *harness.Traffic
}

func newHTTP01Lab(t *testing.T, mode http01.Mode) *http01Lab {
	t.Helper()
	l := &http01Lab{Cluster: harness.Shared(t), check: &answers{}, pods: &responders{}, clock: clocktesting.NewFakePassiveClock(time.Now()), traffic: &harness.Traffic{}}
	l.ns = l.Namespace(t)
	l.pods.set("10.1.0.7")
	config := l.RESTConfig()
	l.traffic.Record(config)
	api, err := client.New(config, client.Options{Scheme: l.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	l.solver, err = http01.New(http01.Config{
		API: api, Namespace: l.ns, Checker: l.check, Responder: l.pods, Mode: mode, Clock: l.clock,
		Pods: http01.Pods{Image: "registry.example.test/acmesolver:1", RunAsNonRoot: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// begin makes a Challenge object and a Session for it.
func (l *http01Lab) begin(t *testing.T, name string, with acmev1.ACMEChallengeSolverHTTP01Ingress) (solver.Challenge, solver.Session) {
	t.Helper()
	object := &acmev1.Challenge{
		ObjectMeta: metav1.ObjectMeta{Namespace: l.ns, Name: name},
		Spec: acmev1.ChallengeSpec{
			URL: "https://ca.test/chall", AuthorizationURL: "https://ca.test/authz", Type: acmev1.ACMEChallengeTypeHTTP01,
			DNSName: name + ".example.test", Token: "t0ken-" + name, Key: "t0ken-" + name + ".thumbprint",
			Solver: acmev1.ACMEChallengeSolver{HTTP01: &acmev1.ACMEChallengeSolverHTTP01{Ingress: &with}},
		},
	}
	object.Spec.IssuerRef.Name = "ca"
	if err := l.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	c := solver.ChallengeOf(object, "https://ca.test/dir", l.ns)
	return c, l.solver.Begin(c)
}

// objects are the objects of solvers in the namespace, as kind and what tells them apart.
func (l *http01Lab) objects(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, list := range []client.ObjectList{&corev1.PodList{}, &corev1.ServiceList{}, &discoveryv1.EndpointSliceList{}, &networkingv1.IngressList{}} {
		if err := l.List(t.Context(), list, client.InNamespace(l.ns)); err != nil {
			t.Fatal(err)
		}
		_ = meta.EachListItem(list, func(o runtime.Object) error {
			one := o.(client.Object)
			if one.GetLabels()[acmev1.SolverIdentificationLabelKey] == "" || one.GetDeletionTimestamp() != nil {
				return nil
			}
			text := ""
			switch o := o.(type) {
			case *corev1.Pod:
				text = "Pod " + o.Spec.Containers[0].Args[1]
			case *corev1.Service:
				text = "Service " + string(o.Spec.Type)
				if len(o.Spec.Selector) > 0 {
					text += " of pods"
				}
			case *discoveryv1.EndpointSlice:
				if o.Labels[discoveryv1.LabelManagedBy] != "http01.everleaf.io" {
					return nil
				}
				text = "EndpointSlice"
				for _, e := range o.Endpoints {
					text += " " + e.Addresses[0]
				}
			case *networkingv1.Ingress:
				text = "Ingress -"
				if o.Spec.IngressClassName != nil {
					text = "Ingress " + *o.Spec.IngressClassName
				}
				text += " " + o.Spec.Rules[0].Host
			}
			if metav1.GetControllerOf(one) == nil {
				text += ", without owner"
			}
			out = append(out, text)
			return nil
		})
	}
	return out
}

func (l *http01Lab) want(t *testing.T, when string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, l.objects(t)); diff != "" {
		t.Errorf("objects %s (-want +got):\n%s", when, diff)
	}
}

func present(t *testing.T, s solver.Session) {
	t.Helper()
	if err := s.Present(t.Context()); err != nil {
		t.Fatalf("present: %v", err)
	}
}

func cleanUp(t *testing.T, s solver.Session) {
	t.Helper()
	if err := s.CleanUp(t.Context()); err != nil {
		t.Fatalf("clean up: %v", err)
	}
}

// fail has checks find nothing, so long that the objects are looked at again.
func (l *http01Lab) fail(t *testing.T, s solver.Session) propagation.Verdict {
	t.Helper()
	l.check.right = false
	var verdict propagation.Verdict
	for range 2 {
		l.clock.SetTime(l.clock.Now().Add(time.Hour))
		found, err := s.Check(t.Context())
		if err != nil {
			t.Fatalf("check: %v", err)
		}
		if verdict = found.Verdict(l.clock.Now()); verdict.State == propagation.Accept {
			t.Fatal("a check that finds nothing accepts")
		}
	}
	return verdict
}

func TestHTTP01Shared(t *testing.T) {
	t.Parallel()
	l := newHTTP01Lab(t, http01.Auto)
	challenge, s := l.begin(t, "app", acmev1.ACMEChallengeSolverHTTP01Ingress{IngressClassName: ptr("nginx")})
	all := []string{"Service ClusterIP", "EndpointSlice 10.1.0.7", "Ingress nginx app.example.test"}
	present(t, s)
	l.want(t, "presented", all...)
	if how, unusual := s.(solver.Describer).Describe(); how != "shared responder" || unusual {
		t.Errorf("presented by the %s, unusual: %v", how, unusual)
	}
	writes := len(l.traffic.Writes(l.ns))
	present(t, s)
	if again := len(l.traffic.Writes(l.ns)) - writes; writes != 3 || again != 0 {
		t.Errorf("%d writes to present, %d to do it again", writes, again)
	}

	// A challenge is looked at twice, also after it was not found in between.
	for _, when := range []string{"at first", "after a wrong one"} {
		l.check.right = true
		for i, want := range []propagation.State{propagation.Wait, propagation.Wait, propagation.Accept, propagation.Accept} {
			if found, err := s.Check(t.Context()); err != nil || found.Verdict(l.clock.Now()).State != want {
				t.Errorf("right answer %d %s: %v, %v", i, when, found, err)
			}
			if want := min(i*3, 3); l.check.asks != max(want, 1) {
				t.Errorf("right answer %d %s: %d requests", i, when, l.check.asks)
			}
			l.clock.SetTime(l.clock.Now().Add(300 * time.Millisecond))
		}
		l.fail(t, s)
	}

	// Others change and delete what is there.
	ingress := &networkingv1.Ingress{}
	key := client.ObjectKey{Namespace: l.ns, Name: ingressOf(t, l, challenge.UID)}
	if err := l.Get(t.Context(), key, ingress); err != nil {
		t.Fatal(err)
	}
	ingress.Spec.IngressClassName, ingress.OwnerReferences = ptr("other"), nil
	ingress.Spec.Rules[0].Host = "elsewhere.example.test"
	if err := l.Update(t.Context(), ingress); err != nil {
		t.Fatal(err)
	}
	l.fail(t, s)
	l.want(t, "changed by others", all...)
	if err := l.Delete(t.Context(), ingress); err != nil {
		t.Fatal(err)
	}
	l.fail(t, s)
	l.want(t, "deleted by others", all...)

	// An owner reference that somebody removes again and again makes no second Ingress.
	if err := l.Get(t.Context(), key, ingress); err != nil {
		t.Fatal(err)
	}
	ingress.OwnerReferences = nil
	if err := l.Update(t.Context(), ingress); err != nil {
		t.Fatal(err)
	}
	cleanUp(t, s)
	l.want(t, "cleaned up")
	cleanUp(t, s)
	if s := l.solver.Begin(challenge); s.Presented() {
		t.Error("a Session that has presented nothing says that it has")
	}
}

func ingressOf(t *testing.T, l *http01Lab, owner types.UID) string {
	t.Helper()
	list := &networkingv1.IngressList{}
	if err := l.List(t.Context(), list, client.InNamespace(l.ns)); err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(list.Items, func(i networkingv1.Ingress) bool {
		o := metav1.GetControllerOf(&i)
		return o != nil && o.UID == owner
	})
	if at < 0 {
		t.Fatal("the Challenge has no Ingress")
	}
	return list.Items[at].Name
}

// TestHTTP01Follow checks that EndpointSlices follow the responder's pods while a CA
// validates.
func TestHTTP01Follow(t *testing.T) {
	t.Parallel()
	l := newHTTP01Lab(t, http01.Shared)
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { _ = l.solver.Follow(ctx) })
	_, s := l.begin(t, "app", acmev1.ACMEChallengeSolverHTTP01Ingress{})
	present(t, s)
	l.pods.set("10.1.0.8", "10.1.0.9")
	harness.Eventually(t, time.Minute, func() error {
		if got := l.objects(t); !slices.Contains(got, "EndpointSlice 10.1.0.8 10.1.0.9") {
			return &unlike{got}
		}
		return nil
	})
	// A process that begins later, while a CA validates, leads to the pods of then.
	stop()
	group.Wait()
	l.pods.set("10.1.0.99")
	later, err := http01.New(l.solver.Config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop = context.WithCancel(t.Context())
	group.Go(func() { _ = later.Follow(ctx) })
	harness.Eventually(t, time.Minute, func() error {
		if got := l.objects(t); !slices.Contains(got, "EndpointSlice 10.1.0.99") {
			return &unlike{got}
		}
		return nil
	})
	stop()
	group.Wait()
	cleanUp(t, s)
	l.want(t, "cleaned up")
}

type unlike struct{ got []string }

func (u *unlike) Error() string { return "there are " + strings.Join(u.got, ", ") }

// TestHTTP01TakeOver checks that what cert-manager has made for a Challenge does not stand
// beside what everleaf makes, and is cleaned up.
func TestHTTP01TakeOver(t *testing.T) {
	t.Parallel()
	l := newHTTP01Lab(t, http01.Auto)
	challenge, s := l.begin(t, "app", acmev1.ACMEChallengeSolverHTTP01Ingress{})
	present(t, s)
	rename := func() {
		i := &networkingv1.Ingress{}
		key := client.ObjectKey{Namespace: l.ns, Name: ingressOf(t, l, challenge.UID)}
		if err := l.Get(t.Context(), key, i); err != nil {
			t.Fatal(err)
		}
		old := i.DeepCopy()
		i.ObjectMeta = metav1.ObjectMeta{Namespace: i.Namespace, Name: "cm-acme-http-solver-x7z9w", Labels: i.Labels, OwnerReferences: i.OwnerReferences}
		if err := l.Delete(t.Context(), old); err != nil {
			t.Fatal(err)
		}
		if err := l.Create(t.Context(), i); err != nil {
			t.Fatal(err)
		}
	}
	all := []string{"Service ClusterIP", "EndpointSlice 10.1.0.7", "Ingress - app.example.test"}
	rename()
	challenge.Resumed = true
	later := l.solver.Begin(challenge)
	l.fail(t, later)
	l.want(t, "with a later process", all...)
	if name := ingressOf(t, l, challenge.UID); name == "cm-acme-http-solver-x7z9w" {
		t.Error("the Ingress of another program stayed")
	}
	rename()
	cleanUp(t, l.solver.Begin(challenge))
	l.want(t, "cleaned up by a process that has presented nothing")
}

// TestHTTP01EditInPlace has Challenges edit one Ingress at the same time.
func TestHTTP01EditInPlace(t *testing.T) {
	t.Parallel()
	l := newHTTP01Lab(t, http01.Auto)
	cafe := &networkingv1.Ingress{}
	l.Apply(t, l.ns, `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: cafe, annotations: {person: mine}}
spec:
  ingressClassName: nginx
  rules:
  - host: a.example.test
    http: {paths: [{path: /tea, pathType: Prefix, backend: {service: {name: tea-svc, port: {number: 80}}}}]}
`)
	get := func() networkingv1.IngressSpec {
		if err := l.Get(t.Context(), client.ObjectKey{Namespace: l.ns, Name: "cafe"}, cafe); err != nil {
			t.Fatal(err)
		}
		return cafe.Spec
	}
	before := get()
	sessions := map[string]solver.Session{}
	for _, name := range []string{"a", "b", "c"} {
		_, sessions[name] = l.begin(t, name, acmev1.ACMEChallengeSolverHTTP01Ingress{Name: "cafe"})
	}
	together := func(do func(context.Context, solver.Session) error) {
		var group sync.WaitGroup
		for name, s := range sessions {
			group.Go(func() {
				if err := do(t.Context(), s); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		group.Wait()
	}
	together(func(ctx context.Context, s solver.Session) error { return s.Present(ctx) })
	paths := map[string]int{}
	for _, r := range get().Rules {
		paths[r.Host] = len(r.HTTP.Paths)
	}
	if diff := cmp.Diff(map[string]int{"a.example.test": 2, "b.example.test": 1, "c.example.test": 1}, paths); diff != "" {
		t.Errorf("paths of each host (-want +got):\n%s", diff)
	}
	// A GitOps tool puts it back.
	cafe.Spec = before
	if err := l.Update(t.Context(), cafe); err != nil {
		t.Fatal(err)
	}
	l.fail(t, sessions["a"])
	if got := get(); len(got.Rules[0].HTTP.Paths) != 2 {
		t.Errorf("the path is not there again: %v", got)
	}
	together(func(ctx context.Context, s solver.Session) error { return s.Present(ctx) })
	together(func(ctx context.Context, s solver.Session) error { return s.CleanUp(ctx) })
	if diff := cmp.Diff(before, get()); diff != "" || cafe.Annotations["person"] != "mine" {
		t.Errorf("the Ingress afterwards (-before +after):\n%s", diff)
	}
	l.want(t, "cleaned up")

	// Without the Ingress there is nothing to edit, and nothing to remove.
	if err := l.Delete(t.Context(), cafe); err != nil {
		t.Fatal(err)
	}
	err := sessions["a"].Present(t.Context())
	if err == nil || !strings.Contains(err.Error(), "the Ingress "+l.ns+"/cafe, to which the path of the challenge is to be added, does not exist") {
		t.Errorf("without the Ingress: %v", err)
	}
	cleanUp(t, sessions["a"])
	l.want(t, "without the Ingress")
}

func errorText(err error) string {
	if err == nil {
		return "no error"
	}
	return err.Error()
}
