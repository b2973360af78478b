package pki

import (
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
)

// CertID identifies a certificate to its CA (RFC 9773 section 4.1): the key
// identifier of its issuer and the bytes of its serial number in DER. It is empty for
// a certificate that lacks either.
func CertID(cert *x509.Certificate) string {
	if len(cert.AuthorityKeyId) == 0 || cert.SerialNumber == nil {
		return ""
	}
	encoded, err := asn1.Marshal(cert.SerialNumber)
	if err != nil {
		return ""
	}
	var serial asn1.RawValue
	if _, err := asn1.Unmarshal(encoded, &serial); err != nil {
		return ""
	}
	encode := base64.RawURLEncoding.EncodeToString
	return encode(cert.AuthorityKeyId) + "." + encode(serial.Bytes)
}
