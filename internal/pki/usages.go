package pki

import (
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"slices"
)

// usage is one of the API's words: a key usage bit or an extended key usage.
type usage struct {
	word string
	// alias reports whether the word has the same meaning as an earlier one.
	alias bool
	bit   x509.KeyUsage
	ext   x509.ExtKeyUsage
	oid   asn1.ObjectIdentifier
}

// usages are the API's 23 words, in the order of its documentation. The OIDs
// come from RFC 5280, section 4.2.1.12, RFC 4945 and the registrations of
// vendors.
var usages = []usage{
	{word: "digital signature", bit: x509.KeyUsageDigitalSignature},
	{word: "signing", bit: x509.KeyUsageDigitalSignature, alias: true},
	{word: "content commitment", bit: x509.KeyUsageContentCommitment},
	{word: "key encipherment", bit: x509.KeyUsageKeyEncipherment},
	{word: "key agreement", bit: x509.KeyUsageKeyAgreement},
	{word: "data encipherment", bit: x509.KeyUsageDataEncipherment},
	{word: "cert sign", bit: x509.KeyUsageCertSign},
	{word: "crl sign", bit: x509.KeyUsageCRLSign},
	{word: "encipher only", bit: x509.KeyUsageEncipherOnly},
	{word: "decipher only", bit: x509.KeyUsageDecipherOnly},
	{word: "any", ext: x509.ExtKeyUsageAny, oid: asn1.ObjectIdentifier{2, 5, 29, 37, 0}},
	{word: "server auth", ext: x509.ExtKeyUsageServerAuth, oid: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 1}},
	{word: "client auth", ext: x509.ExtKeyUsageClientAuth, oid: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 2}},
	{word: "code signing", ext: x509.ExtKeyUsageCodeSigning, oid: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 3}},
	{word: "email protection", ext: x509.ExtKeyUsageEmailProtection, oid: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 4}},
	{word: "s/mime", ext: x509.ExtKeyUsageEmailProtection, oid: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 4}, alias: true},
	{word: "ipsec end system", ext: x509.ExtKeyUsageIPSECEndSystem, oid: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 5}},
	{word: "ipsec tunnel", ext: x509.ExtKeyUsageIPSECTunnel, oid: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 6}},
	{word: "ipsec user", ext: x509.ExtKeyUsageIPSECUser, oid: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 7}},
	{word: "timestamping", ext: x509.ExtKeyUsageTimeStamping, oid: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 8}},
	{word: "ocsp signing", ext: x509.ExtKeyUsageOCSPSigning, oid: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 9}},
	{word: "microsoft sgc", ext: x509.ExtKeyUsageMicrosoftServerGatedCrypto, oid: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 10, 3, 3}},
	{word: "netscape sgc", ext: x509.ExtKeyUsageNetscapeServerGatedCrypto, oid: asn1.ObjectIdentifier{2, 16, 840, 1, 113730, 4, 1}},
}

// DefaultUsages returns the usages that replace an empty list.
func DefaultUsages() []string { return []string{"digital signature", "key encipherment"} }

// ParseUsages converts the API's words to X.509 values. Extended usages keep
// their order and lose duplicates. An empty list means DefaultUsages. isCA adds
// "cert sign".
func ParseUsages(words []string, isCA bool) (x509.KeyUsage, []x509.ExtKeyUsage, error) {
	found, err := lookUpUsages(words)
	if err != nil {
		return 0, nil, err
	}
	var bits x509.KeyUsage
	var exts []x509.ExtKeyUsage
	for _, u := range found {
		if u.oid == nil {
			bits |= u.bit
		} else if !slices.Contains(exts, u.ext) {
			exts = append(exts, u.ext)
		}
	}
	if isCA {
		bits |= x509.KeyUsageCertSign
	}
	return bits, exts, nil
}

func lookUpUsages(words []string) ([]usage, error) {
	if len(words) == 0 {
		words = DefaultUsages()
	}
	found := make([]usage, 0, len(words))
	for _, word := range words {
		i := slices.IndexFunc(usages, func(u usage) bool { return u.word == word })
		if i < 0 {
			return nil, fmt.Errorf("unknown key usage %q", word)
		}
		found = append(found, usages[i])
	}
	return found, nil
}

// CanonicalUsages replaces aliases, so that lists can be compared as sets. It
// keeps unknown words.
func CanonicalUsages(words []string) []string {
	if len(words) == 0 {
		words = DefaultUsages()
	}
	canonical := slices.Clone(words)
	for i, word := range canonical {
		switch word {
		case "signing":
			canonical[i] = "digital signature"
		case "s/mime":
			canonical[i] = "email protection"
		}
	}
	return canonical
}
