// Package dnsmasq runs dnsmasq for tests: the forwarder of a home or an office, which
// answers for a local domain by itself.
package dnsmasq

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

// Options configure a forwarder.
type Options struct {
	// Listen is ip:port.
	Listen string
	// Upstream is where other names are asked for, ip:port.
	Upstream string
	// Config are lines of the configuration file.
	Config []string
}

// Server is a running dnsmasq.
type Server struct {
	dir string
	*child.Process
}

// Start runs a forwarder until the test ends. It skips the test if dnsmasq is not
// installed or the test cannot listen on the address.
func Start(tb testing.TB, o Options) *Server {
	tb.Helper()
	child.Listenable(tb, o.Listen)
	path := "/usr/sbin/dnsmasq"
	if _, err := os.Stat(path); err != nil {
		if path, err = exec.LookPath("dnsmasq"); err != nil {
			child.Missing(tb, "dnsmasq is not installed (Debian: apt-get install dnsmasq-base)")
		}
	}
	s, err := run(path, o)
	if err != nil {
		tb.Fatal(err)
	}
	child.StopAtEnd(tb, "dnsmasq on "+o.Listen, s)
	return s
}

func run(path string, o Options) (*Server, error) {
	dir, err := os.MkdirTemp("", "everleaf-dnsmasq-")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir}
	host, port, err := net.SplitHostPort(o.Listen)
	if err == nil {
		lines := append([]string{
			"no-resolv", "no-hosts", "no-poll", "bind-interfaces", "pid-file=", "listen-address=" + host, "port=" + port,
			"server=" + strings.Replace(o.Upstream, ":", "#", 1),
		}, o.Config...)
		err = os.WriteFile(filepath.Join(dir, "dnsmasq.conf"), []byte(strings.Join(lines, "\n")+"\n"), 0o600)
	}
	if err == nil {
		s.Process, err = child.Start(dir, path, "--keep-in-foreground", "--log-facility=-", "--user=", "--conf-file="+filepath.Join(dir, "dnsmasq.conf"))
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	if err := s.ready(o.Listen); err != nil {
		err = fmt.Errorf("%w\n%s", err, s.Log())
		s.Stop()
		return nil, err
	}
	return s, nil
}

// Stop ends the forwarder and removes its directory.
func (s *Server) Stop() {
	s.Process.Stop()
	os.RemoveAll(s.dir)
}

// ready waits until the forwarder answers for a name that is its own.
func (s *Server) ready(addr string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	client := mdns.Client{Net: "tcp", Timeout: time.Second}
	for {
		q := new(mdns.Msg)
		q.SetQuestion("version.bind.", mdns.TypeTXT)
		q.Question[0].Qclass = mdns.ClassCHAOS
		if _, _, err := client.ExchangeContext(ctx, q, addr); err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.Done():
			return errors.New("dnsmasq ended during its start")
		case <-ctx.Done():
			return fmt.Errorf("dnsmasq does not answer on %s", addr)
		}
	}
}
