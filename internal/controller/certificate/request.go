package certificate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	core "github.com/everleaf/everleaf/internal/lifecycle/certificate"
	"github.com/everleaf/everleaf/internal/lifecycle/request"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

func (w *work) deleteRequests(ctx context.Context, requests []*cmv1.CertificateRequest) error {
	if err := w.confirm(ctx); err != nil {
		return err
	}
	if err := w.confirmKeyless(ctx, requests); err != nil {
		return err
	}
	gone := map[string]bool{}
	for _, request := range requests {
		if err := w.Write.Delete(ctx, w.owner, cluster.CertificateRequest, request); err != nil {
			return err
		}
		gone[request.Name] = true
	}
	var left []*cmv1.CertificateRequest
	for _, request := range w.state.Requests {
		if !gone[request.Name] {
			left = append(left, request)
		}
	}
	w.state.Requests = left
	return nil
}

// confirmKeyless looks live for the keys of requests that are to be deleted
// because theirs are nowhere: with a new process, the caches may show a request
// before they show its key.
func (w *work) confirmKeyless(ctx context.Context, requests []*cmv1.CertificateRequest) error {
	if len(w.state.Keys) > 0 || w.session.key != nil {
		return nil
	}
	current := 0
	if revision := w.state.Object.Status.Revision; revision != nil {
		current = *revision
	}
	for _, r := range requests {
		name := r.Annotations[cmv1.CertificateRequestPrivateKeyAnnotationKey]
		if name == "" || request.Revision(r) <= current {
			continue
		}
		live, err := w.Secrets.Live(ctx, w.owner.Namespace, name)
		if err != nil {
			return err
		}
		if live != nil && metav1.IsControlledBy(live, w.state.Object) && live.DeletionTimestamp == nil {
			return cluster.ErrStale
		}
	}
	return nil
}

func (w *work) createRequest(ctx context.Context, p core.Plan) error {
	if err := w.confirmUnlessAbsent(ctx); err != nil {
		return err
	}
	crt := w.state.Object
	key, keyName := w.session.key, w.nextKeyName()
	if len(p.Keys) == 1 {
		keyName = p.Keys[0].Name
		if key == nil || pki.DigestOf(key.Public()) != p.Keys[0].KeyDigest {
			stored, err := w.readKey(ctx, keyName)
			if err != nil {
				return err
			}
			key = stored
		}
	}
	csr, err := pki.BuildRequest(core.TemplateOf(&crt.Spec), key)
	if err != nil {
		return w.cannotRequest(ctx, err)
	}
	request := &cmv1.CertificateRequest{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       crt.Namespace,
			Name:            core.RequestName(crt.Name, p.Revision),
			Labels:          maps.Clone(crt.Labels),
			Annotations:     w.requestAnnotations(keyName, p.Revision),
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(crt, cmv1.SchemeGroupVersion.WithKind(cmv1.CertificateKind))},
		},
		Spec: cmv1.CertificateRequestSpec{
			IssuerRef: crt.Spec.IssuerRef, Request: csr, IsCA: crt.Spec.IsCA,
			// The answer is decoded into this object, which must not be the
			// cache's.
			Usages: slices.Clone(crt.Spec.Usages),
		},
	}
	if crt.Spec.Duration != nil {
		request.Spec.Duration = &metav1.Duration{Duration: crt.Spec.Duration.Duration}
	}
	err = w.Write.Create(ctx, w.owner, cluster.CertificateRequest, request, managerRequests)
	if apierrors.IsAlreadyExists(err) {
		return w.requestInTheWay(ctx, request.Name)
	}
	if err != nil {
		return err
	}
	w.state.Requests = append(w.state.Requests, request)
	if len(p.Keys) == 1 {
		// The key is stored, so it need not be kept here.
		w.session.key = nil
	}
	w.Events.Send(crt, plan.Event{
		Reason: "Requested", Component: managerRequests, Verbose: true,
		Message: fmt.Sprintf("Created new CertificateRequest resource %q", request.Name),
	})
	return nil
}

// requestInTheWay looks at a request that has the name of the one to create: our
// own, which the cache does not show yet, or one that must go first.
func (w *work) requestInTheWay(ctx context.Context, name string) error {
	live := &cmv1.CertificateRequest{}
	if err := w.Live.Get(ctx, types.NamespacedName{Namespace: w.owner.Namespace, Name: name}, live); err != nil {
		return err
	}
	owner := metav1.GetControllerOf(live)
	if owner != nil && owner.UID == w.state.Object.UID && live.DeletionTimestamp == nil {
		return cluster.ErrStale
	}
	if owner == nil || owner.Name != w.owner.Name {
		w.Events.Send(w.state.Object, plan.Event{
			Warning: true, Reason: "RequestFailed", Component: managerRequests,
			Message: fmt.Sprintf("Failed to create CertificateRequest: %q exists and is not this Certificate's", name),
		})
	}
	return fmt.Errorf("CertificateRequest %s/%s exists and is not this Certificate's, retrying", w.owner.Namespace, name)
}

// tellRefusal tells the user of a write that the API server does not take: for
// a missing permission, a quota, an admission policy. Of one that carries a key
// it repeats nothing but the fields.
func (w *work) tellRefusal(step core.Step, err error) {
	refused := apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err)
	if !refused || cluster.Terminating(err) {
		return
	}
	event := plan.Event{Warning: true, Reason: "WriteFailed", Component: managerIssuing}
	if step == core.CreateRequest {
		event.Reason, event.Component = "RequestFailed", managerRequests
		event.Message = "Failed to create CertificateRequest: " + err.Error()
	} else {
		event.Message = fmt.Sprintf("Failed to %s: %s", step, apierrors.ReasonForError(err))
		var status apierrors.APIStatus
		if errors.As(err, &status) && status.Status().Details != nil {
			for _, cause := range status.Status().Details.Causes {
				event.Message += " " + cause.Field
			}
		}
	}
	w.Events.Send(w.state.Object, event)
}

func (w *work) requestAnnotations(keyName string, revision int) map[string]string {
	annotations := map[string]string{}
	for k, v := range w.state.Object.Annotations {
		if copied(w.Config.CopiedAnnotations, k) {
			annotations[k] = v
		}
	}
	annotations[cmv1.CertificateRequestRevisionAnnotationKey] = strconv.Itoa(revision)
	annotations[cmv1.CertificateRequestPrivateKeyAnnotationKey] = keyName
	annotations[cmv1.CertificateNameKey] = w.state.Object.Name
	return annotations
}

// cannotRequest ends an issuance whose spec no request can express.
func (w *work) cannotRequest(ctx context.Context, cause error) error {
	return w.storeStatus(ctx, core.Unrequestable(w.state, cause.Error(), w.Clock.Now()))
}
