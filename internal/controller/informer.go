package controller

import (
	"context"
	"errors"

	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// Informer is a source of the events of an informer that is not
// controller-runtime's. The controller waits for it to be filled.
func Informer(informer cache.SharedIndexInformer, h handler.EventHandler) source.SyncingSource {
	return &informerSource{informer: informer, handler: h}
}

type informerSource struct {
	informer cache.SharedIndexInformer
	handler  handler.EventHandler
}

// Start implements source.Source.
func (s *informerSource) Start(ctx context.Context, queue Queue) error {
	_, err := s.informer.AddEventHandler(cache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(obj any, initial bool) {
			if o, ok := obj.(client.Object); ok {
				s.handler.Create(ctx, event.CreateEvent{Object: o, IsInInitialList: initial}, queue)
			}
		},
		UpdateFunc: func(old, obj any) {
			o, ok := obj.(client.Object)
			before, okBefore := old.(client.Object)
			if ok && okBefore {
				s.handler.Update(ctx, event.UpdateEvent{ObjectOld: before, ObjectNew: o}, queue)
			}
		},
		DeleteFunc: func(obj any) {
			if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = gone.Obj
			}
			if o, ok := obj.(client.Object); ok {
				s.handler.Delete(ctx, event.DeleteEvent{Object: o}, queue)
			}
		},
	})
	return err
}

// WaitForSync implements source.SyncingSource.
func (s *informerSource) WaitForSync(ctx context.Context) error {
	if !cache.WaitForCacheSync(ctx.Done(), s.informer.HasSynced) {
		return errors.New("the Secret cache was not filled in time")
	}
	return nil
}
