package pki

import (
	"context"
	"crypto"
	"slices"
	"sync"
)

// largeRSABits is the size from which one key takes seconds of CPU time.
const largeRSABits = 4096

// KeyPool generates keys on a bounded number of cores, so that many RSA keys at
// once do not starve other work. The tenants that wait take turns, and the keys
// of one are made in the order of arrival: however many keys one wants, the next
// of another is made soon. Large keys may use half of the slots at most. Keys
// other than RSA take almost no time and do not wait.
type KeyPool struct {
	generate func(KeySpec) (crypto.Signer, error)

	mu sync.Mutex
	// free are slots for any key, large those that large keys may still take.
	free, large int
	// turns are the tenants that wait, in the order in which they come next.
	turns   []string
	waiting map[string][]*ticket
}

// ticket is a key that waits for a slot.
type ticket struct {
	large bool
	// granted is closed when the slot is there.
	granted chan struct{}
}

// NewKeyPool returns a pool that generates at most n keys at a time, and one if
// n is below 1.
func NewKeyPool(n int) *KeyPool {
	n = max(n, 1)
	return &KeyPool{generate: GenerateKey, free: n, large: max(n/2, 1), waiting: map[string][]*ticket{}}
}

// Generate is GenerateKey within the pool, for a tenant. It returns ctx's error
// as soon as ctx ends. A key in progress then keeps its slot until it is ready,
// because crypto/rsa cannot be interrupted.
func (p *KeyPool) Generate(ctx context.Context, tenant string, spec KeySpec) (crypto.Signer, error) {
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	spec = spec.WithDefaults()
	if spec.Algorithm != RSA {
		return p.generate(spec)
	}
	large := spec.Size > largeRSABits
	if err := p.acquire(ctx, tenant, large); err != nil {
		return nil, err
	}
	type result struct {
		key crypto.Signer
		err error
	}
	done := make(chan result, 1)
	go func() {
		key, err := p.generate(spec)
		p.release(large)
		done <- result{key, err}
	}()
	select {
	case r := <-done:
		return r.key, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// acquire waits for a slot.
func (p *KeyPool) acquire(ctx context.Context, tenant string, large bool) error {
	// An ended context must not win a race against a free slot.
	if err := ctx.Err(); err != nil {
		return err
	}
	t := &ticket{large: large, granted: make(chan struct{})}
	p.mu.Lock()
	if len(p.waiting[tenant]) == 0 {
		p.turns = append(p.turns, tenant)
	}
	p.waiting[tenant] = append(p.waiting[tenant], t)
	p.grant()
	p.mu.Unlock()
	select {
	case <-t.granted:
		return nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	i := slices.Index(p.waiting[tenant], t)
	if i >= 0 {
		p.drop(tenant, i)
	}
	p.mu.Unlock()
	if i < 0 {
		// It was granted in the same moment.
		p.release(large)
	}
	return ctx.Err()
}

func (p *KeyPool) release(large bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free++
	if large {
		p.large++
	}
	p.grant()
}

// grant gives free slots to those whose turn it is. A large key that has to wait
// holds back no other.
func (p *KeyPool) grant() {
	for turn := 0; p.free > 0 && turn < len(p.turns); {
		tenant := p.turns[turn]
		i := slices.IndexFunc(p.waiting[tenant], func(t *ticket) bool { return !t.large || p.large > 0 })
		if i < 0 {
			turn++
			continue
		}
		t := p.waiting[tenant][i]
		p.free--
		if t.large {
			p.large--
		}
		// The tenant goes to the end of the line.
		if p.turns = slices.Delete(p.turns, turn, turn+1); len(p.waiting[tenant]) > 1 {
			p.turns = append(p.turns, tenant)
		}
		p.remove(tenant, i)
		close(t.granted)
	}
}

// drop takes a ticket back.
func (p *KeyPool) drop(tenant string, i int) {
	if p.remove(tenant, i); len(p.waiting[tenant]) == 0 {
		p.turns = slices.DeleteFunc(p.turns, func(other string) bool { return other == tenant })
	}
}

func (p *KeyPool) remove(tenant string, i int) {
	if p.waiting[tenant] = slices.Delete(p.waiting[tenant], i, i+1); len(p.waiting[tenant]) == 0 {
		delete(p.waiting, tenant)
	}
}
