package keystore

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
	"software.sslmate.com/src/go-pkcs12"

	"github.com/everleaf/everleaf/internal/pki"
)

// Profile is a set of algorithms of PKCS#12.
type Profile string

// The profiles. An unknown one, such as "", is LegacyRC2.
const (
	// LegacyRC2 is RC2 with 40 bits, triple DES for the key, and SHA-1.
	LegacyRC2 Profile = "LegacyRC2"
	// LegacyDES is triple DES and SHA-1.
	LegacyDES Profile = "LegacyDES"
	// Modern2023 is AES-256 and SHA-256 (PBES2).
	Modern2023 Profile = "Modern2023"
	// Modern2026 is Modern2023 with PBMAC1 (RFC 9579). OpenSSL reads it since 3.4,
	// Java since 26.
	Modern2026 Profile = "Modern2026"
)

// algorithms are how a profile is made, and by which algorithms it is known. They
// stand in each store in the clear.
type algorithms struct {
	encoder     *pkcs12.Encoder
	has, hasNot asn1.ObjectIdentifier
}

// maxIterations is the largest number of rounds in any profile, and the largest
// integer in the parts of a store that are not encrypted.
const maxIterations = 2048

var (
	rc2    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 6}
	des    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 3}
	pbes2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	pbmac1 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 14}
)

func (p Profile) algorithms() algorithms {
	switch p {
	case LegacyDES:
		return algorithms{pkcs12.LegacyDES, des, rc2}
	case Modern2023:
		return algorithms{pkcs12.Modern2023, pbes2, pbmac1}
	case Modern2026:
		return algorithms{encoder: pkcs12.Modern2026, has: pbmac1}
	default:
		return algorithms{encoder: pkcs12.LegacyRC2, has: rc2}
	}
}

// PKCS12 makes stores by RFC 7292.
type PKCS12 struct{ Profile Profile }

var _ Format = PKCS12{}

// Keystore implements Format: the key and its certificate, which are known by the
// SHA-1 sum of the certificate (localKeyId), and all other certificates.
func (f PKCS12) Keystore(c Content, password []byte) ([]byte, error) {
	return f.Profile.algorithms().encoder.Encode(c.Key, c.Chain[0], others(c), string(password))
}

// others are the certificates besides that of the key.
func others(c Content) []*x509.Certificate { return slices.Concat(c.Chain[1:], c.CAs) }

// Truststore implements Format. Each certificate has its subject as its name and is
// marked as Java marks trusted ones. Java knows an entry by its name only, so a name
// that is used already gets a number.
func (f PKCS12) Truststore(cas []*x509.Certificate, password []byte) ([]byte, error) {
	named := map[string]int{}
	entries := make([]pkcs12.TrustStoreEntry, 0, len(cas))
	for _, ca := range cas {
		name := ca.Subject.String()
		if named[name]++; named[name] > 1 {
			name = fmt.Sprintf("%s (%d)", name, named[name])
		}
		entries = append(entries, pkcs12.TrustStoreEntry{Cert: ca, FriendlyName: name})
	}
	return f.Profile.algorithms().encoder.EncodeTrustStoreEntries(entries, string(password))
}

// Remarks implements Format. Java takes only ASCII that can be printed.
func (f PKCS12) Remarks(password []byte) []string {
	remarks := remarksOn(password)
	// The line break at the end has been remarked on.
	if bytes.ContainsFunc(bytes.TrimRight(password, "\r\n"), func(r rune) bool { return r < ' ' || r > '~' }) {
		remarks = append(remarks, "it has other characters than printable ASCII, with which Java cannot open a PKCS#12 keystore")
	}
	return remarks
}

// CheckKeystore implements Format.
func (f PKCS12) CheckKeystore(store []byte, c Content, password []byte) error {
	if err := f.open(store); err != nil {
		return err
	}
	have, err := decrypted(stores, func() (Content, error) {
		key, leaf, rest, err := pkcs12.DecodeChain(store, string(password))
		signer, _ := key.(crypto.Signer)
		return Content{Key: signer, Chain: []*x509.Certificate{leaf}, CAs: rest}, err
	})
	if err != nil {
		return failure(err)
	}
	if have.Key == nil || !pki.PublicKeysEqual(have.Key.Public(), c.Key.Public()) {
		return errKey
	}
	if !have.Chain[0].Equal(c.Chain[0]) || !sameCertificates(have.CAs, others(c)) {
		return errContent
	}
	return nil
}

// CheckTruststore implements Format.
func (f PKCS12) CheckTruststore(store []byte, cas []*x509.Certificate, password []byte) error {
	if err := f.open(store); err != nil {
		return err
	}
	have, err := decrypted(stores, func() ([]*x509.Certificate, error) {
		return pkcs12.DecodeTrustStore(store, string(password))
	})
	if err != nil {
		return failure(err)
	}
	if !sameCertificates(have, cas) {
		return errContent
	}
	return nil
}

// failure is what the error of the decoder means.
func failure(err error) error {
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword):
		return errPassword
	case errors.Is(err, ErrBusy):
		return err
	default:
		return errMalformed
	}
}

// open checks, before a store is decrypted, that it is of the profile.
func (f PKCS12) open(store []byte) error {
	if len(store) == 0 || !bounded(store, 0) {
		return errMalformed
	}
	a := f.Profile.algorithms()
	if !contains(store, a.has) || (a.hasNot != nil && contains(store, a.hasNot)) {
		return errProfile
	}
	return nil
}

// contains reports whether an object identifier stands in DER.
func contains(store []byte, id asn1.ObjectIdentifier) bool {
	encoded, err := asn1.Marshal(id)
	return err == nil && bytes.Contains(store, encoded)
}

// bounded reports whether no integer in the clear parts of a store is larger than
// the numbers of rounds that profiles have: the number of a hostile store would
// keep a core busy for minutes.
func bounded(data []byte, depth int) bool {
	const deepest = 32
	for input := cryptobyte.String(data); !input.Empty(); {
		var content cryptobyte.String
		var tag der.Tag
		if depth > deepest || !input.ReadAnyASN1(&content, &tag) {
			return false
		}
		switch {
		case tag == der.INTEGER:
			if len(content) > 2 || integer(content) > maxIterations {
				return false
			}
		case tag&0x20 != 0:
			if !bounded(content, depth+1) {
				return false
			}
		case tag == der.OCTET_STRING && nested(content):
			if !bounded(content, depth+1) {
				return false
			}
		}
	}
	return true
}

// nested reports whether a string holds a sequence in DER, and not salt.
func nested(content cryptobyte.String) bool {
	var sequence cryptobyte.String
	return content.ReadASN1(&sequence, der.SEQUENCE) && content.Empty()
}

// integer is the value of an integer of at most two bytes.
func integer(content []byte) int {
	value := 0
	for _, b := range content {
		value = value<<8 | int(b)
	}
	if len(content) > 0 && content[0] >= 0x80 {
		return math.MaxInt
	}
	return value
}
