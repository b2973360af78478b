package servingcert

import (
	"bytes"
	"crypto/x509"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/everleaf/everleaf/internal/pki"
)

var start = time.Date(2026, 11, 26, 4, 0, 0, 0, time.UTC)

func made(t *testing.T) map[string][]byte {
	t.Helper()
	data, err := newAuthority(start)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestAuthorityOf(t *testing.T) {
	ca, other := made(t), made(t)
	authority, err := authorityOf(ca, start)
	if err != nil {
		t.Fatal(err)
	}
	leaf, _, err := authority.leaf(start, time.Hour, []string{"webhook.ns.svc"})
	if err != nil {
		t.Fatal(err)
	}
	with := func(changes map[string][]byte) map[string][]byte {
		changed := maps.Clone(ca)
		maps.Copy(changed, changes)
		return changed
	}
	noCA := pki.EncodeChain(leaf)
	tests := []struct {
		name string
		data map[string][]byte
		at   time.Duration
		want string
	}{
		{"usable", ca, 0, ""},
		{"usable until two thirds", ca, 243 * 24 * time.Hour, ""},
		{"a third left", ca, 244 * 24 * time.Hour, "less than a third of the CA's lifetime is left"},
		{"no Secret", nil, 0, "it lacks tls.crt"},
		{"no key", with(map[string][]byte{"tls.key": nil}), 0, "it lacks tls.key"},
		{"ca.crt of another", with(map[string][]byte{"ca.crt": other["ca.crt"]}), 0, "ca.crt differs from tls.crt"},
		{"key of another", with(map[string][]byte{"tls.key": other["tls.key"]}), 0, "tls.key is not the key of tls.crt"},
		{"no certificate", with(map[string][]byte{"tls.crt": []byte("x"), "ca.crt": []byte("x")}), 0, "tls.crt cannot be read: "},
		{"no private key", with(map[string][]byte{"tls.key": []byte("x")}), 0, "tls.key cannot be read: "},
		{"no CA", with(map[string][]byte{"tls.crt": noCA, "ca.crt": noCA}), 0, "tls.key is not the key of tls.crt"},
	}
	for _, test := range tests {
		_, err := authorityOf(test.data, start.Add(test.at))
		if (err == nil) != (test.want == "") || (err != nil && !strings.HasPrefix(err.Error(), test.want)) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
	if !bytes.Equal(ca["ca.crt"], ca["tls.crt"]) {
		t.Error("ca.crt must equal tls.crt byte for byte")
	}
}

func TestLeaf(t *testing.T) {
	ca, err := authorityOf(made(t), start)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		at, lifetime time.Duration
		end          time.Time
	}{
		{0, 168 * time.Hour, start.Add(168 * time.Hour)},
		{0, 10_000 * time.Hour, ca.cert.NotAfter},
	}
	for _, test := range tests {
		leaf, key, err := ca.leaf(start.Add(test.at), test.lifetime, []string{"a.example", "b.example"})
		if err != nil {
			t.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AddCert(ca.cert)
		for _, name := range []string{"a.example", "b.example"} {
			if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: start}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if !leaf.NotAfter.Equal(test.end) || !pki.PublicKeysEqual(leaf.PublicKey, key.Public()) || leaf.Subject.String() != "" {
			t.Errorf("until %v (want %v), subject %q", leaf.NotAfter, test.end, leaf.Subject)
		}
	}
}
