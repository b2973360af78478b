// Package unbound runs NLnet Labs' recursive resolver for tests: a process of
// its own that knows only the zones that it is given.
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
	"syscall"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/everleaf/everleaf/test/child"
)

// Options describe a resolver.
type Options struct {
	// Listen is ip:port.
	Listen string
	// Stubs are zones and the authoritative servers (ip:port) that are asked
	// for them; delegations below are followed to port 53. Names elsewhere are
	// refused at once.
	Stubs map[string][]string
	// CacheMinTTL raises lower TTLs, in seconds.
	CacheMinTTL int
	// AggressiveNSEC answers from cached NSEC records (RFC 8198).
	AggressiveNSEC bool
	// TrustAnchors are DNSKEY or DS records of signed zones. Without any
	// nothing is validated.
	TrustAnchors []string
	// Insecure are zones below them that are not signed.
	Insecure []string
	// Config are more lines of the server clause.
	Config string
}

// ErrMissing says that unbound is not installed.
var ErrMissing = errors.New("unbound is not installed (Debian: apt-get install unbound)")

// Server is a running unbound.
type Server struct {
	// Addr is where it listens.
	Addr string

	dir  string
	cmd  *exec.Cmd
	done chan struct{}
	log  *os.File
}

// Run starts a resolver and returns when it answers. Stop ends it, and so does
// the end of ctx.
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
	s := &Server{Addr: o.Listen, dir: dir, done: make(chan struct{})}
	conf, err := o.text(dir)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "unbound.conf"), []byte(conf), 0o600)
	}
	if err == nil {
		s.log, err = os.Create(filepath.Join(dir, "unbound.log"))
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	s.cmd = exec.CommandContext(ctx, path, "-d", "-p", "-c", filepath.Join(dir, "unbound.conf"))
	child.DieWithParent(s.cmd)
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = dir, s.log, s.log
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(syscall.SIGTERM) }
	s.cmd.WaitDelay = 5 * time.Second
	if err := s.cmd.Start(); err != nil {
		s.log.Close()
		os.RemoveAll(dir)
		return nil, err
	}
	go func() {
		_ = s.cmd.Wait()
		close(s.done)
	}()
	if err := s.ready(ctx); err != nil {
		err = fmt.Errorf("%w\n%s", err, s.Log())
		s.Stop()
		return nil, err
	}
	return s, nil
}

// text is the configuration file.
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

// Stop ends the resolver and removes its folder.
func (s *Server) Stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.done:
	case <-time.After(5 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.done
	}
	s.log.Close()
	os.RemoveAll(s.dir)
}

// Log is what the resolver has printed.
func (s *Server) Log() string {
	out, err := os.ReadFile(filepath.Join(s.dir, "unbound.log"))
	if err != nil {
		return err.Error()
	}
	return string(out)
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
		case <-s.done:
			return errors.New("unbound ended at its start")
		case <-ctx.Done():
			return fmt.Errorf("unbound does not answer on %s", s.Addr)
		}
	}
}
