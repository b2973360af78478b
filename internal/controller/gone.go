package controller

import (
	"context"
	"errors"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
)

// errGone is why an action at a foreign server has ended whose object is gone.
var errGone = errors.New("the object is gone")

// underWay has the actions at foreign servers that end with their objects.
type underWay struct {
	mu   sync.Mutex
	ends map[types.UID]context.CancelCauseFunc
}

// begin returns the context of an action for an object, and what to call at its end.
func (u *underWay) begin(ctx context.Context, object types.UID) (context.Context, func()) {
	ctx, end := context.WithCancelCause(ctx)
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ends == nil {
		u.ends = map[types.UID]context.CancelCauseFunc{}
	}
	u.ends[object] = end
	return ctx, func() {
		u.mu.Lock()
		delete(u.ends, object)
		u.mu.Unlock()
		end(nil)
	}
}

// gone ends the action for an object that is gone, if there is one.
func (u *underWay) gone(object types.UID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if end := u.ends[object]; end != nil {
		end(errGone)
	}
}

// Gone ends what is asked of a foreign server for an object that is deleted, for kinds
// with Settings.EndWithObject.
func (d *Driver[O, S]) Gone(object client.Object) { d.underWay.gone(object.GetUID()) }

// ending calls gone with the objects that are deleted before h hears of it.
func ending(h handler.EventHandler, gone func(client.Object)) handler.EventHandler {
	return handler.Funcs{
		CreateFunc: h.Create,
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, queue Queue) {
			if e.ObjectNew.GetDeletionTimestamp() != nil {
				gone(e.ObjectNew)
			}
			h.Update(ctx, e, queue)
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, queue Queue) {
			gone(e.Object)
			h.Delete(ctx, e, queue)
		},
		GenericFunc: h.Generic,
	}
}
