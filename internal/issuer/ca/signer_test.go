package ca

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/issuer"
	"github.com/everleaf/everleaf/internal/lifecycle/request"
	"github.com/everleaf/everleaf/internal/pki"
)

var now = time.Date(2026, 11, 22, 5, 9, 5, 0, time.UTC)

// pairs answers for every Secret.
type pairs struct {
	pair KeyPair
	err  error
}

func (p pairs) KeyPair(_ context.Context, namespace, name string) (KeyPair, error) {
	if namespace != "ns" || name != "ca" {
		panic("asked for " + namespace + "/" + name)
	}
	return p.pair, p.err
}

func key(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := pki.GenerateKey(pki.KeySpec{Algorithm: pki.ECDSA})
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// newCA makes a CA below another, or a root if parent has no chain.
func newCA(t testing.TB, name string, parent KeyPair, o pki.SignOptions) KeyPair {
	t.Helper()
	own := key(t)
	csr := newRequest(t, pki.Template{CommonName: name}, own).CSR
	parsed, err := pki.ParseRequest(csr, pki.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	o.IsCA = true
	if o.NotBefore.IsZero() {
		o.NotBefore = now.Add(-time.Hour)
	}
	if o.NotAfter.IsZero() {
		o.NotAfter = now.Add(365 * 24 * time.Hour)
	}
	template, err := pki.CertificateFromRequest(parsed, o)
	if err != nil {
		t.Fatal(err)
	}
	above, signer := template, own
	if len(parent.Chain) > 0 {
		above, signer = parent.Chain[0], parent.Key
	}
	cert, err := pki.Sign(template, above, parsed.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	return NewKeyPair(append([]*x509.Certificate{cert}, parent.Chain...), own)
}

func newRequest(t testing.TB, in pki.Template, key crypto.Signer) issuer.Request {
	t.Helper()
	csr, err := pki.BuildRequest(in, key, pki.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return issuer.Request{
		CSR:       csr,
		Issuer:    &cmv1.IssuerSpec{IssuerConfig: cmv1.IssuerConfig{CA: &cmv1.CAIssuer{SecretName: "ca"}}},
		Namespace: "ns", Now: now,
	}
}

func sign(t testing.TB, pair KeyPair, r issuer.Request) (leaf *x509.Certificate, o request.Outcome) {
	t.Helper()
	o, err := New(pairs{pair: pair}, pki.Limits{}).Sign(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := pki.ParseChain(o.Chain, pki.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return chain[0], o
}

func TestSign(t *testing.T) {
	root := newCA(t, "root", KeyPair{}, pki.SignOptions{})
	own := key(t)
	r := newRequest(t, pki.Template{CommonName: "a.test", DNSNames: []string{"a.test"}, IPAddresses: []string{"10.0.0.1"}}, own)
	r.Usages = []string{"digital signature", "server auth"}
	r.Duration = 2 * time.Hour
	r.Issuer.CA.CRLDistributionPoints = []string{"http://crl.test"}
	r.Issuer.CA.OCSPServers = []string{"http://ocsp.test"}
	r.Issuer.CA.IssuingCertificateURLs = []string{"http://ca.test"}

	leaf, o := sign(t, root, r)
	want := pki.LeafFacts{
		CommonName: "a.test", DNSNames: []string{"a.test"}, IPAddresses: []string{"10.0.0.1"},
		NotBefore: now, NotAfter: now.Add(2 * time.Hour),
		Key: pki.KeySpec{Algorithm: pki.ECDSA, Size: 256}, KeyDigest: pki.DigestOf(own.Public()),
	}
	if diff := cmp.Diff(want, pki.FactsOf(leaf), cmpopts.IgnoreFields(pki.LeafFacts{}, "Digest", "CertID")); diff != "" {
		t.Error(diff)
	}
	if leaf.IsCA || leaf.KeyUsage != x509.KeyUsageDigitalSignature || !slices.Equal(leaf.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}) {
		t.Errorf("CA %t, usages %b %v", leaf.IsCA, leaf.KeyUsage, leaf.ExtKeyUsage)
	}
	if leaf.Issuer.CommonName != "root" || !bytes.Equal(leaf.AuthorityKeyId, root.Chain[0].SubjectKeyId) {
		t.Errorf("issuer %s, authority key %x", leaf.Issuer, leaf.AuthorityKeyId)
	}
	urls := [][]string{leaf.CRLDistributionPoints, leaf.OCSPServer, leaf.IssuingCertificateURL}
	if diff := cmp.Diff([][]string{{"http://crl.test"}, {"http://ocsp.test"}, {"http://ca.test"}}, urls); diff != "" {
		t.Error(diff)
	}
	if string(o.Chain) != string(pki.EncodeChain(leaf)) || string(o.CA) != string(pki.EncodeChain(root.Chain...)) || o.Warning != "" || o.WarningReason != "" {
		t.Errorf("outcome %+v", o)
	}
}

// What is delivered depends on how much of the CA's own chain is known.
func TestSignChains(t *testing.T) {
	root := newCA(t, "root", KeyPair{}, pki.SignOptions{})
	middle := newCA(t, "middle", root, pki.SignOptions{})
	lower := newCA(t, "lower", middle, pki.SignOptions{})
	// A key pair that was not made by NewKeyPair must do as well.
	plain := KeyPair{Chain: lower.Chain, Key: lower.Key}
	alone := NewKeyPair(lower.Chain[:1], lower.Key)
	for name, tc := range map[string]struct {
		pair      KeyPair
		chain, ca []*x509.Certificate
	}{
		"root":               {root, nil, root.Chain},
		"below the root":     {middle, middle.Chain[:1], root.Chain},
		"second level":       {lower, lower.Chain[:2], root.Chain},
		"made by hand":       {plain, lower.Chain[:2], root.Chain},
		"without its issuer": {alone, lower.Chain[:1], lower.Chain[:1]},
	} {
		leaf, o := sign(t, tc.pair, newRequest(t, pki.Template{DNSNames: []string{"a.test"}}, key(t)))
		want := pki.EncodeChain(append([]*x509.Certificate{leaf}, tc.chain...)...)
		if diff := cmp.Diff(string(want), string(o.Chain)); diff != "" {
			t.Errorf("%s: chain: %s", name, diff)
		}
		if diff := cmp.Diff(string(pki.EncodeChain(tc.ca...)), string(o.CA)); diff != "" {
			t.Errorf("%s: ca: %s", name, diff)
		}
		verify(t, name, o)
	}
}

func verify(t *testing.T, name string, o request.Outcome) {
	t.Helper()
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	if !roots.AppendCertsFromPEM(o.CA) {
		t.Fatalf("%s: no CA", name)
	}
	between.AppendCertsFromPEM(o.Chain)
	chain, err := pki.ParseChain(o.Chain, pki.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := chain[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: now.Add(time.Minute), DNSName: "a.test",
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		return
	}
	dir := t.TempDir()
	write := func(file string, data []byte) string {
		path := filepath.Join(dir, file)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	crt := write("tls.crt", o.Chain)
	out, err := exec.CommandContext(t.Context(), openssl, "verify", "-x509_strict", "-no_check_time", "-partial_chain",
		"-CAfile", write("ca.crt", o.CA), "-untrusted", crt, crt).CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v: %s", name, err, out)
	}
}

// TestSignOutlivesIssuer has a CA that ends before its leaf. The outcome has a
// warning only if the CA ends before the leaf's renewal time.
func TestSignOutlivesIssuer(t *testing.T) {
	const day = 24 * time.Hour
	tests := []struct {
		name     string
		ca       time.Duration
		duration time.Duration
		want     string
	}{
		{
			"long before the renewal", day, 90 * day,
			"The certificate is valid until 2027-02-20T05:09:05Z, but its CA only until 2026-11-23T05:09:05Z",
		},
		{
			"a second before the renewal", 60*day - time.Second, 90 * day,
			"The certificate is valid until 2027-02-20T05:09:05Z, but its CA only until 2027-01-21T05:09:04Z",
		},
		{"at the renewal", 60 * day, 90 * day, ""},
		{"a second before its leaf", 90*day - time.Second, 90 * day, ""},
		{"together with its leaf", day, day, ""},
		{"after its leaf", 2 * day, day, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			pair := newCA(t, "short", KeyPair{}, pki.SignOptions{NotAfter: now.Add(test.ca)})
			r := newRequest(t, pki.Template{DNSNames: []string{"a.test"}}, key(t))
			r.Duration = test.duration
			leaf, o := sign(t, pair, r)
			if want := now.Add(test.duration); !leaf.NotAfter.Equal(want) {
				t.Errorf("valid until %v, not %v", leaf.NotAfter, want)
			}
			reason := ""
			if test.want != "" {
				reason = "OutlivesIssuer"
			}
			if o.Warning != test.want || o.WarningReason != reason {
				t.Errorf("%s: %q, not %s: %q", o.WarningReason, o.Warning, reason, test.want)
			}
		})
	}
}

// TestSignOutsideConstraints signs for a name that the CA above does not allow.
func TestSignOutsideConstraints(t *testing.T) {
	own := key(t)
	limited := newRequest(t, pki.Template{CommonName: "corp", NameConstraints: &pki.NameConstraints{Permitted: pki.NameSubtrees{DNSDomains: []string{"corp.test"}}}}, own)
	limited.IsCA = true
	cert, _ := sign(t, newCA(t, "root", KeyPair{}, pki.SignOptions{}), limited)
	// What is said about the name comes first.
	pair := newCA(t, "below", NewKeyPair([]*x509.Certificate{cert}, own), pki.SignOptions{NotAfter: now.Add(time.Hour)})
	for name, want := range map[string][2]string{
		"www.corp.test": {"OutlivesIssuer", "The certificate is valid until 2027-02-20T05:09:05Z, but its CA only until 2026-11-22T06:09:05Z"},
		"www.test":      {"OutsideNameConstraints", `Clients will not accept the certificate, because the name constraints of its CA do not allow it: DNS name "www.test" is not permitted by any constraint`},
	} {
		if _, o := sign(t, pair, newRequest(t, pki.Template{DNSNames: []string{name}}, key(t))); o.WarningReason != want[0] || o.Warning != want[1] {
			t.Errorf("%s: %s: %s", name, o.WarningReason, o.Warning)
		}
	}
}

func TestSignCA(t *testing.T) {
	length := func(n int) pki.SignOptions { return pki.SignOptions{PathLen: &n} }
	root := newCA(t, "root", KeyPair{}, pki.SignOptions{})
	root2 := newCA(t, "root2", KeyPair{}, length(2))
	for name, tc := range map[string]struct {
		pair KeyPair
		// want is the path length of the new CA, -1 for none.
		want int
		err  string
	}{
		"unbounded":         {root, -1, ""},
		"bounded":           {root2, 1, ""},
		"bounded above":     {newCA(t, "middle", root2, pki.SignOptions{}), 0, ""},
		"own bound is less": {newCA(t, "middle", root2, length(0)), 0, `Error generating certificate template: the path length of the CA "CN=middle" allows no further CA below it`},
		"used up above":     {newCA(t, "lower", newCA(t, "middle", root2, pki.SignOptions{}), pki.SignOptions{}), 0, `Error generating certificate template: the path length of the CA "CN=lower" allows no further CA below it`},
	} {
		r := newRequest(t, pki.Template{CommonName: "new", DNSNames: []string{"a.test"}}, key(t))
		r.IsCA = true
		if tc.err != "" {
			_, err := New(pairs{pair: tc.pair}, pki.Limits{}).Sign(t.Context(), r)
			checkFault(t, name, err, fault.Permanent, "SigningError", tc.err)
			// Other certificates it may still issue.
			r.IsCA = false
			_, o := sign(t, tc.pair, r)
			verify(t, name, o)
			continue
		}
		cert, o := sign(t, tc.pair, r)
		if !cert.IsCA || cert.MaxPathLen != tc.want {
			t.Errorf("%s: got a path length of %d, want %d", name, cert.MaxPathLen, tc.want)
		}
		verify(t, name, o)
		leaf := newRequest(t, pki.Template{DNSNames: []string{"a.test"}}, key(t))
		signer := newCA(t, "new", tc.pair, pki.SignOptions{})
		_, o = sign(t, signer, leaf)
		verify(t, name+", leaf", o)
	}
}

func TestPathLeftSelfIssued(t *testing.T) {
	one := 1
	root := newCA(t, "root", KeyPair{}, pki.SignOptions{PathLen: &one})
	// The same CA with a new key: RFC 5280 does not count it.
	rolled := newCA(t, "root", root, pki.SignOptions{})
	if left, bounded := pathLeft(rolled.Chain); left != 1 || !bounded {
		t.Errorf("got %d, %v", left, bounded)
	}
	if left, bounded := pathLeft(newCA(t, "middle", rolled, pki.SignOptions{}).Chain); left != 0 || !bounded {
		t.Errorf("got %d, %v", left, bounded)
	}
}

func checkFault(t *testing.T, name string, err error, class fault.Class, reason, message string) {
	t.Helper()
	want := &fault.Error{Class: class, Reason: reason, Message: message}
	if diff := cmp.Diff(want, fault.Of(err), cmpopts.IgnoreFields(fault.Error{}, "Err", "At")); diff != "" {
		t.Errorf("%s: %s", name, diff)
	}
}

func TestSignFails(t *testing.T) {
	root := newCA(t, "root", KeyPair{}, pki.SignOptions{})
	good := func() issuer.Request { return newRequest(t, pki.Template{DNSNames: []string{"a.test"}}, key(t)) }
	for name, tc := range map[string]struct {
		change func(*issuer.Request)
		want   string
	}{
		"no request": {
			func(r *issuer.Request) { r.CSR = nil },
			"Error generating certificate template: no PEM data was found in given input",
		},
		"unknown usage": {
			func(r *issuer.Request) { r.Usages = []string{"flying"} },
			`Error generating certificate template: unknown key usage "flying"`,
		},
		"negative duration": {
			func(r *issuer.Request) { r.Duration = -time.Hour },
			"Error generating certificate template: a duration of -1h0m0s is too short",
		},
		"bad URL": {
			func(r *issuer.Request) { r.Issuer.CA.OCSPServers = []string{"http://ä"} },
			`Error generating certificate template: the issuer's URL "http://ä" cannot be encoded: it must be plain ASCII and not empty`,
		},
	} {
		r := good()
		tc.change(&r)
		_, err := New(pairs{pair: root}, pki.Limits{}).Sign(t.Context(), r)
		checkFault(t, name, err, fault.Permanent, "SigningError", tc.want)
	}
	r := good()
	block, _ := pem.Decode(r.CSR)
	block.Bytes[len(block.Bytes)-1] ^= 1
	r.CSR = pem.EncodeToMemory(block)
	_, err := New(pairs{pair: root}, pki.Limits{}).Sign(t.Context(), r)
	checkFault(t, "forged", err, fault.Permanent, "SigningError",
		"Error generating certificate template: certificate request is not signed by its own key: x509: ECDSA verification failure")

	r = good()
	r.Duration = 0
	if leaf, _ := sign(t, root, r); !leaf.NotAfter.Equal(now.Add(90 * 24 * time.Hour)) {
		t.Errorf("a duration of zero: valid until %v", leaf.NotAfter)
	}

	r.Issuer.CA = nil
	_, err = New(pairs{}, pki.Limits{}).Sign(t.Context(), r)
	checkFault(t, "other issuer", err, fault.User, "IssuerTypeMissing", "Missing issuer type: not a CA issuer")
}

// TestSignBare has the names and the key come from what stands in the place of a signing
// request, and nothing from one that is there too.
func TestSignBare(t *testing.T) {
	r := newRequest(t, pki.Template{DNSNames: []string{"a.test"}}, key(t))
	public := key(t).Public()
	r.Bare = &issuer.Bare{Wanted: pki.Template{URIs: []string{"spiffe://a.test/b"}}, Key: public}
	leaf, _ := sign(t, newCA(t, "root", KeyPair{}, pki.SignOptions{}), r)
	if len(leaf.DNSNames) > 0 || len(leaf.URIs) != 1 || leaf.URIs[0].String() != "spiffe://a.test/b" || !pki.PublicKeysEqual(leaf.PublicKey, public) {
		t.Errorf("names %v %v", leaf.DNSNames, leaf.URIs)
	}
	r.Bare.Wanted.URIs = []string{"spiffe://ä"}
	_, err := New(pairs{pair: newCA(t, "root", KeyPair{}, pki.SignOptions{})}, pki.Limits{}).Sign(t.Context(), r)
	if f := fault.Of(err); f == nil || f.Class != fault.Permanent {
		t.Errorf("got %v for a name that cannot be encoded", err)
	}
}

func BenchmarkSign(b *testing.B) {
	signer := New(pairs{pair: newCA(b, "root", KeyPair{}, pki.SignOptions{})}, pki.Limits{})
	r := newRequest(b, pki.Template{DNSNames: []string{"a.test", "b.test"}, EncodeUsages: true}, key(b))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := signer.Sign(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
}
