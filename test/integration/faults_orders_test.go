package integration

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/test/faultproxy"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/pebble"
)

// reusing has Pebble use an authorization that is valid for further orders:
// then an order that replaces another needs no wait until caches have forgotten
// the record of the last validation.
func reusing(o *pebble.Options) { o.Env = append(o.Env, "PEBBLE_AUTHZREUSE=100") }

func TestFaultsRejectedIdentifier(t *testing.T) {
	f := newFaultLab(t, harness.QuickOptions{Pebble: func(o *pebble.Options) { o.Blocklist = []string{"blocked.example.com"} }}, nil)
	f.issuer(t, "acme")
	f.Apply(t, f.ns, harness.CertificateManifest("blocked", "acme", "ok.example.com", "blocked.example.com"))
	f.failed(t, "blocked", patience, "400 urn:ietf:params:acme:error:rejectedIdentifier: ", "blocked.example.com")
	f.silence(t)
}

// A Certificate for which its issuer had no solver is issued soon after the issuer
// was corrected, and the messages before name the domain and the next attempt.
func TestFaultsCorrectedIssuer(t *testing.T) {
	f := newFaultLab(t, harness.QuickOptions{}, nil)
	f.account(t, "acme")
	solver := f.quick.Solver()
	manifest := func(solver string) string {
		return harness.IssuerManifest("acme", f.quick.CA, solver)
	}
	f.Apply(t, f.ns, manifest("{selector: {dnsNames: [x.example.com]}, "+strings.TrimPrefix(solver, "{")))
	f.Apply(t, f.ns, harness.CertificateManifest("corrected", "acme", "y.example.com"))
	f.failed(t, "corrected", patience, `"y.example.com"`)
	if message := certificateCondition(f.crt(t, "corrected"), cmv1.CertificateConditionIssuing).Message; !strings.Contains(message, "; next try at ") {
		t.Errorf("Issuing says %q", message)
	}
	f.Apply(t, f.ns, manifest(solver))
	f.Ready(t, f.ns, "corrected", patience)
}

// An order or an authorization that went away at the server is replaced, at
// most 3 times, and does not count as a failure of the Certificate. That it does
// not exist counts if the server says so twice. A certificate that is not there
// yet is waited for.
func TestFaultsOrdersThatGoAway(t *testing.T) {
	f := newFaultLab(t, harness.QuickOptions{Pebble: reusing}, nil)
	gone := faultproxy.Fault{Times: 2, Status: 404, Type: "malformed", Detail: "no such resource"}
	status := func(s string) faultproxy.Fault {
		// The first look finds it pending.
		return faultproxy.Fault{Skip: 1, Times: 1, Rewrite: func(o map[string]any) { o["status"] = s }}
	}
	cases := []struct {
		name     string
		endpoint faultproxy.Endpoint
		fault    faultproxy.Fault
		replaces string
	}{
		{"order-gone", faultproxy.Order, gone, "1"},
		{"order-expired", faultproxy.Order, faultproxy.Fault{Times: 2, Rewrite: func(o map[string]any) { o["status"] = "expired" }}, "2"},
		{"authz-gone", faultproxy.Authorization, gone, "1"},
		{"authz-expired", faultproxy.Authorization, status("expired"), "1"},
		{"authz-deactivated", faultproxy.Authorization, status("deactivated"), "1"},
		{"authz-revoked", faultproxy.Authorization, status("revoked"), "1"},
		{"authz-at-once", faultproxy.Authorization, faultproxy.Fault{Times: 1, Rewrite: func(o map[string]any) { o["status"] = "deactivated" }}, "1"},
		{"cert-gone", faultproxy.Certificate, gone, ""},
	}
	for _, c := range cases {
		f.issuerWith(t, c.name, func(p *faultproxy.Proxy) {
			p.Fail(c.endpoint, c.fault)
			if c.endpoint == faultproxy.Order {
				p.Fail(faultproxy.Finalize, faultproxy.Fault{Rewrite: processing})
			}
		})
		f.Apply(t, f.ns, harness.CertificateManifest(c.name, c.name, c.name+".example.com"))
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			crt := f.Ready(t, f.ns, c.name, 2*time.Minute)
			if crt.Status.FailedIssuanceAttempts != nil || crt.Status.LastFailureTime != nil {
				t.Errorf("it counted as a failure: %+v", crt.Status)
			}
			orders, _ := f.orders(t, c.name)
			if len(orders) != 1 {
				t.Fatalf("%d Orders are left", len(orders))
			}
			if got := orders[0].Annotations[facts.OrderReplacesAnnotation]; got != c.replaces {
				t.Errorf("the Order says that it replaces %q others, want %q", got, c.replaces)
			}
		})
	}
	f.silence(t)
}

// A CA may answer two requests for equal names with one order, and then only
// one of the two gets its certificate.
func TestFaultsOneOrderForTwo(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*faultproxy.Proxy){
		"order":       func(p *faultproxy.Proxy) { p.RepeatOrder(1) },
		"certificate": func(p *faultproxy.Proxy) { p.SwapCertificate(1) },
	}
	for name, fault := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFaultLab(t, harness.QuickOptions{Pebble: reusing}, nil)
			proxy := f.issuerWith(t, name, fault)
			one, two := name+"-one", name+"-two"
			for _, crt := range []string{one, two} {
				f.Apply(t, f.ns, harness.CertificateManifest(crt, name, name+".example.com", "www."+name+".example.com"))
			}
			var keys [][]byte
			for _, crt := range []string{one, two} {
				f.Ready(t, f.ns, crt, 4*time.Minute)
				s := f.secret(t, crt+"-tls")
				chainOf(t, s) // its key fits
				keys = append(keys, s.Data[corev1.TLSPrivateKeyKey])
			}
			if bytes.Equal(keys[0], keys[1]) {
				t.Error("both have the same key")
			}
			if n := len(proxy.Requests(faultproxy.NewOrder)); n != 3 {
				t.Errorf("%d newOrders, want 3: one of them without effect", n)
			}
			f.silence(t)
		})
	}
}

