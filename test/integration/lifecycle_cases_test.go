package integration

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/nameserver"
)

// TestOldRequestInTheWay: a backup has brought back a CertificateRequest that has the name
// of the next one. It is deleted, and the certificate is issued once. One that somebody else
// has made stays, and the Certificate says whose it is.
func TestOldRequestInTheWay(t *testing.T) {
	quick := harness.QuickACME(t, harness.QuickOptions{})
	l := newLab(t, harness.Controllers{Options: quick.Resolve})
	quick.Issuer(t, l.Cluster, l.ns, "acme")
	requests := watchRequests(t, l.Cluster, l.ns)
	tests := []struct {
		name, issuer string
		old          func(name string, r *cmv1.CertificateRequest)
		// ready has it hold an old certificate.
		ready bool
		taken string
	}{
		{"pending", "ca", func(string, *cmv1.CertificateRequest) {}, false, ""},
		{"ready", "ca", func(string, *cmv1.CertificateRequest) {}, true, ""},
		{"acme", "acme", func(string, *cmv1.CertificateRequest) {}, true, ""},
		{"revision", "ca", func(_ string, r *cmv1.CertificateRequest) {
			r.Annotations[cmv1.CertificateRequestRevisionAnnotationKey] = "7"
		}, true, ""},
		{"foreign", "ca", func(_ string, r *cmv1.CertificateRequest) { r.Annotations = nil }, false, "was created by"},
	}
	for _, test := range tests {
		l.Apply(t, l.ns, harness.CertificateManifest(test.name, test.issuer, test.name+".example.com"))
	}
	for _, test := range tests {
		l.wantIntact(t, test.name, 1)
		before := l.requests(t, test.name)[0]
		old := &cmv1.CertificateRequest{
			ObjectMeta: metav1.ObjectMeta{Namespace: l.ns, Name: test.name + "-2", Annotations: map[string]string{
				cmv1.CertificateNameKey: test.name, cmv1.CertificateRequestRevisionAnnotationKey: "2",
			}},
			Spec: cmv1.CertificateRequestSpec{IssuerRef: cmmeta.IssuerReference{Name: "elsewhere", Group: "example.com"}, Request: before.Spec.Request},
		}
		test.old(test.name, old)
		if err := l.Create(t.Context(), old); err != nil {
			t.Fatal(err)
		}
		if test.ready {
			old.Status = before.Status
			if err := l.Status().Update(t.Context(), old); err != nil {
				t.Fatal(err)
			}
		}
		l.issueByHand(t, test.name)
		if test.taken != "" {
			harness.Eventually(t, patience, func() error {
				issuing := certificateCondition(l.crt(t, test.name), cmv1.CertificateConditionIssuing)
				if issuing == nil || !strings.Contains(issuing.Message, old.Name) || !strings.Contains(issuing.Message, test.taken) {
					return fmt.Errorf("it does not say whose %s is: %s", old.Name, conditions(l.crt(t, test.name)))
				}
				return nil
			})
			if err := l.Get(t.Context(), client.ObjectKeyFromObject(old), old); err != nil {
				t.Fatalf("the request of somebody else: %v", err)
			}
			if err := l.Delete(t.Context(), old); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, test := range tests {
		l.wantIntact(t, test.name, 2)
		want := 3 // the first one, the old one and the second one
		if test.taken != "" {
			want = 2
		}
		if seen := requests.of(test.name); len(seen) != want {
			t.Errorf("%s has had the requests %v, want %d", test.name, seen, want)
		}
	}
	if got := quick.Orders.N(); got != 2 {
		t.Errorf("%d orders for two issuances", got)
	}
}

// failing are the ways in which external issuers say that a request has failed.
var failing = map[string]func(*cmv1.CertificateRequestStatus){
	"whole": func(s *cmv1.CertificateRequestStatus) {
		s.FailureTime, s.Conditions = new(metav1.Now()), append(s.Conditions, notIssued)
	},
	"without-condition": func(s *cmv1.CertificateRequestStatus) { s.FailureTime = new(metav1.Now()) },
	"without-time":      func(s *cmv1.CertificateRequestStatus) { s.Conditions = append(s.Conditions, notIssued) },
}

var notIssued = cmv1.CertificateRequestCondition{
	Type: cmv1.CertificateRequestConditionReady, Status: cmmeta.ConditionFalse, Reason: cmv1.CertificateRequestReasonFailed, Message: "IAM says no",
}

// fail fails the request of a Certificate's first revision, as an external issuer does. It
// waits for another request than the last one, and returns this one.
func (l *lab) fail(t *testing.T, name string, last types.UID) types.UID {
	t.Helper()
	r := &cmv1.CertificateRequest{}
	harness.Eventually(t, patience, func() error {
		if err := l.Get(t.Context(), client.ObjectKey{Namespace: l.ns, Name: name + "-1"}, r); err != nil {
			return err
		}
		if r.UID == last {
			return fmt.Errorf("%s is not tried again: %s", name, conditions(l.crt(t, name)))
		}
		failing[name](&r.Status)
		return l.Status().Update(t.Context(), r)
	})
	return r.UID
}

// TestExternalIssuerFails: what an external issuer has failed is tried again by a new
// request of the same name after the back-off, and issued once the spec names another issuer.
func TestExternalIssuerFails(t *testing.T) {
	t.Parallel()
	external := func(name string) string {
		return strings.Replace(simple(name, ""), "{name: ca}", "{name: pca, kind: PCAIssuer, group: example.com}", 1)
	}
	t.Run("after the back-off", func(t *testing.T) {
		l := newLab(t, harness.Controllers{Options: func(o *operator.Options) { o.Backoff.Min, o.Backoff.Max = 5*time.Second, 5*time.Second }})
		last := map[string]types.UID{}
		for name := range failing {
			l.certificate(t, name, external(name))
		}
		for range 3 {
			for name := range failing {
				last[name] = l.fail(t, name, last[name])
			}
		}
		for name := range failing {
			harness.Eventually(t, patience, func() error {
				if got := l.crt(t, name).Status.FailedIssuanceAttempts; got == nil || *got < 3 {
					return fmt.Errorf("%s has failed %v times, want 3", name, deref(got))
				}
				return nil
			})
			l.certificate(t, name, simple(name, ""))
			l.wantIntact(t, name, 1)
		}
	})
}

// byPatch asks for an issuance as people do without a command for it: the patch replaces
// all conditions.
func (l *lab) byPatch(t *testing.T, name, transition string) error {
	t.Helper()
	issuing := map[string]string{"type": "Issuing", "status": "True", "reason": "Manual", "message": "x"}
	if transition != "" {
		issuing["lastTransitionTime"] = transition
	}
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"conditions": []any{issuing}}})
	if err != nil {
		t.Fatal(err)
	}
	crt := &cmv1.Certificate{ObjectMeta: metav1.ObjectMeta{Namespace: l.ns, Name: name}}
	return l.Status().Patch(t.Context(), crt, client.RawPatch(types.MergePatchType, patch))
}

