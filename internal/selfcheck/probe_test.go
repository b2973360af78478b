package selfcheck

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/everleaf/everleaf/test/nameserver"
)

const (
	token = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
	key   = token + ".9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"
)

// world has web servers on loopback addresses, all on one port, and a name server.
type world struct {
	t         *testing.T
	port      int
	tlsPort   int
	otherPort int
	resolver  string
}

// server listens on one address of a world.
func (w *world) server(address string, port *int, serve func(net.Listener)) {
	w.t.Helper()
	l, err := (&net.ListenConfig{}).Listen(w.t.Context(), "tcp", net.JoinHostPort(address, fmt.Sprint(*port)))
	if err != nil {
		w.t.Skipf("no listener on %s: %s", address, err)
	}
	*port = l.Addr().(*net.TCPAddr).Port
	w.t.Cleanup(func() { _ = l.Close() })
	go serve(l)
}

// http serves on port 80 of an address.
func (w *world) http(address string, h http.HandlerFunc) {
	w.t.Helper()
	server := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
	w.t.Cleanup(func() { _ = server.Close() })
	w.server(address, &w.port, func(l net.Listener) { _ = server.Serve(l) })
}

// https serves on port 443 of an address.
func (w *world) https(address string, config *tls.Config, h http.HandlerFunc) {
	w.t.Helper()
	server := &http.Server{Handler: h, TLSConfig: config, ErrorLog: log.New(io.Discard, "", 0)}
	w.t.Cleanup(func() { _ = server.Close() })
	w.server(address, &w.tlsPort, func(l net.Listener) { _ = server.ServeTLS(l, "", "") })
}

// named serves a zone.
func (w *world) named(records ...string) {
	w.t.Helper()
	s, err := nameserver.New(nameserver.Options{Listen: []string{"127.0.0.1:0"}, Zones: []nameserver.Zone{{Name: "example.test", Records: records}}})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.t.Cleanup(cancel)
	if err := s.Start(ctx); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(s.Stop)
	w.resolver = s.Addr()
}

// check is one check of a name of the world.
func (w *world) check(name string, change ...func(*Config)) Report {
	w.t.Helper()
	config := Config{
		Nameservers: []string{w.resolver}, UserAgent: "selfcheck", Port: w.port, TLSPort: w.tlsPort,
		Proxy: func(*url.URL) (*url.URL, error) { return nil, nil },
	}
	for _, c := range change {
		c(&config)
	}
	checker, err := New(config)
	if err != nil {
		w.t.Fatal(err)
	}
	return checker.Check(w.t.Context(), Target{DNSName: name, Token: token, Key: key})
}

func answers(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// solves answers as a responder does.
func solves(w http.ResponseWriter, r *http.Request) {
	if r.Host != "www.example.test" || r.URL.Path != path+token {
		http.NotFound(w, r)
		return
	}
	_, _ = io.WriteString(w, key)
}

func redirects(to string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusMovedPermanently) }
}

var timeless = cmpopts.IgnoreFields(Answer{}, "Milliseconds")

const v4, v6 = "127.71.0.1", "::1"

