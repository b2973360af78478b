// Package vault runs HashiCorp Vault, with one unseal key, as a child process on
// loopback. It needs the binary, built from tools/vault.
package vault

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/everleaf/everleaf/internal/local"
	"github.com/everleaf/everleaf/test/child"
)

// ErrNoBinary is returned by Run if Vault has not been built.
var ErrNoBinary = errors.New("no vault binary: build it with `tools/build vault`")

// startTimeout is how long a new Vault may take. Its encryption keys are made first.
const startTimeout = time.Minute

// Options configure Vault. The zero value serves on a free port of loopback, with a
// certificate of an Authority of its own.
type Options struct {
	// Binary is the executable; empty means "vault" in local.DefaultBinDir.
	Binary string
	// Listen is the address (ip:port); empty means a free port on 127.0.0.1.
	Listen string
	// Authority signs the server's certificate; nil means a new one.
	Authority *Authority
	// Clients, if set, has only clients with its certificates connect.
	Clients *Authority
	// Delay is how much later each answer comes. With it, Clients is not possible.
	Delay time.Duration
}

// Server is a running Vault.
type Server struct {
	// URL is the base URL, without a trailing slash, Addr the address in it (ip:port).
	URL, Addr string
	// Authority has signed the server's certificate.
	Authority *Authority
	// RootToken may do everything; UnsealKey unseals.
	RootToken, UnsealKey string
	// Client has the root token.
	Client *api.Client

	options Options
	dir     string
	listens string       // ip:port
	front   *http.Server // delays answers; nil without Options.Delay
	process *child.Process
	input   io.Closer
	output  bytes.Buffer // once the process has ended

	mu       sync.Mutex
	requests []Request
}

// Request is one that Vault has answered.
type Request struct {
	Method, Path string
	// Namespace is the header X-Vault-Namespace.
	Namespace string
	UserAgent string `json:"user_agent"`
	Status    int
}

// Administrator reports whether a client of NewClient has asked.
func (r Request) Administrator() bool { return r.UserAgent == userAgent }

// Login reports whether a request is a log-in.
func (r Request) Login() bool {
	return strings.HasPrefix(r.Path, "/v1/auth/") && strings.HasSuffix(r.Path, "/login")
}

// Signature reports whether a request is for a certificate.
func (r Request) Signature() bool {
	return strings.Contains(r.Path, "/sign/") || strings.Contains(r.Path, "/sign-verbatim")
}

