package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/named"
	"github.com/everleaf/everleaf/test/unbound"
)

// remembered is how long the resolver keeps an answer at least. It keeps a
// negative one as long.
const remembered = 30 * time.Second

// forgetful is enough for what has to wait until a resolver forgets.
const forgetful = issuable + 2*remembered

// signedWorld is a signed zone below an unsigned one, with the CA behind a
// resolver that raises small TTLs, as the flag says, and derives others from NSEC
// records. The controllers ask the same resolver: if they asked it for a
// challenge name too soon, they would spoil it for the CA.
type signedWorld struct {
	*harness.ACME
	primary, resolver string
	key               named.Key
}

// newSignedWorld uses the addresses 127.53.net.1 to .3.
func newSignedWorld(t *testing.T, net int, keeps time.Duration) *signedWorld {
	t.Helper()
	seconds := int(keeps / time.Second)
	addr := func(n int) string { return fmt.Sprintf("127.53.%d.%d", net, n) }
	w := &signedWorld{primary: addr(1) + ":53", resolver: addr(3) + ":53"}
	cluster := harness.Shared(t)
	w.key = named.TSIGKey(t, fmt.Sprintf("signed-%d", net), "hmac-sha256")
	server := named.Start(t, named.Options{Listen: []string{w.primary}, Keys: []named.Key{w.key}, Zones: []named.Zone{{
		Name: "signed.test", AllowUpdate: fmt.Sprintf("key %q;", w.key.Name), Signed: true,
		Text: named.ZoneText("signed.test", seconds, []string{"ns1"}, "ns1 A "+addr(1), "a A 192.0.2.1", "zz A 192.0.2.2"),
	}}})
	anchor, err := server.TrustAnchor("signed.test")
	if err != nil {
		t.Fatal(err)
	}
	named.Start(t, named.Options{Listen: []string{addr(2) + ":53"}, Zones: []named.Zone{{
		Name: "test", Text: named.ZoneText("test", 60, []string{"ns"}, "ns A "+addr(2), "signed NS ns1.signed", "ns1.signed A "+addr(1)),
	}}})
	unbound.Start(t, unbound.Options{
		Listen: w.resolver, Stubs: map[string][]string{"test": {addr(2) + ":53"}},
		CacheMinTTL: seconds, AggressiveNSEC: true, TrustAnchors: []string{anchor},
	})
	w.ACME = cluster.ACME(t, harness.ACMEOptions{CAResolver: w.resolver, Resolvers: []string{w.resolver}, Options: func(o *operator.Options) {
		o.ACMEDNSCacheFloor = keeps
	}})
	w.Key(t, w.Namespace, w.key)
	w.Apply(t, w.Namespace, w.issuer("issuer", w.primary, ""))
	return w
}

// issuer is one whose records go to a server. how are more fields of the
// solver.
func (w *signedWorld) issuer(name, server, how string) string {
	return harness.IssuerManifest(name, w.CA, fmt.Sprintf("{dns01: {%s}%s}", harness.RFC2136(server, w.key), how))
}

func (w *signedWorld) apply(t *testing.T, certificate string, names ...string) {
	t.Helper()
	w.Apply(t, w.Namespace, harness.CertificateManifest(certificate, "issuer", names...))
}

// Both challenges have the same name. If the CA were asked about one before
// the other is there, its resolver would not see the other for a minute.
func TestResolverApexWithWildcard(t *testing.T) {
	t.Parallel()
	const remembered = time.Minute
	w := newSignedWorld(t, 31, remembered)
	w.apply(t, "both", "signed.test", "*.signed.test", "a.signed.test", "*.a.signed.test")
	began := time.Now()
	w.Ready(t, w.Namespace, "both", issuable)
	if took := time.Since(began); took > remembered {
		t.Errorf("it took %s: something waited for the resolver to forget", took)
	}
	harness.WantValidations(t, w.CA, 4, 0)
}

// The first Certificate's validation fills the resolver's cache for the name,
// so the second one's value has to wait.
func TestResolverTwoCertificatesOnOneName(t *testing.T) {
	t.Parallel()
	w := newSignedWorld(t, 32, remembered)
	w.apply(t, "first", "www.signed.test")
	harness.Eventually(t, issuable, func() error {
		if asked, _, _ := harness.Validations(w.CA); asked == 0 {
			return fmt.Errorf("the CA is not asked to validate")
		}
		return nil
	})
	cached := time.Now()
	w.apply(t, "second", "www.signed.test")
	w.WaitingFor(t, w.Namespace, "second", issuable, "Waiting for DNS-01 challenge propagation: ", "cache")
	w.Ready(t, w.Namespace, "first", issuable)
	w.Ready(t, w.Namespace, "second", forgetful)
	if took := time.Since(cached); took < remembered-time.Second {
		t.Errorf("ready after %s, when the resolver still had its old answer", took)
	}
	harness.WantValidations(t, w.CA, 2, 0)
}

