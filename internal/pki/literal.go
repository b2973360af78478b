package pki

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

var oidCommonName = asn1.ObjectIdentifier{2, 5, 4, 3}

// attributeTypes are the attribute types of RFC 4514, section 3, and the serial
// number of RFC 5280, section 4.1.2.4.
var attributeTypes = map[string]asn1.ObjectIdentifier{
	"CN":           oidCommonName,
	"SERIALNUMBER": {2, 5, 4, 5},
	"C":            {2, 5, 4, 6},
	"L":            {2, 5, 4, 7},
	"ST":           {2, 5, 4, 8},
	"STREET":       {2, 5, 4, 9},
	"O":            {2, 5, 4, 10},
	"OU":           {2, 5, 4, 11},
	"UID":          {0, 9, 2342, 19200300, 100, 1, 1},
	"DC":           {0, 9, 2342, 19200300, 100, 1, 25},
}

// ParseLiteralSubject parses a distinguished name as RFC 4514 writes it, such as
// "CN=www,O=Example,C=PT", whose attribute types may also be OIDs. The result is
// in the order of a certificate, which is the reverse. An empty text is an empty
// name. The error is a *DataError.
func ParseLiteralSubject(text string) (pkix.RDNSequence, error) {
	name, err := ldap.ParseDN(text)
	if err != nil {
		return nil, &DataError{Err: err}
	}
	var sequence pkix.RDNSequence
	for _, rdn := range slices.Backward(name.RDNs) {
		var set pkix.RelativeDistinguishedNameSET
		for _, attribute := range rdn.Attributes {
			oid, known := attributeTypes[strings.ToUpper(attribute.Type)]
			if !known {
				if oid, known = ParseOID(attribute.Type); !known {
					return nil, dataErrorf("Literal subject contains unrecognized key with value [%s]", strings.ToValidUTF8(attribute.Value, "\ufffd"))
				}
			}
			set = append(set, pkix.AttributeTypeAndValue{Type: oid, Value: attribute.Value})
		}
		sequence = append(sequence, set)
	}
	return sequence, nil
}

// CommonNameOf returns the common name in a distinguished name, the last if it
// has several, or "".
func CommonNameOf(name pkix.RDNSequence) string {
	var common string
	for _, set := range name {
		for _, attribute := range set {
			if attribute.Type.Equal(oidCommonName) {
				common = fmt.Sprint(attribute.Value)
			}
		}
	}
	return common
}

// ParseOID parses an object identifier in dotted form. It takes every list of
// integers, as the API does; not all of them can be encoded.
func ParseOID(text string) (asn1.ObjectIdentifier, bool) {
	var oid asn1.ObjectIdentifier
	for part := range strings.SplitSeq(text, ".") {
		arc, err := strconv.Atoi(part)
		if err != nil {
			return nil, false
		}
		oid = append(oid, arc)
	}
	return oid, true
}
