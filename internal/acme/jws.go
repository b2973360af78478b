package acme

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/cryptosigner"

	"github.com/everleaf/everleaf/internal/fault"
)

// Thumbprint is the base64url JWK thumbprint (RFC 7638, SHA-256) of an account
// key. A key that is neither RSA nor ECDSA on a NIST curve is a User error.
func Thumbprint(key crypto.PublicKey) (string, error) {
	if _, err := algorithm(key); err != nil {
		return "", err
	}
	digest, err := (&jose.JSONWebKey{Key: key}).Thumbprint(crypto.SHA256)
	if err != nil {
		return "", badKey().Because(err)
	}
	return base64.RawURLEncoding.EncodeToString(digest), nil
}

// KeyAuthorization returns the key authorization that proves control of an
// identifier (RFC 8555 section 8.1): the challenge's token and the thumbprint
// of the account key.
func KeyAuthorization(token, thumbprint string) string {
	return token + "." + thumbprint
}

// DNS01Value returns the content of the TXT record for a key authorization (RFC
// 8555 section 8.4).
func DNS01Value(keyAuthorization string) string {
	digest := sha256.Sum256([]byte(keyAuthorization))
	return base64.RawURLEncoding.EncodeToString(digest[:])
}

func badKey() *fault.Error {
	return fault.New(fault.User, "InvalidAccountKey",
		"the ACME account key must be an RSA key or an ECDSA key on P-256, P-384 or P-521")
}

// algorithm returns the JWS algorithm for an account key.
func algorithm(key crypto.PublicKey) (jose.SignatureAlgorithm, error) {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return jose.RS256, nil
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return jose.ES256, nil
		case elliptic.P384():
			return jose.ES384, nil
		case elliptic.P521():
			return jose.ES512, nil
		}
	}
	return "", badKey()
}

// nonce is a jose.NonceSource for one signature.
type nonce string

func (n nonce) Nonce() (string, error) { return string(n), nil }

// sign returns the body of a request (RFC 8555 section 6.2). An empty kid
// embeds the public key instead. An empty payload makes a POST-as-GET.
func sign(key crypto.Signer, kid, url, replayNonce string, payload []byte) ([]byte, error) {
	if key == nil {
		return nil, badKey()
	}
	alg, err := algorithm(key.Public())
	if err != nil {
		return nil, err
	}
	opts := (&jose.SignerOptions{NonceSource: nonce(replayNonce), EmbedJWK: kid == ""}).WithHeader("url", url)
	if kid != "" {
		opts = opts.WithHeader("kid", kid)
	}
	return serialize(jose.SigningKey{Algorithm: alg, Key: cryptosigner.Opaque(key)}, opts, payload)
}

func serialize(key jose.SigningKey, opts *jose.SignerOptions, payload []byte) ([]byte, error) {
	signer, err := jose.NewSigner(key, opts)
	if err != nil {
		return nil, fault.New(fault.User, "InvalidAccountKey", "the ACME account key cannot sign").Because(err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return nil, fault.New(fault.Transient, "SigningFailed", "the ACME account key failed to sign").Because(err)
	}
	return []byte(jws.FullSerialize()), nil
}

// macSigner computes HS256 with a key of any length. go-jose requires 32 bytes,
// but the CA chooses this key, and some CAs issue shorter ones.
type macSigner []byte

func (m macSigner) Public() *jose.JSONWebKey { return nil }

func (m macSigner) Algs() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.HS256}
}

func (m macSigner) SignPayload(payload []byte, _ jose.SignatureAlgorithm) ([]byte, error) {
	mac := hmac.New(sha256.New, m)
	mac.Write(payload)
	return mac.Sum(nil), nil
}

// bind signs the account key with the MAC key of the external account (RFC 8555
// section 7.3.4), with HS256.
func (e *ExternalAccount) bind(key crypto.PublicKey, newAccount string) (json.RawMessage, error) {
	if e.KeyID == "" || len(e.Key) == 0 {
		return nil, fault.New(fault.User, "InvalidExternalAccountBinding",
			"the external account binding needs a key ID and a key that is not empty")
	}
	payload, err := (&jose.JSONWebKey{Key: key}).MarshalJSON()
	if err != nil {
		return nil, badKey().Because(err)
	}
	opts := (&jose.SignerOptions{}).WithHeader("kid", e.KeyID).WithHeader("url", newAccount)
	return serialize(jose.SigningKey{Algorithm: jose.HS256, Key: macSigner(e.Key)}, opts, payload)
}