// TestCheck holds what is seen of real servers.
func TestCheck(t *testing.T) {
	here := redirects("https://www.example.test" + path + token)
	both := []string{"www A " + v4, "www AAAA " + v6, "other A 127.71.0.9"}
	plain := &tls.Config{Certificates: []tls.Certificate{certificate(t, "ingress.local")}}
	strict := &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil }}
	for name, test := range map[string]struct {
		records []string
		serve   func(*world)
		want    []Answer
	}{
		"both families": {both, func(w *world) { w.http(v4, solves); w.http(v6, solves) }, []Answer{
			{Address: v6, Status: 200, Content: RightKey}, {Address: v4, Status: 200, Content: RightKey},
		}},
		"one is wrong": {both, func(w *world) { w.http(v4, solves); w.http(v6, http.NotFound) }, []Answer{
			{Address: v6, Status: 404, Content: OtherContent}, {Address: v4, Status: 200, Content: RightKey},
		}},
		"one is dead": {both, func(w *world) { w.http(v4, solves) }, []Answer{
			{Address: v6, Failure: ConnectionRefused}, {Address: v4, Status: 200, Content: RightKey},
		}},
		"a link-local address": {[]string{"www A 169.254.169.254"}, func(w *world) { w.http(v4, solves) }, []Answer{{Address: "169.254.169.254", Failure: Forbidden}}},
		"white space at the end": {both[:1], func(w *world) { w.http(v4, answers(200, key+"\r\n")) }, []Answer{
			{Address: v4, Status: 200, Content: RightKey},
		}},
		"another account": {both[:1], func(w *world) { w.http(v4, answers(200, token+"."+strings.Repeat("x", 43))) }, []Answer{
			{Address: v4, Status: 200, Content: OtherAccount},
		}},
		"the key with a 404": {both[:1], func(w *world) { w.http(v4, answers(404, key)) }, []Answer{
			{Address: v4, Status: 404, Content: RightKey},
		}},
		"a page of a firewall": {both[:1], func(w *world) { w.http(v4, answers(403, "<!DOCTYPE html><title>Just a moment...")) }, []Answer{
			{Address: v4, Status: 403, Content: Page},
		}},
		"to https": {both[:1], func(w *world) { w.http(v4, here); w.https(v4, plain, solves) }, []Answer{
			{Address: v4, Status: 200, Content: RightKey, Redirects: []Redirect{{To: "https://www.example.test", Certificate: otherName}}},
		}},
		"to https without a certificate": {both[:1], func(w *world) { w.http(v4, here); w.https(v4, strict, solves) }, []Answer{
			{Address: v4, Failure: TLSAlert, Detail: "unrecognized name", Redirects: []Redirect{{To: "https://www.example.test"}}},
		}},
		"to https that is none": {both[:1], func(w *world) {
			w.http(v4, here)
			w.server(v4, &w.tlsPort, func(l net.Listener) { _ = (&http.Server{Handler: http.NotFoundHandler()}).Serve(l) })
		}, []Answer{{Address: v4, Failure: TLSFailed, Redirects: []Redirect{{To: "https://www.example.test"}}}}},
		"to https where nothing is": {both[:1], func(w *world) { w.http(v4, here); w.tlsPort = 1 }, []Answer{
			{Address: v4, Failure: ConnectionRefused, Redirects: []Redirect{{To: "https://www.example.test"}}},
		}},
		"to itself": {both[:1], func(w *world) { w.http(v4, redirects("http://www.example.test"+path+token)) }, []Answer{
			{Address: v4, Failure: RedirectLoop, Redirects: []Redirect{{To: "http://www.example.test"}}},
		}},
		"there and back": {both[:1], func(w *world) {
			w.http(v4, here)
			w.https(v4, plain, redirects("http://www.example.test"+path+token))
		}, []Answer{{Address: v4, Failure: RedirectLoop, Redirects: []Redirect{
			{To: "https://www.example.test", Certificate: otherName}, {To: "http://www.example.test"},
		}}}},
		"ever on": {both[:1], func(w *world) {
			w.http(v4, func(out http.ResponseWriter, r *http.Request) {
				http.Redirect(out, r, r.URL.Path+"x", http.StatusFound)
			})
		}, []Answer{{Address: v4, Failure: TooManyRedirects, Redirects: repeat(Redirect{To: "http://www.example.test"}, 11)}}},
		"to another host": {both, func(w *world) {
			w.http(v6, solves)
			w.http("127.71.0.9", http.NotFound)
			w.http(v4, redirects(fmt.Sprintf("http://other.example.test:%d/", w.port)))
		}, []Answer{
			{Address: v6, Status: 200, Content: RightKey},
			{Address: v4, Status: 404, Content: OtherContent, Redirects: []Redirect{{To: "http://other.example.test:PORT", Foreign: true}}},
		}},
		"to another port, where the challenge is": {both[:1], func(w *world) {
			port := 0
			w.server(v4, &port, func(l net.Listener) { _ = http.Serve(l, http.HandlerFunc(solves)) })
			w.http(v4, redirects(fmt.Sprintf("http://www.example.test:%d%s%s", port, path, token)))
			w.otherPort = port
		}, []Answer{{Address: v4, Failure: OtherPort, Redirects: []Redirect{{To: "http://www.example.test:OTHER"}}}}},
		"to port 443 without TLS": {both[:1], func(w *world) {
			w.http(v4, redirects("http://www.example.test:443"+path+token))
			w.server(v4, &w.tlsPort, func(l net.Listener) {
				_ = http.Serve(l, http.HandlerFunc(answers(200, key)))
			})
		}, []Answer{{Address: v4, Status: 200, Content: RightKey, Redirects: []Redirect{{To: "http://www.example.test:443"}}}}},
		"to a host without address": {both[:1], func(w *world) { w.http(v4, redirects("http://none.example.test/")) }, []Answer{
			{Address: v4, Failure: Unresolved, Redirects: []Redirect{{To: "http://none.example.test", Foreign: true}}},
		}},
		"to a metadata service": {both[:1], func(w *world) { w.http(v4, redirects("http://169.254.169.254/latest/meta-data")) }, []Answer{
			{Address: v4, Failure: Forbidden, Redirects: []Redirect{{To: "http://169.254.169.254", Foreign: true}}},
		}},
		"to another protocol": {both[:1], func(w *world) { w.http(v4, redirects("ftp://www.example.test/")) }, []Answer{
			{Address: v4, Failure: BadRedirect, Redirects: []Redirect{{}}},
		}},
		"to nowhere": {both[:1], func(w *world) { w.http(v4, answers(302, "")) }, []Answer{{Address: v4, Failure: BadRedirect, Status: 302}}},
		"not HTTP":   {both[:1], func(w *world) { w.server(v4, &w.port, says("SSH-2.0-OpenSSH_9.6\r\n")) }, []Answer{{Address: v4, Failure: Malformed}}},
		"closed":     {both[:1], func(w *world) { w.server(v4, &w.port, says("")) }, []Answer{{Address: v4, Failure: ConnectionClosed}}},
		"a body that breaks off": {both[:1], func(w *world) {
			w.server(v4, &w.port, says("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nabc"))
		}, []Answer{{Address: v4, Status: 200, Failure: BodyUnread}}},
		"an endless body": {both[:1], func(w *world) {
			w.http(v4, func(out http.ResponseWriter, _ *http.Request) {
				for {
					if _, err := io.WriteString(out, strings.Repeat("x", 4096)); err != nil {
						return
					}
				}
			})
		}, []Answer{{Address: v4, Status: 200, Content: OtherContent}}},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{t: t}
			w.named(test.records...)
			test.serve(w)
			got := w.check("www.example.test")
			for i := range got.Answers {
				for j, r := range got.Answers[i].Redirects {
					to := strings.ReplaceAll(r.To, fmt.Sprintf(":%d", w.port), ":PORT")
					got.Answers[i].Redirects[j].To = strings.ReplaceAll(to, fmt.Sprintf(":%d", w.otherPort), ":OTHER")
				}
			}
			if diff := cmp.Diff(test.want, got.Answers, timeless); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func repeat(r Redirect, n int) (out []Redirect) {
	for range n {
		out = append(out, r)
	}
	return out
}

// says sends a text to whoever has asked, and closes the connection.
func says(text string) func(net.Listener) {
	return func(l net.Listener) {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = io.WriteString(conn, text)
			_ = conn.Close()
		}
	}
}

