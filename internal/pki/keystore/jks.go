package keystore

import (
	"bytes"
	"cmp"
	"crypto/sha1" // part of the format
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/pavlo-v-chernykh/keystore-go/v4"
)

// DefaultAlias is the alias of the key in a JKS keystore that names none.
const DefaultAlias = "certificate"

// JKS makes stores in the format of sun.security.provider.JavaKeyStore, version 2.
type JKS struct {
	// Alias of the key, DefaultAlias if it is empty. Java knows aliases in lower
	// case.
	Alias string
	// Created is when the entries are made.
	Created time.Time
}

var _ Format = JKS{}

func (f JKS) alias() string { return strings.ToLower(cmp.Or(f.Alias, DefaultAlias)) }

// Keystore implements Format: the key with the chain, and the trusted certificates
// beside it. The key has the password of the store.
func (f JKS) Keystore(c Content, password []byte) ([]byte, error) {
	encoded, err := x509.MarshalPKCS8PrivateKey(c.Key)
	if err != nil {
		return nil, err
	}
	store := keystore.New(keystore.WithOrderedAliases())
	entry := keystore.PrivateKeyEntry{CreationTime: f.Created, PrivateKey: encoded}
	for _, cert := range c.Chain {
		entry.CertificateChain = append(entry.CertificateChain, x509Entry(cert))
	}
	if err := store.SetPrivateKeyEntry(f.alias(), entry, javaPassword(password)); err != nil {
		return nil, err
	}
	return f.store(store, c.CAs, password)
}

// Truststore implements Format.
func (f JKS) Truststore(cas []*x509.Certificate, password []byte) ([]byte, error) {
	return f.store(keystore.New(keystore.WithOrderedAliases()), cas, password)
}

