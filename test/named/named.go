// Package named runs BIND's name server for tests: a child process with its
// configuration in a temporary directory.
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
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/everleaf/everleaf/test/child"
	"github.com/everleaf/everleaf/test/dnsdaemon"
)

// Options configure a server.
type Options struct {
	// Listen are the addresses, ip:port. Addresses such as 127.53.0.1 need root
	// and iproute2, because named listens only on addresses that an interface
	// has. No two servers may use one of them at the same time.
	Listen []string
	// Keys are TSIG keys.
	Keys []Key
	// Zones are served to all clients. With Views there must be none.
	Zones []Zone
	// Views are tried in order.
	Views []View
	// Config is added to the options block.
	Config string
}

// Key is a TSIG key, from NewKey or made by the test.
type Key struct {
	Name string
	// Algorithm is BIND's name, such as hmac-sha256.
	Algorithm string
	// Secret is in base64.
	Secret string
}

// View is a set of zones that some clients see.
type View struct {
	Name string
	// MatchClients is an address match list, such as `key "internal";` or
	// "127.0.0.2;". Empty means "any;".
	MatchClients string
	Zones        []Zone
}

// Zone is a zone of a server.
type Zone struct {
	// Name without or with the final dot.
	Name string
	// Text is the zone file, for example from ZoneText. Empty for a secondary.
	Text string
	// Primaries are the addresses (ip or ip:port) of the primaries; they make
	// the server a secondary.
	Primaries []string
	// Notify are the secondaries (ip or ip:port) to notify of changes. Without
	// any, secondaries lag until they refresh.
	Notify []string
	// AllowUpdate is an address match list for dynamic updates, such as `key
	// "k";` or "any;". UpdatePolicy is a list of rules that replaces it.
	AllowUpdate  string
	UpdatePolicy string
	// Signed signs the zone with BIND's default policy (ECDSA P-256, NSEC).
	Signed bool
	// Config is added to the zone block.
	Config string
}

// ErrMissing means that BIND is not installed.
var ErrMissing = errors.New("named is not installed (Debian: apt-get install bind9 bind9-utils)")

// Server is a running named.
type Server struct {
	// Dir contains the configuration, zones, keys and the log.
	Dir string

	added []string
	*child.Process
}

// Start runs a server until the test ends. It skips the test if BIND is not
// installed or the test cannot listen on the addresses.
func Start(tb testing.TB, o Options) *Server {
	tb.Helper()
	child.Listenable(tb, o.Listen...)
	s, err := Run(context.Background(), o)
	if errors.Is(err, ErrMissing) {
		child.Missing(tb, "%v", err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	child.StopAtEnd(tb, "named on "+strings.Join(o.Listen, ", "), s)
	return s
}

// Run starts a server and returns when it answers. The caller stops it with
// Stop. If ctx ends before the server answers, Run stops it.
func Run(ctx context.Context, o Options) (*Server, error) {
	path, err := dnsdaemon.Find("named")
	if err != nil {
		return nil, ErrMissing
	}
	dir, err := os.MkdirTemp("", "everleaf-named-")
	if err != nil {
		return nil, err
	}
	s := &Server{Dir: dir}
	if err := s.start(ctx, path, o); err != nil {
		s.clean()
		return nil, err
	}
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

func (s *Server) start(ctx context.Context, path string, o Options) (err error) {
	if err := s.write(o); err != nil {
		return err
	}
	if s.added, err = addAddresses(ctx, o.Listen); err != nil {
		return err
	}
	s.Process, err = child.Start(s.Dir, path, "-g", "-n", "1", "-c", filepath.Join(s.Dir, "named.conf"))
	return err
}

// Stop ends the server and removes its directory and addresses.
func (s *Server) Stop() {
	s.Process.Stop()
	s.clean()
}

func (s *Server) clean() {
	removeAddresses(s.added)
	os.RemoveAll(s.Dir)
}

// Pause suspends the process (SIGSTOP), so that the server is silent until
// Continue.
func (s *Server) Pause() error { return s.Signal(syscall.SIGSTOP) }

// Continue resumes the process after Pause.
func (s *Server) Continue() error { return s.Signal(syscall.SIGCONT) }

// TrustAnchor returns the DNSKEY record of a signed zone, in the format of a
// zone file, for a validating resolver.
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

// ready waits until every address answers a query and every signed zone has
// signatures.
func (s *Server) ready(ctx context.Context, o Options) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for _, addr := range o.Listen {
		if err := dnsdaemon.Answers(ctx, s.Process, addr); err != nil {
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
		if err := dnsdaemon.Poll(ctx, s.Process, o.Listen[0], q, isSigned); err != nil {
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

// TSIGKey is NewKey for a test. It skips the test if BIND is not installed.
func TSIGKey(tb testing.TB, name, algorithm string) Key {
	tb.Helper()
	key, err := NewKey(tb.Context(), name, algorithm)
	if errors.Is(err, ErrMissing) {
		child.Missing(tb, "%v", err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// NewKey generates a key with BIND's tsig-keygen.
func NewKey(ctx context.Context, name, algorithm string) (Key, error) {
	path, err := dnsdaemon.Find("tsig-keygen")
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
