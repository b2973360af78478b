package pki

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func labels(names map[*x509.Certificate]string, certs []*x509.Certificate) string {
	var out []string
	for _, c := range certs {
		for known, name := range names {
			if known.Equal(c) {
				out = append(out, name)
			}
		}
	}
	return strings.Join(out, " ")
}

func TestOrderChain(t *testing.T) {
	spec := KeySpec{Algorithm: ECDSA}
	root := newAuthority(t, "root", nil, spec)
	rekeyed := newAuthority(t, "root", nil, spec)
	between := newAuthority(t, "between", root, spec)
	lower := newAuthority(t, "lower", between, spec)
	other := newAuthority(t, "other", nil, spec)
	crossed := issue(t, Template{CommonName: "root"}, root.key, other, SignOptions{NotBefore: start, NotAfter: end, IsCA: true})
	leafOf := func(a *authority) *x509.Certificate {
		return issue(t, Template{CommonName: "leaf"}, newKey(t), a, SignOptions{NotBefore: start, NotAfter: end})
	}
	leaf, deep, alone := leafOf(root), leafOf(lower), leafOf(nil)
	names := map[*x509.Certificate]string{
		root.cert: "root", rekeyed.cert: "rekeyed", between.cert: "between", lower.cert: "lower", other.cert: "other",
		crossed: "crossed", leaf: "leaf", deep: "deep", alone: "alone",
	}
	for name, tc := range map[string]struct {
		in    []*x509.Certificate
		chain string
		err   error
	}{
		"leaf and root":      {[]*x509.Certificate{leaf, root.cert}, "leaf root", nil},
		"shuffled":           {[]*x509.Certificate{root.cert, lower.cert, deep, between.cert}, "deep lower between root", nil},
		"repeated":           {[]*x509.Certificate{deep, lower.cert, deep, between.cert, lower.cert}, "deep lower between", nil},
		"without a root":     {[]*x509.Certificate{deep, lower.cert}, "deep lower", nil},
		"leaf alone":         {[]*x509.Certificate{leaf}, "leaf", nil},
		"self-signed alone":  {[]*x509.Certificate{alone}, "alone", nil},
		"root alone":         {[]*x509.Certificate{root.cert}, "root", nil},
		"cross first":        {[]*x509.Certificate{leaf, crossed, root.cert}, "leaf crossed", nil},
		"root before cross":  {[]*x509.Certificate{leaf, root.cert, crossed}, "leaf root", nil},
		"cross to its root":  {[]*x509.Certificate{leaf, crossed, other.cert}, "leaf crossed other", nil},
		"gap":                {[]*x509.Certificate{deep, between.cert}, "", ErrBrokenChain},
		"two leaves":         {[]*x509.Certificate{leaf, leafOf(root), root.cert}, "", ErrBrokenChain},
		"unrelated root":     {[]*x509.Certificate{leaf, root.cert, other.cert}, "", ErrBrokenChain},
		"same name, new key": {[]*x509.Certificate{leaf, rekeyed.cert}, "", ErrBrokenChain},
	} {
		got, err := OrderChain(tc.in)
		if !errors.Is(err, tc.err) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil {
			continue
		}
		if chain := labels(names, got); chain != tc.chain {
			t.Errorf("%s: got %q, want %q", name, chain, tc.chain)
		}
	}
}

func TestOrderChainRejects(t *testing.T) {
	if _, err := OrderChain(nil); text(err) != "certificate chain is empty" {
		t.Error(err)
	}
	root := newAuthority(t, "root", nil, KeySpec{Algorithm: ECDSA})
	var many []*x509.Certificate
	for range 17 {
		many = append(many, issue(t, Template{CommonName: "x"}, newKey(t), root, SignOptions{NotBefore: start, NotAfter: end}))
	}
	before := slices.Clone(many)
	if _, err := OrderChain(many); text(err) != "certificate chain has more than 16 certificates" {
		t.Error(err)
	}
	if !slices.Equal(before, many) {
		t.Error("the input was changed")
	}
}