// certificate is self-signed.
func certificate(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestRequest holds what the servers are asked.
func TestRequest(t *testing.T) {
	w := &world{t: t}
	w.named("www A " + v4)
	var got *http.Request
	w.http(v4, func(out http.ResponseWriter, r *http.Request) { got = r; solves(out, r) })
	if r := w.check("www.example.test"); !r.Ready() {
		t.Fatalf("%+v", r)
	}
	want := http.Header{"User-Agent": {"selfcheck"}, "Connection": {"close"}}
	if diff := cmp.Diff(want, got.Header); diff != "" || got.Method != http.MethodGet || got.Host != "www.example.test" || got.RequestURI != path+token {
		t.Errorf("%s %s at %s, -want +got headers:\n%s", got.Method, got.RequestURI, got.Host, diff)
	}
}

// TestNoResponse: a server that accepts a connection and says nothing is none that cannot
// be reached.
func TestNoResponse(t *testing.T) {
	w := &world{t: t}
	w.server(v4, &w.port, func(net.Listener) {})
	checker, err := New(Config{Port: w.port})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	begin := time.Now()
	got := checker.Check(ctx, Target{DNSName: v4, Token: token, Key: key})
	if diff := cmp.Diff([]Answer{{Address: v4, Failure: NoResponse}}, got.Answers, timeless); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if v := got.Verdict(begin); !v.Unanswered || !v.Until.After(begin.Add(time.Second)) {
		t.Errorf("the next check is due before the end of this one, or it counts as answered: %+v", v)
	}
}

// TestAddressAsName: the identifier can be an address (RFC 8738).
func TestAddressAsName(t *testing.T) {
	for _, address := range []string{v4, v6} {
		w := &world{t: t, resolver: "127.0.0.1:1"}
		var host string
		w.http(address, func(out http.ResponseWriter, r *http.Request) { host = r.Host; _, _ = io.WriteString(out, key) })
		if r := w.check(address); !r.Ready() || len(r.Lookups) > 0 || strings.Trim(host, "[]") != address {
			t.Errorf("%s: asked for %s: %+v", address, host, r)
		}
	}
}

// TestLookups holds what is said of names without an address that can be asked.
func TestLookups(t *testing.T) {
	for name, test := range map[string]struct {
		records []string
		rcode   int
		want    []Lookup
	}{
		"no such name": {nil, 0, []Lookup{{Type: AAAA}, {Type: A}}},
		"no address":   {[]string{"www TXT x"}, 0, []Lookup{{Type: AAAA}, {Type: A}}},
		"an error":     {nil, 2, []Lookup{{Type: AAAA, Failure: OtherFailure}, {Type: A, Failure: OtherFailure}}},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{t: t, port: 1}
			s, err := nameserver.New(nameserver.Options{Listen: []string{"127.0.0.1:0"}, Zones: []nameserver.Zone{{Name: "example.test", Records: test.records}}})
			if err != nil {
				t.Fatal(err)
			}
			s.Behave(0, nameserver.Behaviour{Rcode: test.rcode})
			if err := s.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.resolver = s.Addr()
			got := w.check("www.example.test")
			if diff := cmp.Diff(test.want, got.Lookups); diff != "" || len(got.Answers) > 0 {
				t.Errorf("answers %v, -want +got:\n%s", got.Answers, diff)
			}
		})
	}
}

