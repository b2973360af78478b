package pki

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// Algorithm is a key algorithm, in the API's words.
type Algorithm string

// The algorithms for which keys can be generated.
const (
	RSA     Algorithm = "RSA"
	ECDSA   Algorithm = "ECDSA"
	Ed25519 Algorithm = "Ed25519"
)

// Encoding is a PEM format of private keys, in the API's words.
type Encoding string

const (
	// PKCS1 is "RSA PRIVATE KEY" (RFC 8017) and, for ECDSA, "EC PRIVATE KEY"
	// (SEC 1, RFC 5915).
	PKCS1 Encoding = "PKCS1"
	// PKCS8 is "PRIVATE KEY" (RFC 5958).
	PKCS8 Encoding = "PKCS8"
)

const (
	blockPKCS1     = "RSA PRIVATE KEY"
	blockSEC1      = "EC PRIVATE KEY"
	blockPKCS8     = "PRIVATE KEY"
	blockEncrypted = "ENCRYPTED PRIVATE KEY"
	blockECParams  = "EC PARAMETERS"
)

const (
	minRSABits     = 2048
	maxRSABits     = 8192
	defaultECBits  = 256
	defaultRSABits = 2048
	// maxVerifyBits bounds the work that a foreign RSA key can cause:
	// verification time grows with the square of the size.
	maxVerifyBits = 16384
)

// KeySpec is the kind of a key. The zero value is RSA with 2048 bits.
type KeySpec struct {
	// Algorithm may be empty, which means RSA.
	Algorithm Algorithm
	// Size is in bits; 0 and less mean 2048 for RSA and 256 for ECDSA. Ed25519
	// ignores it.
	Size int
}

// WithDefaults returns s with both fields set. An algorithm without sizes has
// size 0. Unknown algorithms are returned unchanged.
func (s KeySpec) WithDefaults() KeySpec {
	switch s.Algorithm {
	case "", RSA:
		return KeySpec{Algorithm: RSA, Size: cmp.Or(max(s.Size, 0), defaultRSABits)}
	case ECDSA:
		return KeySpec{Algorithm: ECDSA, Size: cmp.Or(max(s.Size, 0), defaultECBits)}
	case Ed25519:
		return KeySpec{Algorithm: Ed25519}
	default:
		return s
	}
}

// Validate returns why no key can be generated for s, or nil.
func (s KeySpec) Validate() error {
	s = s.WithDefaults()
	switch s.Algorithm {
	case RSA:
		if s.Size < minRSABits || s.Size > maxRSABits {
			return fmt.Errorf("RSA keys of %d bits are not supported: the size must be between %d and %d", s.Size, minRSABits, maxRSABits)
		}
		return nil
	case ECDSA:
		if curveOf(s.Size) == nil {
			return fmt.Errorf("ECDSA keys of %d bits are not supported: the size must be 256, 384 or 521", s.Size)
		}
		return nil
	case Ed25519:
		return nil
	default:
		return fmt.Errorf("key algorithm %q is not supported: it must be RSA, ECDSA or Ed25519", s.Algorithm)
	}
}

// SpecOf returns the spec of a public key. ok is false for an algorithm that
// the API does not have.
func SpecOf(key crypto.PublicKey) (spec KeySpec, ok bool) {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return KeySpec{Algorithm: RSA, Size: k.N.BitLen()}, true
	case *ecdsa.PublicKey:
		return KeySpec{Algorithm: ECDSA, Size: k.Curve.Params().BitSize}, true
	case ed25519.PublicKey:
		return KeySpec{Algorithm: Ed25519}, true
	default:
		return KeySpec{}, false
	}
}

func curveOf(bits int) elliptic.Curve {
	switch bits {
	case 256:
		return elliptic.P256()
	case 384:
		return elliptic.P384()
	case 521:
		return elliptic.P521()
	default:
		return nil
	}
}

// GenerateKey generates a private key. An RSA key takes from 0.1 s of CPU time
// (2048 bits) to half a minute (8192 bits), so callers that share a machine use
// a KeyPool.
func GenerateKey(spec KeySpec) (crypto.Signer, error) {
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	spec = spec.WithDefaults()
	switch spec.Algorithm {
	case ECDSA:
		return ecdsa.GenerateKey(curveOf(spec.Size), rand.Reader)
	case Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	default:
		return rsa.GenerateKey(rand.Reader, spec.Size)
	}
}

// EncodeKey returns the PEM of a private key. An empty encoding means PKCS1.
// Ed25519 keys are always encoded as PKCS8, their only format.
func EncodeKey(key crypto.Signer, encoding Encoding) ([]byte, error) {
	if encoding != "" && encoding != PKCS1 && encoding != PKCS8 {
		return nil, fmt.Errorf("private key encoding %q is not supported: it must be PKCS1 or PKCS8", encoding)
	}
	kind, marshal := blockPKCS8, func() ([]byte, error) { return x509.MarshalPKCS8PrivateKey(key) }
	if encoding != PKCS8 {
		switch k := key.(type) {
		case *rsa.PrivateKey:
			kind, marshal = blockPKCS1, func() ([]byte, error) { return x509.MarshalPKCS1PrivateKey(k), nil }
		case *ecdsa.PrivateKey:
			kind, marshal = blockSEC1, func() ([]byte, error) { return x509.MarshalECPrivateKey(k) }
		}
	}
	der, err := marshal()
	if err != nil {
		return nil, fmt.Errorf("encode private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), nil
}

// ParseKey parses an unencrypted private key from PEM: PKCS #1, SEC 1 (also
// after the EC PARAMETERS block of openssl) or PKCS #8. The error is a
// *DataError.
func ParseKey(data []byte, limits Limits) (crypto.Signer, error) {
	block, err := firstBlock(data, limits.withDefaults().MaxPrivateKeySize, func(b *pem.Block) bool { return b.Type == blockECParams })
	if err != nil {
		return nil, err
	}
	if block.Type == blockEncrypted || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
		return nil, &DataError{Err: errors.New("private key is encrypted, and no password can be given for it")}
	}
	var key any
	switch block.Type {
	case blockPKCS1:
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case blockSEC1:
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case blockPKCS8:
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	default:
		return nil, wrongBlock(block, blockPKCS8)
	}
	if err != nil {
		return nil, dataErrorf("private key in the %q block cannot be decoded: %w", block.Type, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, dataErrorf("private key of type %T cannot sign", key)
	}
	return signer, nil
}

// PublicKeysEqual reports whether a and b are the same key. A key of an unknown
// type equals no key.
func PublicKeysEqual(a, b crypto.PublicKey) bool {
	comparable, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && comparable.Equal(b)
}

// KeyDigest identifies a public key: SHA-256 over its SubjectPublicKeyInfo (RFC
// 5280, section 4.1). The zero value means no key.
type KeyDigest [sha256.Size]byte

func (d KeyDigest) String() string { return hex.EncodeToString(d[:]) }

// IsZero reports whether d means no key.
func (d KeyDigest) IsZero() bool { return d == KeyDigest{} }

// DigestOf returns the digest of a public key, or the zero value for a type
// that X.509 does not know.
func DigestOf(key crypto.PublicKey) KeyDigest {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return KeyDigest{}
	}
	return sha256.Sum256(der)
}

// verifiable reports whether a signature of this key can be verified in bounded
// time.
func verifiable(key crypto.PublicKey) bool {
	if k, ok := key.(*rsa.PublicKey); ok {
		return k.N.BitLen() <= maxVerifyBits
	}
	return true
}
