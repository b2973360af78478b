package certificaterequest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/fault"
	core "github.com/everleaf/everleaf/internal/lifecycle/request"
)

// TestApprovedAndIssuedAtOnce holds the number of writes: one.
func TestApprovedAndIssuedAtOnce(t *testing.T) {
	s, i := vault()
	r, chain := newRequest(t)
	s.answers = []answer{{outcome: core.Outcome{Chain: chain, CA: []byte("root")}}}
	l := newLab(t, s, r, i)
	got, writes := l.reconcile()
	same(t, "writes", []string{"status as " + managerVault}, writes)
	if ready(got) != "True Issued: Certificate fetched from issuer successfully" || !condition.Approved(got) {
		t.Errorf("conditions %v", got.Status.Conditions)
	}
	handed, ok := l.Answers.Take("request-uid")
	if want := (cluster.Answer{Chain: chain, CA: []byte("root")}); !ok || cmp.Diff(want, handed) != "" {
		t.Errorf("handed on: %t", ok)
	}
	if _, writes := l.reconcile(); len(writes) > 0 || l.memory.Len() > 0 {
		t.Errorf("a finished request: writes %q, %d remembered", writes, l.memory.Len())
	}
}

// TestStatusRefused holds that a status that cannot be stored costs no second
// certificate.
func TestStatusRefused(t *testing.T) {
	s, i := vault()
	r, chain := newRequest(t)
	s.answers = []answer{{outcome: core.Outcome{Chain: chain}}}
	l := newLab(t, s, r, i)
	l.refuse = []error{errors.New("down")}
	if got, _ := l.reconcile(); ready(got) != "" {
		t.Fatalf("ready %q", ready(got))
	}
	if got, _ := l.reconcile(); !slices.Equal(got.Status.Certificate, chain) || len(s.asked) != 1 {
		t.Errorf("certificate %q, asked %d times", got.Status.Certificate, len(s.asked))
	}
}

// TestSlowIssuer adds an issuer type that needs days for an answer to a registry:
// what it must know later survives the process, in the request's annotations.
func TestSlowIssuer(t *testing.T) {
	s, i := vault()
	r, chain := newRequest(t)
	later := now.Add(72 * time.Hour)
	s.answers = []answer{{outcome: core.Outcome{Pending: &core.Pending{
		Until: later, Annotations: map[string]string{"example.com/pickup": "7"}, Message: "A person at the CA decides",
	}}}}
	l := newLab(t, s, r, i)
	got, writes := l.reconcile()
	same(t, "writes", []string{"patch " + name, "status as cert-manager-certificaterequests-approver"}, writes)
	if ready(got) != "False Pending: A person at the CA decides" || got.Annotations["example.com/pickup"] != "7" ||
		got.Annotations[cmv1.CertificateRequestPrivateKeyAnnotationKey] != "web-key" {
		t.Fatalf("ready %q, annotations %v", ready(got), got.Annotations)
	}
	if _, writes := l.reconcile(); len(writes) > 0 || len(s.asked) != 1 {
		t.Errorf("an event brings the next look forward: writes %q, asked %d times", writes, len(s.asked))
	}

	// Another process asks at once, as it does not know the time.
	s.answers = []answer{{outcome: core.Outcome{Chain: chain}}}
	restarted := newLab(t, s, got, i)
	got, _ = restarted.reconcile()
	if pickup := s.asked[1].Annotations["example.com/pickup"]; pickup != "7" {
		t.Errorf("asked again with the pickup %q", pickup)
	}
	if ready(got) != "True Issued: Certificate fetched from issuer successfully" {
		t.Errorf("ready %q", ready(got))
	}

	// The first process asks when the time has come.
	s.answers = []answer{{outcome: core.Outcome{Chain: chain}}}
	l.clock.SetTime(later)
	if got, _ := l.reconcile(); ready(got) != "True Issued: Certificate fetched from issuer successfully" || len(s.asked) != 3 {
		t.Errorf("ready %q, asked %d times", ready(got), len(s.asked))
	}
}

// TestImpatientIssuer holds that an issuer that names no time is not asked in a
// loop.
func TestImpatientIssuer(t *testing.T) {
	s, i := vault()
	r, _ := newRequest(t)
	s.answers = []answer{{outcome: core.Outcome{Pending: &core.Pending{Message: "Soon"}}}}
	l := newLab(t, s, r, i)
	l.reconcile()
	if l.result.RequeueAfter != core.PendingFloor || len(s.asked) != 1 {
		t.Errorf("asked %d times, again after %s", len(s.asked), l.result.RequeueAfter)
	}
}

func TestSignFailures(t *testing.T) {
	missing := fault.New(fault.User, "SecretMissing", "none").Because(apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, "x"))
	for _, test := range []struct {
		name string
		err  error
		want string
		// again is how often the issuer is asked when an event comes.
		again int
	}{
		{"a Secret that nobody has made", missing, "False Pending: none", 2},
		{"the server wants to be left alone", fault.Until(now.Add(time.Hour), "Busy", "busy"), "False Pending: busy; the next try is at 2026-11-22T07:00:00Z", 1},
		{"never", fault.New(fault.Permanent, "SigningError", "bad"), "False Failed: bad", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, i := vault()
			r, _ := newRequest(t)
			s.answers = []answer{{err: test.err}, {err: test.err}}
			l := newLab(t, s, r, i)
			got, writes := l.reconcile()
			if ready(got) != test.want || len(writes) != 1 {
				t.Errorf("ready %q, writes %q", ready(got), writes)
			}
			if _, writes := l.reconcile(); len(writes) > 0 || len(s.asked) != test.again {
				t.Errorf("asked %d times, want %d; writes %q", len(s.asked), test.again, writes)
			}
		})
	}
}

// TestIssuerChanged holds that an answer does not outlive the spec of its issuer.
func TestIssuerChanged(t *testing.T) {
	s, i := vault()
	r, chain := newRequest(t)
	s.answers = []answer{{err: fault.Until(now.Add(time.Hour), "Busy", "busy")}, {outcome: core.Outcome{Chain: chain}}}
	l := newLab(t, s, r, i)
	l.reconcile()
	i = &cmv1.Issuer{}
	if err := l.client.Get(t.Context(), types.NamespacedName{Namespace: "app", Name: "i"}, i); err != nil {
		t.Fatal(err)
	}
	i.Generation++
	if err := l.client.Update(t.Context(), i); err != nil {
		t.Fatal(err)
	}
	if got, _ := l.reconcile(); len(got.Status.Certificate) == 0 {
		t.Errorf("ready %q", ready(got))
	}
}
