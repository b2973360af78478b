package pki

import (
	"context"
	"crypto"
)

// largeRSABits is the size from which one key takes seconds of CPU time.
const largeRSABits = 4096

// KeyPool generates keys on a bounded number of cores, so that many RSA keys at
// once do not starve other work. It serves requests in the order of arrival.
// Large keys may use half of the slots at most. Keys other than RSA take almost
// no time and do not wait.
type KeyPool struct {
	slots    chan struct{}
	large    chan struct{}
	generate func(KeySpec) (crypto.Signer, error)
}

// NewKeyPool returns a pool that generates at most n keys at a time, and one if
// n is below 1.
func NewKeyPool(n int) *KeyPool {
	n = max(n, 1)
	return &KeyPool{
		slots:    make(chan struct{}, n),
		large:    make(chan struct{}, max(n/2, 1)),
		generate: GenerateKey,
	}
}

// Generate is GenerateKey within the pool. It returns ctx's error as soon as
// ctx ends. A key in progress then keeps its slot until it is ready, because
// crypto/rsa cannot be interrupted.
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
	// An ended context must not win a race against a free slot.
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
