// Package unbound runs NLnet Labs' recursive resolver for tests: a child
// process that knows only the configured zones.
package unbound

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/everleaf/everleaf/test/dnsdaemon"
)

// Options configure a resolver.
type Options struct {
	// Listen is ip:port.
	Listen string
	// Stubs maps zones to their authoritative servers (ip:port). The resolver
	// follows delegations below them to port 53. It refuses names in other
	// zones.
	Stubs map[string][]string
	// CacheMinTTL raises lower TTLs, in seconds.
	CacheMinTTL int
	// AggressiveNSEC answers from cached NSEC records (RFC 8198).
	AggressiveNSEC bool
	// TrustAnchors are DNSKEY or DS records of signed zones. Without any the
	// resolver validates nothing.
	TrustAnchors []string
	// Insecure are unsigned zones below them.
	Insecure []string
	// Config is added to the server clause.
	Config string
}

// Start runs a resolver until the test ends. It skips the test if unbound is not
// installed or the test cannot listen on the address.
func Start(tb testing.TB, o Options) *dnsdaemon.Server {
	tb.Helper()
	return dnsdaemon.Start(tb, dnsdaemon.Program{
		Name: "unbound", Package: "unbound", Listen: o.Listen, Config: o.text,
		Args: func(file string) []string { return []string{"-d", "-p", "-c", file} },
	})
}

// text returns the configuration file.
func (o Options) text(dir string) (string, error) {
	host, port, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "server:\n\tdirectory: %q\n\tchroot: \"\"\n\tusername: \"\"\n\tuse-syslog: no\n\tlogfile: \"\"\n\tnum-threads: 1\n", dir)
	fmt.Fprintf(&b, "\tinterface: %s@%s\n\taccess-control: 127.0.0.0/8 allow\n\taccess-control: ::1/128 allow\n", host, port)
	b.WriteString("\tdo-not-query-localhost: no\n\tmodule-config: \"validator iterator\"\n\tqname-minimisation: no\n")
	fmt.Fprintf(&b, "\tcache-min-ttl: %d\n\taggressive-nsec: %s\n", o.CacheMinTTL, yesNo(o.AggressiveNSEC))
	b.WriteString("\tlocal-zone: \".\" refuse\n")
	for zone := range o.Stubs {
		fmt.Fprintf(&b, "\tlocal-zone: %q transparent\n", zone)
	}
	for _, anchor := range o.TrustAnchors {
		fmt.Fprintf(&b, "\ttrust-anchor: %q\n", anchor)
	}
	for _, zone := range o.Insecure {
		fmt.Fprintf(&b, "\tdomain-insecure: %q\n", zone)
	}
	b.WriteString(o.Config + "\n")
	for zone, addrs := range o.Stubs {
		fmt.Fprintf(&b, "stub-zone:\n\tname: %q\n\tstub-prime: no\n", zone)
		for _, addr := range addrs {
			host, port, err := net.SplitHostPort(addr)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&b, "\tstub-addr: %s@%s\n", host, port)
		}
	}
	b.WriteString("remote-control:\n\tcontrol-enable: no\n")
	return b.String(), nil
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
