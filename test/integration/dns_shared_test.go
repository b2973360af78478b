package integration

import (
	"fmt"
	"testing"
	"time"

	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/named"
	"github.com/everleaf/everleaf/test/unbound"
)

// unhurried is far more than an issuance takes on a busy machine, and far less
// than the minute for which some resolvers keep an answer.
const unhurried = 30 * time.Second

// TestNameInTwoCertificates has apex and wildcard, and later the same name again,
// in two Certificates. Nothing waits for caches: the records have a TTL of 0.
func TestNameInTwoCertificates(t *testing.T) {
	for n, test := range []struct {
		second string
		gap    time.Duration
	}{
		{"*.www.example.com", 0}, {"*.www.example.com", 300 * time.Millisecond}, {"*.www.example.com", 2 * time.Second}, {"www.example.com", 2 * time.Second},
	} {
		t.Run(fmt.Sprintf("%d %s after %s", n, test.second, test.gap), func(t *testing.T) {
			f := newFaultLabAlone(t, harness.QuickOptions{})
			f.issuer(t, "acme")
			f.registered(t, "acme")
			began := time.Now()
			f.Apply(t, f.ns, harness.CertificateManifest("first", "acme", "www.example.com"))
			<-time.After(test.gap)
			f.Apply(t, f.ns, harness.CertificateManifest("second", "acme", test.second))
			f.Ready(t, f.ns, "first", unhurried)
			first := time.Since(began)
			f.Ready(t, f.ns, "second", unhurried)
			t.Logf("first %s, second %s", first, time.Since(began))
			if took := time.Since(began); took > unhurried {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// TestStuckZoneStopsNoOther holds that Challenges that wait for a secondary that
// never gets the record keep no place from those of another zone.
func TestStuckZoneStopsNoOther(t *testing.T) {
	t.Parallel()
	const primary, stale, good, resolver = "127.53.72.1:53", "127.53.72.2:53", "127.53.72.3:53", "127.53.72.9:53"
	key := named.TSIGKey(t, "slot-key", "hmac-sha256")
	heldBack(t, "stuck.test", primary, stale, key)
	updatable(t, "good.test", good, key)
	unbound.Start(t, unbound.Options{Listen: resolver, Stubs: map[string][]string{"stuck.test": {primary}, "good.test": {good}}})
	a := harness.Shared(t).ACME(t, harness.ACMEOptions{
		CAResolver: resolver, Resolvers: []string{resolver}, Options: func(o *operator.Options) { o.MaxConcurrentChallenges = 2 },
	})
	a.Key(t, a.Namespace, key)
	a.Apply(t, a.Namespace, harness.IssuerManifest("stuck", a.CA, fmt.Sprintf("{dns01: {%s}}", harness.RFC2136(primary, key))))
	a.Apply(t, a.Namespace, harness.IssuerManifest("good", a.CA, fmt.Sprintf("{dns01: {%s}}", harness.RFC2136(good, key))))
	for i := range 3 {
		a.Apply(t, a.Namespace, harness.CertificateManifest(fmt.Sprintf("stuck-%d", i), "stuck", fmt.Sprintf("s%d.stuck.test", i)))
	}
	for i := range 3 {
		a.WaitingFor(t, a.Namespace, fmt.Sprintf("stuck-%d", i), issuable, "ns2.stuck.test.")
	}
	began := time.Now()
	a.Apply(t, a.Namespace, harness.CertificateManifest("good", "good", "www.good.test"))
	a.Ready(t, a.Namespace, "good", issuable)
	t.Logf("beside a zone that is stuck: %s", time.Since(began))
}
