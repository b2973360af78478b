package ca

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/pki"
)

// KeyPair is a CA: its key and its certificates. It may be used by several
// goroutines at once.
type KeyPair struct {
	// Chain begins with the CA's own certificate; each is followed by its
	// issuer, as far as they are known.
	Chain []*x509.Certificate
	Key   crypto.Signer

	// What every certificate of this CA is delivered with, encoded once.
	issuers, root []byte
}

// KeyPairs finds key pairs by the Secret that holds them; the result is meant
// to be cached. A Secret that does not exist is the API's NotFound, one that
// holds no key pair is ParseKeyPair's error, and any other error is taken for
// a failure to read it.
type KeyPairs interface {
	KeyPair(ctx context.Context, namespace, name string) (KeyPair, error)
}

// NewKeyPair returns the key pair of a CA whose certificate comes first in
// chain, which is in order.
func NewKeyPair(chain []*x509.Certificate, key crypto.Signer) KeyPair {
	p := KeyPair{Chain: chain, Key: key}
	p.issuers, p.root = encodeIssuers(chain)
	return p
}

// ParseKeyPair reads the tls.crt and tls.key of a Secret. The certificates may
// be in any order; the lowest one is the CA's own and must have the key. The
// error is a *pki.DataError.
func ParseKeyPair(tlsCrt, tlsKey []byte, limits pki.Limits) (KeyPair, error) {
	key, err := pki.ParseKey(tlsKey, limits)
	if err != nil {
		return KeyPair{}, err
	}
	certs, err := pki.ParseChain(tlsCrt, limits)
	if err != nil {
		return KeyPair{}, err
	}
	chain, err := pki.OrderChain(certs)
	if err != nil {
		return KeyPair{}, err
	}
	if !pki.PublicKeysEqual(key.Public(), chain[0].PublicKey) {
		return KeyPair{}, &pki.DataError{Err: errors.New("private key does not match the certificate")}
	}
	return NewKeyPair(chain, key), nil
}

const (
	keyPairError = "Error getting keypair for CA issuer: "
	notCA        = "certificate is not a CA"
)

// errUnfit is the cause of a fault about a key pair that can be read and must not
// sign.
var errUnfit = errors.New("the key pair is not that of a CA that may sign now")

// fit returns why a key pair must not sign at a time, nil if it may. A
// certificate of a CA that is not valid is one that no client accepts.
func fit(pair KeyPair, now time.Time) *fault.Error {
	unfit := func(class fault.Class, message string) *fault.Error {
		return &fault.Error{Class: class, Reason: cmv1.EventReasonSecretInvalidData, Message: message, Err: errUnfit}
	}
	if !isCA(pair) {
		return unfit(fault.User, notCA)
	}
	if end := pair.Chain[0].NotAfter; now.After(end) {
		return unfit(fault.User, fmt.Sprintf("the CA certificate has expired on %s", end.UTC().Format(time.RFC3339)))
	}
	if begin := pair.Chain[0].NotBefore; now.Before(begin) {
		f := unfit(fault.Later, fmt.Sprintf("the CA certificate is not valid before %s", begin.UTC().Format(time.RFC3339)))
		f.At = begin
		return f
	}
	return nil
}

func isCA(pair KeyPair) bool {
	return len(pair.Chain) > 0 && pair.Chain[0].BasicConstraintsValid && pair.Chain[0].IsCA
}

// encodeIssuers returns the PEM that follows a leaf, without a self-signed
// root, and that of the topmost certificate.
func encodeIssuers(chain []*x509.Certificate) (issuers, root []byte) {
	if len(chain) == 0 {
		return nil, nil
	}
	top := chain[len(chain)-1]
	below := chain
	if pki.SelfSigned(top) {
		below = chain[:len(chain)-1]
	}
	return pki.EncodeChain(below...), pki.EncodeChain(top)
}

// load finds a key pair that may sign at a time, or says why there is none. The reason
// is that of a request that needs it; the message says what is wrong in stable
// words, and may be empty.
func load(ctx context.Context, pairs KeyPairs, namespace, name string, now time.Time) (KeyPair, *fault.Error) {
	pair, err := pairs.KeyPair(ctx, namespace, name)
	if err == nil {
		return pair, fit(pair, now)
	}
	if apierrors.IsNotFound(err) {
		return KeyPair{}, &fault.Error{Class: fault.User, Reason: cmv1.EventReasonSecretMissing, Err: err}
	}
	var data *pki.DataError
	if errors.As(err, &data) {
		return KeyPair{}, &fault.Error{Class: fault.User, Reason: cmv1.EventReasonSecretInvalidData, Message: data.Error(), Err: err}
	}
	f := fault.Error{Class: fault.Transient, Reason: cmv1.EventReasonSecretGetError, Err: err}
	var classified *fault.Error
	if errors.As(err, &classified) {
		f.Class, f.At, f.Message = classified.Class, classified.At, classified.Message
	}
	return KeyPair{}, &f
}
