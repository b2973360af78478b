package inspection

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ocsp"

	"github.com/everleaf/everleaf/internal/pki"
)

// now is within the validity of all certificates here.
var now = time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)

// TestPrint has the whole text of a page with everything, and of one with nothing.
func TestPrint(t *testing.T) {
	for want, page := range map[string]Page{
		`Valid for:
	DNS Names: 
		- example.com
		- www.example.com
	URIs: 
		- spiffe://x
	IP Addresses: 
		- 192.0.2.1
	Email Addresses: 
		- a@example.com
	Usages: 
		- digital signature
		- server auth

Validity period:
	Not Before: Fri, 27 Nov 2026 10:00:00 UTC
	Not After: Fri, 27 Nov 2026 11:00:00 UTC

Issued By:
	Common Name: R3
	Organization: CA
	OrganizationalUnit: 
		- a
		- b
	Country: US

Issued For:
	Common Name: <none>
	Organization: <none>
	OrganizationalUnit: <none>
	Country: <none>

Certificate:
	Signing Algorithm:	SHA256-RSA
	Public Key Algorithm:	ECDSA
	Serial Number:	1023
	Fingerprints:	AA:BB
	Is a CA certificate: false
	CRL:	http://ca/crl
	OCSP:	
		- http://a
		- http://b

Debugging:
	Trusted by this computer:	yes
	CRL Status:	Valid
	OCSP Status:	valid
`: {
			ValidFor:       ValidFor{[]string{"example.com", "www.example.com"}, []string{"spiffe://x"}, []string{"192.0.2.1"}, []string{"a@example.com"}, []string{"digital signature", "server auth"}},
			ValidityPeriod: ValidityPeriod{now, now.Add(time.Hour)}, IssuedBy: Party{"R3", []string{"CA"}, []string{"a", "b"}, []string{"US"}},
			Certificate: Certificate{"SHA256-RSA", "ECDSA", "1023", "AA:BB", false, []string{"http://ca/crl"}, []string{"http://a", "http://b"}},
			Debugging:   Debugging{"yes", "Valid", "valid"},
		},
	} {
		var out strings.Builder
		if err := Print(&out, page); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
}

// authority is a CA with a server of lists and OCSP answers.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func issue(t *testing.T, template *x509.Certificate, by *authority) *authority {
	t.Helper()
	key, err := pki.GenerateKey(pki.KeySpec{Algorithm: pki.ECDSA, Size: 256})
	if err != nil {
		t.Fatal(err)
	}
	template.NotBefore, template.NotAfter = now.Add(-time.Hour), now.Add(time.Hour)
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key}
}

