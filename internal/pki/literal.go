package pki

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"maps"
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
		return nil, dataErrorf("%w; %s", err, adviceOn(text))
	}
	var sequence pkix.RDNSequence
	for _, rdn := range slices.Backward(name.RDNs) {
		var set pkix.RelativeDistinguishedNameSET
		for _, attribute := range rdn.Attributes {
			oid, known := attributeTypes[strings.ToUpper(attribute.Type)]
			if !known {
				if oid, known = ParseOID(attribute.Type); !known {
					return nil, dataErrorf("Literal subject contains unrecognized key with value [%s]; %s",
						strings.ToValidUTF8(attribute.Value, "\ufffd"), unknownType(attribute.Type))
				}
			}
			set = append(set, pkix.AttributeTypeAndValue{Type: oid, Value: attribute.Value})
		}
		sequence = append(sequence, set)
	}
	return sequence, nil
}

// unknownType says of an attribute type which ones there are.
func unknownType(name string) string {
	text := fmt.Sprintf("the type %.100q is none of %s, and no OID", name, strings.Join(slices.Sorted(maps.Keys(attributeTypes)), ", "))
	switch upper := strings.ToUpper(name); {
	case strings.HasPrefix(name, "/"):
		text += "; separate the parts by commas, not slashes, as in CN=www,O=Example"
	case upper == "E" || upper == "EMAIL" || upper == "EMAILADDRESS":
		text += "; write it as 1.2.840.113549.1.9.1, or use spec.emailAddresses"
	}
	return text
}

// adviceOn says what may be wrong with a name that cannot be parsed: the first part
// without a type, if there is one.
func adviceOn(text string) string {
	const commas = `a comma in a value is written as \,, as in O=Example\, Inc.`
	begin, escaped := 0, false
	for i, c := range text + "," {
		switch {
		case escaped:
			escaped = false
		case c == '\\':
			escaped = true
		case c == ',' || c == '+' || c == ';':
			if part := text[begin:min(i, len(text))]; !strings.Contains(part, "=") {
				return fmt.Sprintf("the part %.100q is not of the form TYPE=value; %s", strings.TrimSpace(strings.ToValidUTF8(part, "\ufffd")), commas)
			}
			begin = min(i+1, len(text))
		}
	}
	return "the form is TYPE=value, with commas between the parts; " + commas
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
