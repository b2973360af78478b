// Package named runs BIND's name server for tests: a process of its own with a
// configuration in a temporary folder.
package named

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/everleaf/everleaf/test/child"
)

// Options describe a server.
type Options struct {
	// Listen are the addresses, ip:port. Addresses such as 127.53.0.1 need
	// root and iproute2: named listens only on addresses that an interface has.
	// No two servers may have one of them at the same time.
	Listen []string
	// Keys are TSIG keys.
	Keys []Key
	// Zones are served to everyone. With Views they must be empty.
	Zones []Zone
	// Views are tried in their order.
	Views []View
	// Config are more statements for the options block.
	Config string
}

// Key is a TSIG key: NewKey, or by hand.
type Key struct {
	Name string
	// Algorithm as BIND writes it, such as hmac-sha256.
	Algorithm string
	// Secret is base64 text.
	Secret string
}

// View is what some clients see.
type View struct {
	Name string
	// MatchClients is an address match list such as `key "internal";` or
	// "127.0.0.2;"; empty is "any;".
	MatchClients string
	Zones        []Zone
}

// Zone is a zone of a server.
type Zone struct {
	// Name without or with the final dot.
	Name string
	// Text is the zone file; ZoneText makes one. Empty for a secondary.
	Text string
	// Primaries make it a secondary: addresses, ip or ip:port.
	Primaries []string
	// Notify are secondaries, ip or ip:port, that hear of a change at once.
	// Without any nobody is notified: secondaries lag until they refresh.
	Notify []string
	// AllowUpdate is an address match list for dynamic updates, such as
	// `key "k";` or "any;". UpdatePolicy is a list of rules in its place.
	AllowUpdate  string
	UpdatePolicy string
	// Signed signs the zone with BIND's default policy (ECDSA P-256, NSEC).
	Signed bool
	// Config are more statements for the zone block.
	Config string
}

// ErrMissing says that BIND is not installed.
var ErrMissing = errors.New("named is not installed (Debian: apt-get install bind9 bind9-utils)")

// Server is a running named.
type Server struct {
	// Dir holds the configuration, zones, keys and the log.
	Dir string

	added []string
	cmd   *exec.Cmd
	done  chan struct{}
	log   *os.File
}

// Run starts a server and returns when it answers. Stop ends it, and so does
// the end of ctx.
func Run(ctx context.Context, o Options) (*Server, error) {
	path, err := find("named")
	if err != nil {
		return nil, ErrMissing
	}
	dir, err := os.MkdirTemp("", "everleaf-named-")
	if err != nil {
		return nil, err
	}
	s := &Server{Dir: dir, done: make(chan struct{})}
	if err := s.write(o); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	if s.added, err = addAddresses(ctx, o.Listen); err != nil {
		s.clean()
		return nil, err
	}
	s.log, err = os.Create(filepath.Join(dir, "named.log"))
	if err != nil {
		s.clean()
		return nil, err
	}
	s.cmd = exec.CommandContext(ctx, path, "-g", "-n", "1", "-c", filepath.Join(dir, "named.conf"))
	child.DieWithParent(s.cmd)
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = dir, s.log, s.log
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(syscall.SIGTERM) }
	s.cmd.WaitDelay = 5 * time.Second
	if err := s.cmd.Start(); err != nil {
		s.clean()
		return nil, err
	}
	go func() {
		_ = s.cmd.Wait()
		close(s.done)
	}()
	err = s.ready(ctx, o)
	if err == nil && strings.Contains(s.Log(), "not loaded due to errors") {
		err = errors.New("named could not load a zone")
	}
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, s.Log())
		s.Stop()
		return nil, err
	}
	return s, nil
}

// Stop ends the server and removes its folder and addresses.
func (s *Server) Stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.done:
	case <-time.After(5 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.done
	}
	s.clean()
}

func (s *Server) clean() {
	if s.log != nil {
		s.log.Close()
	}
	removeAddresses(s.added)
	os.RemoveAll(s.Dir)
}

