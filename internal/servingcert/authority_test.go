package servingcert

import (
	"bytes"
	"crypto/tls"
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
	data, err := newAuthority(start, nil)
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
		{"clock set back a little", ca, -4 * time.Minute, ""},
		{"clock set back by an hour", ca, -64 * time.Minute, ""},
		{"clock set back", ca, -66 * time.Minute, "the CA is not valid yet"},
		{"expired", ca, 366 * 24 * time.Hour, "the CA has expired"},
		{"empty key", with(map[string][]byte{"tls.key": {}}), 0, "it lacks tls.key"},
		{"no ca.crt", with(map[string][]byte{"ca.crt": nil}), 0, "it lacks ca.crt"},
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
	if from, until := authority.cert.NotBefore, authority.cert.NotAfter; !from.Equal(start.Add(-time.Hour)) || !until.Equal(start.Add(365*24*time.Hour)) {
		t.Errorf("the CA is valid from %v until %v", from, until)
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
		end, begin   time.Time
	}{
		{0, 168 * time.Hour, start.Add(168 * time.Hour), start.Add(-time.Hour)},
		{30 * time.Minute, time.Hour, start.Add(90 * time.Minute), start.Add(-30 * time.Minute)},
		{0, 10_000 * time.Hour, ca.cert.NotAfter, start.Add(-time.Hour)},
		{-30 * time.Minute, 168 * time.Hour, start.Add(167*time.Hour + 30*time.Minute), start.Add(-time.Hour)},
		{-62 * time.Minute, 168 * time.Hour, start.Add(166*time.Hour + 58*time.Minute), start.Add(-62 * time.Minute)},
	}
	for _, test := range tests {
		leaf, key, err := ca.leaf(start.Add(test.at), test.lifetime, []string{"a.example", "b.example", "192.0.2.1"})
		if err != nil {
			t.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AddCert(ca.cert)
		for _, name := range []string{"a.example", "b.example", "192.0.2.1"} {
			if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: start}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if !leaf.NotBefore.Equal(test.begin) {
			t.Errorf("signed at %v, it begins at %v, want %v", test.at, leaf.NotBefore, test.begin)
		}
		if !leaf.NotAfter.Equal(test.end) || !pki.PublicKeysEqual(leaf.PublicKey, key.Public()) || leaf.Subject.String() != "" {
			t.Errorf("until %v (want %v), subject %q", leaf.NotAfter, test.end, leaf.Subject)
		}
	}
}

func servedBy(t *testing.T, data map[string][]byte, at time.Time) *served {
	t.Helper()
	ca, err := read(data)
	if err != nil {
		t.Fatal(err)
	}
	leaf, key, err := ca.leaf(at, 168*time.Hour, []string{"webhook.ns.svc"})
	if err != nil {
		t.Fatal(err)
	}
	return &served{&tls.Certificate{Certificate: ca.chain(leaf, at), PrivateKey: key, Leaf: leaf}, ca, at}
}

// TestSigner holds when a new serving certificate is signed, and when not: at two
// thirds of its life, when the CA changes, when the clock is set back, and when a
// machine wakes that has slept for days.
func TestSigner(t *testing.T) {
	ca, other := made(t), made(t)
	current := servedBy(t, ca, start)
	for name, test := range map[string]struct {
		data    map[string][]byte
		current *served
		at      time.Duration
		sign    bool
	}{
		"none yet":        {ca, nil, 0, true},
		"fresh":           {ca, current, 111 * time.Hour, false},
		"a third is left": {ca, current, 112 * time.Hour, true},
		"slept for weeks": {ca, current, 1000 * time.Hour, true},
		"clock set back":  {ca, current, -62 * time.Minute, true},
		"another CA":      {other, current, 0, true},
	} {
		signs, err := signer(test.data, test.current, start.Add(test.at))
		if err != nil || (signs != nil) != test.sign {
			t.Errorf("%s: signs %v (%v), want %v", name, signs != nil, err, test.sign)
		}
	}
}

// TestCross holds that clients accept the serving certificate of a new CA whether they
// know the new CA or only the previous one.
func TestCross(t *testing.T) {
	const day = 24 * time.Hour
	old := made(t)
	previous, err := read(old)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		rotated time.Duration
		// trusted says whether clients of the previous CA accept the certificate.
		trusted bool
	}{
		"a third of its life is left": {244 * day, true},
		"expired":                     {366 * day, false},
		"not valid yet":               {-2 * day, false},
	} {
		t.Run(name, func(t *testing.T) {
			now := start.Add(test.rotated)
			data, err := newAuthority(now, previous)
			if err != nil {
				t.Fatal(err)
			}
			serves := servedBy(t, data, now).cert
			intermediates := x509.NewCertPool()
			for _, der := range serves.Certificate[1:] {
				cert, err := x509.ParseCertificate(der)
				if err != nil {
					t.Fatal(err)
				}
				intermediates.AddCert(cert)
			}
			for _, client := range []struct {
				ca      []byte
				accepts bool
			}{{old["ca.crt"], test.trusted}, {data["ca.crt"], true}, {append(bytes.Clone(old["ca.crt"]), data["ca.crt"]...), true}} {
				roots := x509.NewCertPool()
				roots.AppendCertsFromPEM(client.ca)
				_, err := serves.Leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates, DNSName: "webhook.ns.svc", CurrentTime: now.Add(time.Second)})
				if (err == nil) != client.accepts {
					t.Errorf("%v, want accepted: %t", err, client.accepts)
				}
			}
		})
	}
	t.Run("of another CA", func(t *testing.T) {
		data := made(t)
		crossed, err := newAuthority(start, previous)
		if err != nil {
			t.Fatal(err)
		}
		data[crossKey] = crossed[crossKey]
		if chain := servedBy(t, data, start).cert.Certificate; len(chain) != 1 {
			t.Errorf("a certificate for another key is sent: %d", len(chain))
		}
	})
}
