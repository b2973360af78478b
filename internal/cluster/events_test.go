package cluster

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	clocktesting "k8s.io/utils/clock/testing"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/plan"
)

var (
	issuing  = plan.Event{Reason: "Issuing", Message: "begun", Component: "cert-manager-certificates-trigger"}
	detail   = plan.Event{Reason: "Generated", Message: "a key", Verbose: true, Component: "cert-manager-certificates-key-manager"}
	warning  = plan.Event{Reason: "Failed", Message: "no", Warning: true, Component: "cert-manager-certificates-issuing"}
	detailed = plan.Event{Reason: "Odd", Message: "no", Warning: true, Verbose: true, Component: "cert-manager-certificates-issuing"}
)

func certificate(namespace, name string) *cmv1.Certificate {
	return &cmv1.Certificate{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: "u"}}
}

func newEvents(t *testing.T, all bool) (*Events, *fake.Clientset, *int) {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := cmv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	client, dropped := fake.NewClientset(), 0
	clock := clocktesting.NewFakeClock(time.Unix(1_700_000_000, 5))
	return NewEvents(client, scheme, clock, logr.Discard(), all, func() { dropped++ }), client, &dropped
}

// flush sends what is queued.
func (e *Events) flush(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Start(ctx); err != nil {
		t.Fatal(err)
	}
}

func reasons(client *fake.Clientset) []string {
	var found []string
	for _, a := range client.Actions() {
		if create, ok := a.(clienttesting.CreateAction); ok {
			found = append(found, create.GetObject().(*corev1.Event).Reason)
		}
	}
	slices.Sort(found)
	return found
}

func TestEventsBriefOrAll(t *testing.T) {
	for _, test := range []struct {
		all  bool
		want []string
	}{
		{false, []string{"Failed", "Issuing", "Odd"}},
		{true, []string{"Failed", "Generated", "Issuing", "Odd"}},
	} {
		e, client, _ := newEvents(t, test.all)
		e.Send(certificate("ns", "one"), issuing, detail, warning, detailed)
		e.flush(t)
		if diff := cmp.Diff(test.want, reasons(client)); diff != "" {
			t.Errorf("all %t, -want +got:\n%s", test.all, diff)
		}
	}
}

func TestEvent(t *testing.T) {
	e, client, _ := newEvents(t, false)
	crt := certificate("ns", "one")
	crt.ResourceVersion = "9"
	e.Send(crt, warning)
	e.flush(t)
	e.Send(&cmv1.ClusterIssuer{ObjectMeta: metav1.ObjectMeta{Name: "ca"}}, warning)
	e.flush(t)
	got := client.Actions()[0].(clienttesting.CreateAction).GetObject().(*corev1.Event)
	at := metav1.NewTime(time.Unix(1_700_000_000, 5))
	want := &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "one.17979cfe362a0005"},
		InvolvedObject: corev1.ObjectReference{
			APIVersion: "cert-manager.io/v1", Kind: "Certificate", Namespace: "ns", Name: "one", UID: "u", ResourceVersion: "9",
		},
		Reason: "Failed", Message: "no", Type: "Warning", FirstTimestamp: at, LastTimestamp: at, Count: 1,
		Source:              corev1.EventSource{Component: "cert-manager-certificates-issuing"},
		ReportingController: "cert-manager-certificates-issuing",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if namespace := client.Actions()[1].GetNamespace(); namespace != "default" {
		t.Errorf("the event of a ClusterIssuer is in namespace %q", namespace)
	}
}

func TestEventNames(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	for _, name := range []string{"a", strings.Repeat("a", 253), strings.Repeat("a", 235) + ".-." + strings.Repeat("b", 15)} {
		if got := eventName(name, at); len(validation.IsDNS1123Subdomain(got)) > 0 {
			t.Errorf("%d characters %q: %v", len(got), got, validation.IsDNS1123Subdomain(got))
		}
	}
}

func TestRepeatedEventIsCounted(t *testing.T) {
	e, client, _ := newEvents(t, false)
	for range 3 {
		e.Send(certificate("ns", "one"), warning)
		e.flush(t)
	}
	e.Send(certificate("ns", "two"), warning)
	e.flush(t)
	var verbs []string
	for _, a := range client.Actions() {
		verbs = append(verbs, a.GetVerb())
	}
	if diff := cmp.Diff([]string{"create", "patch", "patch", "create"}, verbs); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	stored, err := client.CoreV1().Events("ns").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(stored.Items) != 2 || stored.Items[0].Count+stored.Items[1].Count != 4 {
		t.Errorf("stored %+v, error %v", stored.Items, err)
	}
}

func TestRepeatedEventThatIsGoneIsCreated(t *testing.T) {
	e, client, _ := newEvents(t, false)
	e.Send(certificate("ns", "one"), warning)
	e.flush(t)
	name := client.Actions()[0].(clienttesting.CreateAction).GetObject().(*corev1.Event).Name
	if err := client.CoreV1().Events("ns").Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	e.Send(certificate("ns", "one"), warning)
	e.flush(t)
	stored, err := client.CoreV1().Events("ns").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(stored.Items) != 1 || stored.Items[0].Count != 2 {
		t.Errorf("stored %+v, error %v", stored.Items, err)
	}
}

func TestEventsOverflow(t *testing.T) {
	e, _, dropped := newEvents(t, false)
	for range eventQueue + 3 {
		e.Send(certificate("ns", "one"), warning)
	}
	if *dropped != 3 || len(e.queue) != eventQueue {
		t.Errorf("dropped %d, queued %d", *dropped, len(e.queue))
	}
}

func TestEventsOfTerminatingNamespaceAreTriedOnce(t *testing.T) {
	e, client, _ := newEvents(t, false)
	client.PrependReactor("create", "events", func(clienttesting.Action) (bool, runtime.Object, error) {
		err := apierrors.NewForbidden(schema.GroupResource{Resource: "events"}, "x", nil)
		err.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
		return true, nil, err
	})
	e.Send(certificate("ns", "one"), warning)
	e.flush(t)
	if n := len(client.Actions()); n != 1 {
		t.Errorf("%d tries, want 1", n)
	}
}

func TestEventsAreSentOnStop(t *testing.T) {
	e, client, _ := newEvents(t, false)
	for _, name := range []string{"one", "two", "three"} {
		e.Send(certificate("ns", name), warning)
	}
	e.flush(t)
	if n := len(reasons(client)); n != 3 {
		t.Errorf("%d events were sent, want 3", n)
	}
}