// A validation fails because the record is on another server than the one
// that the CA's resolver asks. From the failure it knows that there is no such
// name, and, as the zone is signed, that there are no others. All that comes
// after it waits until this is forgotten, and succeeds.
func TestResolverRetryAfterFailedValidation(t *testing.T) {
	t.Parallel()
	retryAfterFailedValidation(t, 33, func(*signedWorld) {})
}

// The same with controllers that were not there when the validation failed.
func TestResolverRetryAfterRestart(t *testing.T) {
	t.Parallel()
	retryAfterFailedValidation(t, 34, func(w *signedWorld) { w.Restart(t) })
}

func retryAfterFailedValidation(t *testing.T, net int, between func(*signedWorld)) {
	t.Helper()
	w := newSignedWorld(t, net, remembered)
	elsewhere := fmt.Sprintf("127.53.%d.9:53", net)
	named.Start(t, named.Options{Listen: []string{elsewhere}, Keys: []named.Key{w.key}, Zones: []named.Zone{{
		Name: "signed.test", AllowUpdate: fmt.Sprintf("key %q;", w.key.Name),
		Text: named.ZoneText("signed.test", int(remembered/time.Second), []string{"ns1"}, fmt.Sprintf("ns1 A 127.53.%d.9", net)),
	}}})
	w.Apply(t, w.Namespace, w.issuer("issuer", elsewhere, `, waitInsteadOfSelfCheck: 1s`))
	w.apply(t, "retried", "www.signed.test")
	w.issuanceFailed(t, "retried", `www.signed.test`, "urn:ietf:params:acme:error:unauthorized", "DNS lookup")
	failed := time.Now()
	harness.WantValidations(t, w.CA, 0, 1)
	between(w)

	w.Apply(t, w.Namespace, w.issuer("issuer", w.primary, ""))
	w.retry(t, "retried")
	w.apply(t, "other", "other.signed.test")
	w.WaitingFor(t, w.Namespace, "retried", issuable, "Waiting for DNS-01 challenge propagation: ", "cache")
	w.WaitingFor(t, w.Namespace, "other", issuable, "Waiting for DNS-01 challenge propagation: ", "cache")
	w.Ready(t, w.Namespace, "retried", forgetful)
	w.Ready(t, w.Namespace, "other", forgetful)
	if took := time.Since(failed); took < remembered-time.Second {
		t.Errorf("ready %s after the failed validation, when the resolver still had its negative answer", took)
	}
	harness.WantValidations(t, w.CA, 2, 1)
}

// issuanceFailed waits until an attempt has failed, and checks what the
// Issuing condition says about it.
func (w *signedWorld) issuanceFailed(t *testing.T, certificate string, texts ...string) {
	t.Helper()
	harness.Eventually(t, issuable, func() error {
		crt := &cmv1.Certificate{}
		if err := w.Get(t.Context(), client.ObjectKey{Namespace: w.Namespace, Name: certificate}, crt); err != nil {
			return err
		}
		for _, c := range crt.Status.Conditions {
			if c.Type != cmv1.CertificateConditionIssuing || c.Status != cmmeta.ConditionFalse {
				continue
			}
			for _, text := range texts {
				if !strings.Contains(c.Message, text) {
					t.Errorf("the Issuing condition says %q, without %q", c.Message, text)
				}
			}
			return nil
		}
		return fmt.Errorf("the issuance has not failed: %+v", crt.Status.Conditions)
	})
}

// retry begins an issuance as cmctl renew does.
func (w *signedWorld) retry(t *testing.T, certificate string) {
	t.Helper()
	crt := &cmv1.Certificate{}
	if err := w.Get(t.Context(), client.ObjectKey{Namespace: w.Namespace, Name: certificate}, crt); err != nil {
		t.Fatal(err)
	}
	now := metav1.Now()
	for i := range crt.Status.Conditions {
		if c := &crt.Status.Conditions[i]; c.Type == cmv1.CertificateConditionIssuing {
			c.Status, c.Reason, c.Message, c.LastTransitionTime = cmmeta.ConditionTrue, "ManuallyTriggered", "Certificate re-issuance manually triggered", &now
		}
	}
	if err := w.Client.Status().Update(t.Context(), crt); err != nil {
		t.Fatal(err)
	}
}
