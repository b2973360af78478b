package integration

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/named"
)

// The name servers are found by the zone's NS records and asked on port 53. As
// long as one of them lags, the CA is not asked, and the status says which one
// it is and what it answers.
func TestLaggingSecondary(t *testing.T) {
	t.Parallel()
	const primary, secondary = "127.53.21.1:53", "127.53.21.2:53"
	cluster := harness.Shared(t)
	key := named.TSIGKey(t, "lag-key", "hmac-sha256")
	named.Start(t, named.Options{Listen: []string{primary}, Keys: []named.Key{key}, Zones: []named.Zone{{
		Name: "lag.test", AllowUpdate: `key "lag-key";`,
		Text: named.ZoneText("lag.test", 60, []string{"ns1", "ns2"}, "ns1 A 127.53.21.1", "ns2 A 127.53.21.2"),
	}}})
	named.Start(t, named.Options{Listen: []string{secondary}, Zones: []named.Zone{{
		Name: "lag.test", Primaries: []string{primary}, Config: "min-refresh-time 86400; max-refresh-time 86400;",
	}}})
	// The CA and the controllers ask the one that lags.
	a := cluster.ACME(t, harness.ACMEOptions{CAResolver: secondary, Resolvers: []string{secondary}})
	a.Key(t, a.Namespace, key)
	a.Apply(t, a.Namespace, harness.IssuerManifest("issuer", a.CA, fmt.Sprintf("{dns01: {%s}}", harness.RFC2136(primary, key))))
	a.Apply(t, a.Namespace, harness.CertificateManifest("www", "issuer", "www.lag.test"))

	const name = "_acme-challenge.www.lag.test"
	reason := []string{"Waiting for DNS-01 challenge propagation: ", "ns2.lag.test. (127.53.21.2) answers NXDOMAIN"}
	challenge := a.WaitingFor(t, a.Namespace, "www", issuable, reason...)
	harness.WantTXT(t, primary, name, 1, time.Second)
	harness.WantTXT(t, secondary, name, 0, time.Second)
	a.IssuingHolds(t, a.Namespace, "www", 20*time.Second, reason...)
	// Several probes later it is still so.
	harness.Eventually(t, issuable, func() error {
		if got := a.Challenges(t, a.Namespace, "www"); len(got) != 1 || got[0].Status.Reason == "" {
			return fmt.Errorf("Challenges %+v", got)
		}
		if since := time.Since(challenge.CreationTimestamp.Time); since < 8*time.Second {
			return fmt.Errorf("only %s have gone by", since)
		}
		return nil
	})
	if asked, _, _ := harness.Validations(a.CA); asked != 0 {
		t.Errorf("the CA was asked %d times although a server lags", asked)
	}
	for _, e := range a.EventsOf(t, challenge) {
		if e.Type == corev1.EventTypeWarning {
			t.Errorf("a Warning for what takes its usual course: %s", e.Message)
		}
	}
	harness.Notify(t, secondary, "lag.test")
	a.Ready(t, a.Namespace, "www", issuable)
	harness.WantValidations(t, a.CA, 1, 0)
	harness.WantTXT(t, primary, name, 0, 10*time.Second)
}
