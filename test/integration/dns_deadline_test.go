package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/named"
)

// A secondary never has the record. The CA, which asks the primary, would find it: one
// issuer has the CA asked after a deadline, the other waits on.
func TestSelfCheckDeadline(t *testing.T) {
	t.Parallel()
	const primary, secondary = "127.53.74.1:53", "127.53.74.2:53"
	cluster := harness.Shared(t)
	key := named.TSIGKey(t, "deadline-key", "hmac-sha256")
	named.Start(t, named.Options{Listen: []string{primary}, Keys: []named.Key{key}, Zones: []named.Zone{{
		Name: "deadline.test", AllowUpdate: `key "deadline-key";`,
		Text: named.ZoneText("deadline.test", 60, []string{"ns1", "ns2"}, "ns1 A 127.53.74.1", "ns2 A 127.53.74.2"),
	}}})
	named.Start(t, named.Options{Listen: []string{secondary}, Zones: []named.Zone{{
		Name: "deadline.test", Primaries: []string{primary}, Config: "min-refresh-time 86400; max-refresh-time 86400;",
	}}})
	a := cluster.ACME(t, harness.ACMEOptions{CAResolver: primary, Resolvers: []string{primary}})
	a.Key(t, a.Namespace, key)
	for name, annotations := range map[string]string{
		"asks":  "everleaf.io/self-check-deadline: 15s, everleaf.io/self-check-on-deadline: ask-ca",
		"waits": "everleaf.io/self-check-deadline: 15s",
	} {
		issuer := harness.IssuerManifest(name, a.CA, fmt.Sprintf("{dns01: {%s}}", harness.RFC2136(primary, key)))
		a.Apply(t, a.Namespace, strings.Replace(issuer, "metadata: {", "metadata: {annotations: {"+annotations+"}, ", 1))
		a.Apply(t, a.Namespace, harness.CertificateManifest(name, name, name+".deadline.test"))
	}
	a.WaitingFor(t, a.Namespace, "asks", issuable, "ns2.deadline.test. (127.53.74.2) answers NXDOMAIN")
	a.WaitingFor(t, a.Namespace, "waits", issuable, "ns2.deadline.test. (127.53.74.2) answers NXDOMAIN")
	a.Restart(t)
	a.Ready(t, a.Namespace, "asks", issuable)
	a.WaitingFor(t, a.Namespace, "waits", issuable, "ns2.deadline.test. (127.53.74.2) answers NXDOMAIN",
		"; the self-check deadline of 15s has passed, and the wait goes on (everleaf.io/self-check-on-deadline: wait)")
	harness.WantValidations(t, a.CA, 1, 0)
	harness.Eventually(t, time.Minute, func() error {
		events := &corev1.EventList{}
		if err := a.List(t.Context(), events, client.InNamespace(a.Namespace)); err != nil {
			return err
		}
		if !slices.ContainsFunc(events.Items, func(e corev1.Event) bool {
			return e.Reason == "SelfCheckSkipped" && e.Type == corev1.EventTypeWarning && strings.Contains(e.Message, "ns2.deadline.test. (127.53.74.2) answers NXDOMAIN")
		}) {
			return fmt.Errorf("no event SelfCheckSkipped among %d", len(events.Items))
		}
		return nil
	})
}
