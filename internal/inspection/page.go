// Package inspection says what a certificate in a Secret is good for, and checks whether
// it is trusted and whether it has been revoked. It never sees a private key.
package inspection

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/everleaf/everleaf/internal/pki"
)

// Page is what a certificate says, and what checks have found.
type Page struct {
	ValidFor       ValidFor       `json:"validFor"`
	ValidityPeriod ValidityPeriod `json:"validityPeriod"`
	IssuedBy       Party          `json:"issuedBy"`
	IssuedFor      Party          `json:"issuedFor"`
	Certificate    Certificate    `json:"certificate"`
	Debugging      Debugging      `json:"debugging"`
}

// ValidFor are the names of a certificate, and its usages in the words of the API.
type ValidFor struct {
	DNSNames       []string `json:"dnsNames,omitempty"`
	URIs           []string `json:"uris,omitempty"`
	IPAddresses    []string `json:"ipAddresses,omitempty"`
	EmailAddresses []string `json:"emailAddresses,omitempty"`
	Usages         []string `json:"usages,omitempty"`
}

// ValidityPeriod is when a certificate is valid.
type ValidityPeriod struct {
	NotBefore time.Time `json:"notBefore"`
	NotAfter  time.Time `json:"notAfter"`
}

// Party is an issuer or a subject.
type Party struct {
	CommonName         string   `json:"commonName,omitempty"`
	Organization       []string `json:"organization,omitempty"`
	OrganizationalUnit []string `json:"organizationalUnit,omitempty"`
	Country            []string `json:"country,omitempty"`
}

// Certificate is what else a certificate says. SerialNumber is decimal, Fingerprint is
// SHA-256 over the DER form.
type Certificate struct {
	SigningAlgorithm   string   `json:"signingAlgorithm"`
	PublicKeyAlgorithm string   `json:"publicKeyAlgorithm"`
	SerialNumber       string   `json:"serialNumber"`
	Fingerprint        string   `json:"fingerprint"`
	IsCA               bool     `json:"isCA"`
	CRL                []string `json:"crl,omitempty"`
	OCSP               []string `json:"ocsp,omitempty"`
}

// Debugging is what checks have found, in words.
type Debugging struct {
	Trusted string `json:"trustedByThisComputer"`
	CRL     string `json:"crlStatus"`
	OCSP    string `json:"ocspStatus"`
}

// Parse returns the certificates of a Secret: the one that is inspected, the others of
// tls.crt, and what ca.crt has.
func Parse(chain, ca []byte) (leaf *x509.Certificate, intermediates, roots []*x509.Certificate, err error) {
	certs, err := pki.ParseBundle(chain, pki.Limits{})
	switch {
	case len(strings.TrimSpace(string(chain))) == 0:
		return nil, nil, nil, errors.New("no PEM data found in secret: it has no 'tls.crt', or an empty one")
	case errors.Is(err, pki.ErrNoPEM):
		return nil, nil, nil, errors.New("no PEM data found in secret: its 'tls.crt' is not PEM")
	case err != nil:
		return nil, nil, nil, fmt.Errorf("error when parsing 'tls.crt': %w", err)
	}
	// A broken ca.crt is none: the certificate itself can be inspected.
	roots, _ = pki.ParseBundle(ca, pki.Limits{})
	return certs[0], certs[1:], roots, nil
}

// Of is what a certificate says.
func Of(cert *x509.Certificate) Page {
	page := Page{
		ValidFor:       ValidFor{DNSNames: cert.DNSNames, EmailAddresses: cert.EmailAddresses, Usages: usages(cert)},
		ValidityPeriod: ValidityPeriod{NotBefore: cert.NotBefore.UTC(), NotAfter: cert.NotAfter.UTC()},
		IssuedBy:       party(cert.Issuer), IssuedFor: party(cert.Subject),
		Certificate: Certificate{
			SigningAlgorithm: cert.SignatureAlgorithm.String(), PublicKeyAlgorithm: cert.PublicKeyAlgorithm.String(),
			SerialNumber: cert.SerialNumber.String(), Fingerprint: fingerprint(cert.Raw), IsCA: cert.IsCA,
			CRL: cert.CRLDistributionPoints, OCSP: cert.OCSPServer,
		},
	}
	for _, uri := range cert.URIs {
		page.ValidFor.URIs = append(page.ValidFor.URIs, uri.String())
	}
	for _, ip := range cert.IPAddresses {
		page.ValidFor.IPAddresses = append(page.ValidFor.IPAddresses, ip.String())
	}
	return page
}

func party(name pkix.Name) Party {
	return Party{name.CommonName, name.Organization, name.OrganizationalUnit, name.Country}
}

func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	var pairs []string
	for _, b := range sum {
		pairs = append(pairs, fmt.Sprintf("%02X", b))
	}
	return strings.Join(pairs, ":")
}

// keyUsages are the API's words of the bits of x509.KeyUsage.
var keyUsages = []string{
	"digital signature", "content commitment", "key encipherment", "data encipherment", "key agreement",
	"cert sign", "crl sign", "encipher only", "decipher only",
}

var extendedUsages = map[x509.ExtKeyUsage]string{
	x509.ExtKeyUsageAny:                        "any",
	x509.ExtKeyUsageServerAuth:                 "server auth",
	x509.ExtKeyUsageClientAuth:                 "client auth",
	x509.ExtKeyUsageCodeSigning:                "code signing",
	x509.ExtKeyUsageEmailProtection:            "email protection",
	x509.ExtKeyUsageIPSECEndSystem:             "ipsec end system",
	x509.ExtKeyUsageIPSECTunnel:                "ipsec tunnel",
	x509.ExtKeyUsageIPSECUser:                  "ipsec user",
	x509.ExtKeyUsageTimeStamping:               "timestamping",
	x509.ExtKeyUsageOCSPSigning:                "ocsp signing",
	x509.ExtKeyUsageMicrosoftServerGatedCrypto: "microsoft sgc",
	x509.ExtKeyUsageNetscapeServerGatedCrypto:  "netscape sgc",
}

// usages are a certificate's usages. An extended one without a word is its OID.
func usages(cert *x509.Certificate) []string {
	var words []string
	for bit, word := range keyUsages {
		if cert.KeyUsage&(1<<bit) != 0 {
			words = append(words, word)
		}
	}
	for _, usage := range cert.ExtKeyUsage {
		if word := extendedUsages[usage]; word != "" {
			words = append(words, word)
		} else {
			words = append(words, usage.String())
		}
	}
	for _, oid := range cert.UnknownExtKeyUsage {
		words = append(words, oid.String())
	}
	return words
}
