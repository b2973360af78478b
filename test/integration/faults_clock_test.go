package integration

import (
	"fmt"
	"testing"
	"time"

	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/pebble"
)

// TestClockIsOff: the controllers' clock is ten minutes ahead of that of the API server and
// the CA, or behind. What is issued is issued once, and what has failed waits.
func TestClockIsOff(t *testing.T) {
	t.Parallel()
	for _, off := range []time.Duration{10 * time.Minute, -10 * time.Minute} {
		t.Run(off.String(), func(t *testing.T) {
			// The name server's clock is wrong too: it refuses signatures of another time.
			quick := harness.QuickACME(t, harness.QuickOptions{Clock: harness.Shifted(off), Pebble: func(o *pebble.Options) {
				o.Blocklist = []string{"refused.example.com"}
			}})
			l := newLab(t, harness.Controllers{Options: func(o *operator.Options) {
				quick.Resolve(o)
				o.Clock = harness.Shifted(off)
			}})
			quick.Issuer(t, l.Cluster, l.ns, "acme")
			requests := watchRequests(t, l.Cluster, l.ns)
			const n = 3
			for i := range n {
				l.certificate(t, fmt.Sprintf("ca-%d", i), simple(fmt.Sprintf("ca-%d", i), ""))
				name := fmt.Sprintf("acme-%d", i)
				l.Apply(t, l.ns, harness.CertificateManifest(name, "acme", name+".example.com"))
			}
			l.Apply(t, l.ns, harness.CertificateManifest("refused", "acme", "refused.example.com"))
			harness.Eventually(t, patience, func() error {
				crt := l.crt(t, "refused")
				if n := crt.Status.FailedIssuanceAttempts; n == nil || crt.Status.LastFailureTime == nil {
					return fmt.Errorf("it has not failed: %s", conditions(crt))
				}
				return nil
			})
			for i := range n {
				l.wantIntact(t, fmt.Sprintf("ca-%d", i), 1)
				l.wantIntact(t, fmt.Sprintf("acme-%d", i), 1)
			}
			l.traffic.Settle(t, l.ns, 5*time.Second)
			// The root, those of the CA and of ACME, and the one that is refused.
			requests.wantOneEach(t, 1+2*n+1)
			if got := *l.crt(t, "refused").Status.FailedIssuanceAttempts; got != 1 {
				t.Errorf("%d attempts have failed, want 1", got)
			}
			if got := quick.Orders.N(); got != n {
				t.Errorf("%d orders for %d Certificates", got, n)
			}
		})
	}
}
