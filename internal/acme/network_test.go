package acme

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/everleaf/everleaf/internal/fault"
)

// raw is a TCP server that writes something to each connection and closes it.
func raw(t *testing.T, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = fmt.Fprint(conn, answer)
			_ = conn.Close()
		}
	}()
	return l.Addr().String()
}

func TestNetworkErrors(t *testing.T) {
	s := newServer(t)
	silent := make(chan struct{})
	s.handle("/silent", func(http.ResponseWriter, *http.Request) { <-silent })
	defer close(silent)
	address := s.Listener.Addr().String()
	closed := raw(t, "")
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.Close()

	trusting := s.Client().Transport.(*http.Transport)
	misnamed := trusting.Clone()
	misnamed.TLSClientConfig.ServerName = "other.example"
	late := trusting.Clone()
	late.TLSClientConfig.Time = func() time.Time { return time.Now().AddDate(1000, 0, 0) }
	old := trusting.Clone()
	old.TLSClientConfig.MaxVersion = tls.VersionTLS10
	old.TLSClientConfig.MinVersion = tls.VersionTLS10
	lookup := trusting.Clone()
	lookup.DialContext = func(_ context.Context, network, address string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Err: &net.DNSError{Err: "no such host", Name: address, IsNotFound: true}}
	}
	proxied := trusting.Clone()
	proxied.Proxy = http.ProxyURL(mustURL("http://" + gone.Addr().String()))

	for name, test := range map[string]struct {
		url       string
		transport *http.Transport
		timeout   time.Duration
		why       string
	}{
		"refused":       {"https://" + gone.Addr().String() + "/dir", trusting, 0, "connection refused"},
		"proxy refused": {"https://ca.example/dir", proxied, 0, "through the proxy: connection refused"},
		"closed":        {"http://" + closed + "/dir", trusting, 0, "the connection was closed"},
		"garbage":       {"http://" + raw(t, canary+"\r\n\r\n") + "/dir", trusting, 0, "the connection failed"},
		"bad header":    {"http://" + raw(t, "HTTP/1.1 200 OK\r\n"+canary+"\r\n\r\n") + "/dir", trusting, 0, "the connection failed"},
		"no TLS":        {"https://" + raw(t, "HTTP/1.0 400 "+canary+"\r\n\r\n") + "/dir", trusting, 0, "it does not speak TLS on this port"},
		"timeout":       {"https://" + address + "/silent", trusting, 50 * time.Millisecond, "no answer in time"},
		"untrusted":     {"https://" + address + "/dir", &http.Transport{}, 0, "its certificate is signed by an unknown authority"},
		"misnamed":      {"https://" + address + "/dir", misnamed, 0, "its certificate is for another name"},
		"expired":       {"https://" + address + "/dir", late, 0, "its certificate has expired or is not yet valid"},
		"TLS version":   {"https://" + address + "/dir", old, 0, "TLS handshake: protocol version not supported"},
		"no such host":  {"https://ca.example/dir", lookup, 0, "no such host"},
	} {
		t.Run(name, func(t *testing.T) {
			c := New(Config{DirectoryURL: test.url, HTTPClient: &http.Client{Transport: test.transport, Timeout: test.timeout}})
			_, err := c.Directory(t.Context())
			want := "cannot reach the ACME server " + mustURL(test.url).Host + ": " + test.why
			if err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
			if f := Classify(err, epoch); f.Class != fault.Transient || f.Reason != "NetworkError" {
				t.Errorf("%v %s", f.Class, f.Reason)
			}
			for e := err; e != nil; e = errors.Unwrap(e) {
				if text := fmt.Sprintf("%+v %#v", e, e); strings.Contains(text, canary) {
					t.Errorf("the canary is in %s", text)
				}
			}
		})
	}
}

func TestHTTPClient(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	for name, test := range map[string]struct {
		opts TransportOptions
		ok   bool
	}{
		"system roots": {},
		"bundle":       {opts: TransportOptions{CABundle: root}, ok: true},
		"other bundle": {opts: TransportOptions{CABundle: certificate(t, "a", "b")}},
		"skip verify":  {opts: TransportOptions{SkipTLSVerify: true}, ok: true},
	} {
		client, err := HTTPClient(test.opts)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Get(s.URL)
		if err == nil {
			_ = resp.Body.Close()
		}
		if (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
		client.CloseIdleConnections()
	}
	_, err := HTTPClient(TransportOptions{CABundle: []byte("no certificate " + canary)})
	if f := fault.Of(err); f == nil || f.Class != fault.User || strings.Contains(f.Message, canary) {
		t.Errorf("an empty bundle: %v", err)
	}
	_, err = HTTPClient(TransportOptions{CABundle: root, MaxBundleSize: len(root) - 1})
	want := fmt.Sprintf("the CA bundle for the ACME server has %d bytes, more than the %d that are accepted (--max-bundle-size)", len(root), len(root)-1)
	if f := fault.Of(err); f == nil || f.Class != fault.User || f.Message != want {
		t.Errorf("a bundle that is too large: %v", err)
	}
}
