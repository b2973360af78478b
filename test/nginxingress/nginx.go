package nginxingress

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/everleaf/everleaf/test/child"
)

// The files of nginx's directory.
const (
	configFile = "nginx.conf"
	selfSigned = "self-signed.pem"
	logFile    = "nginx.log"
	accessFile = "access.log"
	pairDir    = "pairs"
)

// loadTimeout is how long nginx may take to load a configuration.
const loadTimeout = 20 * time.Second

// nginx is a running nginx.
type nginx struct {
	dir     string
	listen  []netip.Addr
	process *child.Process
	text    string
	// loads counts the changes of the configuration.
	loads int
	// pairs are the files of keys and certificates, by their paths.
	pairs  map[string]string
	output *os.File
}

// startNginx starts nginx without any site and returns when it answers.
func startNginx(ctx context.Context, program string, listen []netip.Addr) (_ *nginx, err error) {
	n := &nginx{listen: listen, pairs: map[string]string{}}
	if n.dir, err = os.MkdirTemp("", "everleaf-nginx-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("nginx: %w\n%s", err, n.log())
			n.stop()
		}
	}()
	for _, dir := range []string{"tmp", pairDir} {
		if err := os.Mkdir(filepath.Join(n.dir, dir), 0o755); err != nil {
			return nil, err
		}
	}
	pair, err := newSelfSigned()
	if err == nil {
		err = errors.Join(os.WriteFile(filepath.Join(n.dir, selfSigned), pair, 0o600), os.WriteFile(filepath.Join(n.dir, "nobody"), nil, 0o600))
	}
	if err != nil {
		return nil, err
	}
	if n.output, err = os.OpenFile(filepath.Join(n.dir, logFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
		return nil, err
	}
	if err := n.write(nil, Faults{}); err != nil {
		return nil, err
	}
	cmd := exec.Command(program, "-p", n.dir, "-c", configFile, "-e", "stderr")
	cmd.Dir, cmd.Stdout, cmd.Stderr = n.dir, n.output, n.output
	child.OwnProcesses(cmd)
	if n.process, err = child.StartCommand(cmd); err != nil {
		return nil, err
	}
	return n, n.answers(ctx)
}

// write writes a configuration.
func (n *nginx) write(all []*site, f Faults) error {
	n.text = render(n.listen, all, f)
	return os.WriteFile(filepath.Join(n.dir, configFile), []byte(n.text), 0o600)
}

// load has nginx serve sites, and returns when it does. If they are the same as before, it
// does nothing.
func (n *nginx) load(ctx context.Context, all []*site, f Faults, pairs map[client.ObjectKey][]byte) error {
	fresh, err := n.writePairs(pairs)
	if err != nil || !fresh && n.text == render(n.listen, all, f) {
		return err
	}
	n.loads++
	if err := n.write(all, f); err != nil {
		return err
	}
	if err := n.process.Signal(syscall.SIGHUP); err != nil {
		return err
	}
	return n.loaded(ctx)
}

// pairFile is the path of the PEM file of a Secret's key and certificate.
func pairFile(secret client.ObjectKey) string {
	return filepath.Join(pairDir, secret.Namespace+"_"+secret.Name+".pem")
}

// writePairs writes the files of keys and certificates, and reports whether one has changed.
func (n *nginx) writePairs(pairs map[client.ObjectKey][]byte) (fresh bool, err error) {
	for secret, pair := range pairs {
		path := pairFile(secret)
		if n.pairs[path] == string(pair) {
			continue
		}
		if err := os.WriteFile(filepath.Join(n.dir, path), pair, 0o600); err != nil {
			return false, err
		}
		n.pairs[path], fresh = string(pair), true
	}
	return fresh, nil
}

// answers waits until nginx listens.
func (n *nginx) answers(ctx context.Context) error {
	return n.wait(ctx, func() bool {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", netip.AddrPortFrom(n.listen[0], 80).String())
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// loaded waits until the worker of the configuration before has closed its listeners: until
// then, it answers some of the requests.
func (n *nginx) loaded(ctx context.Context) error {
	return n.wait(ctx, func() bool { return strings.Count(n.file(logFile), ": exiting\n") >= n.loads })
}

func (n *nginx) wait(ctx context.Context, done func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	for !done() {
		select {
		case <-n.process.Done():
			return fmt.Errorf("it has ended: %v", n.process.Err())
		case <-ctx.Done():
			return fmt.Errorf("it does not load the configuration: %w: %s", ctx.Err(), n.file(logFile))
		case <-time.After(2 * time.Millisecond):
		}
	}
	return nil
}

// note adds an error to the log.
func (n *nginx) note(err error) { _, _ = fmt.Fprintf(n.output, "controller: %v\n", err) }

// log returns what nginx and the controller have printed, and then the requests.
func (n *nginx) log() string { return n.file(logFile) + n.file(accessFile) }

// file returns the text of a file of the directory.
func (n *nginx) file(name string) string {
	out, err := os.ReadFile(filepath.Join(n.dir, name))
	if err != nil {
		return err.Error()
	}
	return string(out)
}

// stop ends nginx and removes its directory.
func (n *nginx) stop() {
	if n.process != nil {
		n.process.StopWithin(0)
	}
	if n.output != nil {
		n.output.Close()
	}
	os.RemoveAll(n.dir)
}

// newSelfSigned returns a key with a certificate for no name, as PEM.
func newSelfSigned() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Kubernetes Ingress Controller Fake Certificate"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return append(
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...,
	), nil
}
