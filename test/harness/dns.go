package harness

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/everleaf/everleaf/test/named"
	"github.com/everleaf/everleaf/test/nameserver"
	"github.com/everleaf/everleaf/test/unbound"
)

// Named runs BIND's named until the test ends. The test is skipped where it is
// not installed, or where its addresses cannot be had.
func Named(tb testing.TB, o named.Options) *named.Server {
	tb.Helper()
	bindable(tb, o.Listen...)
	s, err := named.Run(context.Background(), o)
	if errors.Is(err, named.ErrMissing) {
		tb.Skip(err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("named on %s printed:\n%s", o.Listen, s.Log())
		}
		s.Stop()
	})
	return s
}

// Unbound runs a recursive resolver until the test ends. The test is skipped
// where it is not installed.
func Unbound(tb testing.TB, o unbound.Options) *unbound.Server {
	tb.Helper()
	bindable(tb, o.Listen)
	s, err := unbound.Run(context.Background(), o)
	if errors.Is(err, unbound.ErrMissing) {
		tb.Skip(err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("unbound on %s printed:\n%s", o.Listen, s.Log())
		}
		s.Stop()
	})
	return s
}

// Nameserver runs the built-in name server until the test ends.
func Nameserver(tb testing.TB, o nameserver.Options) *nameserver.Server {
	tb.Helper()
	bindable(tb, o.Listen...)
	s, err := nameserver.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	if err := s.Start(context.Background()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Stop)
	return s
}

// bindable skips a test that may not listen where it has to: port 53 takes
// root.
func bindable(tb testing.TB, addrs ...string) {
	tb.Helper()
	for _, addr := range addrs {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			tb.Skipf("needs to listen on %s: %v", addr, err)
		}
		l.Close()
	}
}

// TSIGKey makes a key with BIND's tsig-keygen.
func TSIGKey(tb testing.TB, name, algorithm string) named.Key {
	tb.Helper()
	key, err := named.NewKey(context.Background(), name, algorithm)
	if errors.Is(err, named.ErrMissing) {
		tb.Skip(err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// TXT asks one server (host:port) for the TXT values at a name, sorted.
func TXT(server, name string) ([]string, error) {
	q := new(mdns.Msg)
	q.SetQuestion(mdns.Fqdn(name), mdns.TypeTXT)
	client := mdns.Client{Net: "tcp", Timeout: 5 * time.Second}
	m, _, err := client.Exchange(q, server)
	if err != nil {
		return nil, err
	}
	if m.Rcode != mdns.RcodeSuccess && m.Rcode != mdns.RcodeNameError {
		return nil, fmt.Errorf("%s answers %s for %s", server, mdns.RcodeToString[m.Rcode], name)
	}
	var values []string
	for _, rr := range m.Answer {
		if txt, ok := rr.(*mdns.TXT); ok {
			values = append(values, strings.Join(txt.Txt, ""))
		}
	}
	slices.Sort(values)
	return values, nil
}

// WantTXT waits until a server has n TXT values at a name.
func WantTXT(tb testing.TB, server, name string, n int, within time.Duration) {
	tb.Helper()
	Eventually(tb, within, func() error {
		values, err := TXT(server, name)
		if err == nil && len(values) != n {
			err = fmt.Errorf("%s has %d values at %s, want %d", server, len(values), name, n)
		}
		return err
	})
}

// Notify tells a secondary that its zone has changed (RFC 1996).
func Notify(tb testing.TB, secondary, zone string) {
	tb.Helper()
	m := new(mdns.Msg)
	m.SetNotify(mdns.Fqdn(zone))
	client := mdns.Client{Timeout: 5 * time.Second}
	answer, _, err := client.Exchange(m, secondary)
	if err != nil {
		tb.Fatal(err)
	}
	if answer.Rcode != mdns.RcodeSuccess {
		tb.Fatalf("%s answers %s to NOTIFY", secondary, mdns.RcodeToString[answer.Rcode])
	}
}
