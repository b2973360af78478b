package venafi

import (
	"crypto"
	"strings"

	"github.com/Venafi/vcert/v5/pkg/certificate"

	"github.com/everleaf/everleaf/internal/lifecycle/request"
	"github.com/everleaf/everleaf/internal/pki"
)

// outcomeOf makes an outcome of what the server has delivered, in whatever order: the
// leaf first, without the root. A certificate for another key than that of the request is
// refused.
func outcomeOf(got *certificate.PEMCollection, key crypto.PublicKey, limits pki.Limits) (request.Outcome, error) {
	bundle := got.Certificate + strings.Join(got.Chain, "")
	certs, err := pki.ParseChain([]byte(bundle), limits)
	if err != nil {
		return request.Outcome{}, err
	}
	chain, err := pki.OrderChain(certs)
	if err != nil {
		return request.Outcome{}, err
	}
	if !pki.PublicKeysEqual(chain[0].PublicKey, key) {
		return request.Outcome{}, errOtherKey
	}
	below, top := chain, chain[len(chain)-1]
	o := request.Outcome{}
	if len(chain) > 1 {
		o.CA = pki.EncodeChain(top)
		if pki.SelfSigned(top) {
			below = chain[:len(chain)-1]
		}
	}
	o.Chain = pki.EncodeChain(below...)
	return o, nil
}
