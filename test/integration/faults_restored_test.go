package integration

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/local"
	"github.com/everleaf/everleaf/test/controlplane"
	"github.com/everleaf/everleaf/test/harness"
)

// lostVersions are how many writes a backup lacks. What is done after its restoration takes
// fewer, so that resourceVersions do not reach the old ones again during the test.
const lostVersions = 1000

// restarts is a control plane that starts again and again, at the same address.
type restarts struct {
	options local.Options
	running *local.ControlPlane
	etcd    string
}

func newRestarts(t *testing.T) *restarts {
	t.Helper()
	controlplane.BinDir(t)
	dir := t.TempDir()
	r := &restarts{options: local.Options{DataDir: dir, Port: keptPort(t), UnsafeNoFsync: true}, etcd: filepath.Join(dir, "etcd")}
	r.start(t)
	t.Cleanup(func() { r.stop(t) })
	return r
}

// keptPort is a free port that no connection is given while its server is away: it is below
// those that systems give to connections (32768 on Linux).
func keptPort(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 20_000 + rand.N(10_000)
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no port from 20000 to 29999 is free")
	return 0
}

// start starts it on the port that it had.
func (r *restarts) start(t *testing.T) {
	t.Helper()
	running, err := local.Start(t.Context(), r.options)
	if err != nil {
		t.Fatal(err)
	}
	r.running = running
}

func (r *restarts) stop(t *testing.T) {
	t.Helper()
	if err := r.running.Stop(); err != nil {
		t.Error(err)
	}
}

// kill kills the API server. The rest of the control plane ends with it.
func (r *restarts) kill(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(r.running.PIDs()["kube-apiserver"], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-r.running.Done()
}

// replace has one directory hold what another one holds.
func replace(t *testing.T, dir, by string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, os.DirFS(by)); err != nil {
		t.Fatal(err)
	}
}

// TestRestoredEtcd: the API server is killed and started again, and later etcd is restored
// from a backup, while issuances are under way: resourceVersions go back. The controllers
// run all the time, or start again too. What the backup has is not issued again, what it
// lacks is issued as soon as it is applied again, and nothing hangs.
func TestRestoredEtcd(t *testing.T) {
	t.Parallel()
	plane := newRestarts(t)
	cluster := harness.Of(t, plane.running)
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "restored"}}
	if err := cluster.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	quick := harness.QuickACME(t, harness.QuickOptions{})
	var away atomic.Bool
	l := startLab(t, cluster, ns.Name, harness.Controllers{
		Options: quick.Resolve,
		Config: func(c *rest.Config) {
			// Some caches have not seen the last writes when the API server ends.
			harness.Lag(t, c, time.Second)
			// Like a load balancer: an API server that starts forbids what it allows later, and
			// caches read everything anew then.
			harness.Intercept(c, func(_ harness.Call, next func() (*http.Response, error)) (*http.Response, error) {
				if away.Load() {
					return nil, syscall.ECONNREFUSED
				}
				return next()
			})
		},
	})
	quick.Issuer(t, l.Cluster, l.ns, "acme")
	const flights = 5
	apply := func(name string) {
		l.Apply(t, l.ns, harness.CertificateManifest(name+"-acme", "acme", name+".example.com"))
		for i := range flights {
			name := fmt.Sprintf("%s-%d", name, i)
			l.certificate(t, name, simple(name, ""))
		}
	}
	intact := func(name string) {
		t.Helper()
		for i := range flights {
			l.wantIntact(t, fmt.Sprintf("%s-%d", name, i), 1)
		}
		l.wantIntact(t, name+"-acme", 1)
	}
	orders := func(when string, want int) {
		t.Helper()
		if got := quick.Orders.N(); got != want {
			t.Errorf("%d orders %s, want %d", got, when, want)
		}
	}
	apply("old")
	intact("old")
	secrets := secretsOf(t, l.Cluster, l.ns)
	plane.stop(t)
	backup := filepath.Join(t.TempDir(), "etcd")
	replace(t, backup, plane.etcd)

	plane.start(t)
	apply("new")
	l.underWay(t, "new-acme", 1)
	plane.kill(t)
	plane.start(t)
	began := time.Now()
	intact("new")
	t.Logf("all is issued %s after the API server is back", time.Since(began).Round(time.Second))
	orders("after a restart", 2)

	l.write(t, lostVersions)
	for n, restart := range []bool{false, true} {
		l.issueByHand(t, "old-0")
		apply("flight")
		l.underWay(t, "old-0", 2)
		l.underWay(t, "flight-0", 1)
		away.Store(!restart)
		plane.stop(t)
		replace(t, plane.etcd, backup)
		if restart {
			l.stop()
		}
		before := quick.Orders.N()
		plane.start(t)
		away.Store(false)
		if restart {
			l.start(t)
		}
		began := time.Now()
		apply("new")
		intact("new")
		t.Logf("all is issued %s after restoration %d", time.Since(began).Round(time.Second), n+1)
		intact("old")
		now := secretsOf(t, l.Cluster, l.ns)
		for name, version := range secrets {
			if now[name] != version {
				t.Errorf("Secret %s was written: version %s, in the backup %s", name, now[name], version)
			}
		}
		orders("after a restoration", before+1)
		l.issueByHand(t, "old-0")
		l.wantIntact(t, "old-0", 2)
	}
}

// underWay waits until the request of a Certificate's revision is there.
func (l *lab) underWay(t *testing.T, certificate string, revision int) {
	t.Helper()
	harness.Eventually(t, patience, func() error {
		name := fmt.Sprintf("%s-%d", certificate, revision)
		return l.Get(t.Context(), client.ObjectKey{Namespace: l.ns, Name: name}, &cmv1.CertificateRequest{})
	})
}

// write writes n versions to etcd.
func (l *lab) write(t *testing.T, n int) {
	t.Helper()
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: l.ns, Name: "versions"}}
	if err := l.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		patch := fmt.Sprintf(`{"data": {"n": "%d"}}`, i)
		if err := l.Patch(t.Context(), object, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
			t.Fatal(err)
		}
	}
}
