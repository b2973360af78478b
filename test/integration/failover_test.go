package integration

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/everleaf/everleaf/internal/local"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/pebble"
)

// leases lets the controllers keep their lease in the namespace of a test.
const leases = `
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: leases}
rules:
- {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [create, get, update, patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: leases}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: leases}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: "` + local.ControllerUser + `"}]
`

// TestFailover: of two replicas, the leader is lost while it issues. The other one
// finishes the work, and nothing is requested twice.
func TestFailover(t *testing.T) {
	t.Parallel()
	cluster := harness.Shared(t)
	program := harness.Build(t)
	for _, test := range []struct {
		name string
		lose func(t *testing.T, leader *harness.Process, link *harness.Link, lease *coordinationv1.Lease)
	}{
		{"terminated", func(_ *testing.T, leader *harness.Process, _ *harness.Link, _ *coordinationv1.Lease) {
			leader.Terminate()
		}},
		{"killed", func(_ *testing.T, leader *harness.Process, _ *harness.Link, _ *coordinationv1.Lease) { leader.Kill() }},
		{"cut off from the API server", func(_ *testing.T, _ *harness.Process, link *harness.Link, _ *coordinationv1.Lease) { link.Cut() }},
		{"lease taken", func(t *testing.T, _ *harness.Process, _ *harness.Link, lease *coordinationv1.Lease) {
			base := lease.DeepCopy()
			lease.Spec.HolderIdentity = ptr("somebody-else")
			if err := cluster.Patch(t.Context(), lease, client.MergeFrom(base)); err != nil {
				t.Error(err)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			const n = 20
			ns := cluster.Namespace(t)
			cluster.Apply(t, ns, leases)
			orders := &madeOrders{made: map[string]time.Time{}}
			quick := harness.QuickACME(t, harness.QuickOptions{Pebble: func(o *pebble.Options) {
				o.Output, o.Env = orders, []string{"PEBBLE_VA_SLEEPTIME=2", "PEBBLE_AUTHZREUSE=0"}
			}})
			urls := watchOrderURLs(t, cluster, ns)
			requests := watchRequests(t, cluster, ns)
			args := []string{
				"--namespace=" + ns, "--leader-elect=true", "--leader-election-namespace=" + ns,
				"--leader-election-lease-duration=10s", "--leader-election-renew-deadline=6s", "--leader-election-retry-period=1s",
				"--dns01-recursive-nameservers=" + quick.DNS.Addr(), "--dns01-recursive-nameservers-only",
			}
			config, err := cluster.ControllerConfig()
			if err != nil {
				t.Fatal(err)
			}
			server, err := url.Parse(config.Host)
			if err != nil {
				t.Fatal(err)
			}
			link := harness.NewLink(t, server.Host)
			linked := rest.CopyConfig(config)
			linked.Host = "https://" + link.Addr()
			leader := harness.Replica(t, program, linked, args...)
			lease := heldLease(t, cluster, ns, "")
			first := *lease.Spec.HolderIdentity
			harness.Replica(t, program, config, args...)

			quick.Issuer(t, cluster, ns, "acme")
			for i := range n {
				name := fmt.Sprintf("acme-%03d", i)
				cluster.Apply(t, ns, harness.CertificateManifest(name, "acme", name+".example.com", "*."+name+".example.com"))
			}
			harness.Eventually(t, time.Minute, func() error {
				if got := len(urls()); got < n/4 {
					return fmt.Errorf("%d orders are under way", got)
				}
				return nil
			})
			lease = heldLease(t, cluster, ns, "")
			lost := time.Now()
			test.lose(t, leader, link, lease)
			next := heldLease(t, cluster, ns, first+" somebody-else")
			t.Logf("the other replica has the lease after %s", time.Since(lost).Round(100*time.Millisecond))
			// The old leader's steps end before the lease does, and then the process.
			select {
			case <-leader.Ended():
			case <-time.After(time.Minute):
				t.Error("the old leader still runs a minute after another one has the lease")
			}
			if next.Spec.AcquireTime.Before(lease.Spec.AcquireTime) {
				t.Errorf("the lease was acquired at %s, before the old one's %s", next.Spec.AcquireTime, lease.Spec.AcquireTime)
			}
			allReady(t, cluster, ns, n, 2*time.Minute)
			t.Logf("all certificates are ready after %s", time.Since(lost).Round(100*time.Millisecond))
			harness.Eventually(t, time.Minute, func() error { return leftOfACME(t, cluster, ns, quick) })
			wantRevisions(t, cluster, ns, 1)
			requests.wantOneEach(t, n)
			orders.wantLostOnlyAt(t, urls(), n, lost)
		})
	}
}

// heldLease waits until the lease of the controllers has a holder that is none of some,
// and returns the lease.
func heldLease(t *testing.T, cluster *harness.Cluster, ns, except string) *coordinationv1.Lease {
	t.Helper()
	lease := &coordinationv1.Lease{}
	harness.Eventually(t, time.Minute, func() error {
		if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "cert-manager-controller"}, lease); err != nil {
			return err
		}
		if holder := lease.Spec.HolderIdentity; holder == nil || *holder == "" || strings.Contains(except, *holder) {
			return errors.New("the lease has no holder, or still the old one")
		}
		return nil
	})
	return lease
}