// Start runs Vault until the test ends. It skips the test if Vault has not been built.
func Start(tb testing.TB, o Options) *Server {
	tb.Helper()
	s, err := Run(tb.Context(), o)
	if errors.Is(err, ErrNoBinary) {
		child.Missing(tb, "%v", err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Stop)
	return s
}

// Run starts Vault and returns when it is unsealed. It runs until Stop.
func Run(ctx context.Context, o Options) (_ *Server, err error) {
	if o.Binary, err = findBinary(o.Binary); err != nil {
		return nil, err
	}
	if o.Authority == nil {
		if o.Authority, err = NewAuthority("vault test root"); err != nil {
			return nil, err
		}
	}
	s := &Server{Authority: o.Authority, options: o}
	if s.dir, err = os.MkdirTemp("", "vault-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.Stop()
		}
	}()
	pair, err := o.Authority.Server()
	if err != nil {
		return nil, err
	}
	if err := s.Install(pair); err != nil {
		return nil, err
	}
	if o.Clients != nil {
		if err := os.WriteFile(s.path("clients.crt"), o.Clients.PEM, 0o600); err != nil {
			return nil, err
		}
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if err := s.start(ctx, o.Listen); err != nil {
		return nil, err
	}
	s.URL = "https://" + s.listens
	if o.Delay > 0 {
		if s.URL, err = s.delay(o.Delay); err != nil {
			return nil, err
		}
	}
	return s, s.connect()
}

func findBinary(binary string) (string, error) {
	if binary == "" {
		dir, err := local.DefaultBinDir()
		if err != nil {
			return "", err
		}
		binary = filepath.Join(dir, "vault")
	}
	if _, err := os.Stat(binary); err != nil {
		return "", fmt.Errorf("%w (%w)", ErrNoBinary, err)
	}
	return filepath.Abs(binary)
}

func (s *Server) path(name string) string { return filepath.Join(s.dir, name) }

// Install has the next start use another certificate.
func (s *Server) Install(pair Pair) error {
	return errors.Join(os.WriteFile(s.path("server.crt"), pair.Certificate, 0o600), os.WriteFile(s.path("server.key"), pair.Key, 0o600))
}

// ready is the first line that the program prints.
type ready struct {
	URL       string `json:"url"`
	RootToken string `json:"root_token"`
	UnsealKey string `json:"unseal_key"`
}

// start starts the process, and returns when it listens.
func (s *Server) start(ctx context.Context, listen string) error {
	args := []string{"-listen=" + listen, "-tls-cert=" + s.path("server.crt"), "-tls-key=" + s.path("server.key"), "-data=" + s.path("data")}
	if s.options.Clients != nil {
		args = append(args, "-client-ca="+s.path("clients.crt"))
	}
	cmd := exec.Command(s.options.Binary, args...)
	cmd.Dir, cmd.Stderr = s.dir, &s.output
	child.DieWithParent(cmd)
	input, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, lines, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd.Stdout, s.input = lines, input
	s.process, err = child.StartCommand(cmd)
	lines.Close()
	if err != nil {
		out.Close()
		return fmt.Errorf("start vault: %w", err)
	}
	first := make(chan ready, 1)
	go s.follow(out, first)
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	select {
	case r := <-first:
		s.listens = strings.TrimPrefix(r.URL, "https://")
		if r.RootToken != "" {
			s.RootToken, s.UnsealKey = r.RootToken, r.UnsealKey
		}
		return nil
	case <-s.process.Done():
		return fmt.Errorf("vault ended at once (%w): %s", s.process.Err(), s.output.String())
	case <-ctx.Done():
		return fmt.Errorf("vault is not ready: %w", ctx.Err())
	}
}

// follow reads what the program prints until it ends.
func (s *Server) follow(out io.ReadCloser, first chan<- ready) {
	defer out.Close()
	lines := bufio.NewScanner(out)
	if lines.Scan() {
		var r ready
		if json.Unmarshal(lines.Bytes(), &r) == nil {
			first <- r
		}
	}
	for lines.Scan() {
		var r Request
		if json.Unmarshal(lines.Bytes(), &r) == nil {
			s.mu.Lock()
			s.requests = append(s.requests, r)
			s.mu.Unlock()
		}
	}
}

// Requests returns the requests so far that match, in the order of the answers.
func (s *Server) Requests(match func(Request) bool) []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []Request
	for _, r := range s.requests {
		if match(r) {
			found = append(found, r)
		}
	}
	return found
}

// Kill ends the process at once. Its data stays.
func (s *Server) Kill() {
	_ = s.process.Signal(syscall.SIGKILL)
	<-s.process.Done()
}

// Restart starts Vault again at the same address, with the same data. It is sealed.
func (s *Server) Restart(ctx context.Context) error {
	s.Kill()
	s.input.Close()
	return s.start(ctx, s.listens)
}

// Seal has Vault refuse everything until Unseal.
func (s *Server) Seal(ctx context.Context) error { return s.Client.Sys().SealWithContext(ctx) }

// Unseal ends Seal, and the seal of a start.
func (s *Server) Unseal(ctx context.Context) error {
	_, err := s.Client.Sys().UnsealWithContext(ctx, s.UnsealKey)
	return err
}

// Stop ends the process and removes its data. It may be called more than once.
func (s *Server) Stop() {
	if s.front != nil {
		s.front.Close()
	}
	if s.process != nil {
		s.process.Stop()
		s.input.Close()
	}
	os.RemoveAll(s.dir)
}

var shared struct {
	once   sync.Once
	server *Server
	err    error
}

// Main runs a package's tests with run, and then stops the server of Shared.
func Main(run func() int) int {
	defer func() {
		if shared.server != nil {
			shared.server.Stop()
		}
	}()
	return run()
}

// Shared returns the one server of this test process, for tests that do not seal it. The
// first call starts it. Tests have mounts, roles and policies of their own.
func Shared(tb testing.TB) *Server {
	tb.Helper()
	shared.once.Do(func() { shared.server, shared.err = Run(context.Background(), Options{}) })
	if errors.Is(shared.err, ErrNoBinary) {
		child.Missing(tb, "%v", shared.err)
	}
	if shared.err != nil {
		tb.Fatal(shared.err)
	}
	return shared.server
}