// Pause stops the process (SIGSTOP) so that the server is silent; Continue
// lets it go on.
func (s *Server) Pause() error { return s.cmd.Process.Signal(syscall.SIGSTOP) }

// Continue ends Pause.
func (s *Server) Continue() error { return s.cmd.Process.Signal(syscall.SIGCONT) }

// Log is what the server has printed.
func (s *Server) Log() string {
	out, err := os.ReadFile(filepath.Join(s.Dir, "named.log"))
	if err != nil {
		return err.Error()
	}
	return string(out)
}

// TrustAnchor returns the DNSKEY record of a signed zone, in the form of a zone
// file, for a validating resolver.
func (s *Server) TrustAnchor(zone string) (string, error) {
	zone = strings.ToLower(strings.TrimSuffix(zone, "."))
	files, err := filepath.Glob(filepath.Join(s.Dir, "K"+zone+".+*.key"))
	if err != nil || len(files) == 0 {
		return "", fmt.Errorf("no key of %s in %s", zone, s.Dir)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, ";") && strings.Contains(line, "DNSKEY") {
			return strings.TrimSpace(line), nil
		}
	}
	return "", fmt.Errorf("no DNSKEY record in %s", files[0])
}

// ready waits until every address answers a query with anything, and signed
// zones with signatures.
func (s *Server) ready(ctx context.Context, o Options) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for _, addr := range o.Listen {
		q := new(mdns.Msg)
		q.SetQuestion("version.bind.", mdns.TypeTXT)
		q.Question[0].Qclass = mdns.ClassCHAOS
		if err := s.poll(ctx, addr, q, func(*mdns.Msg) bool { return true }); err != nil {
			return fmt.Errorf("named on %s: %w", addr, err)
		}
	}
	for _, z := range o.Zones {
		if !z.Signed || len(o.Listen) == 0 {
			continue
		}
		q := new(mdns.Msg)
		q.SetQuestion(mdns.Fqdn(z.Name), mdns.TypeSOA)
		q.SetEdns0(mdns.DefaultMsgSize, true)
		if err := s.poll(ctx, o.Listen[0], q, isSigned); err != nil {
			return fmt.Errorf("signatures of %s: %w", z.Name, err)
		}
	}
	return nil
}

func isSigned(m *mdns.Msg) bool {
	for _, rr := range m.Answer {
		if rr.Header().Rrtype == mdns.TypeRRSIG {
			return true
		}
	}
	return false
}

// poll asks until an answer is good.
func (s *Server) poll(ctx context.Context, addr string, q *mdns.Msg, good func(*mdns.Msg) bool) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	client := mdns.Client{Net: "tcp", Timeout: time.Second}
	for {
		if m, _, err := client.ExchangeContext(ctx, q, addr); err == nil && good(m) {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.done:
			return errors.New("named ended at its start")
		case <-ctx.Done():
			return errors.New("there is no answer as it should be")
		}
	}
}

// NewKey makes a key with BIND's own tsig-keygen.
func NewKey(ctx context.Context, name, algorithm string) (Key, error) {
	path, err := find("tsig-keygen")
	if err != nil {
		return Key{}, ErrMissing
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, path, "-a", algorithm, name)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return Key{}, fmt.Errorf("tsig-keygen: %w: %s", err, stderr.String())
	}
	_, rest, _ := strings.Cut(string(out), "secret \"")
	secret, _, ok := strings.Cut(rest, "\"")
	if !ok {
		return Key{}, errors.New("tsig-keygen printed no secret")
	}
	return Key{Name: name, Algorithm: algorithm, Secret: secret}, nil
}

// find looks in the system's folders too, which a user's PATH often lacks.
func find(name string) (string, error) {
	for _, dir := range []string{"/usr/sbin", "/usr/bin", "/usr/local/sbin"} {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			return path, nil
		}
	}
	return exec.LookPath(name)
}
