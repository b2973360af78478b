package dns

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/propagation"
)

// certificate is self-signed, for hosts.
func certificate(t *testing.T, now time.Time, hosts ...string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

// overTLSTo runs a DNS over TLS server that passes queries on, and returns its address
// and the name that the last client asked for.
func overTLSTo(t *testing.T, resolver string, cert tls.Certificate) (address string, sni *atomic.Value) {
	t.Helper()
	sni = &atomic.Value{}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{cert},
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			sni.Store(hello.ServerName)
			return nil, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				var size uint16
				if binary.Read(conn, binary.BigEndian, &size) != nil {
					return
				}
				query := make([]byte, size)
				if _, err := io.ReadFull(conn, query); err != nil {
					return
				}
				if answer, err := (Transport{}).Exchange(context.Background(), resolver, query); err == nil {
					_, _ = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
				}
			}()
		}
	}()
	return listener.Addr().String(), sni
}

// overHTTPSTo runs a DNS over HTTPS server that checks queries and passes them on.
func overHTTPSTo(t *testing.T, resolver string, cert tls.Certificate) *httptest.Server {
	t.Helper()
	return serveHTTPS(t, cert, func(w http.ResponseWriter, r *http.Request) {
		query, err := io.ReadAll(r.Body)
		if r.Method != http.MethodPost || r.URL.Path != "/dns-query" || r.Header.Get("Content-Type") != "application/dns-message" ||
			r.Header.Get("Accept") != "application/dns-message" || err != nil || len(query) < headerSize || query[0] != 0 || query[1] != 0 {
			t.Errorf("wrong request: %s %s %v, %x", r.Method, r.URL, r.Header, query)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		answer, err := Transport{}.Exchange(r.Context(), resolver, query)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "application/dns-message")
		_, _ = w.Write(answer)
	})
}

func serveHTTPS(t *testing.T, cert tls.Certificate, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that refuse the certificate
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// to is a dialler that finds hosts at addresses, and no other names.
func to(hosts map[string]string) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, _ := net.SplitHostPort(address)
		if at, ok := hosts[host]; ok {
			address = at
		} else if _, err := netip.ParseAddr(host); err != nil {
			return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}}
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
}