// Two CAs that certify each other have no leaf to start from.
func TestOrderChainCycle(t *testing.T) {
	spec := KeySpec{Algorithm: ECDSA}
	a, b := newAuthority(t, "a", nil, spec), newAuthority(t, "b", nil, spec)
	o := SignOptions{NotBefore: start, NotAfter: end, IsCA: true}
	ab := issue(t, Template{CommonName: "a"}, a.key, b, o)
	ba := issue(t, Template{CommonName: "b"}, b.key, a, o)
	if _, err := OrderChain([]*x509.Certificate{ab, ba}); !errors.Is(err, ErrBrokenChain) {
		t.Error(err)
	}
}

// A root signed with SHA-1, as companies still use, made by openssl.
const sha1Root = `-----BEGIN CERTIFICATE-----
MIIBejCCASKgAwIBAgIUO4eaq2VhIBQqKd4/iVYqcHdJMQcwCQYHKoZIzj0EATAT
MREwDwYDVQQDDAhvbGQgcm9vdDAgFw0yNjExMjMwMjMyNDBaGA8yMTI2MTAzMDAy
MzI0MFowEzERMA8GA1UEAwwIb2xkIHJvb3QwWTATBgcqhkjOPQIBBggqhkjOPQMB
BwNCAARi24TkLMp2v3aBFMgOHdF/1C0yCLyUVfeCXf1+BrQIIPOMt8OE+RCPSXOU
7BZOdL1e3h/I7l08iBicpXPd1yoao1MwUTAdBgNVHQ4EFgQU9xd9dxSMPaWCQVWj
hO57RZCcEjUwHwYDVR0jBBgwFoAU9xd9dxSMPaWCQVWjhO57RZCcEjUwDwYDVR0T
AQH/BAUwAwEB/zAJBgcqhkjOPQQBA0cAMEQCIHqTwZKnlYCtSqURdrwcch+Es/lp
LGGxdQsmx7d9m1KBAiBfEdDNDuO1vLpDKhBPdnbIGyCFy1VDmCLfDDRJhDiG/w==
-----END CERTIFICATE-----
`

func TestSelfSignedWithOldHash(t *testing.T) {
	old, err := ParseCertificate([]byte(sha1Root), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if old.SignatureAlgorithm != x509.ECDSAWithSHA1 || !SelfSigned(old) {
		t.Errorf("%v, self-signed %v", old.SignatureAlgorithm, SelfSigned(old))
	}
}

func TestParseChain(t *testing.T) {
	root := newAuthority(t, "root", nil, KeySpec{Algorithm: ECDSA})
	leaf := issue(t, Template{CommonName: "leaf"}, newKey(t), root, SignOptions{NotBefore: start, NotAfter: end})
	data := EncodeChain(leaf, root.cert)
	pad := func(to int) []byte { return append(slices.Clone(data), strings.Repeat("\n", to-len(data))...) }
	key, err := EncodeKey(root.key, PKCS8)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		data []byte
		want string
	}{
		"two":        {data, ""},
		"with text":  {append([]byte("subject=leaf\n"), data...), ""},
		"limit":      {pad(95000), ""},
		"over":       {pad(95001), "provided PEM data was larger than the maximum 95000B"},
		"empty":      {nil, "no PEM data was found in given input"},
		"with a key": {append(slices.Clone(data), key...), `PEM block is of type "PRIVATE KEY", not "CERTIFICATE"`},
		"garbage":    {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), "certificate cannot be decoded: x509: malformed certificate"},
	} {
		certs, err := ParseChain(tc.data, Limits{})
		if text(err) != tc.want {
			t.Errorf("%s: got %q, want %q", name, text(err), tc.want)
		}
		if err == nil {
			if diff := cmp.Diff(string(data), string(EncodeChain(certs...))); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
	}
	if _, err := ParseBundle(pad(330000), Limits{}); err != nil {
		t.Error(err)
	}
	if _, err := ParseBundle(pad(330001), Limits{}); text(err) != "provided PEM data was larger than the maximum 330000B" {
		t.Error(err)
	}
	if cert, err := ParseCertificate(data, Limits{}); err != nil || !cert.Equal(leaf) {
		t.Error(err)
	}
	if _, err := ParseCertificate(pad(36501), Limits{}); text(err) != "provided PEM data was larger than the maximum 36500B" {
		t.Error(err)
	}
	if EncodeChain() != nil {
		t.Error("PEM for no certificates")
	}
}
