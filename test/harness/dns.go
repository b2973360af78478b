package harness

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/everleaf/everleaf/test/child"
	"github.com/everleaf/everleaf/test/nameserver"
)

// Nameserver runs the test name server until the test ends.
func Nameserver(tb testing.TB, o nameserver.Options) *nameserver.Server {
	tb.Helper()
	child.Listenable(tb, o.Listen...)
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

// TXT returns the TXT values at a name, sorted, as answered by one server
// (host:port).
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

// Notify notifies a secondary of a change of its zone (RFC 1996).
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