func TestEncryptedResolvers(t *testing.T) {
	w := newWorld(t, testZone("ns1"))
	cert, roots := certificate(t, time.Now(), "dns.example", "127.0.0.1")
	dot, sni := overTLSTo(t, w.resolver.Addr(), cert)
	doh := overHTTPSTo(t, w.resolver.Addr(), cert)
	other, otherRoots := certificate(t, time.Now(), "dns.example")
	otherDoT, _ := overTLSTo(t, w.resolver.Addr(), other)
	old, oldRoots := certificate(t, time.Now().Add(-48*time.Hour), "127.0.0.1")
	oldDoT, _ := overTLSTo(t, w.resolver.Addr(), old)
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	absolute := to(map[string]string{"dns.example.": dot, "dns.example": otherDoT})
	for _, test := range []struct {
		name, entry string
		roots       *x509.CertPool
		dial        dialFunc
		sni, want   string
	}{
		{name: "TCP", entry: "tcp://" + w.resolver.Addr()},
		{name: "TLS, address", entry: "tls://" + dot, roots: roots},
		{name: "TLS, name, looked up as an absolute one", entry: "tls://dns.example", roots: roots, dial: absolute, sni: "dns.example"},
		{
			name: "TLS, name below a search domain", entry: "tls://dns.example", roots: roots,
			dial: to(map[string]string{"dns.example": dot}), sni: "dns.example",
		},
		{name: "HTTPS, address", entry: doh.URL + "/dns-query", roots: roots},
		{
			name: "HTTPS, name", entry: "https://dns.example/dns-query", roots: roots,
			dial: to(map[string]string{"dns.example.": doh.Listener.Addr().String()}),
		},
		{
			name: "TLS, another name", entry: "tls://ns.example", roots: roots, dial: to(map[string]string{"ns.example.": dot}),
			want: "has a certificate that is not for ns.example: use the name that is in it",
		},
		{
			name: "TLS, no IP SAN", entry: "tls://" + otherDoT, roots: otherRoots,
			want: "has a certificate that is not for the IP address 127.0.0.1: use the name that is in it",
		},
		{name: "TLS, not trusted", entry: "tls://" + dot, roots: otherRoots, want: "has a certificate from an authority that this machine does not trust"},
		{name: "HTTPS, not trusted", entry: doh.URL + "/dns-query", roots: otherRoots, want: "has a certificate from an authority that this machine does not trust"},
		{name: "TLS, expired", entry: "tls://" + oldDoT, roots: oldRoots, want: "has a certificate that has expired or is not valid yet"},
		{name: "TLS where none is", entry: "tls://" + strings.TrimPrefix(plain.URL, "http://"), want: "does not speak TLS on this port"},
		{
			name: "TLS, unknown name", entry: "tls://dns.nowhere", dial: to(nil),
			want: "has a host name that the resolver of this machine does not find: use its address, or a name that can be looked up here",
		},
		{
			name: "HTTPS, unknown name", entry: "https://dns.nowhere/dns-query", dial: to(nil),
			want: "has a host name that the resolver of this machine does not find: use its address, or a name that can be looked up here",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := w.resolve(func(c *Config) {
				c.Servers, c.Roots, c.Dial, c.Timeout = []string{test.entry}, test.roots, test.dial, 2*time.Second
			})
			zone, err := r.FindZone(t.Context(), "www.example.test.")
			if test.want == "" {
				if err != nil || zone != "example.test." {
					t.Errorf("FindZone = %q, %v", zone, err)
				}
			} else if want := "no answer from the recursive name servers [" + test.entry + "]: " + test.entry + " " + test.want +
				"; set --dns01-recursive-nameservers to name servers that everleaf can reach"; err == nil || err.Error() != want {
				t.Errorf("FindZone:\ngot  %v\nwant %s", err, want)
			}
			if test.sni != "" && sni.Load() != test.sni {
				t.Errorf("SNI %q, want %q", sni.Load(), test.sni)
			}
		})
	}
}

// TestHTTPSFailures holds what a DNS over HTTPS server can do wrong.
func TestHTTPSFailures(t *testing.T) {
	w := newWorld(t, testZone("ns1"))
	cert, roots := certificate(t, time.Now(), "127.0.0.1")
	var plain atomic.Int32
	insecure := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { plain.Add(1) }))
	defer insecure.Close()
	const message = "application/dns-message"
	answer := func(status int, kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	for _, test := range []struct {
		name    string
		handler http.HandlerFunc
		want    string
	}{
		{"wrong media type", answer(415, "text/html; charset=utf-8", "<p>no"), "answers HTTP 415 (text/html)"},
		{"bad request", answer(400, "text/plain", "dns query not specified"), "answers HTTP 400 (text/plain)"},
		{"forbidden, odd type", answer(403, "<b>/"+strings.Repeat("x", 200), ""), "answers HTTP 403 (no content type)"},
		{"JSON", answer(200, "application/dns-json", "{}"), "answers HTTP 200 (application/dns-json)"},
		{"a portal", answer(200, "text/html", "<p>log in"), "answers HTTP 200 (text/html)"},
		{"too long", answer(200, message, strings.Repeat("\x00", 200<<10)), "sends a malformed answer"},
		{"empty", answer(200, message, ""), "sends a malformed answer"},
		{"redirect to http", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, insecure.URL+"/dns-query", http.StatusMovedPermanently)
		}, "answers HTTP 301 (no content type)"},
		{"closed in the body", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", message)
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write(make([]byte, 20))
		}, "closes the connection in the middle of its answer"},
	} {
		t.Run(test.name, func(t *testing.T) {
			entry := serveHTTPS(t, cert, test.handler).URL + "/dns-query"
			r := w.resolve(func(c *Config) { c.Servers, c.Roots, c.Timeout = []string{entry}, roots, 2*time.Second })
			_, err := r.FindZone(t.Context(), "www.example.test.")
			if want := entry + " " + test.want + "; set "; err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		})
	}
	if n := plain.Load(); n != 0 {
		t.Errorf("%d queries went to an http:// URL", n)
	}
}

