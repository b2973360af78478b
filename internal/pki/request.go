package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"time"
)

// DefaultDuration is the lifetime of a certificate that requests none.
const DefaultDuration = 90 * 24 * time.Hour

// Template is the wanted certificate, in the API's words.
type Template struct {
	// CommonName and Subject are the subject, unless LiteralSubject is set.
	CommonName string
	Subject    Subject
	// LiteralSubject is the whole subject as ParseLiteralSubject takes it.
	LiteralSubject string
	DNSNames       []string
	// IPAddresses are IPv4 or IPv6 addresses without a zone. An address that is
	// the common name is not one of them unless it is listed.
	IPAddresses    []string
	URIs           []string
	EmailAddresses []string
	OtherNames     []OtherName
	IsCA           bool
	// NameConstraints of a CA, or nil.
	NameConstraints *NameConstraints
	// Usages are the API's words; none means DefaultUsages.
	Usages []string
	// EncodeUsages adds the usages to the request as extensions.
	EncodeUsages bool
	// SignatureAlgorithm is one of the API's words, such as "ECDSAWithSHA256".
	// Empty means that the key determines it.
	SignatureAlgorithm string
	// Duration is the requested lifetime; 0 means DefaultDuration. It is not
	// part of a CSR.
	Duration time.Duration
}

var (
	oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidKeyUsage       = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidExtKeyUsage    = asn1.ObjectIdentifier{2, 5, 29, 37}
)

var signatureAlgorithms = map[string]x509.SignatureAlgorithm{
	"SHA256WithRSA":   x509.SHA256WithRSA,
	"SHA384WithRSA":   x509.SHA384WithRSA,
	"SHA512WithRSA":   x509.SHA512WithRSA,
	"ECDSAWithSHA256": x509.ECDSAWithSHA256,
	"ECDSAWithSHA384": x509.ECDSAWithSHA384,
	"ECDSAWithSHA512": x509.ECDSAWithSHA512,
	"PureEd25519":     x509.PureEd25519,
}

// BuildRequest returns the PEM of a PKCS #10 request (RFC 2986) for t, signed
// by key. An error means that t cannot be encoded, or not within limits; the same
// template always fails.
func BuildRequest(t Template, key crypto.Signer, limits Limits) ([]byte, error) {
	algorithm, err := t.signatureAlgorithm(key.Public())
	if err != nil {
		return nil, err
	}
	subject, extensions, err := t.encode()
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		SignatureAlgorithm: algorithm,
		RawSubject:         subject,
		ExtraExtensions:    extensions,
	}, key)
	if err != nil {
		return nil, fmt.Errorf("create certificate request: %w", err)
	}
	// A request that no signer can parse must not leave this package.
	if _, err := x509.ParseCertificateRequest(der); err != nil {
		return nil, fmt.Errorf("create certificate request: %w", err)
	}
	encoded := pem.EncodeToMemory(&pem.Block{Type: blockRequest, Bytes: der})
	// Nor must one that ParseRequest does not read back.
	if limit := limits.withDefaults().MaxCertificateSize; len(encoded) > limit {
		return nil, fmt.Errorf("the request has %d bytes, more than the %d of a certificate or request that are accepted (--max-certificate-size): use fewer or shorter names", len(encoded), limit)
	}
	return encoded, nil
}

// UnsignedRequest returns a request for t that no key has signed, in the place of a parsed
// one: for a public key whose holder somebody else has verified. An error means that t
// cannot be encoded.
func UnsignedRequest(t Template, key crypto.PublicKey) (*x509.CertificateRequest, error) {
	raw, extensions, err := t.encode()
	if err != nil {
		return nil, err
	}
	var names pkix.RDNSequence
	if _, err := asn1.Unmarshal(raw, &names); err != nil {
		return nil, fmt.Errorf("decode the subject: %w", err)
	}
	var subject pkix.Name
	subject.FillFromRDNSequence(&names)
	return &x509.CertificateRequest{PublicKey: key, RawSubject: raw, Subject: subject, Extensions: extensions}, nil
}

// encode returns the DER of the subject, and the extensions of a request.
func (t Template) encode() (subject []byte, extensions []pkix.Extension, err error) {
	names, err := t.names()
	if err != nil {
		return nil, nil, err
	}
	if subject, err = t.subject(); err != nil {
		return nil, nil, err
	}
	if extensions, err = names.extension(bytes.Equal(subject, emptySubject)); err != nil {
		return nil, nil, err
	}
	if t.EncodeUsages {
		usages, err := usageExtensions(t.Usages, t.IsCA)
		if err != nil {
			return nil, nil, err
		}
		extensions = append(extensions, usages...)
	}
	if t.NameConstraints != nil {
		constraints, err := t.NameConstraints.extension()
		if err != nil {
			return nil, nil, err
		}
		extensions = append(extensions, constraints)
	}
	return subject, extensions, nil
}

