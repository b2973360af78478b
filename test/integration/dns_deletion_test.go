package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/named"
	"github.com/everleaf/everleaf/test/nameserver"
)

// heldBack is a zone that one of its servers never serves as it is: a
// challenge in it is presented and goes no further.
func heldBack(t *testing.T, zone, primary, stale string, key named.Key) {
	t.Helper()
	records := []string{"ns1 A " + strings.TrimSuffix(primary, ":53"), "ns2 A " + strings.TrimSuffix(stale, ":53")}
	named.Start(t, named.Options{Listen: []string{primary}, Keys: []named.Key{key}, Zones: []named.Zone{{
		Name: zone, AllowUpdate: fmt.Sprintf("key %q;", key.Name),
		Text: named.ZoneText(zone, 60, []string{"ns1", "ns2"}, records...),
	}}})
	harness.Nameserver(t, nameserver.Options{
		Listen: []string{stale}, Zones: []nameserver.Zone{{Name: zone, NS: []string{"ns1", "ns2"}, Records: records}},
	})
}

func TestCertificateDeletedDuringChallenge(t *testing.T) {
	t.Parallel()
	const primary, stale = "127.53.51.1:53", "127.53.51.2:53"
	const name = "_acme-challenge.www.gone.test"
	key := named.TSIGKey(t, "gone-key", "hmac-sha256")
	heldBack(t, "gone.test", primary, stale, key)
	a := harness.Shared(t).ACME(t, harness.ACMEOptions{CAResolver: primary, Resolvers: []string{primary}})
	a.Key(t, a.Namespace, key)
	a.Apply(t, a.Namespace, harness.IssuerManifest("issuer", a.CA, fmt.Sprintf("{dns01: {%s}}", harness.RFC2136(primary, key))))
	a.Apply(t, a.Namespace, harness.CertificateManifest("www", "issuer", "www.gone.test", "*.www.gone.test"))
	harness.WantTXT(t, primary, name, 2, issuable)
	a.WaitingFor(t, a.Namespace, "www", issuable, "ns2.gone.test.", "answers NXDOMAIN")

	crt := &cmv1.Certificate{ObjectMeta: metav1.ObjectMeta{Namespace: a.Namespace, Name: "www"}}
	if err := a.Delete(t.Context(), crt); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, issuable, func() error {
		for _, list := range []client.ObjectList{&cmv1.CertificateRequestList{}, &acmev1.OrderList{}, &acmev1.ChallengeList{}, &corev1.SecretList{}} {
			if left := names(t, a.Cluster, a.Namespace, list); len(left) > 0 {
				return fmt.Errorf("%T has %s", list, left)
			}
		}
		return nil
	})
	harness.WantTXT(t, primary, name, 0, 10*time.Second)
	if asked, _, _ := harness.Validations(a.CA); asked != 0 {
		t.Errorf("the CA was asked %d times", asked)
	}
}

// names lists what a namespace has of a kind, except the Secrets that the test
// itself and the Issuer have made.
func names(t *testing.T, cluster *harness.Cluster, ns string, list client.ObjectList) []string {
	t.Helper()
	if err := cluster.List(t.Context(), list, client.InNamespace(ns)); err != nil {
		t.Fatal(err)
	}
	var found []string
	err := meta.EachListItem(list, func(o runtime.Object) error {
		if _, isSecret := o.(*corev1.Secret); !isSecret || strings.HasPrefix(o.(client.Object).GetName(), "www") {
			found = append(found, o.(client.Object).GetName())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// mostCallsOfDeletion are the calls, except watches, that the controllers may need for the
// deletion of a namespace with two Challenges.
const mostCallsOfDeletion = 50

// The Issuer and the Secret with the key die with their namespace, before the
// record is removed or after.
func TestNamespaceDeletedDuringChallenge(t *testing.T) {
	t.Parallel()
	const primary, stale = "127.53.52.1:53", "127.53.52.2:53"
	const name = "_acme-challenge.www.gone.test"
	cluster := harness.Shared(t)
	key := named.TSIGKey(t, "gone-key", "hmac-sha256")
	heldBack(t, "gone.test", primary, stale, key)
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-gone-"}}
	if err := cluster.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	traffic := &harness.Traffic{}
	a := cluster.ACME(t, harness.ACMEOptions{
		CAResolver: primary, Resolvers: []string{primary}, Namespace: ns.Name, Config: traffic.Record,
	})
	a.Key(t, ns.Name, key)
	a.Apply(t, ns.Name, harness.IssuerManifest("issuer", a.CA, fmt.Sprintf("{dns01: {%s}}", harness.RFC2136(primary, key))))
	a.Apply(t, ns.Name, harness.CertificateManifest("www", "issuer", "www.gone.test", "*.www.gone.test"))
	harness.WantTXT(t, primary, name, 2, issuable)
	a.WaitingFor(t, ns.Name, "www", issuable, "ns2.gone.test.", "answers NXDOMAIN")

	began := time.Now()
	if err := a.Delete(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, time.Minute, func() error {
		live := &corev1.Namespace{}
		err := a.Get(t.Context(), client.ObjectKeyFromObject(ns), live)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("the namespace is still there: %v, %+v", err, live.Status.Conditions)
	})
	harness.WantTXT(t, primary, name, 0, 10*time.Second)
	calls := traffic.Calls(func(c harness.Call) bool { return c.Verb != "watch" && c.At.After(began) })
	t.Logf("the namespace is gone after %s and %d calls", time.Since(began).Round(time.Second), len(calls))
	if len(calls) >= mostCallsOfDeletion {
		t.Errorf("%d calls: %v", len(calls), tally(calls))
	}
}
