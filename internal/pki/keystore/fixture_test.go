package keystore

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/everleaf/everleaf/internal/pki"
)

var born = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// authority is a CA's certificate with its key.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// newAuthority makes a CA below another, or a root.
func newAuthority(t *testing.T, name string, parent *authority) *authority {
	t.Helper()
	key := newKey(t, pki.KeySpec{Algorithm: pki.ECDSA})
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name, Organization: []string{"Test, Inc."}},
		NotBefore: born, NotAfter: born.AddDate(30, 0, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	if parent == nil {
		parent = &authority{template, key}
	}
	cert, err := pki.Sign(template, parent.cert, key.Public(), parent.key)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key}
}

func newKey(t *testing.T, spec pki.KeySpec) crypto.Signer {
	t.Helper()
	key, err := pki.GenerateKey(spec)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// content is a key with leaf and intermediate, and its root.
func content(t *testing.T, spec pki.KeySpec) Content {
	t.Helper()
	root := newAuthority(t, "root", nil)
	middle := newAuthority(t, "middle", root)
	key := newKey(t, spec)
	leaf, err := pki.Sign(&x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "leaf"}, DNSNames: []string{"leaf.example.com"},
		NotBefore: born, NotAfter: born.AddDate(20, 0, 0),
	}, middle.cert, key.Public(), middle.key)
	if err != nil {
		t.Fatal(err)
	}
	return Content{Key: key, Chain: []*x509.Certificate{leaf, middle.cert}, CAs: []*x509.Certificate{root.cert}}
}

// write writes a store to a file.
func write(t *testing.T, store []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "store")
	if err := os.WriteFile(file, store, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// run runs a program of somebody else, which has to be installed.
func run(t *testing.T, program string, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%s is not installed; test/prepare installs it", program)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	// A password that is no ASCII needs a locale in which it is text.
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// list lists a store by keytool with a password.
func list(t *testing.T, kind string, store []byte, password string) (string, error) {
	t.Helper()
	return run(t, "keytool", "-J-XX:TieredStopAtLevel=1", "-list", "-v", "-storetype", kind, "-keystore", write(t, store), "-storepass", password)
}

// counts are how often words occur in a text.
func counts(text string, words ...string) string {
	var all []string
	for _, w := range words {
		all = append(all, fmt.Sprintf("%s %d", w, strings.Count(text, w)))
	}
	return strings.Join(all, ", ")
}
