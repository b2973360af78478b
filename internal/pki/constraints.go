package pki

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"net"
	"slices"
)

// NameConstraints limit the names for which a CA may sign (RFC 5280, section
// 4.2.1.10).
type NameConstraints struct {
	// Critical says that software that does not know the extension must refuse the
	// certificate.
	Critical            bool
	Permitted, Excluded NameSubtrees
}

// NameSubtrees are names by their kind, each with all that is below it.
type NameSubtrees struct {
	// DNSDomains, EmailAddresses and URIDomains are plain ASCII.
	DNSDomains []string
	// IPRanges are in CIDR notation.
	IPRanges                   []string
	EmailAddresses, URIDomains []string
}

// encodedConstraints are name constraints in ASN.1. Minimum and maximum of a
// subtree are never there.
type encodedConstraints struct {
	Permitted []encodedSubtree `asn1:"optional,omitempty,tag:0"`
	Excluded  []encodedSubtree `asn1:"optional,omitempty,tag:1"`
}

type encodedSubtree struct{ Base asn1.RawValue }

// extension encodes c. It fails for constraints that crypto/x509 does not read,
// because no certificate with them could be used.
func (c NameConstraints) extension() (pkix.Extension, error) {
	var encoded encodedConstraints
	var err error
	if encoded.Permitted, err = c.Permitted.encode("nameConstraints.permitted"); err != nil {
		return pkix.Extension{}, err
	}
	if encoded.Excluded, err = c.Excluded.encode("nameConstraints.excluded"); err != nil {
		return pkix.Extension{}, err
	}
	value, err := asn1.Marshal(encoded)
	if err != nil {
		return pkix.Extension{}, fmt.Errorf("encode name constraints: %w", err)
	}
	extension := pkix.Extension{Id: oidNameConstraints, Critical: c.Critical, Value: value}
	if err := readable(extension); err != nil {
		return pkix.Extension{}, fmt.Errorf("nameConstraints: %w", err)
	}
	return extension, nil
}

func (s NameSubtrees) encode(field string) ([]encodedSubtree, error) {
	var subtrees []encodedSubtree
	add := func(tag int, base []byte) {
		subtrees = append(subtrees, encodedSubtree{asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, Bytes: base}})
	}
	text := func(tag int, kind string, names []string) error {
		for i, name := range names {
			if !isASCII(name) {
				return fmt.Errorf("%s.%s[%d] is %q, which is not plain ASCII", field, kind, i, name)
			}
			add(tag, []byte(name))
		}
		return nil
	}
	if err := text(tagDNS, "dnsDomains", s.DNSDomains); err != nil {
		return nil, err
	}
	for i, text := range s.IPRanges {
		base, err := addressAndMask(text)
		if err != nil {
			return nil, fmt.Errorf("%s.ipRanges[%d]: %w", field, i, err)
		}
		add(tagIP, base)
	}
	if err := text(tagEmail, "emailAddresses", s.EmailAddresses); err != nil {
		return nil, err
	}
	if err := text(tagURI, "uriDomains", s.URIDomains); err != nil {
		return nil, err
	}
	return subtrees, nil
}

// addressAndMask is a range as a certificate has it: 8 bytes for IPv4, 32 for
// IPv6. A range of IPv4-mapped IPv6 addresses is one of IPv4, as such addresses
// are in a certificate.
func addressAndMask(text string) ([]byte, error) {
	_, network, err := net.ParseCIDR(text)
	if err != nil {
		return nil, err
	}
	address, mask := network.IP, network.Mask
	const mapped = 96
	if v4 := address.To4(); v4 != nil {
		if ones, _ := mask.Size(); len(mask) == net.IPv4len || ones >= mapped {
			address, mask = v4, mask[len(mask)-net.IPv4len:]
		}
	}
	return append(append([]byte{}, address...), mask...), nil
}

// readable returns the error of crypto/x509 for a certificate with an extension.
func readable(extension pkix.Extension) error {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{SerialNumber: newSerial(), ExtraExtensions: []pkix.Extension{extension}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		return err
	}
	_, err = x509.ParseCertificate(der)
	return err
}

// OutsideConstraints says which name of a certificate the name constraints of its
// chain do not allow, or returns "". The chain begins with the issuer.
func OutsideConstraints(cert *x509.Certificate, chain []*x509.Certificate) string {
	if !constrained(chain) {
		return ""
	}
	options := x509.VerifyOptions{
		Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(),
		CurrentTime: cert.NotBefore, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}
	for _, issuer := range chain[:len(chain)-1] {
		options.Intermediates.AddCert(issuer)
	}
	options.Roots.AddCert(chain[len(chain)-1])
	_, err := cert.Verify(options)
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.CANotAuthorizedForThisName {
		return invalid.Detail
	}
	return ""
}

func constrained(chain []*x509.Certificate) bool {
	return slices.ContainsFunc(chain, func(cert *x509.Certificate) bool {
		return slices.ContainsFunc(cert.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(oidNameConstraints) })
	})
}