// TestHTTPSRetryAfter holds that a server which limits the rate is left alone, and
// that the other resolvers are asked.
func TestHTTPSRetryAfter(t *testing.T) {
	w := newWorld(t, testZone("ns1"))
	cert, roots := certificate(t, time.Now(), "127.0.0.1")
	var asked atomic.Int32
	entry := serveHTTPS(t, cert, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Retry-After", "60")
		w.WriteHeader(http.StatusTooManyRequests)
	}).URL + "/dns-query"
	alone := w.resolve(func(c *Config) { c.Servers, c.Roots, c.Timeout = []string{entry}, roots, 2*time.Second })
	for i, test := range []struct {
		after time.Duration
		asked int32
	}{{0, 1}, {59 * time.Second, 1}, {61 * time.Second, 2}} {
		w.clock.SetTime(t0.Add(test.after))
		_, err := alone.FindZone(t.Context(), "www.example.test.")
		if want := entry + " answers HTTP 429 (text/plain); "; err == nil || !strings.Contains(err.Error(), want) || fault.Of(err).Class != fault.Transient {
			t.Errorf("%d: %v", i, err)
		}
		if n := asked.Load(); n != test.asked {
			t.Errorf("%d: asked %d times, want %d", i, n, test.asked)
		}
	}
	mixed := w.resolve(func(c *Config) {
		c.Servers, c.Roots, c.Timeout = []string{entry, w.resolver.Addr()}, roots, 2*time.Second
	})
	if zone, err := mixed.FindZone(t.Context(), "www.example.test."); err != nil || zone != "example.test." {
		t.Errorf("FindZone = %q, %v", zone, err)
	}
}

// TestMixedResolvers holds that the evidence has each resolver by its entry.
func TestMixedResolvers(t *testing.T) {
	w := newWorld(t, testZone("ns1", txt))
	cert, roots := certificate(t, time.Now(), "127.0.0.1")
	dot, _ := overTLSTo(t, w.resolver.Addr(), cert)
	broken := serveHTTPS(t, cert, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }).URL + "/dns-query"
	servers := []string{w.addr(7), broken, "tls://" + dot}
	r := w.resolve(func(c *Config) { c.Servers, c.Roots, c.Timeout = servers, roots, 2*time.Second })
	if zone, err := r.FindZone(t.Context(), "www.example.test."); err != nil || zone != "example.test." {
		t.Errorf("FindZone = %q, %v", zone, err)
	}
	report, err := r.Probe(t.Context(), challenge, "v", propagation.RecursiveOnly, "")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		challenge + " " + servers[0] + " recursive ConnectionRefused",
		challenge + " " + broken + " recursive HTTP",
		challenge + " " + servers[2] + " recursive NOERROR AA has",
	}
	if diff := cmp.Diff(want, lines(report)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	verdict := propagation.Judge(report, propagation.LedgerEntry{}, propagation.Policy{}, t0)
	if want := `DNS record for "example.test" not yet propagated: ` + servers[0] + " refuses connections; " + broken + " answers HTTP 403 (no content type); " +
		servers[2] + " has it"; verdict.Message != want {
		t.Errorf("got  %s\nwant %s", verdict.Message, want)
	}
}