func (t Template) signatureAlgorithm(key crypto.PublicKey) (x509.SignatureAlgorithm, error) {
	if t.SignatureAlgorithm == "" {
		return SignatureAlgorithm(key)
	}
	algorithm, ok := signatureAlgorithms[t.SignatureAlgorithm]
	if !ok {
		return 0, fmt.Errorf("signature algorithm %q is not supported", t.SignatureAlgorithm)
	}
	return algorithm, nil
}

// SignatureAlgorithm returns the signature algorithm for a key, with a hash of
// about the key's strength.
func SignatureAlgorithm(key crypto.PublicKey) (x509.SignatureAlgorithm, error) {
	switch k := key.(type) {
	case *rsa.PublicKey:
		switch size := k.N.BitLen(); {
		case size >= 4096:
			return x509.SHA512WithRSA, nil
		case size >= 3072:
			return x509.SHA384WithRSA, nil
		default:
			return x509.SHA256WithRSA, nil
		}
	case *ecdsa.PublicKey:
		switch size := k.Curve.Params().BitSize; {
		case size > 384:
			return x509.ECDSAWithSHA512, nil
		case size > 256:
			return x509.ECDSAWithSHA384, nil
		default:
			return x509.ECDSAWithSHA256, nil
		}
	case ed25519.PublicKey:
		return x509.PureEd25519, nil
	default:
		return 0, fmt.Errorf("public keys of type %T are not supported", key)
	}
}

// usageExtensions encodes key usage (critical; omitted if no bit is set) and
// extended key usage (RFC 5280, sections 4.2.1.3 and 4.2.1.12).
func usageExtensions(words []string, isCA bool) ([]pkix.Extension, error) {
	keyUsage, _, err := ParseUsages(words, isCA)
	if err != nil {
		return nil, err
	}
	found, err := lookUpUsages(words)
	if err != nil {
		return nil, err
	}
	var extensions []pkix.Extension
	if keyUsage != 0 {
		value, err := asn1.Marshal(keyUsageBits(keyUsage))
		if err != nil {
			return nil, fmt.Errorf("encode key usage: %w", err)
		}
		extensions = append(extensions, pkix.Extension{Id: oidKeyUsage, Critical: true, Value: value})
	}
	var oids []asn1.ObjectIdentifier
	for _, u := range found {
		if u.oid != nil && !slices.ContainsFunc(oids, u.oid.Equal) {
			oids = append(oids, u.oid)
		}
	}
	if len(oids) > 0 {
		value, err := asn1.Marshal(oids)
		if err != nil {
			return nil, fmt.Errorf("encode extended key usage: %w", err)
		}
		extensions = append(extensions, pkix.Extension{Id: oidExtKeyUsage, Value: value})
	}
	return extensions, nil
}

// keyUsageBits returns the DER form of a named bit list: the first bit is the
// highest, and trailing zeros are omitted.
func keyUsageBits(usage x509.KeyUsage) asn1.BitString {
	length := bits.Len16(uint16(usage))
	reversed := bits.Reverse16(uint16(usage))
	encoded := []byte{byte(reversed >> 8), byte(reversed)}
	return asn1.BitString{Bytes: encoded[:(length+7)/8], BitLength: length}
}

// ParseRequest parses one PKCS #10 request from PEM. It does not verify the
// signature: see VerifyRequest. The error is a *DataError.
func ParseRequest(data []byte, limits Limits) (*x509.CertificateRequest, error) {
	block, err := firstBlock(data, limits.withDefaults().MaxCertificateSize, nil)
	if err != nil {
		return nil, err
	}
	if block.Type != blockRequest && block.Type != blockOldRequest {
		return nil, wrongBlock(block, blockRequest)
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, dataErrorf("certificate request cannot be decoded: %w", err)
	}
	return csr, nil
}

// VerifyRequest verifies that a request is signed by its own key. The error is
// a *DataError.
func VerifyRequest(csr *x509.CertificateRequest) error {
	if csr.PublicKey == nil {
		return &DataError{Err: errors.New("certificate request has a public key of an unknown type")}
	}
	if !verifiable(csr.PublicKey) {
		return dataErrorf("certificate request has an RSA key of more than %d bits", maxVerifyBits)
	}
	if err := csr.CheckSignature(); err != nil {
		return dataErrorf("certificate request is not signed by its own key: %w", err)
	}
	return nil
}
