package certificate

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
	core "github.com/everleaf/everleaf/internal/lifecycle/certificate"
	"github.com/everleaf/everleaf/internal/pki"
)

func (w *work) deleteRequests(ctx context.Context, requests []*facts.Request) error {
	for _, r := range requests {
		object := &cmv1.CertificateRequest{ObjectMeta: metav1.ObjectMeta{Namespace: r.Namespace, Name: r.Name, UID: r.UID}}
		if err := w.Server.Delete(ctx, w.subject, cmv1.CertificateRequestKind, object); err != nil {
			return err
		}
		w.State.Requests = slices.DeleteFunc(slices.Clone(w.State.Requests), func(o *facts.Request) bool { return o.UID == r.UID })
	}
	return nil
}

func (w *work) createRequest(ctx context.Context, a core.CreateRequest) error {
	crt := w.State.Object
	key, _ := w.memory.held()
	keyName := w.nextKeyName()
	if a.Key != nil {
		keyName = a.Key.Name
		if key == nil || pki.DigestOf(key.Public()) != a.Key.KeyDigest {
			stored, err := w.readKey(ctx, keyName)
			if err != nil {
				return err
			}
			key = stored
		}
	}
	csr, err := pki.BuildRequest(core.TemplateOf(&crt.Spec), key, w.config.Limits)
	if err != nil {
		return fault.New(fault.Permanent, cmv1.EventReasonRequestFailed, "Failed to generate CSR: %v", err)
	}
	request := &cmv1.CertificateRequest{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       crt.Namespace,
			Name:            core.RequestName(crt.Name, a.Revision),
			Labels:          maps.Clone(crt.Labels),
			Annotations:     w.requestAnnotations(keyName, a.Revision),
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
	w.Identity.Sign(ctx, &request.Spec)
	err = w.Server.Create(ctx, w.subject, cmv1.CertificateRequestKind, request, core.ManagerRequests)
	if apierrors.IsAlreadyExists(err) {
		return w.requestInTheWay(ctx, request.Name, a.Revision)
	}
	if err != nil {
		w.Identity.Refused(err)
		return err
	}
	w.Identity.Check(&request.Spec)
	made := facts.OfRequest(request, w.config.Limits)
	w.State.Requests = append(w.State.Requests, made)
	w.note().request = made.UID
	w.note().count(crt.Generation, &w.note().requests)
	if changed := core.Changed(crt, made, pki.DigestOf(key.Public()), a.Revision, keyName); len(changed) > 0 {
		// It must not be signed, and made again it would be no better.
		if err := w.deleteRequests(ctx, []*facts.Request{made}); err != nil {
			return err
		}
		return fault.New(fault.Permanent, cmv1.EventReasonRequestFailed,
			"CertificateRequest %q was changed while it was created: %s are not as they were sent; find the admission policy or webhook that changes CertificateRequests",
			request.Name, strings.Join(changed, ", "))
	}
	if a.Key != nil {
		// The key is stored, so it need not be kept here.
		w.note().hold(nil, time.Time{})
	}
	return nil
}

// requestInTheWay looks at a request that has the name of the one to create: our
// own, which the cache does not show yet, or one that must go first.
func (w *work) requestInTheWay(ctx context.Context, name string, revision int) error {
	live := &cmv1.CertificateRequest{}
	if err := w.Server.Live(ctx, types.NamespacedName{Namespace: w.subject.Namespace, Name: name}, live); err != nil {
		return err
	}
	owner := metav1.GetControllerOf(live)
	switch {
	case live.DeletionTimestamp != nil:
		return fault.New(fault.Transient, "", "one of this name is being deleted; if it does not go, see its finalizers")
	case owner != nil && owner.UID == w.State.Object.UID && facts.OfRequest(live, w.config.Limits).Revision == revision:
		return cluster.ErrStale
	case owner != nil && owner.UID != w.State.Object.UID && owner.Name == w.subject.Name:
		// That of a Certificate of the same name before: the garbage collector
		// deletes it.
		return fault.New(fault.Transient, "", "one of this name belongs to a Certificate that was deleted; delete it if the garbage collector does not")
	default:
		return fault.New(fault.Transient, cmv1.EventReasonRequestFailed, "one of this name exists and is not of this Certificate and revision; delete it")
	}
}

func (w *work) requestAnnotations(keyName string, revision int) map[string]string {
	annotations := map[string]string{}
	for k, v := range w.State.Object.Annotations {
		if facts.Copied(w.config.CopiedAnnotations, k) {
			annotations[k] = v
		}
	}
	annotations[cmv1.CertificateRequestRevisionAnnotationKey] = strconv.Itoa(revision)
	annotations[cmv1.CertificateRequestPrivateKeyAnnotationKey] = keyName
	annotations[cmv1.CertificateNameKey] = w.State.Object.Name
	if delete(annotations, facts.IssuerVersionAnnotation); w.IssuerVersion != "" {
		annotations[facts.IssuerVersionAnnotation] = w.IssuerVersion
	}
	return annotations
}
