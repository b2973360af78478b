// Package pebble runs Pebble, Let's Encrypt's ACME server for tests, as a
// child process on loopback. It needs the binary, built from tools/pebble.
package pebble

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/everleaf/everleaf/internal/local"
	"github.com/everleaf/everleaf/test/child"
)

// ErrNoBinary is returned by Run if Pebble has not been built.
var ErrNoBinary = errors.New("no pebble binary: build it with `tools/build pebble`")

const (
	startTimeout = 20 * time.Second
	stopTimeout  = 5 * time.Second
	maxOutput    = 1 << 20
)

// Profile is a certificate profile that an order can request.
type Profile struct {
	Description string
	// Validity is the lifetime of its certificates; zero means Pebble's
	// default.
	Validity time.Duration
}

// Options configure Pebble. The zero value validates with the system's
// resolver.
type Options struct {
	// Binary is the executable; empty means "pebble" in local.DefaultBinDir.
	Binary string
	// Dir is the directory for the configuration and the server's certificate.
	// Empty means a temporary directory that Stop removes.
	Dir string
	// Listen is the address of the ACME server, Management that of the
	// management interface. Empty means a free port on 127.0.0.1.
	Listen, Management string
	// DNSServer is the resolver (host:port) for validations. Pebble queries it
	// over TCP.
	DNSServer string
	// Strict makes Pebble reject what its authors plan to reject in future
	// versions.
	Strict bool
	// Env is added to the environment, such as "PEBBLE_VA_NOSLEEP=1". Other
	// variables with the prefix PEBBLE_ are removed. With PEBBLE_AUTHZREUSE=0, Pebble
	// still reuses the valid authorization of a name in one of a hundred orders.
	Env []string
	// EABKeys are the MAC keys of external accounts, by key ID. If there are
	// any, newAccount requires one.
	EABKeys map[string][]byte
	// Profiles are advertised by the directory; none means Pebble's own
	// "default".
	Profiles map[string]Profile
	// Blocklist are domains that Pebble rejects.
	Blocklist []string
	// KeyAlgorithm is the CA's: "rsa", or "ecdsa" (the default).
	KeyAlgorithm string
	// HTTPPort and TLSPort are the ports for validations of those types; zero
	// means 5002 and 5001. For http-01, Pebble follows redirects to any port and
	// accepts any certificate there. Of a name's addresses it dials only the first one
	// that DNSServer has, and none after it: AAAA records come before A records
	// (resolveIP and fetchHTTP in its va/va.go). Boulder also prefers IPv6, but tries IPv4
	// after it.
	HTTPPort, TLSPort int
	// OrderRetryAfter and AuthzRetryAfter are the Retry-After of resources in
	// processing, in whole seconds; zero sends none.
	OrderRetryAfter, AuthzRetryAfter time.Duration
	// Output receives what Pebble prints, in addition to Server.Output.
	Output io.Writer
}

// Server is a running Pebble.
type Server struct {
	// DirectoryURL is the ACME directory.
	DirectoryURL string
	// ManagementURL is the base URL of the management interface, without a
	// trailing slash. It serves /roots/N, /intermediates/N and more.
	ManagementURL string
	// CABundle is the PEM of the root of the server's own HTTPS certificate.
	// Pebble does not issue certificates with it.
	CABundle []byte

	client  *http.Client
	process *os.Process
	done    chan struct{}
	err     error // once done is closed
	output  *tail
	tempDir string
	stop    sync.Once
}

// Start runs Pebble until the test ends. It skips the test if Pebble has not
// been built.
func Start(tb testing.TB, o Options) *Server {
	tb.Helper()
	s, err := Run(context.Background(), o)
	if errors.Is(err, ErrNoBinary) {
		child.Missing(tb, "%v", err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		s.Stop()
		if tb.Failed() {
			tb.Logf("pebble printed:\n%s", s.Output())
		}
	})
	return s
}

// Run starts Pebble and returns when it answers. It runs until Stop, or until
// ctx ends.
func Run(ctx context.Context, o Options) (*Server, error) {
	binary, err := findBinary(o.Binary)
	if err != nil {
		return nil, err
	}
	// A free port can be taken before Pebble listens.
	const attempts = 3
	for attempt := 1; ; attempt++ {
		s, err := start(ctx, binary, o)
		if err == nil {
			return s, nil
		}
		if attempt == attempts || ctx.Err() != nil || !strings.Contains(err.Error(), "address already in use") {
			return nil, err
		}
	}
}

func findBinary(binary string) (string, error) {
	if binary == "" {
		dir, err := local.DefaultBinDir()
		if err != nil {
			return "", err
		}
		binary = filepath.Join(dir, "pebble")
	}
	if _, err := os.Stat(binary); err != nil {
		return "", fmt.Errorf("%w (%w)", ErrNoBinary, err)
	}
	return filepath.Abs(binary)
}

