package acme

import (
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// maxNonces exceeds the number of requests that one account has in flight.
	maxNonces = 64
	// maxNonceAge is when a nonce is discarded. Servers expire nonces, and none
	// announces when.
	maxNonceAge = 5 * time.Minute
	maxWord     = 512 // of a nonce or a token
)

// noncePool holds unused anti-replay nonces (RFC 8555 section 6.5). The newest
// is used first, because a restarted server rejects all older ones.
type noncePool struct {
	mu     sync.Mutex
	nonces []pooledNonce
}

type pooledNonce struct {
	value string
	since time.Time
}

// put adds the nonce of a response. It drops malformed values.
func (p *noncePool) put(value string, now time.Time) {
	if !isBase64URL(value) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.nonces) == maxNonces {
		p.nonces = append(p.nonces[:0], p.nonces[1:]...)
	}
	p.nonces = append(p.nonces, pooledNonce{value: value, since: now})
}

// take returns the newest nonce and whether there was one.
func (p *noncePool) take(now time.Time) (pooledNonce, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.nonces) - 1
	if last < 0 {
		return pooledNonce{}, false
	}
	newest := p.nonces[last]
	if now.Sub(newest.since) > maxNonceAge {
		p.nonces = p.nonces[:0]
		return pooledNonce{}, false
	}
	p.nonces = p.nonces[:last]
	return newest, true
}

// drop removes all nonces received before a nonce was rejected: they are as old
// as that nonce or older.
func (p *noncePool) drop(refusedSince time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.nonces = slices.DeleteFunc(p.nonces, func(n pooledNonce) bool { return !n.since.After(refusedSince) })
}

// isBase64URL reports whether s uses only the alphabet of nonces and tokens
// (RFC 8555 sections 6.5.1 and 8.3).
func isBase64URL(s string) bool {
	return s != "" && len(s) <= maxWord &&
		strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}
