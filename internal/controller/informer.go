package controller

import (
	"context"
	"errors"

	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// Informer is a source of the events of an informer that is not
// controller-runtime's. The controller waits for it to be filled.
func Informer(informer cache.SharedIndexInformer, h handler.EventHandler) source.SyncingSource {
	return &informerSource{source.Informer{Informer: informer, Handler: h}}
}

type informerSource struct{ source.Informer }

// WaitForSync implements source.SyncingSource.
func (s *informerSource) WaitForSync(ctx context.Context) error {
	if !cache.WaitForCacheSync(ctx.Done(), s.Informer.Informer.HasSynced) {
		return errors.New("the Secret cache was not filled in time")
	}
	return nil
}
