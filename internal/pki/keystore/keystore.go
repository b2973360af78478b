// Package keystore makes keystores and truststores for Java and others: PKCS#12
// (RFC 7292) and JKS, the older format of Java. It also says whether a store that
// is there holds what it should, so that it need not be made again: salts are
// random, and each new store looks like a change to those who use it.
//
// Passwords are used as they are: nothing is trimmed. A store that is checked may
// come from anybody who may write Secrets; checking it takes bounded time and
// memory.
package keystore

import (
	"crypto"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"
)

// Content is what a keystore holds.
type Content struct {
	Key crypto.Signer
	// Chain is the certificate of the key, and those of its issuers.
	Chain []*x509.Certificate
	// CAs are the trusted certificates; there may be none.
	CAs []*x509.Certificate
}

// Format makes stores of one format and checks them. The error of a check says in
// which way the store is not as it should be, as in "it holds other certificates".
type Format interface {
	// Keystore makes a store of all of the content. There is at least one
	// certificate in its chain.
	Keystore(c Content, password []byte) ([]byte, error)
	// Truststore makes a store of trusted certificates, at least one.
	Truststore(cas []*x509.Certificate, password []byte) ([]byte, error)
	// CheckKeystore checks that a store is one that Keystore makes. It may return
	// ErrBusy.
	CheckKeystore(store []byte, c Content, password []byte) error
	// CheckTruststore checks that a store is one that Truststore makes.
	CheckTruststore(store []byte, cas []*x509.Certificate, password []byte) error
	// Remarks says what a user may not mean about a password, as in "it ends in a
	// line break", nil if it is as passwords are.
	Remarks(password []byte) []string
}

// What checks find.
var (
	errMalformed = errors.New("it is malformed")
	errPassword  = errors.New("it has another password")
	errProfile   = errors.New("it has another profile")
	errAlias     = errors.New("its key has another alias")
	errKey       = errors.New("it holds another private key")
	errContent   = errors.New("it holds other certificates")
)

// remarksOn are the remarks on a password that hold for all formats.
func remarksOn(password []byte) []string {
	var remarks []string
	if text := string(password); strings.HasSuffix(text, "\n") || strings.HasSuffix(text, "\r") {
		remarks = append(remarks, "it ends in a line break, which is part of the password; to leave it out, write the password with 'echo -n'")
	}
	if !utf8.Valid(password) {
		remarks = append(remarks, "it is not text in UTF-8, so nobody can type it; if it was written under 'data' without base64 encoding, write it under 'stringData'")
	}
	return remarks
}

// sameCertificates compares certificates in their order.
func sameCertificates(a, b []*x509.Certificate) bool {
	return slices.EqualFunc(a, b, (*x509.Certificate).Equal)
}