// TestCheck asks a server that knows revoked certificates, one that has nonsense, and one
// that is not there.
func TestCheck(t *testing.T) {
	newCA := func() *authority {
		return issue(t, &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: []byte{1},
		}, nil)
	}
	ca, other := newCA(), newCA()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		signer := ca
		switch r.URL.Path {
		case "/other":
			signer = other
			fallthrough
		case "/crl":
			list, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
				Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now.Add(time.Hour), RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(3), RevocationTime: now}},
			}, signer.cert, signer.key)
			if err != nil {
				t.Error(err)
			}
			_, _ = w.Write(list)
		case "/good", "/revoked":
			status := map[string]int{"/good": ocsp.Good, "/revoked": ocsp.Revoked}[r.URL.Path]
			answer, err := ocsp.CreateResponse(ca.cert, ca.cert, ocsp.Response{Status: status, SerialNumber: big.NewInt(2), ThisUpdate: now, NextUpdate: now.Add(time.Hour), RevokedAt: now}, ca.key)
			if err != nil {
				t.Error(err)
			}
			_, _ = w.Write(answer)
		case "/nonsense":
			_, _ = w.Write([]byte("<html>"))
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	trusted := x509.NewCertPool()
	trusted.AddCert(ca.cert)
	const noIssuer = "Cannot check OCSP, does not have a CA or intermediate certificate provided"
	for name, test := range map[string]struct {
		serial    int64
		crl, ocsp []string
		chain, ca []*x509.Certificate
		roots     *x509.CertPool
		want      Debugging
	}{
		"fine":                 {2, []string{"/crl"}, []string{"/good"}, nil, []*x509.Certificate{ca.cert}, trusted, Debugging{"yes", "Valid", "valid"}},
		"revoked":              {3, []string{"ldap", "/crl"}, nil, nil, nil, trusted, Debugging{"yes", "Revoked by URL/crl", noIssuer}},
		"revoked by OCSP":      {2, nil, []string{"/missing", "/revoked"}, []*x509.Certificate{ca.cert}, nil, trusted, Debugging{"yes", "No CRL endpoints set", "Marked as revoked"}},
		"no servers":           {2, []string{"ldap"}, nil, nil, []*x509.Certificate{ca.cert}, trusted, Debugging{"yes", "No CRL endpoints we support found", "Cannot check OCSP: No OCSP Server set"}},
		"nobody is trusted":    {2, nil, nil, nil, nil, x509.NewCertPool(), Debugging{"no: x509: certificate signed by unknown authority", "No CRL endpoints set", noIssuer}},
		"the list is missing":  {2, []string{"/missing"}, []string{"/missing"}, nil, []*x509.Certificate{ca.cert}, trusted, Debugging{"yes", "Cannot check CRL: URL/missing answers 404 Not Found", "Cannot check OCSP: URL/missing answers 404 Not Found"}},
		"nonsense":             {2, []string{"/nonsense"}, nil, nil, nil, trusted, Debugging{"yes", "Cannot check CRL: URL/nonsense has no list of revoked certificates", noIssuer}},
		"a list of another CA": {3, []string{"/other"}, nil, nil, []*x509.Certificate{ca.cert}, trusted, Debugging{"yes", "Cannot check CRL: the list of URL/other is not signed by the issuer: x509: ECDSA verification failure", "Cannot check OCSP: No OCSP Server set"}},
	} {
		t.Run(name, func(t *testing.T) {
			at := func(paths []string) []string {
				var all []string
				for _, path := range paths {
					if path == "ldap" {
						all = append(all, "ldap://ca/crl")
					} else {
						all = append(all, server.URL+path)
					}
				}
				return all
			}
			leaf := issue(t, &x509.Certificate{SerialNumber: big.NewInt(test.serial), DNSNames: []string{"a.example"}, CRLDistributionPoints: at(test.crl), OCSPServer: at(test.ocsp)}, ca)
			got := Checker{Client: server.Client(), Roots: test.roots, Now: now}.Check(context.Background(), leaf.cert, test.chain, test.ca)
			for _, text := range []*string{&got.CRL, &got.OCSP, &got.Trusted} {
				*text = strings.ReplaceAll(*text, server.URL, "URL")
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestOf(t *testing.T) {
	uri := &url.URL{Scheme: "spiffe", Host: "x"}
	leaf := issue(t, &x509.Certificate{
		SerialNumber: big.NewInt(1023), Subject: pkix.Name{CommonName: "a", Organization: []string{"b"}}, DNSNames: []string{"a.example"}, URIs: []*url.URL{uri},
		IPAddresses: []net.IP{net.ParseIP("2001:db8::1")}, EmailAddresses: []string{"a@example.com"}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, UnknownExtKeyUsage: nil, CRLDistributionPoints: []string{"http://a"}, OCSPServer: []string{"http://b"},
	}, nil)
	got := Of(leaf.cert)
	if len(got.Certificate.Fingerprint) != 95 {
		t.Errorf("fingerprint %s", got.Certificate.Fingerprint)
	}
	got.Certificate.Fingerprint = ""
	self := Party{CommonName: "a", Organization: []string{"b"}}
	want := Page{
		ValidFor:       ValidFor{[]string{"a.example"}, []string{"spiffe://x"}, []string{"2001:db8::1"}, []string{"a@example.com"}, []string{"digital signature", "key encipherment", "client auth"}},
		ValidityPeriod: ValidityPeriod{now.Add(-time.Hour), now.Add(time.Hour)}, IssuedBy: self, IssuedFor: self,
		Certificate: Certificate{SigningAlgorithm: "ECDSA-SHA256", PublicKeyAlgorithm: "ECDSA", SerialNumber: "1023", CRL: []string{"http://a"}, OCSP: []string{"http://b"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for text, want := range map[string]string{"": "no PEM data found in secret", "x": "no PEM data found in secret", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n": "error when parsing 'tls.crt': "} {
		if _, _, _, err := Parse([]byte(text), nil); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}