// TestRotation: a resolver that is gone does not decide.
func TestRotation(t *testing.T) {
	w := &world{t: t}
	w.named("www A " + v4)
	w.http(v4, solves)
	for range 2 {
		if r := w.check("www.example.test", func(c *Config) { c.Nameservers = []string{"127.0.0.1:1", w.resolver} }); !r.Ready() {
			t.Errorf("%+v", r)
		}
	}
}

// TestProxy: a proxy is asked first, and what it answers does not decide against the
// addresses of the name.
func TestProxy(t *testing.T) {
	const shown = "PROXY"
	right := Answer{Address: v4, Status: 200, Content: RightKey}
	for name, test := range map[string]struct {
		proxy  http.HandlerFunc
		exempt string
		serves bool
		want   []Answer
	}{
		"it passes requests on": {solves, "", false, []Answer{{Proxy: shown, Status: 200, Content: RightKey}}},
		"it refuses":            {answers(503, "<html>"), "", true, []Answer{{Proxy: shown, Status: 503, Content: Page}, right}},
		"both fail":             {answers(503, ""), "", false, []Answer{{Proxy: shown, Status: 503, Content: Empty}, {Address: v4, Failure: ConnectionRefused}}},
		"the name is exempt":    {solves, "www.example.test", true, []Answer{right}},
		"the address is exempt": {solves, v4, true, []Answer{right}},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{t: t, port: 1}
			w.named("www A " + v4)
			if test.serves {
				w.port = 0
				w.http(v4, solves)
			}
			proxy := httptest.NewServer(test.proxy)
			defer proxy.Close()
			at, err := url.Parse(strings.Replace(proxy.URL, "//", "//user:secret@", 1))
			if err != nil {
				t.Fatal(err)
			}
			got := w.check("www.example.test", func(c *Config) {
				c.Proxy = func(u *url.URL) (*url.URL, error) {
					if u.Hostname() == test.exempt {
						return nil, nil
					}
					return at, nil
				}
			})
			for i, a := range got.Answers {
				got.Answers[i].Proxy = strings.ReplaceAll(a.Proxy, proxy.URL, shown)
			}
			if diff := cmp.Diff(test.want, got.Answers, timeless); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestReplicas has an address at which two servers answer in turn. One does not know the
// challenge yet.
func TestReplicas(t *testing.T) {
	w := &world{t: t}
	w.named("www A 127.0.0.1")
	var requests, connections atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if requests.Add(1)%2 == 0 {
			http.NotFound(out, r)
			return
		}
		solves(out, r)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	w.port = server.Listener.Addr().(*net.TCPAddr).Port
	checker, err := New(Config{Nameservers: []string{w.resolver}, Port: w.port, Proxy: func(*url.URL) (*url.URL, error) { return nil, nil }})
	if err != nil {
		t.Fatal(err)
	}
	for asks, want := range []int{1: http.StatusOK, 2: http.StatusNotFound, 3: http.StatusNotFound} {
		if asks == 0 {
			continue
		}
		requests.Store(0)
		connections.Store(0)
		r := checker.Check(t.Context(), Target{DNSName: "www.example.test", Token: token, Key: key, Asks: asks})
		if len(r.Answers) != 1 || r.Answers[0].Status != want || int(connections.Load()) != asks {
			t.Errorf("%d requests: %d connections, answers %+v", asks, connections.Load(), r.Answers)
		}
	}
}

func TestNewRefusesNames(t *testing.T) {
	if _, err := New(Config{Nameservers: []string{"dns.example.com:53"}}); err == nil {
		t.Error("a name is no ip:port")
	}
}