// A rate limit of newOrder holds for the account: no other Order asks before
// it is over.
func TestFaultsRateLimitOfTheAccount(t *testing.T) {
	f := newFaultLab(t, harness.QuickOptions{}, nil)
	const wait = 5
	proxy := f.issuer(t, "acme")
	f.registered(t, "acme")
	proxy.Fail(faultproxy.NewOrder, faultproxy.Fault{Times: 1, Status: 429, Type: "rateLimited", Detail: "too many new orders", RetryAfter: wait})
	f.Apply(t, f.ns, harness.CertificateManifest("first", "acme", "first.example.com"))
	f.waits(t, "first", patience, "429 urn:ietf:params:acme:error:rateLimited: too many new orders")
	for i := range 5 {
		name := fmt.Sprintf("other-%d", i)
		f.Apply(t, f.ns, harness.CertificateManifest(name, "acme", name+".example.com"))
	}
	f.Ready(t, f.ns, "first", time.Minute)
	for i := range 5 {
		f.Ready(t, f.ns, fmt.Sprintf("other-%d", i), time.Minute)
	}
	requests := proxy.Requests(faultproxy.NewOrder)
	if got := requests[1].Sub(requests[0]); got < wait*time.Second {
		t.Errorf("the account asked again after %s", got)
	}
	if len(requests) != 7 {
		t.Errorf("%d newOrders, want 7", len(requests))
	}
	f.silence(t)
}

// What a CA refuses for one name stops no other name of the account.
func TestFaultsOfOneName(t *testing.T) {
	t.Parallel()
	const problem = "urn:ietf:params:acme:error:"
	for name, test := range map[string]struct {
		fault faultproxy.Fault
		waits string
		fails string
	}{
		"limited": {
			fault: faultproxy.Fault{Times: 1, Status: 429, Type: "rateLimited", Detail: `too many certificates (5) already issued for this exact set of identifiers`, RetryAfter: 121000},
			waits: "429 " + problem + "rateLimited: too many certificates",
		},
		"unauthorized": {
			fault: faultproxy.Fault{Times: 1, Status: 403, Type: "unauthorized", Detail: "not permitted to order this name"},
			fails: "403 " + problem + "unauthorized: not permitted to order this name",
		},
		"paused": {
			fault: faultproxy.Fault{Times: 1, Status: 429, Type: "rateLimited", Detail: "Your account is temporarily prevented from requesting certificates for a name. Please visit: https://ca.example/unpause?jwt=a.b.c"},
			fails: "https://ca.example/unpause?jwt=a.b.c",
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFaultLab(t, harness.QuickOptions{}, nil)
			proxy := f.issuer(t, name)
			f.registered(t, name)
			accounts := len(proxy.Requests(faultproxy.NewAccount))
			proxy.Fail(faultproxy.NewOrder, test.fault)
			f.Apply(t, f.ns, harness.CertificateManifest("bad", name, "bad.example.com"))
			if test.waits != "" {
				f.waits(t, "bad", patience, test.waits)
			} else {
				f.failed(t, "bad", patience, test.fails)
			}
			f.Apply(t, f.ns, harness.CertificateManifest("good", name, "good.example.com"))
			f.Ready(t, f.ns, "good", patience)
			if n := len(proxy.Requests(faultproxy.NewOrder)); n != 2 {
				t.Errorf("%d newOrders, want 2", n)
			}
			if n := len(proxy.Requests(faultproxy.NewAccount)); n != accounts {
				t.Errorf("the account was registered %d times more", n-accounts)
			}
			f.silence(t)
		})
	}
}

// What an ACME certificate costs the API server.
func TestLifecycleCostOfACME(t *testing.T) {
	f := newFaultLabAlone(t, harness.QuickOptions{})
	f.issuer(t, "acme")
	f.Apply(t, f.ns, harness.CertificateManifest("warm", "acme", "warm.example.com"))
	f.Ready(t, f.ns, "warm", patience)
	harness.Eventually(t, patience, func() error { return leftOfACME(t, f.Cluster, f.ns, f.quick) })
	began := len(f.traffic.Settle(t, f.ns, time.Second))
	const n = 10
	for i := range n {
		name := fmt.Sprintf("cost-%d", i)
		f.Apply(t, f.ns, harness.CertificateManifest(name, "acme", name+".example.com"))
	}
	for i := range n {
		f.Ready(t, f.ns, fmt.Sprintf("cost-%d", i), time.Minute)
	}
	harness.Eventually(t, patience, func() error { return leftOfACME(t, f.Cluster, f.ns, f.quick) })
	writes := f.traffic.Settle(t, f.ns, time.Second)[began:]
	t.Logf("%.1f writes per certificate: %v", float64(len(writes))/n, tally(writes))
	if len(writes) > n*mostWritesACME {
		t.Errorf("%d writes for %d certificates, %d allowed: %v", len(writes), n, n*mostWritesACME, tally(writes))
	}
}
