package selfcheck

import (
	"errors"
	"net"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestForbidden holds where whoever controls the DNS or a web server of a name cannot lead
// the controllers.
func TestForbidden(t *testing.T) {
	w := &world{t: t}
	w.http(v4, solves)
	w.named("www A 192.0.2.5", "here A "+v4)
	checker, err := New(Config{Nameservers: []string{w.resolver}, Port: w.port})
	if err != nil {
		t.Fatal(err)
	}
	port := func(host string) string { return net.JoinHostPort(host, "80") }
	listens := net.JoinHostPort(v4, checker.port("80"))
	dial := func(from, name, target string) error {
		f := fetch{checker: checker, target: Target{DNSName: name}, address: netip.MustParseAddr(from)}
		conn, err := f.dial(t.Context(), "tcp", target)
		if err == nil {
			_ = conn.Close()
		}
		return err
	}
	for _, target := range []string{
		listens, net.JoinHostPort("::ffff:"+v4, checker.port("80")), net.JoinHostPort("here.example.test", checker.port("80")), port("::1"), port("0.0.0.0"), port("::"), port("169.254.169.254"),
		port("fe80::1"), port("224.0.0.1"), port("ff02::1"), port("fd00:ec2::254"), port("fd20:ce::254"), port("100.100.100.200"), port("168.63.129.16"),
	} {
		if err := dial("192.0.2.5", "www.example.test", target); !errors.Is(err, errForbidden) {
			t.Errorf("a redirect from elsewhere leads to %s: %v", target, err)
		}
	}
	for _, address := range []string{"169.254.169.254", "fd00:ec2::254", "0.0.0.0"} {
		if err := dial(address, "www.example.test", port("www.example.test")); !errors.Is(err, errForbidden) {
			t.Errorf("a record leads to %s: %v", address, err)
		}
	}
	if err := dial(v4, "other.example.test", listens); err != nil {
		t.Errorf("a name of this machine does not lead to others of it: %v", err)
	}
	if err := dial(v4, "www.example.test", port("www.example.test")); err != nil {
		t.Errorf("a name of this machine is not asked: %v", err)
	}
}

// TestProxyOnTheMachine holds that a proxy may be on the machine itself, and a redirect that
// it passes on may not lead there.
func TestProxyOnTheMachine(t *testing.T) {
	w := &world{t: t}
	w.named("www A 192.0.2.5")
	w.http(v4, solves)
	proxy := httptest.NewServer(redirects("http://" + net.JoinHostPort(v4, "80") + path + token))
	defer proxy.Close()
	at, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	checker, err := New(Config{Nameservers: []string{w.resolver}, Port: w.port, Proxy: func(u *url.URL) (*url.URL, error) {
		if u.Hostname() == v4 {
			return nil, nil
		}
		return at, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	got := checker.fetch(t.Context(), Target{DNSName: "www.example.test", Token: token, Key: key}, netip.Addr{}, at)
	want := Answer{Proxy: proxy.URL, Failure: Forbidden, Redirects: []Redirect{{To: "http://" + net.JoinHostPort(v4, "80"), Foreign: true}}}
	if diff := cmp.Diff(want, got, timeless); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
