package pki

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func encoded(t *testing.T, value any) []byte {
	t.Helper()
	der, err := asn1.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// extended returns a request for a key with these extensions, as other tools make
// it.
func extended(t *testing.T, key crypto.Signer, extensions ...pkix.Extension) *x509.CertificateRequest {
	t.Helper()
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "a.test"}, ExtraExtensions: extensions}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	return csr
}

// basic is the extension with the basic constraints of a CA, or of none.
func basic(t *testing.T, isCA bool, pathLen int) pkix.Extension {
	return pkix.Extension{Id: oidBasicConstraints, Critical: true, Value: encoded(t, basicConstraints{isCA, pathLen})}
}

// onlyTeamA permits DNS names below team-a.example.
func onlyTeamA(t *testing.T) pkix.Extension {
	subtree := struct {
		Base asn1.RawValue
	}{asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tagDNS, Bytes: []byte("team-a.example")}}
	value := encoded(t, struct {
		Permitted any `asn1:"tag:0"`
	}{[]any{subtree}})
	return pkix.Extension{Id: oidNameConstraints, Critical: true, Value: value}
}

// TestRequestedExtensions holds that a certificate is never good for more than its
// request asks for.
func TestRequestedExtensions(t *testing.T) {
	number := func(n int) *int { return &n }
	mustStaple := pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}, Value: encoded(t, []int{5})}
	note := pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: encoded(t, "x")}
	critical := note
	critical.Critical = true
	for name, test := range map[string]struct {
		ask  []pkix.Extension
		isCA bool
		// allowed is the path length that the signing CA allows.
		allowed *int
		// pathLen is the new certificate's, domains are its constraints.
		pathLen int
		domains []string
		err     string
	}{
		"nothing":                    {isCA: true, pathLen: -1},
		"name constraints":           {ask: []pkix.Extension{onlyTeamA(t)}, isCA: true, pathLen: -1, domains: []string{"team-a.example"}},
		"name constraints of a leaf": {ask: []pkix.Extension{onlyTeamA(t)}, err: "the request asks for name constraints, which only a CA can have: isCA is not set"},
		"path length":                {ask: []pkix.Extension{basic(t, true, 0)}, isCA: true, pathLen: 0},
		"no path length":             {ask: []pkix.Extension{basic(t, true, -1)}, isCA: true, allowed: number(1), pathLen: 1},
		"less than the CA allows":    {ask: []pkix.Extension{basic(t, true, 1)}, isCA: true, allowed: number(2), pathLen: 1},
		"more than the CA allows":    {ask: []pkix.Extension{basic(t, true, 7)}, isCA: true, allowed: number(2), pathLen: 2},
		"path length of a leaf":      {ask: []pkix.Extension{basic(t, false, -1)}, pathLen: -1},
		"broken basic constraints":   {ask: []pkix.Extension{{Id: oidBasicConstraints, Value: []byte("x")}}, isCA: true, err: "the basic constraints of the request cannot be decoded"},
		"a note":                     {ask: []pkix.Extension{note}, pathLen: -1},
		"a critical extension":       {ask: []pkix.Extension{critical}, err: "the request asks for the critical extension 1.2.3, which is not supported"},
		"one that restricts":         {ask: []pkix.Extension{mustStaple}, err: "the request asks for the extension 1.3.6.1.5.5.7.1.24 (TLS feature), which is not supported"},
		"a critical subject alternative": {
			ask:  []pkix.Extension{{Id: oidSubjectAltName, Critical: true, Value: encoded(t, []asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: tagDNS, Bytes: []byte("a.test")}})}},
			isCA: false, pathLen: -1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			key := mustKey(t, KeySpec{Algorithm: ECDSA})
			csr := extended(t, key, test.ask...)
			template, err := CertificateFromRequest(csr, SignOptions{NotBefore: start, NotAfter: end, IsCA: test.isCA, PathLen: test.allowed})
			if test.err != "" || err != nil {
				if err == nil || err.Error() != test.err {
					t.Errorf("error %v, want %s", err, test.err)
				}
				return
			}
			cert, err := Sign(template, template, key.Public(), key)
			if err != nil {
				t.Fatal(err)
			}
			if cert.MaxPathLen != test.pathLen {
				t.Errorf("path length %d, want %d", cert.MaxPathLen, test.pathLen)
			}
			if diff := cmp.Diff(test.domains, cert.PermittedDNSDomains); diff != "" {
				t.Errorf("permitted domains (-want +got):\n%s", diff)
			}
			if len(test.domains) > 0 && !cert.PermittedDNSDomainsCritical {
				t.Error("the constraints are not critical any more")
			}
		})
	}
}

// TestCheckEncoded holds the texts that clients match on.
func TestCheckEncoded(t *testing.T) {
	usages := func(isCA bool, words ...string) []pkix.Extension {
		extensions, err := usageExtensions(words, isCA)
		if err != nil {
			t.Fatal(err)
		}
		return extensions
	}
	certSign := usages(false, "digital signature", "cert sign")
	for name, test := range map[string]struct {
		ask   []pkix.Extension
		words []string
		isCA  bool
		want  string
	}{
		"nothing encoded": {words: []string{"client auth"}, isCA: true},
		"the same":        {ask: usages(false, "signing", "server auth", "client auth"), words: []string{"digital signature", "server auth", "client auth"}},
		"the defaults":    {ask: usages(false), words: nil},
		"a CA":            {ask: append(certSign, basic(t, true, -1)), words: []string{"digital signature"}, isCA: true},
		"more than the spec says": {
			ask: append(certSign, basic(t, false, -1)), words: []string{"client auth"},
			want: "encoded CSR error: the KeyUsages [ 'digital signature', 'cert sign' ] do not match the expected KeyUsages []",
		},
		"another extended usage": {
			ask: usages(false, "digital signature", "client auth"), words: []string{"digital signature"},
			want: "encoded CSR error: the ExtKeyUsages [ 'client auth' ] do not match the expected ExtKeyUsages []",
		},
		"another order": {
			ask: usages(false, "digital signature", "client auth", "server auth"), words: []string{"digital signature", "server auth", "client auth"},
			want: "encoded CSR error: the ExtKeyUsages [ 'client auth', 'server auth' ] do not match the expected ExtKeyUsages [ 'server auth', 'client auth' ]",
		},
		"an extended usage without a name": {
			ask:  []pkix.Extension{{Id: oidExtKeyUsage, Value: encoded(t, []asn1.ObjectIdentifier{{1, 2, 3}})}, usages(false)[0]},
			want: "encoded CSR error: the ExtKeyUsages [ '1.2.3' ] do not match the expected ExtKeyUsages []",
		},
		"a CA in secret":           {ask: []pkix.Extension{basic(t, true, -1)}, want: "encoded CSR error: IsCA true does not match expected value false"},
		"no CA, against the spec":  {ask: []pkix.Extension{basic(t, false, -1)}, isCA: true, want: "encoded CSR error: IsCA false does not match expected value true"},
		"broken basic constraints": {ask: []pkix.Extension{{Id: oidBasicConstraints, Value: []byte("x")}}, want: "encoded CSR error: BasicConstraintsValid is not true"},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if err := CheckEncoded(extended(t, mustKey(t, KeySpec{Algorithm: ECDSA}), test.ask...), test.words, test.isCA); err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}
