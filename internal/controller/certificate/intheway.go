package certificate

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
	core "github.com/everleaf/everleaf/internal/lifecycle/certificate"
)

// create creates a request. One of its name that was left behind by the Certificate, as
// a backup brings it back, makes room for it.
func (w *work) create(ctx context.Context, request *cmv1.CertificateRequest, revision int) error {
	// A create that fails may have changed the object.
	again := request.DeepCopy()
	err := w.Server.Create(ctx, w.subject, cmv1.CertificateRequestKind, request, core.ManagerRequests)
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	if err := w.clear(ctx, request.Name, revision); err != nil {
		return err
	}
	*request = *again
	err = w.Server.Create(ctx, w.subject, cmv1.CertificateRequestKind, request, core.ManagerRequests)
	if apierrors.IsAlreadyExists(err) {
		return fault.New(fault.Transient, cmv1.EventReasonRequestFailed, "one of this name was deleted and is there again; find what creates it, or, if it is being deleted, see its finalizers")
	}
	return err
}

// clear deletes a request that has the name of the one to create, if it was left behind.
func (w *work) clear(ctx context.Context, name string, revision int) error {
	live := &cmv1.CertificateRequest{}
	if err := w.Server.Live(ctx, types.NamespacedName{Namespace: w.subject.Namespace, Name: name}, live); err != nil {
		return err
	}
	if live.DeletionTimestamp != nil {
		return fault.New(fault.Transient, "", "one of this name is being deleted; if it does not go, see its finalizers")
	}
	r := facts.OfRequest(live, w.config.Limits)
	if r.Owner == w.State.Object.UID && r.Revision == revision {
		// It is our own, which the cache does not show yet.
		return cluster.ErrStale
	}
	if by := core.TakenBy(w.State.Object, live); by != "" {
		return fault.New(fault.Transient, cmv1.EventReasonRequestFailed, "the name is taken by one that %s; delete it, or give the Certificate another name", by)
	}
	return w.deleteRequests(ctx, []*facts.Request{r})
}
