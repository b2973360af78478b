package cluster

import (
	"context"
	"errors"
	"sync"

	"k8s.io/client-go/tools/cache"
)

// optionalKind is a kind that the API server may not have. While it has it, an informer
// watches it for those that are attached. Who has an optionalKind locks it.
type optionalKind struct {
	// attach are called with each new informer, and a context that ends with it.
	attach []func(context.Context, cache.SharedIndexInformer) error
	// informer is nil while the kind is absent or nobody watches it; ctx ends with it.
	informer cache.SharedIndexInformer
	ctx      context.Context
	stop     context.CancelFunc
}

// add attaches somebody to this informer, if there is one, and to those that follow.
func (k *optionalKind) add(attach func(context.Context, cache.SharedIndexInformer) error) error {
	k.attach = append(k.attach, attach)
	if k.informer == nil {
		return nil
	}
	return attach(k.ctx, k.informer)
}

// begin starts a new informer, which ends with ctx; running waits for its end. The
// error is of those that are attached, and the informer runs all the same.
func (k *optionalKind) begin(ctx context.Context, informer cache.SharedIndexInformer, running *sync.WaitGroup) error {
	k.informer = informer
	k.ctx, k.stop = context.WithCancel(ctx)
	var errs []error
	for _, attach := range k.attach {
		errs = append(errs, attach(k.ctx, informer))
	}
	one := k.ctx
	running.Go(func() { informer.RunWithContext(one) })
	return errors.Join(errs...)
}

// end ends the informer, if there is one.
func (k *optionalKind) end() {
	if k.informer != nil {
		k.stop()
		k.informer = nil
	}
}
