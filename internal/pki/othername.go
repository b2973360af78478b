package pki

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"
)

// OtherName is an alternative name of the kind otherName (RFC 5280, section
// 4.2.1.6) whose value is a UTF-8 string, such as a user principal name.
type OtherName struct {
	// OID is the kind of name in dotted form.
	OID   string
	Value string
}

// encodedOtherName is an OtherName in ASN.1, without the tag of its choice.
type encodedOtherName struct {
	ID    asn1.ObjectIdentifier
	Value string `asn1:"tag:0,explicit,utf8"`
}

func (n OtherName) encode() (asn1.RawValue, error) {
	oid, ok := ParseOID(n.OID)
	if !ok {
		return asn1.RawValue{}, fmt.Errorf("%q is not an object identifier", n.OID)
	}
	der, err := asn1.MarshalWithParams(encodedOtherName{oid, n.Value}, fmt.Sprintf("tag:%d", tagOther))
	if err != nil {
		return asn1.RawValue{}, fmt.Errorf("%s cannot be encoded: %w", oid, err)
	}
	return asn1.RawValue{FullBytes: der}, nil
}

// CanonicalOtherNames returns other names as a request has them: without leading
// zeros in their OIDs, and without duplicates.
func CanonicalOtherNames(others []OtherName) []OtherName {
	canonical := slices.Clone(others)
	for i, name := range canonical {
		if oid, ok := ParseOID(name.OID); ok {
			canonical[i].OID = oid.String()
		}
	}
	return canonical
}

// otherNamesOf returns the other names in a request. One whose value is not a UTF-8
// string is empty: no Template can ask for it.
func otherNamesOf(csr *x509.CertificateRequest) []OtherName {
	at := slices.IndexFunc(csr.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(oidSubjectAltName) })
	if at < 0 {
		return nil
	}
	var general []asn1.RawValue
	if _, err := asn1.Unmarshal(csr.Extensions[at].Value, &general); err != nil {
		return nil
	}
	var others []OtherName // nil if there are none
	for _, name := range general {
		if name.Class != asn1.ClassContextSpecific || name.Tag != tagOther {
			continue
		}
		var decoded encodedOtherName
		if _, err := asn1.UnmarshalWithParams(name.FullBytes, &decoded, fmt.Sprintf("tag:%d", tagOther)); err == nil {
			others = append(others, OtherName{OID: decoded.ID.String(), Value: decoded.Value})
		} else {
			others = append(others, OtherName{})
		}
	}
	return others
}