// TestHTTPSProxy holds that HTTPS_PROXY and NO_PROXY decide how a DNS over HTTPS
// server is reached, and that the proxy looks up its name.
func TestHTTPSProxy(t *testing.T) {
	w := newWorld(t, testZone("ns1"))
	cert, roots := certificate(t, time.Now(), "dns.example")
	doh := overHTTPSTo(t, w.resolver.Addr(), cert)
	var mu sync.Mutex
	var connected []string
	proxy := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		mu.Lock()
		connected = append(connected, r.Method+" "+r.Host)
		mu.Unlock()
		server, err := net.Dial("tcp", doh.Listener.Addr().String())
		if err != nil {
			out.WriteHeader(http.StatusBadGateway)
			return
		}
		defer server.Close()
		client, _, err := out.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer client.Close()
		_, _ = io.WriteString(client, "HTTP/1.1 200 Connected\r\n\r\n")
		go func() { _, _ = io.Copy(server, client) }()
		_, _ = io.Copy(client, server)
	}))
	defer proxy.Close()
	t.Setenv("HTTPS_PROXY", proxy.URL)
	for _, test := range []struct {
		none string
		want []string
	}{
		{"", []string{"CONNECT dns.example:443"}},
		{"dns.example", nil},
	} {
		connected = nil
		t.Setenv("NO_PROXY", test.none)
		r := w.resolve(func(c *Config) {
			c.Servers, c.Roots, c.Timeout = []string{"https://dns.example/dns-query"}, roots, 2*time.Second
			c.Dial = to(map[string]string{"dns.example.": doh.Listener.Addr().String()})
		})
		for range 3 { // one connection for all
			if _, err := r.Alias(t.Context(), "www.example.test."); err != nil {
				t.Errorf("NO_PROXY=%s: %v", test.none, err)
			}
		}
		mu.Lock()
		if diff := cmp.Diff(test.want, connected); diff != "" {
			t.Errorf("NO_PROXY=%s: -want +got:\n%s", test.none, diff)
		}
		mu.Unlock()
	}
}

// TestFailingResolverIsAskedLast holds that a resolver that fails is not asked again for
// a while, as long as another one answers.
func TestFailingResolverIsAskedLast(t *testing.T) {
	w := newWorld(t, testZone("ns1"))
	cert, roots := certificate(t, time.Now(), "127.0.0.1")
	var asked atomic.Int32
	entry := serveHTTPS(t, cert, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusForbidden)
	}).URL + "/dns-query"
	r := w.resolve(func(c *Config) {
		c.Servers, c.Roots, c.Timeout = []string{entry, w.resolver.Addr()}, roots, 2*time.Second
	})
	for _, test := range []struct {
		after time.Duration
		asked int32
	}{{0, 1}, {time.Second, 1}, {demotion, 2}} {
		w.clock.SetTime(t0.Add(test.after))
		if _, err := r.Alias(t.Context(), "www.example.test."); err != nil {
			t.Error(err)
		}
		if n := asked.Load(); n != test.asked {
			t.Errorf("after %s: asked %d times, want %d", test.after, n, test.asked)
		}
	}
}

// TestUnusable holds which resolvers are reported at the start.
func TestUnusable(t *testing.T) {
	w := newWorld(t, testZone("ns1"))
	cert, roots := certificate(t, time.Now(), "127.0.0.1")
	dot, _ := overTLSTo(t, w.resolver.Addr(), cert)
	doh := overHTTPSTo(t, w.resolver.Addr(), cert).URL + "/dns-query"
	servers := []string{w.addr(7), "tls://localhost:" + dot[strings.LastIndex(dot, ":")+1:], doh, "tls://" + dot}
	r := w.resolve(func(c *Config) {
		c.Servers, c.Roots, c.Timeout, c.Dial = servers, roots, 2*time.Second, to(map[string]string{"localhost": dot})
	})
	var got []string
	for _, err := range r.Unusable(t.Context()) {
		got = append(got, err.Error())
	}
	want := []string{servers[1] + " has a certificate that is not for localhost: use the name that is in it"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
