package venafi

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"github.com/Venafi/vcert/v5/pkg/certificate"
	"github.com/Venafi/vcert/v5/pkg/util"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/issuer"
	"github.com/everleaf/everleaf/internal/pki"
)

const noSubject = "Certificate requests submitted to Venafi issuers must have the 'commonName' field or at least one other subject field set."

// requestOf is a request in vcert's words, with the signing request unchanged. An error
// means that this request can never be met.
func requestOf(r issuer.Request, csr *x509.CertificateRequest) (*certificate.Request, error) {
	refuse := func(text string) error {
		return fault.New(fault.Permanent, cmv1.EventReasonRequestError, "Failed to request certificate from Certificate Manager: %s", text)
	}
	if len(csr.Subject.Names) == 0 {
		return nil, refuse(noSubject)
	}
	fields, err := fieldsOf(r)
	if err != nil {
		return nil, err
	}
	duration := cmp.Or(r.Duration, pki.DefaultDuration)
	out := &certificate.Request{
		Subject: csr.Subject, DNSNames: csr.DNSNames, EmailAddresses: csr.EmailAddresses, IPAddresses: csr.IPAddresses, URIs: csr.URIs,
		FriendlyName: friendlyName(csr), CsrOrigin: certificate.UserProvidedCSR, CustomFields: fields,
		ValidityDuration: &duration, IssuerHint: util.IssuerHintAllIssuers, ChainOption: certificate.ChainOptionRootLast,
	}
	switch key := csr.PublicKey.(type) {
	case *rsa.PublicKey:
		out.KeyType, out.KeyLength = certificate.KeyTypeRSA, key.N.BitLen()
	case *ecdsa.PublicKey:
		out.KeyType = certificate.KeyTypeECDSA
		if err := out.KeyCurve.Set(key.Curve.Params().Name); err != nil {
			return nil, refuse(err.Error())
		}
	default:
		return nil, refuse("Certificate Manager signs for RSA and ECDSA keys only, and the request has another one: set spec.privateKey.algorithm")
	}
	if err := out.SetCSR(r.CSR); err != nil {
		return nil, refuse("the signing request cannot be read")
	}
	return out, nil
}

// friendlyName is the name of a certificate's object at the server: its common name, or
// else the first of its alternative names.
func friendlyName(csr *x509.CertificateRequest) string {
	switch {
	case csr.Subject.CommonName != "":
		return csr.Subject.CommonName
	case len(csr.DNSNames) > 0:
		return csr.DNSNames[0]
	case len(csr.URIs) > 0:
		return csr.URIs[0].String()
	case len(csr.EmailAddresses) > 0:
		return csr.EmailAddresses[0]
	case len(csr.IPAddresses) > 0:
		return csr.IPAddresses[0].String()
	default:
		return ""
	}
}

// period is a duration in the form of ISO 8601 that the SaaS documents, such as P90D,
// P1DT2H0M0S or PT1H0M0S, in full seconds.
func period(d time.Duration) string {
	d = d.Truncate(time.Second)
	days, rest := d/(24*time.Hour), d%(24*time.Hour)
	var b strings.Builder
	b.WriteString("P")
	if days > 0 {
		fmt.Fprintf(&b, "%dD", days)
	}
	if rest > 0 || days == 0 {
		fmt.Fprintf(&b, "T%dH%dM%dS", rest/time.Hour, rest%time.Hour/time.Minute, rest%time.Minute/time.Second)
	}
	return b.String()
}
