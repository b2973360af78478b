// Package unbound runs NLnet Labs' recursive resolver for tests: a child
// process that knows only the configured zones.
package unbound

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/everleaf/everleaf/test/child"
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

// ErrMissing means that unbound is not installed.
var ErrMissing = errors.New("unbound is not installed (Debian: apt-get install unbound)")

// Server is a running unbound.
type Server struct {
	// Addr is the address on which it listens.
	Addr string

	dir string
	*child.Process
}

// Start runs a resolver until the test ends. It skips the test if unbound is not
// installed or the test cannot listen on the address.
func Start(tb testing.TB, o Options) *Server {
	tb.Helper()
	child.Listenable(tb, o.Listen)
	s, err := Run(context.Background(), o)
	if errors.Is(err, ErrMissing) {
		child.Missing(tb, "%v", err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	child.StopAtEnd(tb, "unbound on "+o.Listen, s)
	return s
}

// Run starts a resolver and returns when it answers. The caller stops it with
// Stop. If ctx ends before the resolver answers, Run stops it.
func Run(ctx context.Context, o Options) (*Server, error) {
	path := "/usr/sbin/unbound"
	if _, err := os.Stat(path); err != nil {
		if path, err = exec.LookPath("unbound"); err != nil {
			return nil, ErrMissing
		}
	}
	dir, err := os.MkdirTemp("", "everleaf-unbound-")
	if err != nil {
		return nil, err
	}
	s := &Server{Addr: o.Listen, dir: dir}
	conf := filepath.Join(dir, "unbound.conf")
	text, err := o.text(dir)
	if err == nil {
		err = os.WriteFile(conf, []byte(text), 0o600)
	}
	if err == nil {
		s.Process, err = child.Start(dir, path, "-d", "-p", "-c", conf)
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	if err := s.ready(ctx); err != nil {
		err = fmt.Errorf("%w\n%s", err, s.Log())
		s.Stop()
		return nil, err
	}
	return s, nil
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

// Stop ends the resolver and removes its directory.
func (s *Server) Stop() {
	s.Process.Stop()
	os.RemoveAll(s.dir)
}

func (s *Server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	client := mdns.Client{Net: "tcp", Timeout: time.Second}
	for {
		q := new(mdns.Msg)
		q.SetQuestion("ready.invalid.", mdns.TypeA)
		if _, _, err := client.ExchangeContext(ctx, q, s.Addr); err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.Done():
			return errors.New("unbound ended during its start")
		case <-ctx.Done():
			return fmt.Errorf("unbound does not answer on %s", s.Addr)
		}
	}
}
