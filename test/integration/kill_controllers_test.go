package integration

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/pebble"
)

// madeOrders are the orders that Pebble has made, by ID, and when.
type madeOrders struct {
	mu   sync.Mutex
	rest []byte
	made map[string]time.Time
}

var addedOrder = regexp.MustCompile(`Added order "([^"]+)"`)

// Write implements io.Writer, for what Pebble prints.
func (m *madeOrders) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rest = append(m.rest, p...)
	for {
		line, rest, whole := bytes.Cut(m.rest, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		if found := addedOrder.FindSubmatch(line); found != nil {
			m.made[string(found[1])] = time.Now()
		}
		m.rest = bytes.Clone(rest)
	}
}

// lost are the orders that are not among the URLs, and slowest is the longest time
// from when another was made until its URL was seen.
func (m *madeOrders) lost(urls map[string]time.Time) (lost map[string]time.Time, slowest time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	lost = map[string]time.Time{}
	for id, at := range m.made {
		lost[id] = at
		for url, seen := range urls {
			if strings.HasSuffix(url, "/"+id) {
				delete(lost, id)
				slowest = max(slowest, seen.Sub(at))
			}
		}
	}
	return lost, slowest
}

// wantLostOnlyAt fails the test if not n orders are known to Orders, or if others were
// made at another time than right before a process was lost. It returns how many are
// lost. An order may be lost between newOrder and the write of its URL, and at no other
// time. The write takes longer on a machine that is busy, also for the orders that are
// not lost.
func (m *madeOrders) wantLostOnlyAt(t *testing.T, urls map[string]time.Time, n int, losses ...time.Time) int {
	t.Helper()
	if len(urls) != n {
		t.Errorf("%d orders are known to Orders, want %d", len(urls), n)
	}
	lost, slowest := m.lost(urls)
	write := max(time.Second, slowest)
	for id, at := range lost {
		near := false
		for _, loss := range losses {
			near = near || (at.Before(loss.Add(100*time.Millisecond)) && loss.Sub(at) < write)
		}
		if !near {
			t.Errorf("order %s, made at %s, was never recorded, though the process lived on", id, at)
		}
	}
	return len(lost)
}

// watchOrderURLs collects the URLs that Orders of a namespace have ever had, and
// when each was first seen.
func watchOrderURLs(t *testing.T, cluster *harness.Cluster, ns string) func() map[string]time.Time {
	t.Helper()
	watcher, err := client.NewWithWatch(cluster.RESTConfig(), client.Options{Scheme: cluster.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	w, err := watcher.Watch(t.Context(), &acmev1.OrderList{}, client.InNamespace(ns))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	var mu sync.Mutex
	urls := map[string]time.Time{}
	go func() {
		for event := range w.ResultChan() {
			if o, ok := event.Object.(*acmev1.Order); ok && o.Status.URL != "" {
				mu.Lock()
				if urls[o.Status.URL].IsZero() {
					urls[o.Status.URL] = time.Now()
				}
				mu.Unlock()
			}
		}
	}()
	return func() map[string]time.Time {
		mu.Lock()
		defer mu.Unlock()
		return maps.Clone(urls)
	}
}

// killing runs the controllers, kills and starts them again until there is no
// more to do and all Certificates are ready, and leaves them running. It
// returns when each was killed.
func killing(t *testing.T, cluster *harness.Cluster, ns string, more func() bool, program string, args ...string) []time.Time {
	t.Helper()
	deadline := time.Now().Add(5 * time.Minute)
	var kills []time.Time
	for time.Now().Before(deadline) {
		process := cluster.Process(t, program, args...)
		if !more() && (len(kills) == mostKills || ready(t, cluster, ns)) {
			return kills
		}
		life := 500*time.Millisecond + rand.N(3500*time.Millisecond)
		select {
		case <-process.Ended():
			t.Fatalf("the controllers ended by themselves:\n%s", process.Output())
		case <-time.After(life):
		}
		kills = append(kills, time.Now())
		process.Kill()
	}
	t.Fatal("the Certificates do not become ready")
	return nil
}

func ready(t *testing.T, cluster *harness.Cluster, ns string) bool {
	t.Helper()
	list := &cmv1.CertificateList{}
	if err := cluster.List(t.Context(), list, client.InNamespace(ns)); err != nil {
		t.Fatal(err)
	}
	for i := range list.Items {
		if !isTrue(&list.Items[i], cmv1.CertificateConditionReady) {
			return false
		}
	}
	return true
}

// mostKills bounds the test on a machine that is so slow that the controllers
// get nothing done between two kills.
const mostKills = 30

func TestKilledControllers(t *testing.T) {
	t.Parallel()
	const n, batch = 50, 10
	cluster := harness.Shared(t)
	program := harness.Build(t)
	ns := cluster.Namespace(t)
	orders := &madeOrders{made: map[string]time.Time{}}
	quick := harness.QuickACME(t, harness.QuickOptions{Pebble: func(o *pebble.Options) {
		// Validations that take their time are more often interrupted.
		o.Output, o.Env = orders, []string{"PEBBLE_VA_SLEEPTIME=3", "PEBBLE_AUTHZREUSE=0"}
	}})
	urls := watchOrderURLs(t, cluster, ns)
	requests := watchRequests(t, cluster, ns)
	quick.Issuer(t, cluster, ns, "acme")
	applied := 0
	kills := killing(t, cluster, ns, func() bool {
		for range min(batch, n-applied) {
			name := fmt.Sprintf("acme-%03d", applied)
			cluster.Apply(t, ns, harness.CertificateManifest(name, "acme", name+".example.com", "*."+name+".example.com"))
			applied++
		}
		return applied < n
	}, program, "--namespace="+ns,
		"--dns01-recursive-nameservers="+quick.DNS.Addr(), "--dns01-recursive-nameservers-only")
	allReady(t, cluster, ns, n, 2*time.Minute)
	harness.Eventually(t, time.Minute, func() error { return leftOfACME(t, cluster, ns, quick) })
	wantRevisions(t, cluster, ns, 1)
	requests.wantOneEach(t, n)

	lost := orders.wantLostOnlyAt(t, urls(), n, kills...)
	t.Logf("killed %d times, %d orders lost", len(kills), lost)
}

// leftOfACME names what is left of finished issuances but should not be.
func leftOfACME(t *testing.T, cluster *harness.Cluster, ns string, quick *harness.Quick) error {
	certificates := &cmv1.CertificateList{}
	if err := cluster.List(t.Context(), certificates, client.InNamespace(ns)); err != nil {
		return err
	}
	for _, crt := range certificates.Items {
		for _, name := range crt.Spec.DNSNames {
			if values := quick.DNS.Records("_acme-challenge." + strings.TrimPrefix(name, "*.")); len(values) > 0 {
				return fmt.Errorf("%s still has TXT records: %v", name, values)
			}
		}
	}
	challenges := &acmev1.ChallengeList{}
	if err := cluster.List(t.Context(), challenges, client.InNamespace(ns)); err != nil {
		return err
	}
	for _, c := range challenges.Items {
		return fmt.Errorf("Challenge %s is left, with finalizers %v", c.Name, c.Finalizers)
	}
	keys := &corev1.SecretList{}
	if err := cluster.List(t.Context(), keys, client.InNamespace(ns), client.HasLabels{cmv1.IsNextPrivateKeySecretLabelKey}); err != nil {
		return err
	}
	for _, s := range keys.Items {
		return fmt.Errorf("next private key %s is left", s.Name)
	}
	return nil
}
