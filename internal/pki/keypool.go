package pki

import (
	"context"
	"crypto"
)

// largeRSABits is where one key begins to take seconds of a core.
const largeRSABits = 4096

// KeyPool generates keys on a bounded number of cores, so that a burst of RSA
// keys does not starve everything else. Requests are served in the order of
// their arrival; large keys may use half of the slots at most, and keys that
// take no time do not wait at all.
type KeyPool struct {
	slots    chan struct{}
	large    chan struct{}
	generate func(KeySpec) (crypto.Signer, error)
}

// NewKeyPool returns a pool that works on at most n keys at a time; n below 1
// counts as 1.
func NewKeyPool(n int) *KeyPool {
	n = max(n, 1)
	return &KeyPool{
		slots:    make(chan struct{}, n),
		large:    make(chan struct{}, max(n/2, 1)),
		generate: GenerateKey,
	}
}

// Generate is GenerateKey within the pool. It returns ctx's error as soon as
// ctx ends; a key that is being made then keeps its slot until it is ready,
// because the work itself cannot be interrupted.
func (p *KeyPool) Generate(ctx context.Context, spec KeySpec) (crypto.Signer, error) {
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	spec = spec.WithDefaults()
	if spec.Algorithm != RSA {
		return p.generate(spec)
	}
	release, err := p.acquire(ctx, spec.Size > largeRSABits)
	if err != nil {
		return nil, err
	}
	type result struct {
		key crypto.Signer
		err error
	}
	done := make(chan result, 1)
	go func() {
		key, err := p.generate(spec)
		release()
		done <- result{key, err}
	}()
	select {
	case r := <-done:
		return r.key, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *KeyPool) acquire(ctx context.Context, large bool) (release func(), err error) {
	// A context that has ended must not win a race against a free slot.
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if large {
		select {
		case p.large <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		if large {
			<-p.large
		}
		return nil, ctx.Err()
	}
	return func() {
		<-p.slots
		if large {
			<-p.large
		}
	}, nil
}
