package nginxingress

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/everleaf/everleaf/test/child"
	"github.com/everleaf/everleaf/test/dnsdaemon"
	"github.com/everleaf/everleaf/test/harness"
)

// TestServe looks at nginx itself, without an API server.
func TestServe(t *testing.T) {
	program, err := dnsdaemon.Find("nginx")
	if err != nil || os.Geteuid() != 0 {
		child.Missing(t, "needs root, and nginx (Debian: apt-get install nginx)")
	}
	addr := harness.Edge(t)
	n, err := startNginx(t.Context(), program, []netip.Addr{addr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s\n%s", n.file(configFile), n.log())
		}
		n.stop()
	})
	echo := func(name string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprintf(w, "%s %s", name, r.Host) }
	}
	plain, secure := httptest.NewServer(echo("plain")), httptest.NewTLSServer(echo("secure"))
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	a := []string{plain.Listener.Addr().String()}
	both := location{http: true, https: true, backends: a, kind: networkingv1.PathTypePrefix}
	with := func(change func(*location)) location {
		l := both
		change(&l)
		return l
	}
	all := []*site{
		{host: "app.example", locations: []location{
			with(func(l *location) { l.path = "/tea" }),
			with(func(l *location) { l.path, l.kind = "/tea/exact", networkingv1.PathTypeExact }),
			with(func(l *location) {
				l.path, l.kind, l.backends = "/any", networkingv1.PathTypeImplementationSpecific, nil
			}),
		}},
		{host: "odd.example", locations: []location{
			with(func(l *location) { l.path, l.tls, l.backends = "/tls", true, []string{secure.Listener.Addr().String()} }),
			with(func(l *location) { l.path, l.host = "/host", "10.32.3.80" }),
			with(func(l *location) { l.path, l.auth = "/auth", true }),
			with(func(l *location) { l.path, l.status = "/status", 403 }),
			with(func(l *location) { l.path, l.redirect = "/away", "https://other.example/" }),
			with(func(l *location) { l.path, l.toHTTPS = "/up", true }),
			with(func(l *location) { l.path, l.http = "/only443", false }),
			with(func(l *location) { l.path, l.https = "/only80", false }),
		}},
		{host: "", locations: []location{with(func(l *location) { l.path, l.kind = "/ip", networkingv1.PathTypeExact })}},
	}
	for _, load := range []struct {
		name   string
		faults Faults
		want   map[string]string
	}{
		{"sound", Faults{}, map[string]string{
			"http://app.example/tea":          "200 plain app.example",
			"http://app.example/tea/cup":      "200 plain app.example",
			"http://app.example/teapot":       "404",
			"http://app.example/tea/exact":    "200 plain app.example",
			"http://app.example/anything":     "503",
			"http://app.example/":             "404",
			"https://app.example/tea":         "200 plain app.example",
			"http://odd.example/tls":          "200 secure odd.example",
			"http://odd.example/host":         "200 plain 10.32.3.80",
			"http://odd.example/auth":         "401",
			"http://odd.example/status":       "403",
			"http://odd.example/away":         "301 https://other.example/",
			"http://odd.example/up":           "301 https://odd.example/up",
			"https://odd.example/up":          "200 plain odd.example",
			"http://odd.example/only443":      "404",
			"https://odd.example/only443":     "200 plain odd.example",
			"http://odd.example/only80":       "200 plain odd.example",
			"https://odd.example/only80":      "404",
			"http://unknown.example/ip":       "200 plain unknown.example",
			"http://" + addr.String() + "/ip": "200 plain " + addr.String(),
		}},
		{"redirect and strict SNI", Faults{RedirectHTTPS: true, RejectHandshake: true}, map[string]string{
			"http://app.example/tea":  "301 https://app.example/tea",
			"https://app.example/tea": `Get "https://app.example/tea": remote error: tls: unrecognized name`,
		}},
	} {
		t.Run(load.name, func(t *testing.T) {
			if err := n.load(t.Context(), all, load.faults, nil); err != nil {
				t.Fatal(err)
			}
			for url, want := range load.want {
				if got := harness.Fetch(addr, url); got != want {
					t.Errorf("GET %s: %q, want %q", url, got, want)
				}
			}
		})
	}
}
