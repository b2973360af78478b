package statuspage

import (
	"crypto/x509"
	"encoding/hex"
	"fmt"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/pki"
)

// Of is the page of a Certificate, without what is behind it.
func Of(crt *cmv1.Certificate) Page {
	page := Page{
		Name: crt.Name, Namespace: crt.Namespace, CreatedAt: crt.CreationTimestamp.UTC(), DNSNames: crt.Spec.DNSNames,
		NotBefore: utc(crt.Status.NotBefore), NotAfter: utc(crt.Status.NotAfter), RenewalTime: utc(crt.Status.RenewalTime),
	}
	for _, c := range crt.Status.Conditions {
		page.Conditions = append(page.Conditions, Condition{string(c.Type), string(c.Status), c.Reason, c.Message})
	}
	return page
}

// RequestOf is a CertificateRequest as it is shown, without events.
func RequestOf(request *cmv1.CertificateRequest) Request {
	shown := Request{Name: request.Name, Namespace: request.Namespace}
	for _, c := range request.Status.Conditions {
		shown.Conditions = append(shown.Conditions, Condition{string(c.Type), string(c.Status), c.Reason, c.Message})
	}
	return shown
}

// OrderOf is an Order as it is shown.
func OrderOf(order *acmev1.Order) *Order {
	shown := &Order{Name: order.Name, State: string(order.Status.State), Reason: order.Status.Reason, FailureTime: utc(order.Status.FailureTime)}
	for _, a := range order.Status.Authorizations {
		shown.Authorizations = append(shown.Authorizations, Authorization{URL: a.URL, Identifier: a.Identifier, InitialState: string(a.InitialState), Wildcard: a.Wildcard})
	}
	return shown
}

// ChallengesOf are Challenges as they are shown.
func ChallengesOf(challenges []acmev1.Challenge) *Challenges {
	shown := &Challenges{}
	for i := range challenges {
		c := &challenges[i]
		shown.Items = append(shown.Items, Challenge{
			Name: c.Name, Type: string(c.Spec.Type), Token: c.Spec.Token, Key: c.Spec.Key, State: string(c.Status.State),
			Reason: c.Status.Reason, Processing: c.Status.Processing, Presented: c.Status.Presented,
		})
	}
	return shown
}

// SecretOf is what the first certificate of a Secret's tls.crt says.
func SecretOf(name string, chain []byte) Secret {
	if len(chain) == 0 {
		return Secret{Problem: fmt.Sprintf("error: 'tls.crt' of Secret %q is not set", name)}
	}
	cert, err := pki.ParseCertificate(chain, pki.Limits{})
	if err != nil {
		return Secret{Problem: fmt.Sprintf("error when parsing 'tls.crt' of Secret %q: %v", name, err)}
	}
	return Secret{
		Name: name, IssuerCountry: cert.Issuer.Country, IssuerOrganisation: cert.Issuer.Organization, IssuerCommonName: cert.Issuer.CommonName,
		KeyUsage: keyUsages(cert.KeyUsage), ExtendedKeyUsages: extendedUsages(cert),
		PublicKeyAlgorithm: cert.PublicKeyAlgorithm.String(), SignatureAlgorithm: cert.SignatureAlgorithm.String(),
		SubjectKeyID: hex.EncodeToString(cert.SubjectKeyId), AuthorityKeyID: hex.EncodeToString(cert.AuthorityKeyId),
		SerialNumber: hex.EncodeToString(cert.SerialNumber.Bytes()),
	}
}

// keyUsageNames are the names of the bits of x509.KeyUsage.
var keyUsageNames = []string{
	"Digital Signature", "Content Commitment", "Key Encipherment", "Data Encipherment", "Key Agreement",
	"Cert Sign", "CRL Sign", "Encipher Only", "Decipher Only",
}

func keyUsages(usage x509.KeyUsage) []string {
	var names []string
	for bit, name := range keyUsageNames {
		if usage&(1<<bit) != 0 {
			names = append(names, name)
		}
	}
	return names
}

var extendedUsageNames = map[x509.ExtKeyUsage]string{
	x509.ExtKeyUsageAny:                            "Any",
	x509.ExtKeyUsageServerAuth:                     "Server Authentication",
	x509.ExtKeyUsageClientAuth:                     "Client Authentication",
	x509.ExtKeyUsageCodeSigning:                    "Code Signing",
	x509.ExtKeyUsageEmailProtection:                "Email Protection",
	x509.ExtKeyUsageIPSECEndSystem:                 "IPSEC End System",
	x509.ExtKeyUsageIPSECTunnel:                    "IPSEC Tunnel",
	x509.ExtKeyUsageIPSECUser:                      "IPSEC User",
	x509.ExtKeyUsageTimeStamping:                   "Time Stamping",
	x509.ExtKeyUsageOCSPSigning:                    "OCSP Signing",
	x509.ExtKeyUsageMicrosoftServerGatedCrypto:     "Microsoft Server Gated Crypto",
	x509.ExtKeyUsageNetscapeServerGatedCrypto:      "Netscape Server Gated Crypto",
	x509.ExtKeyUsageMicrosoftCommercialCodeSigning: "Microsoft Commercial Code Signing",
	x509.ExtKeyUsageMicrosoftKernelCodeSigning:     "Microsoft Kernel Code Signing",
}

// extendedUsages are the extended key usages of a certificate. One without a name is its
// OID.
func extendedUsages(cert *x509.Certificate) []string {
	var names []string
	for _, usage := range cert.ExtKeyUsage {
		names = append(names, extendedUsageNames[usage])
	}
	for _, oid := range cert.UnknownExtKeyUsage {
		names = append(names, oid.String())
	}
	return names
}
