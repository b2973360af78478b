package integration

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/test/faultproxy"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/pebble"
)

// slack is how much longer than twice its time alone a good certificate may take
// beside something bad: other tests run at the same time.
const slack = 5 * time.Second

// newBlastLab is newFaultLab with controllers for its namespace only, so that its
// tests can run in parallel.
func newBlastLab(t *testing.T, options func(*operator.Options)) *faultLab {
	t.Helper()
	t.Parallel()
	cluster := harness.Shared(t)
	f := &faultLab{
		lab:   &lab{Cluster: cluster, ns: cluster.Namespace(t), traffic: &harness.Traffic{}},
		quick: harness.QuickACME(t, harness.QuickOptions{}), log: &harness.Lines{},
	}
	cluster.Run(t, harness.Controllers{Log: f.log.Logger(5), Options: func(o *operator.Options) {
		f.quick.Resolve(o)
		o.Namespace, o.Registerer = f.ns, prometheus.NewRegistry()
		if options != nil {
			options(o)
		}
	}})
	cluster.Key(t, f.ns, f.quick.Key)
	return f
}

// takes issues a certificate, and returns how long that took.
func (f *faultLab) takes(t *testing.T, name, issuer, domain string) time.Duration {
	t.Helper()
	began := time.Now()
	f.Apply(t, f.ns, harness.CertificateManifest(name, issuer, domain))
	f.Ready(t, f.ns, name, 2*time.Minute)
	return time.Since(began)
}

// unharmed issues one good certificate before bad begins, and one after it.
func (f *faultLab) unharmed(t *testing.T, issuer, domain string, bad func()) {
	t.Helper()
	f.takes(t, "warm", issuer, "warm.example.com")
	alone := f.takes(t, "alone", issuer, "alone.example.com")
	bad()
	if beside := f.takes(t, "beside", issuer, domain); beside > 2*alone+slack {
		t.Errorf("a good certificate takes %s alone and %s beside what is bad:\n%s", alone, beside, f.state(t, "beside"))
	}
}

// The server refuses one name for a day and a half: other names of the account are
// ordered.
func TestBlastRadiusRateLimitOfOneName(t *testing.T) {
	f := newBlastLab(t, nil)
	proxy := f.issuer(t, "acme")
	f.unharmed(t, "acme", "good.example.com", func() {
		proxy.Fail(faultproxy.NewOrder, faultproxy.Fault{
			Times: 1, Status: 429, Type: "rateLimited", RetryAfter: 121_000,
			Detail: "Error creating new order :: too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s, " +
				"retry after 2026-11-27 07:12:00 UTC: see https://letsencrypt.org/docs/rate-limits/",
		})
		f.Apply(t, f.ns, harness.CertificateManifest("bad", "acme", "bad.example.com"))
		f.waits(t, "bad", patience, "429")
	})
}

// The account may not order one name.
func TestBlastRadiusUnauthorizedName(t *testing.T) {
	f := newBlastLab(t, nil)
	proxy := f.issuer(t, "acme")
	f.unharmed(t, "acme", "good.example.com", func() {
		proxy.Fail(faultproxy.NewOrder, faultproxy.Fault{Times: 1, Status: 403, Type: "unauthorized", Detail: "this account may not order bad.example.com"})
		f.Apply(t, f.ns, harness.CertificateManifest("bad", "acme", "bad.example.com"))
		f.failed(t, "bad", patience, "this account may not order bad.example.com")
	})
}

// A CA accepts requests and never answers.
func TestBlastRadiusHangingCA(t *testing.T) {
	f := newBlastLab(t, nil)
	f.issuer(t, "good")
	hanging := f.issuer(t, "hanging")
	f.registered(t, "hanging")
	f.unharmed(t, "good", "good.example.com", func() {
		hanging.Fail(faultproxy.NewOrder, faultproxy.Fault{Hang: true})
		for i := range 30 {
			f.Apply(t, f.ns, harness.CertificateManifest(fmt.Sprintf("bad-%d", i), "hanging", fmt.Sprintf("bad-%d.example.com", i)))
		}
		harness.Eventually(t, patience, func() error {
			if n := len(hanging.Requests(faultproxy.NewOrder)); n < 2 {
				return fmt.Errorf("%d orders hang", n)
			}
			return nil
		})
	})
}

// Twelve issuers' servers never answer: another issuer is set up.
func TestBlastRadiusHangingIssuers(t *testing.T) {
	f := newBlastLab(t, nil)
	began := time.Now()
	f.issuer(t, "alone")
	f.registered(t, "alone")
	alone := time.Since(began)
	for i := range 12 {
		f.issuerWith(t, fmt.Sprintf("hanging-%d", i), func(p *faultproxy.Proxy) { p.Fail(faultproxy.Directory, faultproxy.Fault{Hang: true}) })
	}
	began = time.Now()
	f.issuer(t, "beside")
	f.registered(t, "beside")
	if beside := time.Since(began); beside > 2*alone+slack {
		t.Errorf("an issuer takes %s alone and %s beside those that hang", alone, beside)
	}
	f.Apply(t, f.ns, "apiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata: {name: own}\nspec: {selfSigned: {}}\n")
	f.registered(t, "own")
}

// A name server takes updates and never answers, and all places among the challenges
// in flight could be taken by its names.
func TestBlastRadiusSilentNameServer(t *testing.T) {
	f := newBlastLab(t, func(o *operator.Options) { o.MaxConcurrentChallenges = 4 })
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	f.issuer(t, "good")
	ca := &pebble.Server{DirectoryURL: f.quick.CA.DirectoryURL, CABundle: f.quick.CA.CABundle}
	f.account(t, "bad")
	f.Apply(t, f.ns, harness.IssuerManifest("bad", ca, "{dns01: {"+harness.RFC2136(silent.LocalAddr().String(), f.quick.Key)+"}}"))
	f.registered(t, "bad")
	f.unharmed(t, "good", "good.example.com", func() {
		for i := range 12 {
			f.Apply(t, f.ns, harness.CertificateManifest(fmt.Sprintf("bad-%d", i), "bad", fmt.Sprintf("bad-%d.example.com", i)))
		}
		harness.Eventually(t, patience, func() error {
			_, challenges := f.orders(t, "bad")
			if len(challenges) < 12 {
				return fmt.Errorf("%d Challenges", len(challenges))
			}
			return nil
		})
	})
}

// Certificates of one tenant whose status somebody has damaged make no loop that
// stops others.
func TestBlastRadiusDamagedStatus(t *testing.T) {
	f := newBlastLab(t, nil)
	f.Apply(t, f.ns, "apiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata: {name: own}\nspec: {selfSigned: {}}\n")
	f.registered(t, "own")
	f.unharmed(t, "own", "good.example.com", func() {
		for i := range 10 {
			name := fmt.Sprintf("bad-%d", i)
			f.takes(t, name, "own", name+".example.com")
			crt := f.crt(t, name)
			negative := -5
			crt.Status.Revision = &negative
			if err := f.Status().Update(t.Context(), crt); err != nil {
				t.Fatal(err)
			}
			if err := f.Delete(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: f.ns, Name: name + "-tls"}}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 10 {
			f.Ready(t, f.ns, fmt.Sprintf("bad-%d", i), patience)
		}
	})
	requests := &cmv1.CertificateRequestList{}
	if err := f.List(t.Context(), requests, client.InNamespace(f.ns)); err != nil {
		t.Fatal(err)
	}
	// Each Certificate was issued once before the damage, and once after it.
	if n := len(requests.Items); n > 30 {
		t.Errorf("%d CertificateRequests for 13 Certificates", n)
	}
}