func start(ctx context.Context, binary string, o Options) (_ *Server, err error) {
	s := &Server{done: make(chan struct{}), output: &tail{also: o.Output}}
	dir := o.Dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "pebble-"); err != nil {
			return nil, err
		}
		s.tempDir = dir
	}
	defer func() {
		if err != nil {
			s.Stop()
		}
	}()
	if o.Listen, err = address(o.Listen); err != nil {
		return nil, err
	}
	if o.Management, err = address(o.Management); err != nil {
		return nil, err
	}
	if s.CABundle, err = writeFiles(dir, o); err != nil {
		return nil, err
	}
	s.DirectoryURL = "https://" + o.Listen + "/dir"
	s.ManagementURL = "https://" + o.Management
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.CABundle)
	s.client = &http.Client{
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}},
		Timeout:   10 * time.Second,
	}
	args := []string{"-config", filepath.Join(dir, configFile)}
	if o.DNSServer != "" {
		args = append(args, "-dnsserver", o.DNSServer)
	}
	if o.Strict {
		args = append(args, "-strict")
	}
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Dir = dir
	cmd.Env = append(environment(), o.Env...)
	cmd.Stdout, cmd.Stderr = s.output, s.output
	if err := s.run(cmd); err != nil {
		return nil, fmt.Errorf("start pebble: %w", err)
	}
	return s, s.wait(ctx)
}

// run starts the process from a thread that lives as long as the process: on
// Linux, the child dies with the thread that started it.
func (s *Server) run(cmd *exec.Cmd) error {
	child.DieWithParent(cmd)
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		s.process = cmd.Process
		started <- err
		if err == nil {
			s.err = cmd.Wait()
		}
		close(s.done)
	}()
	return <-started
}

// wait returns when the directory and the management interface answer.
func (s *Server) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := s.get(ctx, s.DirectoryURL)
		if err == nil {
			_, err = s.Root(ctx, 0)
		}
		if err == nil {
			return nil
		}
		select {
		case <-s.done:
			return fmt.Errorf("pebble ended at once (%v): %s", s.err, s.Output())
		case <-ctx.Done():
			return fmt.Errorf("pebble does not answer: %w: %s", err, s.Output())
		case <-tick.C:
		}
	}
}

// Root returns the PEM of a root certificate of Pebble's, 0 for that of the
// default chain. Each start creates new ones.
func (s *Server) Root(ctx context.Context, n int) ([]byte, error) {
	return s.get(ctx, fmt.Sprintf("%s/roots/%d", s.ManagementURL, n))
}

// SetRenewalInfo replaces the answer to those who ask when to renew a certificate, of
// which chain is the PEM.
func (s *Server) SetRenewalInfo(ctx context.Context, chain []byte, start, end time.Time, explanationURL string) error {
	answer, err := json.Marshal(map[string]any{
		"suggestedWindow": map[string]time.Time{"start": start, "end": end}, "explanationURL": explanationURL,
	})
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]string{"Certificate": string(chain), "ARIResponse": string(answer)})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.ManagementURL+"/set-renewal-info/", bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("POST %s: %s", req.URL, resp.Status)
	}
	return nil
}

func (s *Server) get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	return io.ReadAll(resp.Body)
}

// Done is closed when the process has ended.
func (s *Server) Done() <-chan struct{} { return s.done }

// Output returns the end of what Pebble has printed.
func (s *Server) Output() string { return s.output.String() }

// Stop ends the process and removes the temporary directory. It may be called
// more than once.
func (s *Server) Stop() {
	s.stop.Do(func() {
		if s.process != nil {
			_ = s.process.Signal(os.Interrupt)
			select {
			case <-s.done:
			case <-time.After(stopTimeout):
				_ = s.process.Kill()
				<-s.done
			}
		}
		if s.client != nil {
			s.client.CloseIdleConnections()
		}
		if s.tempDir != "" {
			_ = os.RemoveAll(s.tempDir)
		}
	})
}

// address returns a, or a free address if a is empty.
func address(a string) (string, error) {
	if a != "" {
		return a, nil
	}
	return child.FreeAddress()
}

func environment() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "PEBBLE_") {
			env = append(env, v)
		}
	}
	return env
}

// tail keeps the end of what is written to it.
type tail struct {
	also io.Writer
	mu   sync.Mutex
	buf  bytes.Buffer
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf.Write(p)
	if over := t.buf.Len() - maxOutput; over > 0 {
		t.buf.Next(over)
	}
	if t.also != nil {
		_, _ = t.also.Write(p)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}
