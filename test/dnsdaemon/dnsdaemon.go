// Package dnsdaemon runs DNS servers of the system for tests, as child processes: it has
// what the packages for dnsmasq, named and unbound share.
package dnsdaemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/everleaf/everleaf/test/child"
)

// patience is how long a server may take to start.
const patience = 20 * time.Second

// Program is a DNS server with one configuration file.
type Program struct {
	// Name is that of the program, Package the one of Debian that has it.
	Name, Package string
	// Listen is where the configuration makes it listen, ip:port.
	Listen string
	// Config returns the text of the configuration file of a server that works in dir.
	Config func(dir string) (string, error)
	// Args are the arguments that make the server read a file and stay in the
	// foreground, with its log on standard output or standard error.
	Args func(file string) []string
}

// Server is a Program that runs.
type Server struct {
	dir string
	*child.Process
}

// Start runs a program until the test ends. It skips the test if the program is not
// installed or the test cannot listen on the address.
func Start(tb testing.TB, p Program) *Server {
	tb.Helper()
	child.Listenable(tb, p.Listen)
	path, err := Find(p.Name)
	if err != nil {
		child.Missing(tb, "%s is not installed (Debian: apt-get install %s)", p.Name, p.Package)
	}
	s, err := p.run(path)
	if err != nil {
		tb.Fatalf("%s on %s: %v", p.Name, p.Listen, err)
	}
	child.StopAtEnd(tb, p.Name+" on "+p.Listen, s)
	return s
}

func (p Program) run(path string) (*Server, error) {
	dir, err := os.MkdirTemp("", "everleaf-"+p.Name+"-")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir}
	file := filepath.Join(dir, p.Name+".conf")
	text, err := p.Config(dir)
	if err == nil {
		err = os.WriteFile(file, []byte(text), 0o600)
	}
	if err == nil {
		s.Process, err = child.Start(dir, path, p.Args(file)...)
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := Answers(ctx, s.Process, p.Listen); err != nil {
		err = fmt.Errorf("%w\n%s", err, s.Log())
		s.Stop()
		return nil, err
	}
	return s, nil
}

// Stop ends the server and removes its directory.
func (s *Server) Stop() {
	s.Process.Stop()
	os.RemoveAll(s.dir)
}

// Find searches the system's directories for a program first, which a user's PATH often
// lacks.
func Find(name string) (string, error) {
	for _, dir := range []string{"/usr/sbin", "/usr/bin", "/usr/local/sbin"} {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			return path, nil
		}
	}
	return exec.LookPath(name)
}

// Answers waits until a server gives an answer, whatever it is.
func Answers(ctx context.Context, p *child.Process, addr string) error {
	q := new(mdns.Msg)
	q.SetQuestion("version.bind.", mdns.TypeTXT)
	q.Question[0].Qclass = mdns.ClassCHAOS
	return Poll(ctx, p, addr, q, func(*mdns.Msg) bool { return true })
}

// Poll repeats a question over TCP until good accepts the answer.
func Poll(ctx context.Context, p *child.Process, addr string, q *mdns.Msg, good func(*mdns.Msg) bool) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	client := mdns.Client{Net: "tcp", Timeout: time.Second}
	for {
		if m, _, err := client.ExchangeContext(ctx, q, addr); err == nil && good(m) {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.Done():
			return errors.New("it ended during its start")
		case <-ctx.Done():
			return errors.New("no expected answer in time")
		}
	}
}
