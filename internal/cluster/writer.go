package cluster

import (
	"context"
	"errors"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/everleaf/everleaf/internal/plan"
)

// Writer writes for subjects, and records it in the gate. Every write is guarded: updates
// and patches carry the resourceVersion that they were decided on, deletes the
// UID, so that a process that has lost its lease changes nothing by mistake.
type Writer struct {
	client client.Client
	core   kubernetes.Interface
	gate   *Gate
}

// NewWriter returns a Writer.
func NewWriter(c client.Client, core kubernetes.Interface, gate *Gate) *Writer {
	return &Writer{client: c, core: core, gate: gate}
}

// Terminating reports whether a write failed because the namespace is being
// deleted: nothing can be created there any more, and no retry helps.
func Terminating(err error) bool {
	return apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
}

// ErrStale says that a live look has shown something newer than the caches.
var ErrStale = errors.New("the caches are older than what is there")

// Stale reports whether something failed because the decision was based on
// outdated objects. The next watch event brings the current ones.
func Stale(err error) bool {
	return errors.Is(err, ErrStale) || apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err)
}

// UpdateStatus stores the status of obj, which is the subject and must carry the
// resourceVersion that was decided on; obj is filled with the result.
func (w *Writer) UpdateStatus(ctx context.Context, subject plan.Ref, obj client.Object, manager string) error {
	return w.wrote(subject, subject.Kind, obj, w.client.Status().Update(ctx, obj, client.FieldOwner(manager)))
}

// Create creates obj, which is filled with the result.
func (w *Writer) Create(ctx context.Context, subject plan.Ref, kind string, obj client.Object, manager string) error {
	return w.wrote(subject, kind, obj, w.client.Create(ctx, obj, client.FieldOwner(manager)))
}

// Patch stores what differs between before, which was decided on, and changed, an
// object of a kind, which is filled with the result. What a cache leaves out of both
// stays as it is.
func (w *Writer) Patch(ctx context.Context, subject plan.Ref, kind string, before, changed client.Object, manager string) error {
	return w.wrote(subject, kind, changed, w.client.Patch(ctx, changed,
		client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}), client.FieldOwner(manager)))
}

// Delete deletes exactly this object, by UID. One that is gone already is
// deleted.
func (w *Writer) Delete(ctx context.Context, subject plan.Ref, kind string, obj client.Object) error {
	err := w.client.Delete(ctx, obj, client.Preconditions{UID: ptr.To(obj.GetUID())},
		client.PropagationPolicy(metav1.DeletePropagationBackground))
	return w.deleted(subject, kind, client.ObjectKeyFromObject(obj), obj.GetUID(), err)
}

// DeleteSecret is Delete for a Secret that is known only as facts.
func (w *Writer) DeleteSecret(ctx context.Context, subject plan.Ref, namespace, name string, uid types.UID) error {
	err := w.core.CoreV1().Secrets(namespace).Delete(ctx, name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
	return w.deleted(subject, plan.KindSecret, types.NamespacedName{Namespace: namespace, Name: name}, uid, err)
}

// CreateSecret creates a Secret.
func (w *Writer) CreateSecret(ctx context.Context, subject plan.Ref, s *corev1.Secret, manager string) (*corev1.Secret, error) {
	created, err := w.core.CoreV1().Secrets(s.Namespace).Create(ctx, s, metav1.CreateOptions{FieldManager: manager})
	return created, w.wrote(subject, plan.KindSecret, created, err)
}

// CreateUncachedSecret creates a Secret that is always read live: it carries no
// label of ours, so that the gate would wait for a cache that never shows it.
func (w *Writer) CreateUncachedSecret(ctx context.Context, s *corev1.Secret, manager string) error {
	_, err := w.core.CoreV1().Secrets(s.Namespace).Create(ctx, s, metav1.CreateOptions{FieldManager: manager})
	return err
}

// PatchMetadata stores the finalizers and annotations of changed, which is the
// subject, decided on the basis of before.
func (w *Writer) PatchMetadata(ctx context.Context, subject plan.Ref, before, changed client.Object, manager string) error {
	return w.Patch(ctx, subject, subject.Kind, before, changed, manager)
}

// PatchAnnotations adds annotations to obj, which is the subject and is filled
// with the result.
func (w *Writer) PatchAnnotations(ctx context.Context, subject plan.Ref, obj client.Object, annotations map[string]string, manager string) error {
	before := obj.DeepCopyObject().(client.Object)
	annotate(obj, annotations)
	return w.Patch(ctx, subject, subject.Kind, before, obj, manager)
}

// UpdateAnnotations is PatchAnnotations by an update, for kinds of Kubernetes whose
// roles have no patch. obj is whole.
func (w *Writer) UpdateAnnotations(ctx context.Context, subject plan.Ref, obj client.Object, annotations map[string]string, manager string) error {
	annotate(obj, annotations)
	return w.wrote(subject, subject.Kind, obj, w.client.Update(ctx, obj, client.FieldOwner(manager)))
}

func annotate(obj client.Object, annotations map[string]string) {
	changed := maps.Clone(obj.GetAnnotations())
	if changed == nil {
		changed = map[string]string{}
	}
	maps.Copy(changed, annotations)
	obj.SetAnnotations(changed)
}

// ApplySecret applies a Secret by server-side apply. encoded is its JSON; it
// must carry all data that its manager owns, and the resourceVersion of the
// live object if there is one, so that nothing newer is overwritten.
func (w *Writer) ApplySecret(ctx context.Context, subject plan.Ref, namespace, name string, encoded []byte, manager string) (*corev1.Secret, error) {
	applied, err := w.core.CoreV1().Secrets(namespace).Patch(ctx, name, types.ApplyPatchType, encoded,
		metav1.PatchOptions{FieldManager: manager, Force: ptr.To(true)})
	return applied, w.wrote(subject, plan.KindSecret, applied, err)
}

// wrote records a write in the gate if it did not fail.
func (w *Writer) wrote(subject plan.Ref, kind string, result metav1.Object, err error) error {
	if err == nil {
		w.gate.Wrote(subject, kind, result.GetResourceVersion())
	}
	return err
}

// deleted records a delete in the gate if the object is gone.
func (w *Writer) deleted(subject plan.Ref, kind string, key types.NamespacedName, uid types.UID, err error) error {
	if err == nil || apierrors.IsNotFound(err) {
		w.gate.Deleted(subject, kind, key.String(), uid)
		return nil
	}
	return err
}

// Behind is Gate.Behind.
func (w *Writer) Behind(subject plan.Ref) string { return w.gate.Behind(subject) }
