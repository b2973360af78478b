package integration

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/pebble"
)

// mostLag is how far the controllers' caches may be behind.
const mostLag = 3 * time.Second

// creations are the CertificateRequests that have ever been seen, by the
// Certificate that they are for.
type creations struct {
	mu   sync.Mutex
	seen map[string]map[string]bool
	// failed are the names of those that have failed.
	failed map[string]bool
}

// watchRequests notes each CertificateRequest that is made in a namespace.
func watchRequests(t *testing.T, cluster *harness.Cluster, ns string) *creations {
	t.Helper()
	watcher, err := client.NewWithWatch(cluster.RESTConfig(), client.Options{Scheme: cluster.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	w, err := watcher.Watch(t.Context(), &cmv1.CertificateRequestList{}, client.InNamespace(ns))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	c := &creations{seen: map[string]map[string]bool{}, failed: map[string]bool{}}
	go func() {
		for event := range w.ResultChan() {
			r, ok := event.Object.(*cmv1.CertificateRequest)
			if !ok {
				continue
			}
			c.mu.Lock()
			name := r.Annotations[cmv1.CertificateNameKey]
			if c.seen[name] == nil {
				c.seen[name] = map[string]bool{}
			}
			c.seen[name][string(r.UID)+" of revision "+r.Annotations[cmv1.CertificateRequestRevisionAnnotationKey]] = true
			for _, cond := range r.Status.Conditions {
				if cond.Reason == cmv1.CertificateRequestReasonFailed {
					c.failed[r.Name] = true
				}
			}
			c.mu.Unlock()
		}
	}()
	return c
}

// wantNoneFailed fails the test if a request has failed.
func (c *creations) wantNoneFailed(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for name := range c.failed {
		t.Errorf("CertificateRequest %s has failed", name)
	}
}

// wantOneEach fails the test if a Certificate has had more than one request.
func (c *creations) wantOneEach(t *testing.T, certificates int) {
	t.Helper()
	harness.Eventually(t, patience, func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.seen) != certificates {
			return fmt.Errorf("%d of %d Certificates have had a request", len(c.seen), certificates)
		}
		return nil
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, seen := range c.seen {
		if len(seen) != 1 {
			t.Errorf("Certificate %s has had %d requests: %v", name, len(seen), seen)
		}
	}
}

// of are the requests that a Certificate has had.
func (c *creations) of(certificate string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.seen[certificate]))
}

// issueAll applies n Certificates from an issuer and waits until all are ready
// at revision 1.
func issueAll(t *testing.T, cluster *harness.Cluster, ns, issuer string, n int, within time.Duration) {
	t.Helper()
	for i := range n {
		name := fmt.Sprintf("%s-%03d", issuer, i)
		cluster.Apply(t, ns, harness.CertificateManifest(name, issuer, name+".example.com"))
	}
	allReady(t, cluster, ns, n, within)
}

func allReady(t *testing.T, cluster *harness.Cluster, ns string, n int, within time.Duration) {
	t.Helper()
	began := time.Now()
	harness.Eventually(t, within, func() error {
		list := &cmv1.CertificateList{}
		if err := cluster.List(t.Context(), list, client.InNamespace(ns)); err != nil {
			return err
		}
		ready, example := 0, ""
		for i := range list.Items {
			crt := &list.Items[i]
			if isTrue(crt, cmv1.CertificateConditionReady) && !isTrue(crt, cmv1.CertificateConditionIssuing) && crt.Status.Revision != nil {
				ready++
				continue
			}
			example = crt.Name + ": " + conditions(crt)
		}
		if ready < n {
			return fmt.Errorf("%d of %d are ready; %s", ready, n, example)
		}
		return nil
	})
	t.Logf("all ready after %s", time.Since(began).Round(time.Millisecond))
}

// wantRevisions fails the test if a Certificate has been issued more than once.
func wantRevisions(t *testing.T, cluster *harness.Cluster, ns string, revision int) {
	t.Helper()
	list := &cmv1.CertificateList{}
	if err := cluster.List(context.Background(), list, client.InNamespace(ns)); err != nil {
		t.Fatal(err)
	}
	for i := range list.Items {
		crt := &list.Items[i]
		if crt.Status.Revision == nil || *crt.Status.Revision != revision || crt.Status.FailedIssuanceAttempts != nil || !isTrue(crt, cmv1.CertificateConditionReady) {
			t.Errorf("%s: revision %v, failed attempts %v, %s", crt.Name, deref(crt.Status.Revision), deref(crt.Status.FailedIssuanceAttempts), conditions(crt))
		}
	}
}

func TestLaggingCachesACME(t *testing.T) {
	t.Parallel()
	const n = 200
	cluster := harness.Shared(t)
	ns := cluster.Namespace(t)
	quick := harness.QuickACME(t, harness.QuickOptions{Pebble: func(o *pebble.Options) {
		o.Env = append(o.Env, "PEBBLE_VA_ALWAYS_VALID=1")
	}})
	traffic := &harness.Traffic{}
	cluster.Run(t, harness.Controllers{
		Options: within(ns, quick.Resolve),
		Config: func(c *rest.Config) {
			traffic.Record(c)
			harness.Lag(t, c, mostLag)
		},
	})
	requests := watchRequests(t, cluster, ns)
	quick.Issuer(t, cluster, ns, "acme")
	issueAll(t, cluster, ns, "acme", n, 4*time.Minute)
	writes := traffic.Settle(t, ns, mostLag+2*time.Second)
	requests.wantOneEach(t, n)
	wantRevisions(t, cluster, ns, 1)
	if got := quick.Orders.N(); got != n {
		t.Errorf("%d orders were made for %d Certificates", got, n)
	}
	t.Logf("%.1f writes per certificate: %v", float64(len(writes))/n, tally(writes))
}

func TestLaggingCachesCA(t *testing.T) {
	const n = 200
	l := newLab(t, harness.Controllers{Config: func(c *rest.Config) { harness.Lag(t, c, mostLag) }})
	requests := watchRequests(t, l.Cluster, l.ns)
	issueAll(t, l.Cluster, l.ns, "ca", n, 4*time.Minute)
	writes := l.traffic.Settle(t, l.ns, mostLag+2*time.Second)
	requests.wantOneEach(t, n+1)
	wantRevisions(t, l.Cluster, l.ns, 1)
	t.Logf("%.1f writes per certificate: %v", float64(len(writes))/n, tally(writes))
	// Three more than usual, for a key that must be stored. Refused writes count too.
	if most := (n + 1) * (mostWritesCA + 5); len(writes) > most {
		t.Errorf("%d writes, %d allowed: decisions were made on caches that are behind", len(writes), most)
	}
}