// store adds trusted certificates and encodes a store.
func (f JKS) store(store keystore.KeyStore, cas []*x509.Certificate, password []byte) ([]byte, error) {
	n := 0
	for _, ca := range cas {
		alias := trustedAlias(n)
		if n++; store.IsPrivateKeyEntry(alias) {
			alias = trustedAlias(n)
			n++
		}
		entry := keystore.TrustedCertificateEntry{CreationTime: f.Created, Certificate: x509Entry(ca)}
		if err := store.SetTrustedCertificateEntry(alias, entry); err != nil {
			return nil, err
		}
	}
	var out bytes.Buffer
	if err := store.Store(&out, javaPassword(password)); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// trustedAlias is the alias of a trusted certificate: ca, ca-1, ca-2 and so on.
func trustedAlias(n int) string {
	if n == 0 {
		return "ca"
	}
	return fmt.Sprintf("ca-%d", n)
}

func x509Entry(cert *x509.Certificate) keystore.Certificate {
	return keystore.Certificate{Type: "X509", Content: cert.Raw}
}

// javaPassword is the password as the encoder has to be given it. Java makes UTF-16
// of a password; the encoder puts a zero byte before each byte, which is the same
// for the characters up to U+00FF in Latin-1. A password with others, or one that is
// not text, can be used by programs that do as the encoder, but not typed into Java.
func javaPassword(password []byte) []byte {
	if !utf8.Valid(password) {
		return password
	}
	latin := make([]byte, 0, len(password))
	for _, r := range string(password) {
		if r > 0xff {
			return password
		}
		latin = append(latin, byte(r))
	}
	return latin
}

// Remarks implements Format.
func (f JKS) Remarks(password []byte) []string {
	remarks := remarksOn(password)
	if utf8.Valid(password) && strings.ContainsFunc(string(password), func(r rune) bool { return r > 0xff }) {
		remarks = append(remarks, "it has characters beyond U+00FF, with which Java cannot open a JKS keystore that everleaf makes; use others, or PKCS#12")
	}
	return remarks
}

// CheckKeystore implements Format. The private key is not decrypted: what opens with
// the password and holds its certificate was made with it.
func (f JKS) CheckKeystore(store []byte, c Content, password []byte) error {
	entries, err := readJKS(store, password)
	if err != nil {
		return err
	}
	key, ok := entries[f.alias()]
	if !ok || !key.private {
		return errAlias
	}
	delete(entries, f.alias())
	if !sameDER(key.certs, c.Chain) || !trusts(entries, c.CAs) {
		return errContent
	}
	return nil
}

// CheckTruststore implements Format.
func (f JKS) CheckTruststore(store []byte, cas []*x509.Certificate, password []byte) error {
	entries, err := readJKS(store, password)
	if err != nil {
		return err
	}
	if !trusts(entries, cas) {
		return errContent
	}
	return nil
}

func sameDER(have [][]byte, want []*x509.Certificate) bool {
	if len(have) != len(want) {
		return false
	}
	for i := range have {
		if !bytes.Equal(have[i], want[i].Raw) {
			return false
		}
	}
	return true
}

// trusts reports whether the entries are these certificates, whatever their aliases.
func trusts(entries map[string]jksEntry, cas []*x509.Certificate) bool {
	left := map[string]int{}
	for _, ca := range cas {
		left[string(ca.Raw)]++
	}
	for _, e := range entries {
		if e.private || len(e.certs) != 1 || left[string(e.certs[0])] == 0 {
			return false
		}
		left[string(e.certs[0])]--
	}
	return len(entries) == len(cas)
}

// jksEntry is an entry of a JKS store.
type jksEntry struct {
	private bool
	certs   [][]byte
}

// readJKS reads the entries of a store by their aliases, if it is whole and has the
// password.
func readJKS(store, password []byte) (map[string]jksEntry, error) {
	body := len(store) - sha1.Size
	if body < 0 {
		return nil, errMalformed
	}
	r := jksReader{rest: store[:body]}
	entries, ok := r.entries()
	if !ok {
		return nil, errMalformed
	}
	// cert-manager gives the encoder the bytes of any password.
	for _, encoded := range [][]byte{javaPassword(password), password} {
		if bytes.Equal(digestOf(store[:body], encoded), store[body:]) {
			return entries, nil
		}
	}
	return nil, errPassword
}

// digestOf is the sum at the end of a store.
func digestOf(body, password []byte) []byte {
	sum := sha1.New()
	for _, b := range password {
		sum.Write([]byte{0, b})
	}
	sum.Write([]byte("Mighty Aphrodite"))
	sum.Write(body)
	return sum.Sum(nil)
}

// jksReader reads the parts of a store in their order. Once one is missing, all that
// follow are.
type jksReader struct {
	rest   []byte
	failed bool
}

func (r *jksReader) bytes(n uint32) []byte {
	if r.failed = r.failed || uint64(n) > uint64(len(r.rest)); r.failed {
		return nil
	}
	read := r.rest[:n]
	r.rest = r.rest[n:]
	return read
}

func (r *jksReader) uint32() uint32 {
	if b := r.bytes(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *jksReader) string() string {
	if b := r.bytes(2); b != nil {
		return string(r.bytes(uint32(binary.BigEndian.Uint16(b))))
	}
	return ""
}

func (r *jksReader) certificate() []byte {
	r.string() // the type
	return r.bytes(r.uint32())
}

func (r *jksReader) entries() (map[string]jksEntry, bool) {
	const magic, version, private, trusted = 0xfeedfeed, 2, 1, 2
	if r.uint32() != magic || r.uint32() != version {
		return nil, false
	}
	entries := map[string]jksEntry{}
	for n := r.uint32(); n > 0 && !r.failed; n-- {
		tag, alias := r.uint32(), r.string()
		r.bytes(8) // the time
		e := jksEntry{private: tag == private}
		certs := uint32(1)
		if e.private {
			r.bytes(r.uint32()) // the key
			certs = r.uint32()
		} else if tag != trusted {
			return nil, false
		}
		for ; certs > 0 && !r.failed; certs-- {
			e.certs = append(e.certs, r.certificate())
		}
		entries[alias] = e
	}
	return entries, !r.failed && len(r.rest) == 0
}