// TestIssuedAgainByHand: people delete the Secret, or set Issuing, to have a certificate
// issued again. Each costs one revision and one order, also if they set it twice.
func TestIssuedAgainByHand(t *testing.T) {
	// dns is held while name servers must not answer, so that an issuance does not end.
	var dns sync.RWMutex
	quick := harness.QuickACME(t, harness.QuickOptions{OnMessage: func(nameserver.Message) {
		dns.RLock()
		defer dns.RUnlock()
	}})
	l := newLab(t, harness.Controllers{Options: quick.Resolve})
	quick.Issuer(t, l.Cluster, l.ns, "acme")
	requests := watchRequests(t, l.Cluster, l.ns)
	for _, issuer := range []string{"ca", "acme"} {
		name := "of-" + issuer
		l.Apply(t, l.ns, harness.CertificateManifest(name, issuer, name+".example.com"))
		l.wantIntact(t, name, 1)

		if err := l.Delete(t.Context(), l.secret(t, l.crt(t, name).Spec.SecretName)); err != nil {
			t.Fatal(err)
		}
		l.wantIntact(t, name, 2)
		kept := l.secret(t, l.crt(t, name).Spec.SecretName).UID

		if err := l.byPatch(t, name, time.Now().UTC().Format(time.RFC3339)); err != nil {
			t.Fatal(err)
		}
		l.wantIntact(t, name, 3)
		revision := 3
		if err := l.byPatch(t, name, ""); err == nil {
			revision++
		} else if !apierrors.IsInvalid(err) {
			t.Fatal(err)
		}
		l.wantIntact(t, name, revision)
		if issuer == "acme" {
			revision++
			dns.Lock()
			err := l.byPatch(t, name, time.Now().UTC().Format(time.RFC3339))
			if err == nil {
				l.underWay(t, name, revision)
				err = l.byPatch(t, name, time.Now().UTC().Format(time.RFC3339))
			}
			dns.Unlock()
			if err != nil {
				t.Fatal(err)
			}
			l.wantIntact(t, name, revision)
			if got := quick.Orders.N(); got != revision {
				t.Errorf("%d orders for %d issuances", got, revision)
			}
		}
		if seen := requests.of(name); len(seen) != revision {
			t.Errorf("%s has had the requests %v, want %d", name, seen, revision)
		}
		if got := l.secret(t, l.crt(t, name).Spec.SecretName).UID; got != kept {
			t.Errorf("the Secret of %s was gone for a while", name)
		}
	}
}
