package facts

import (
	"crypto/sha256"
	"crypto/x509"
	"sync"
	"time"

	"github.com/everleaf/everleaf/internal/pki"
)

// A chain appears in a request, an Order and a Secret, and in each version of
// each; so do signing requests and the certificates of CAs. What is derived from
// them is remembered for a while, so that each is parsed once. It is public: no
// private key is ever remembered.
var (
	chains   = memo[chain]{parse: parseChain}
	bundles  = memo[[]authority]{parse: parseBundle}
	requests = memo[pki.RequestFacts]{parse: parseRequest}
)

// chain describes a certificate, the leaf, and what comes with it.
type chain struct {
	leaf pki.LeafFacts
	// signed is the leaf as what its issuer has signed.
	signed authority
	// issuers are what follows the leaf.
	issuers []authority
}

// authority is the certificate of a CA. Its names and key identifiers are digests.
type authority struct {
	digest          [sha256.Size]byte
	notAfter        time.Time
	subject, issuer [sha256.Size]byte
	// keyID is its own, issuerKeyID that of its issuer, that of nothing if not given.
	keyID, issuerKeyID [sha256.Size]byte
}

// issued reports whether a certificate names a as its issuer. Whether the
// signature is a's does not matter here: the answer trusts nobody.
func (a authority) issued(child authority) bool {
	const none = ""
	return a.subject == child.issuer && (a.keyID == digestOf(none) || child.issuerKeyID == digestOf(none) || a.keyID == child.issuerKeyID)
}

// selfSigned reports whether a names itself as its issuer.
func (a authority) selfSigned() bool { return a.issued(a) }

func digestOf[T string | []byte](data T) [sha256.Size]byte { return sha256.Sum256([]byte(data)) }

func parseChain(data []byte, limits pki.Limits) (c chain, err error) {
	parsed, err := pki.ParseChain(data, limits)
	if err != nil {
		return c, err
	}
	return chain{leaf: pki.FactsOf(parsed[0]), signed: authorityOf(parsed[0]), issuers: authoritiesOf(parsed[1:])}, nil
}

func parseBundle(data []byte, limits pki.Limits) ([]authority, error) {
	parsed, err := pki.ParseBundle(data, limits)
	return authoritiesOf(parsed), err
}

func authoritiesOf(certs []*x509.Certificate) []authority {
	var all []authority
	for _, cert := range certs {
		all = append(all, authorityOf(cert))
	}
	return all
}

func authorityOf(cert *x509.Certificate) authority {
	return authority{
		digest: digestOf(cert.Raw), notAfter: cert.NotAfter, subject: digestOf(cert.RawSubject), issuer: digestOf(cert.RawIssuer),
		keyID: digestOf(cert.SubjectKeyId), issuerKeyID: digestOf(cert.AuthorityKeyId),
	}
}

func parseRequest(data []byte, limits pki.Limits) (pki.RequestFacts, error) {
	csr, err := pki.ParseRequest(data, limits)
	if err != nil {
		return pki.RequestFacts{}, err
	}
	return pki.FactsOfRequest(csr), nil
}

// maxMemo bounds each of the two generations of a memo.
const maxMemo = 512

// memo remembers what was parsed, or why it cannot be.
type memo[T any] struct {
	parse func([]byte, pki.Limits) (T, error)

	mu sync.Mutex
	// Items of an old generation are dropped together, when a young one is full.
	young, old map[memoKey]parsed[T]
}

type memoKey struct {
	digest [sha256.Size]byte
	limits pki.Limits
}

type parsed[T any] struct {
	value T
	err   string
}

// of returns what data is, and the text of the error if it cannot be parsed.
func (m *memo[T]) of(data []byte, limits pki.Limits) (T, string) {
	key := memoKey{sha256.Sum256(data), limits}
	m.mu.Lock()
	item, ok := m.young[key]
	if !ok {
		item, ok = m.old[key]
	}
	m.mu.Unlock()
	if ok {
		return item.value, item.err
	}
	value, err := m.parse(data, limits)
	if item.value = value; err != nil {
		item.err = err.Error()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.young == nil || len(m.young) >= maxMemo {
		m.young, m.old = make(map[memoKey]parsed[T]), m.young
	}
	m.young[key] = item
	return item.value, item.err
}
