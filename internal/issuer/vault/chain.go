package vault

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/everleaf/everleaf/internal/pki"
)

// errNoCertificate is the fault of an answer of another path than a sign endpoint's.
var errNoCertificate = errors.New("the answer has no certificate")

// maxChain bounds the certificates of an answer.
const maxChain = 32

// order returns the certificates of an answer from the leaf upwards, without a root, and
// the CA: the root if it is among them, or else the topmost certificate; nil if there is
// only the leaf. Vault repeats certificates and has them in any order, and its chain can
// have others beside those of the leaf: the same CA signed by another one, and that one.
func order(answer answered, limits pki.Limits) (chain []*x509.Certificate, ca *x509.Certificate, err error) {
	if answer.Data.Certificate == "" {
		return nil, nil, errNoCertificate
	}
	leaves, err := pki.ParseChain([]byte(answer.Data.Certificate), limits)
	if err != nil {
		return nil, nil, err
	}
	pool := leaves[1:]
	for _, text := range append([]string{answer.Data.IssuingCA}, answer.Data.CAChain...) {
		if text == "" {
			continue
		}
		certs, err := pki.ParseChain([]byte(text), limits)
		if err != nil {
			return nil, nil, err
		}
		if pool = append(pool, certs...); len(pool) > maxChain {
			return nil, nil, fmt.Errorf("the answer has more than %d certificates", maxChain)
		}
	}
	chain = climb(leaves[0], pool)
	if top := chain[len(chain)-1]; len(chain) > 1 {
		if ca = top; pki.SelfSigned(top) {
			chain = chain[:len(chain)-1]
		}
	} else if len(pool) > 0 && !pki.SelfSigned(top) {
		return nil, nil, pki.ErrBrokenChain
	}
	return chain, ca, nil
}

// climb follows issuers from a leaf to the top.
func climb(leaf *x509.Certificate, pool []*x509.Certificate) []*x509.Certificate {
	chain := []*x509.Certificate{leaf}
	for top := leaf; !pki.SelfSigned(top); {
		next := slices.IndexFunc(pool, func(c *x509.Certificate) bool { return pki.Issued(c, top) && !slices.ContainsFunc(chain, c.Equal) })
		if next < 0 {
			break
		}
		top = pool[next]
		chain = append(chain, top)
	}
	return chain
}
