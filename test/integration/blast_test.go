package integration

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

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
// beside something bad.
const slack = 5 * time.Second

// blastLab is a faultLab with something bad in it, and one without: what is good is
// issued in both at the same time, when the machine is as busy for one as for the
// other.
type blastLab struct {
	*faultLab
	alone *faultLab
}

func newBlastLab(t *testing.T, options func(*operator.Options)) *blastLab {
	t.Helper()
	f := newFaultLab(t, harness.QuickOptions{}, options)
	ns := f.Namespace(t)
	return &blastLab{f, startFaultLab(t, f.Cluster, ns, harness.QuickACME(t, harness.QuickOptions{}), within(ns, options))}
}

// selfSigned makes an issuer in a lab that needs no server.
func (f *faultLab) selfSigned(t *testing.T, name string) {
	t.Helper()
	f.Apply(t, f.ns, fmt.Sprintf("apiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata: {name: %s}\nspec: {selfSigned: {}}\n", name))
}

// issued applies a Certificate, and waits until it is ready.
func (f *faultLab) issued(t *testing.T, name, issuer string) {
	t.Helper()
	f.Apply(t, f.ns, harness.CertificateManifest(name, issuer, name+".example.com"))
	f.Ready(t, f.ns, name, 2*time.Minute)
}

// unharmed issues a good certificate beside what bad begins.
func (f *blastLab) unharmed(t *testing.T, issuer string, bad func()) {
	t.Helper()
	for _, lab := range []*faultLab{f.faultLab, f.alone} {
		lab.issued(t, "warm", issuer)
	}
	bad()
	f.asFast(t, func(lab *faultLab) {
		lab.Apply(t, lab.ns, harness.CertificateManifest("good", issuer, "good.example.com"))
	}, func(lab *faultLab) error {
		if !isTrue(lab.crt(t, "good"), cmv1.CertificateConditionReady) {
			return fmt.Errorf("the good certificate is not ready:\n%s", lab.state(t, "good"))
		}
		return nil
	})
}

// asFast begins something in both labs, and waits until it is done in both. The test
// fails if it takes more than twice as long beside what is bad as alone.
func (f *blastLab) asFast(t *testing.T, begin func(*faultLab), done func(*faultLab) error) {
	t.Helper()
	labs := []*faultLab{f.faultLab, f.alone}
	began, took := time.Now(), map[*faultLab]time.Duration{}
	for _, lab := range labs {
		begin(lab)
	}
	harness.Eventually(t, 2*time.Minute, func() error {
		var missing []error
		for _, lab := range labs {
			if took[lab] > 0 {
				continue
			}
			if err := done(lab); err != nil {
				missing = append(missing, err)
			} else {
				took[lab] = time.Since(began)
			}
		}
		return errors.Join(missing...)
	})
	t.Logf("%s alone, %s beside what is bad", took[f.alone], took[f.faultLab])
	if took[f.faultLab] > 2*took[f.alone]+slack {
		t.Errorf("it takes %s alone and %s beside what is bad", took[f.alone], took[f.faultLab])
	}
}

