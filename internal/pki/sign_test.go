package pki

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var (
	start = time.Date(2026, 11, 22, 5, 9, 5, 999, time.UTC)
	end   = start.Add(DefaultDuration)
)

// authority is a certificate and its key.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// newAuthority creates a CA: self-signed, or below another.
func newAuthority(t testing.TB, name string, parent *authority, spec KeySpec) *authority {
	t.Helper()
	key := mustKey(t, spec)
	cert := issue(t, Template{CommonName: name}, key, parent, SignOptions{NotBefore: start, NotAfter: end, IsCA: true})
	return &authority{cert, key}
}

// issue signs a request for key by parent, or by key itself if parent is nil.
func issue(t testing.TB, in Template, key crypto.Signer, parent *authority, o SignOptions) *x509.Certificate {
	t.Helper()
	csr, err := ParseRequest(mustRequest(t, in, key), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	template, err := CertificateFromRequest(csr, o)
	if err != nil {
		t.Fatal(err)
	}
	issuer, signer := template, key
	if parent != nil {
		issuer, signer = parent.cert, parent.key
	}
	cert, err := Sign(template, issuer, csr.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// compared are the fields of a certificate that its request and options fix.
func compared(c *x509.Certificate) x509.Certificate {
	return x509.Certificate{
		Version: c.Version, SignatureAlgorithm: c.SignatureAlgorithm, PublicKeyAlgorithm: c.PublicKeyAlgorithm,
		Issuer: pkix.Name{CommonName: c.Issuer.CommonName}, Subject: pkix.Name{CommonName: c.Subject.CommonName, Organization: c.Subject.Organization},
		NotBefore: c.NotBefore, NotAfter: c.NotAfter, KeyUsage: c.KeyUsage, ExtKeyUsage: c.ExtKeyUsage,
		BasicConstraintsValid: c.BasicConstraintsValid, IsCA: c.IsCA, MaxPathLen: c.MaxPathLen, MaxPathLenZero: c.MaxPathLenZero,
		AuthorityKeyId: c.AuthorityKeyId, OCSPServer: c.OCSPServer, IssuingCertificateURL: c.IssuingCertificateURL,
		DNSNames: c.DNSNames, EmailAddresses: c.EmailAddresses, IPAddresses: c.IPAddresses, URIs: c.URIs,
		CRLDistributionPoints: c.CRLDistributionPoints,
	}
}

func TestSign(t *testing.T) {
	root := newAuthority(t, "root", nil, KeySpec{Algorithm: ECDSA, Size: 384})
	cert := issue(t, Template{
		CommonName: "a.test", Subject: Subject{Organizations: []string{"o"}}, DNSNames: []string{"a.test"},
		URIs: []string{"spiffe://a.test/x"}, EmailAddresses: []string{"x@a.test"},
		// The request does not decide the role of the certificate.
		IsCA: true, Usages: []string{"cert sign"}, EncodeUsages: true,
	}, mustKey(t, KeySpec{}), root, SignOptions{
		NotBefore: start, NotAfter: end, Usages: []string{"digital signature", "server auth"},
		CRLDistributionPoints: []string{"http://crl.test"}, OCSPServers: []string{"http://ocsp.test"},
		IssuingCertificateURLs: []string{"http://ca.test"},
	})
	want := x509.Certificate{
		Version: 3, SignatureAlgorithm: x509.ECDSAWithSHA384, PublicKeyAlgorithm: x509.RSA,
		Issuer: pkix.Name{CommonName: "root"}, Subject: pkix.Name{CommonName: "a.test", Organization: []string{"o"}},
		NotBefore: time.Date(2026, 11, 22, 5, 9, 5, 0, time.UTC), NotAfter: time.Date(2027, 2, 20, 5, 9, 5, 0, time.UTC),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, MaxPathLen: -1, AuthorityKeyId: root.cert.SubjectKeyId,
		OCSPServer: []string{"http://ocsp.test"}, IssuingCertificateURL: []string{"http://ca.test"},
		DNSNames: []string{"a.test"}, EmailAddresses: []string{"x@a.test"},
		URIs: []*url.URL{{Scheme: "spiffe", Host: "a.test", Path: "/x"}}, CRLDistributionPoints: []string{"http://crl.test"},
	}
	if diff := cmp.Diff(want, compared(cert), cmpopts.IgnoreUnexported(x509.Certificate{})); diff != "" {
		t.Error(diff)
	}
	if n := cert.SerialNumber.BitLen(); cert.SerialNumber.Sign() <= 0 || n > 128 || n < 64 {
		t.Errorf("serial of %d bits", n)
	}
	for _, e := range cert.Extensions {
		if want := e.Id.String() == ku || e.Id.String() == "2.5.29.19"; e.Critical != want {
			t.Errorf("extension %v: critical is %v", e.Id, e.Critical)
		}
	}
}

func TestSignAlternativeNamesCritical(t *testing.T) {
	root := newAuthority(t, "root", nil, KeySpec{Algorithm: ECDSA})
	cert := issue(t, Template{DNSNames: []string{"a.test"}}, newKey(t), root, SignOptions{NotBefore: start, NotAfter: end})
	for _, e := range cert.Extensions {
		if e.Id.Equal(oidSubjectAltName) && !e.Critical {
			t.Error("not critical though the subject is empty")
		}
	}
	csr := &x509.CertificateRequest{Extensions: []pkix.Extension{{Id: oidSubjectAltName, Value: []byte{1}}}}
	want := []pkix.Extension{{Id: oidSubjectAltName, Value: []byte{1}, Critical: true}}
	if diff := cmp.Diff(want, subjectAltNames(csr)); diff != "" {
		t.Error(diff)
	}
}

func TestSignPathLength(t *testing.T) {
	zero, two := 0, 2
	for _, tc := range []struct {
		in   SignOptions
		want int
	}{
		{SignOptions{IsCA: true}, -1},
		{SignOptions{IsCA: true, PathLen: &zero}, 0},
		{SignOptions{IsCA: true, PathLen: &two}, 2},
		{SignOptions{PathLen: &two}, -1},
	} {
		tc.in.NotBefore, tc.in.NotAfter = start, end
		cert := issue(t, Template{CommonName: "x"}, newKey(t), nil, tc.in)
		if cert.MaxPathLen != tc.want || cert.IsCA != tc.in.IsCA {
			t.Errorf("%+v: got %d", tc.in, cert.MaxPathLen)
		}
	}
}

// A certificate with the name of its issuer must not look self-signed.
func TestSignSameNameAsIssuer(t *testing.T) {
	root := newAuthority(t, "same", nil, KeySpec{Algorithm: ECDSA})
	leaf := issue(t, Template{CommonName: "same"}, newKey(t), root, SignOptions{NotBefore: start, NotAfter: end})
	if string(leaf.AuthorityKeyId) != string(root.cert.SubjectKeyId) || SelfSigned(leaf) {
		t.Error("looks as if it had signed itself")
	}
	if !SelfSigned(root.cert) || len(root.cert.AuthorityKeyId) > 0 {
		t.Error("the root is not self-signed")
	}
	verify(t, root.cert, leaf)
}

func TestSignErrors(t *testing.T) {
	key := newKey(t)
	csr, err := ParseRequest(mustRequest(t, Template{CommonName: "x"}, key), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := CertificateFromRequest(csr, SignOptions{NotBefore: end, NotAfter: start}); text(err) != "the certificate would end before it begins" {
		t.Error(err)
	}
	if _, err := CertificateFromRequest(csr, SignOptions{NotBefore: start, NotAfter: end, Usages: []string{"x"}}); text(err) != `unknown key usage "x"` {
		t.Error(err)
	}
	template, err := CertificateFromRequest(csr, SignOptions{NotBefore: start, NotAfter: end})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Sign(template, template, csr.PublicKey, newKey(t)); err == nil {
		t.Error("signed itself with another's key")
	}
}

func verify(t *testing.T, root, leaf *x509.Certificate, intermediates ...*x509.Certificate) {
	t.Helper()
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(root)
	for _, c := range intermediates {
		between.AddCert(c)
	}
	o := x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: start.Add(time.Hour),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}
	if _, err := leaf.Verify(o); err != nil {
		t.Error(err)
	}
}

// Another implementation must accept the issued certificates with all their
// extensions.
func TestOpenSSLVerifies(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	for _, spec := range []KeySpec{{}, {Algorithm: ECDSA, Size: 521}, {Algorithm: Ed25519}} {
		root := newAuthority(t, "root", nil, spec)
		between := newAuthority(t, "between", root, spec)
		leaf := issue(t, Template{
			DNSNames: []string{"a.test", "*.a.test"}, IPAddresses: []string{"10.0.0.1", "2001:db8::1"},
			URIs: []string{"spiffe://a.test/x"}, EmailAddresses: []string{"x@a.test"}, EncodeUsages: true,
		}, mustKey(t, spec), between, SignOptions{NotBefore: start, NotAfter: end, Usages: []string{"digital signature", "server auth"}})
		dir := t.TempDir()
		file := func(name string, certs ...*x509.Certificate) string {
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, EncodeChain(certs...), 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}
		out, err := exec.CommandContext(t.Context(), openssl, "verify", "-x509_strict", "-no_check_time", "-purpose", "sslserver",
			"-verify_hostname", "w.a.test", "-CAfile", file("root", root.cert), "-untrusted", file("between", between.cert), file("leaf", leaf)).CombinedOutput()
		if err != nil {
			t.Errorf("%+v: %v: %s", spec, err, out)
		}
	}
}
