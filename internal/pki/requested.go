package pki

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"strings"
)

var (
	oidBasicConstraints = asn1.ObjectIdentifier{2, 5, 29, 19}
	oidNameConstraints  = asn1.ObjectIdentifier{2, 5, 29, 30}
)

// restricting are the extensions that narrow what a certificate is good for, by
// RFC 5280 section 4.2.1 and RFC 7633: without them the certificate would be good
// for more than was asked for, even if they are not critical.
var restricting = map[string]string{
	"2.5.29.16":          "private key usage period",
	"2.5.29.36":          "policy constraints",
	"2.5.29.54":          "inhibit anyPolicy",
	"1.3.6.1.5.5.7.1.24": "TLS feature",
}

// requested is what a request asks for in its extensions, beside names and usages.
type requested struct {
	// pathLen is the path length of a CA, nil if none is asked for.
	pathLen *int
	// nameConstraints is the extension, if there is one.
	nameConstraints []pkix.Extension
}

// requestedOf returns what the extensions of a request (RFC 2986) ask for. It
// fails for one that must not be left out and that is not supported, for
// constraints of a CA in a request for none, and for one that cannot be read.
func requestedOf(csr *x509.CertificateRequest, isCA bool) (requested, error) {
	var r requested
	for _, extension := range csr.Extensions {
		switch id := extension.Id; {
		case id.Equal(oidSubjectAltName), id.Equal(oidKeyUsage), id.Equal(oidExtKeyUsage):
		case id.Equal(oidBasicConstraints):
			basic, err := parseBasicConstraints(extension)
			if err != nil {
				return requested{}, err
			}
			if basic.MaxPathLen >= 0 && isCA {
				r.pathLen = &basic.MaxPathLen
			}
		case id.Equal(oidNameConstraints):
			if !isCA {
				return requested{}, errors.New("the request asks for name constraints, which only a CA can have: isCA is not set")
			}
			r.nameConstraints = []pkix.Extension{extension}
		default:
			if name := restricting[id.String()]; name != "" {
				return requested{}, fmt.Errorf("the request asks for the extension %s (%s), which is not supported", id, name)
			}
			if extension.Critical {
				return requested{}, fmt.Errorf("the request asks for the critical extension %s, which is not supported", id)
			}
		}
	}
	return r, nil
}

// basicConstraints is RFC 5280, section 4.2.1.9.
type basicConstraints struct {
	IsCA       bool `asn1:"optional"`
	MaxPathLen int  `asn1:"optional,default:-1"`
}

func parseBasicConstraints(extension pkix.Extension) (basicConstraints, error) {
	var b basicConstraints
	if rest, err := asn1.Unmarshal(extension.Value, &b); err != nil || len(rest) > 0 || b.MaxPathLen < -1 {
		return b, errors.New("the basic constraints of the request cannot be decoded")
	}
	return b, nil
}

// CheckEncoded returns an error if the extensions of a request say something else
// about the usages and about being a CA than these words, which approvers look at.
// Extensions that are absent say nothing.
func CheckEncoded(csr *x509.CertificateRequest, words []string, isCA bool) error {
	wantBits, wantExt, err := ParseUsages(words, isCA)
	if err != nil {
		return err
	}
	want := extNames(wantExt)
	var encoded bool
	var gotBits x509.KeyUsage
	got := []string{}
	for _, extension := range csr.Extensions {
		switch id := extension.Id; {
		case id.Equal(oidKeyUsage):
			encoded = true
			if gotBits, err = parseKeyUsage(extension.Value); err != nil {
				return err
			}
		case id.Equal(oidExtKeyUsage):
			encoded = true
			var oids []asn1.ObjectIdentifier
			if rest, err := asn1.Unmarshal(extension.Value, &oids); err != nil || len(rest) > 0 {
				return errors.New("encoded CSR error: the ExtKeyUsages cannot be decoded")
			}
			for _, oid := range oids {
				got = append(got, extName(oid))
			}
		case id.Equal(oidBasicConstraints):
			basic, err := parseBasicConstraints(extension)
			if err != nil {
				return errors.New("encoded CSR error: BasicConstraintsValid is not true")
			}
			if basic.IsCA != isCA {
				return fmt.Errorf("encoded CSR error: IsCA %t does not match expected value %t", basic.IsCA, isCA)
			}
		}
	}
	switch {
	case !encoded:
		return nil
	case gotBits != wantBits:
		return fmt.Errorf("encoded CSR error: the KeyUsages %s do not match the expected KeyUsages %s",
			listed(bitNames(gotBits)), listed(bitNames(wantBits)))
	case !slices.Equal(got, want):
		return fmt.Errorf("encoded CSR error: the ExtKeyUsages %s do not match the expected ExtKeyUsages %s", listed(got), listed(want))
	default:
		return nil
	}
}

func parseKeyUsage(value []byte) (x509.KeyUsage, error) {
	var encoded asn1.BitString
	if rest, err := asn1.Unmarshal(value, &encoded); err != nil || len(rest) > 0 {
		return 0, errors.New("encoded CSR error: the KeyUsages cannot be decoded")
	}
	var bits x509.KeyUsage
	for i := range min(encoded.BitLength, 9) {
		bits |= x509.KeyUsage(encoded.At(i)) << i
	}
	return bits, nil
}

func bitNames(bits x509.KeyUsage) []string {
	var names []string
	for _, u := range usages {
		if u.bit != 0 && !u.alias && bits&u.bit != 0 {
			names = append(names, u.word)
		}
	}
	return names
}

func extNames(exts []x509.ExtKeyUsage) []string {
	names := make([]string, len(exts))
	for i, ext := range exts {
		at := slices.IndexFunc(usages, func(u usage) bool { return u.oid != nil && u.ext == ext })
		names[i] = usages[at].word
	}
	return names
}

// extName is the API's word for an extended usage, or the OID of an unknown one.
func extName(oid asn1.ObjectIdentifier) string {
	for _, u := range usages {
		if u.oid != nil && u.oid.Equal(oid) {
			return u.word
		}
	}
	return oid.String()
}

func listed(names []string) string {
	if len(names) == 0 {
		return "[]"
	}
	return "[ '" + strings.Join(names, "', '") + "' ]"
}
