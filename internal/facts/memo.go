package facts

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/everleaf/everleaf/internal/pki"
)

// A chain appears in a request, an Order and a Secret, and in each version of
// each; so do signing requests and the certificates of CAs. What is derived from
// them is remembered for a while, so that each is parsed once. It is public: no
// private key is ever remembered.
var (
	chains   memo[chain]
	bundles  memo[[]authority]
	requests memo[signingRequest]
)

// chain describes a certificate, the leaf, and its issuers.
type chain struct {
	leaf pki.LeafFacts
	// issuers are those of the leaf.
	issuers []authority
	err     string
}

// authority is the certificate of a CA.
type authority struct {
	digest   [sha256.Size]byte
	notAfter time.Time
}

type signingRequest struct {
	facts pki.RequestFacts
	err   string
}

func chainOf(data []byte, limits pki.Limits) chain {
	return chains.of(data, limits, func() chain {
		parsed, err := pki.ParseChain(data, limits)
		if err != nil {
			return chain{err: err.Error()}
		}
		c := chain{leaf: pki.FactsOf(parsed[0])}
		for _, cert := range parsed[1:] {
			c.issuers = append(c.issuers, authority{sha256.Sum256(cert.Raw), cert.NotAfter})
		}
		return c
	})
}

func bundleOf(data []byte, limits pki.Limits) []authority {
	return bundles.of(data, limits, func() []authority {
		parsed, err := pki.ParseBundle(data, limits)
		if err != nil {
			return nil
		}
		var all []authority
		for _, cert := range parsed {
			all = append(all, authority{sha256.Sum256(cert.Raw), cert.NotAfter})
		}
		return all
	})
}

func signingRequestOf(data []byte, limits pki.Limits) signingRequest {
	return requests.of(data, limits, func() signingRequest {
		csr, err := pki.ParseRequest(data, limits)
		if err != nil {
			return signingRequest{err: err.Error()}
		}
		return signingRequest{facts: pki.FactsOfRequest(csr)}
	})
}

// maxMemo bounds each of the two generations of a memo.
const maxMemo = 512

// memo remembers what was derived from data. The zero value is ready.
type memo[T any] struct {
	mu sync.Mutex
	// Items of an old generation are dropped together, when a young one is full.
	young, old map[memoKey]T
}

type memoKey struct {
	digest [sha256.Size]byte
	limits pki.Limits
}

// of returns what derive makes of data, or what it made before.
func (m *memo[T]) of(data []byte, limits pki.Limits, derive func() T) T {
	key := memoKey{sha256.Sum256(data), limits}
	m.mu.Lock()
	item, ok := m.young[key]
	if !ok {
		item, ok = m.old[key]
	}
	m.mu.Unlock()
	if ok {
		return item
	}
	item = derive()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.young == nil || len(m.young) >= maxMemo {
		m.young, m.old = make(map[memoKey]T), m.young
	}
	m.young[key] = item
	return item
}