// The server refuses one name for a day and a half: other names of the account are
// ordered.
func TestBlastRadiusRateLimitOfOneName(t *testing.T) {
	f := newBlastLab(t, nil)
	proxy := f.issuer(t, "acme")
	f.alone.issuer(t, "acme")
	f.unharmed(t, "acme", func() {
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
	f.alone.issuer(t, "acme")
	f.unharmed(t, "acme", func() {
		proxy.Fail(faultproxy.NewOrder, faultproxy.Fault{Times: 1, Status: 403, Type: "unauthorized", Detail: "this account may not order bad.example.com"})
		f.Apply(t, f.ns, harness.CertificateManifest("bad", "acme", "bad.example.com"))
		f.failed(t, "bad", patience, "this account may not order bad.example.com")
	})
}

// A CA accepts requests and never answers.
func TestBlastRadiusHangingCA(t *testing.T) {
	f := newBlastLab(t, nil)
	f.issuer(t, "good")
	f.alone.issuer(t, "good")
	hanging := f.issuer(t, "hanging")
	f.registered(t, "hanging")
	f.unharmed(t, "good", func() {
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
	for i := range 12 {
		f.issuerWith(t, fmt.Sprintf("hanging-%d", i), func(p *faultproxy.Proxy) { p.Fail(faultproxy.Directory, faultproxy.Fault{Hang: true}) })
	}
	f.asFast(t, func(lab *faultLab) { lab.issuer(t, "good") }, func(lab *faultLab) error { return lab.isRegistered(t, "good") })
	f.selfSigned(t, "own")
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
	f.alone.issuer(t, "good")
	ca := &pebble.Server{DirectoryURL: f.quick.CA.DirectoryURL, CABundle: f.quick.CA.CABundle}
	f.account(t, "bad")
	f.Apply(t, f.ns, harness.IssuerManifest("bad", ca, "{dns01: {"+harness.RFC2136(silent.LocalAddr().String(), f.quick.Key)+"}}"))
	f.registered(t, "bad")
	f.unharmed(t, "good", func() {
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

// Another account fails to validate a name as often as a CA may be asked within an
// hour: its owner is not held back.
func TestBlastRadiusForeignFailures(t *testing.T) {
	f := newBlastLab(t, nil)
	proxy := f.issuer(t, "good")
	f.alone.issuer(t, "good")
	f.behind(t, "bad", proxy)
	f.unharmed(t, "good", func() {
		// The CA finds the record, and then fails for a reason that no cache has to do with.
		proxy.Fail(faultproxy.Authorization, faultproxy.Fault{Rewrite: func(a map[string]any) {
			if a["status"] != "valid" {
				return
			}
			a["status"] = "invalid"
			for _, c := range a["challenges"].([]any) {
				challenge := c.(map[string]any)
				challenge["status"], challenge["error"] = "invalid", map[string]any{"type": "urn:ietf:params:acme:error:connection", "detail": "refused by the test"}
			}
		}})
		n := 0
		apply := func() {
			f.Apply(t, f.ns, harness.CertificateManifest(fmt.Sprintf("bad-%d", n), "bad", "good.example.com"))
			n++
		}
		for range 5 {
			apply()
		}
		harness.Eventually(t, 2*time.Minute, func() error {
			failed, waiting, issued := 0, 0, 0
			var all []string
			for i := range n {
				crt := f.crt(t, fmt.Sprintf("bad-%d", i))
				said := conditions(crt)
				all = append(all, said)
				switch {
				case strings.Contains(said, "refused by the test"):
					failed++
				case strings.Contains(said, "failed too often within an hour"):
					waiting++
				case isTrue(crt, cmv1.CertificateConditionReady):
					issued++
				}
			}
			// Of a hundred orders, Pebble takes an authorization that it has for one, also if
			// it shall for none. Such an order does not fail.
			if n < 5+issued {
				apply()
			}
			if failed != 4 || waiting != 1 {
				return fmt.Errorf("%d have failed, and %d wait for the hour to end; want 4 and 1: %q", failed, waiting, all)
			}
			return nil
		})
		proxy.Heal(faultproxy.Authorization)
	})
}

// Certificates of one tenant whose status somebody has damaged make no loop that
// stops others.
func TestBlastRadiusDamagedStatus(t *testing.T) {
	f := newBlastLab(t, nil)
	f.selfSigned(t, "own")
	f.alone.selfSigned(t, "own")
	f.unharmed(t, "own", func() {
		for i := range 10 {
			name := fmt.Sprintf("bad-%d", i)
			f.issued(t, name, "own")
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
	if n := len(requests.Items); n > 28 {
		t.Errorf("%d CertificateRequests for 12 Certificates", n)
	}
}
