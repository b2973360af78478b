// Package cainjector injects CAs into the objects that ask for one by their
// annotations: webhook configurations, APIServices and the conversion webhooks of
// CustomResourceDefinitions. One controller per kind watches the metadata of its
// objects and of the Secrets and Certificates that they name, reads what it needs
// live, and applies the bundles that differ.
package cainjector

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/util/csaupgrade"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/lifecycle/injectable"
)

const (
	// manager is cert-manager's field manager.
	manager = "cert-manager-cainjector"
	// changedRetry is when an object is looked at again that has changed between the
	// read and the write; its event usually comes first.
	changedRetry = time.Second
	// apiServerCheck is how often the CA of the API server, which may be a file, is
	// read again.
	apiServerCheck = time.Hour
)

// Deps are what the controllers need.
type Deps struct {
	// Cache has the metadata of the objects.
	Cache       client.Reader
	Authorities *Authorities
	// Core reads the objects, Metadata writes them and is answered with their
	// metadata alone.
	Core     kubernetes.Interface
	Metadata metadata.Interface
	Clock    clock.WithTicker
}

// Reconciler injects into the objects of one kind.
type Reconciler struct {
	Deps
	target  Target
	requeue *controller.Requeuer
	memory  controller.Memory[remembered]
}

// remembered is what is known of an object that has been looked at.
type remembered struct {
	// version of the object, and CA, with which nothing was left to do until next.
	// The zero time is never.
	version, authority string
	next               time.Time
	brake              injectable.Brake
	// told is the reason why nothing is injected that has been logged.
	told string
}

// New returns the Reconciler of a kind.
func New(deps Deps, target Target) (*Reconciler, error) {
	if err := errors.Join(controller.Complete(deps), controller.Complete(target)); err != nil {
		return nil, err
	}
	return &Reconciler{Deps: deps, target: target, requeue: controller.NewRequeuer(deps.Clock)}, nil
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	key := request.NamespacedName
	cached := r.target.metadata()
	err := r.Cache.Get(ctx, key, cached)
	if apierrors.IsNotFound(err) || (err == nil && (cached.DeletionTimestamp != nil || !injectable.Asks(cached.Annotations))) {
		r.memory.Drop(key)
		r.requeue.Forget(key)
		r.Authorities.forget(r.user(key.Name))
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("find the object in the cache: %w", err)
	}
	known := r.memory.Of(key, cached.UID, nil)
	next, err := r.inject(ctx, cached, known)
	var nothing *injectable.Nothing
	switch {
	case errors.As(err, &nothing):
		r.tell(ctx, known, nothing.Reason)
		next = time.Time{}
	case apierrors.IsNotFound(err), apierrors.IsConflict(err):
		// It has been deleted or changed since it was cached.
		return reconcile.Result{RequeueAfter: changedRetry}, nil
	case err != nil:
		return reconcile.Result{}, err
	}
	return r.requeue.Until(key, next), nil
}

// inject brings an object up to date. It returns when to look again.
func (r *Reconciler) inject(ctx context.Context, cached *metav1.PartialObjectMetadata, known *remembered) (time.Time, error) {
	source, err := injectable.SourceOf(cached.Annotations)
	if err != nil {
		r.Authorities.forget(r.user(cached.Name))
		return time.Time{}, err
	}
	ca, err := r.Authorities.of(ctx, r.user(cached.Name), source)
	if err != nil {
		return time.Time{}, err
	}
	now := r.Clock.Now()
	authority := digest(ca)
	if known.version == cached.ResourceVersion && known.authority == authority && (known.next.IsZero() || known.next.After(now)) {
		return known.again(source, now), nil
	}
	live, err := r.read(ctx, cached.Name)
	if err != nil {
		return time.Time{}, err
	}
	if at, err := injectable.SourceOf(live.Metadata.Annotations); live.Metadata.UID != cached.UID || err != nil || at != source {
		// The event of this change is on its way.
		return now.Add(changedRetry), nil
	}
	injection, err := injectable.Inject(source, r.target.entries(live), ca, now)
	if err != nil {
		return time.Time{}, err
	}
	version := live.Metadata.ResourceVersion
	if len(injection.Changed) > 0 {
		if hold := known.brake.Hold(authority, injection.Changed); hold.After(now) {
			r.tell(ctx, known, undone(live.Metadata, known.brake.Last(), hold))
			return hold, nil
		}
		if rest := known.brake.Rest(); rest.After(now) {
			r.tell(ctx, known, often(rest))
			return rest, nil
		}
		if version, err = r.write(ctx, live.Metadata, injection.Entries); err != nil {
			return time.Time{}, err
		}
		known.brake.Wrote(authority, injection.Changed, now)
		logr.FromContextOrDiscard(ctx).Info("Injected the CA", "source", source.String(), "bundles", len(injection.Changed))
	}
	known.version, known.authority, known.next, known.told = version, authority, injection.Next, ""
	return known.again(source, now), nil
}

func (r *Reconciler) user(name string) user { return user{r.target.kind.Kind, name} }

// again returns when an object is looked at again that is up to date.
func (k *remembered) again(source injectable.Source, now time.Time) time.Time {
	check := now.Add(apiServerCheck)
	if source.Kind == injectable.KindAPIServer && (k.next.IsZero() || check.Before(k.next)) {
		return check
	}
	return k.next
}

// tell logs why nothing is injected, once until that changes.
func (r *Reconciler) tell(ctx context.Context, known *remembered, reason string) {
	if known.told != reason {
		known.told = reason
		logr.FromContextOrDiscard(ctx).Info("No CA is injected", "reason", reason)
	}
}

// undone says why an object is left alone until a time, and who has changed it since
// the last write, if that is known: who only removes a field leaves no trace of it in
// managedFields.
func undone(meta metav1.ObjectMeta, written, until time.Time) string {
	by := "its managedFields do not say by whom"
	var last *metav1.ManagedFieldsEntry
	for i, entry := range meta.ManagedFields {
		if entry.Manager == manager || entry.Time == nil {
			continue
		}
		if entry.FieldsV1 != nil && strings.Contains(entry.FieldsV1.GetRawString(), `"f:caBundle"`) {
			last = &meta.ManagedFields[i]
			break
		}
		// Its times are whole seconds.
		if entry.Time.Unix() > written.Unix() && (last == nil || last.Time.Before(entry.Time)) {
			last = &meta.ManagedFields[i]
		}
	}
	if last != nil {
		by = fmt.Sprintf("the last writer is %q (%s)", last.Manager, last.Operation)
	}
	return fmt.Sprintf("the CA was injected several times and removed or replaced each time: %s; next try at %s", by, until.UTC().Format(time.RFC3339))
}

// often says why an object is left alone until a time that has been written too often.
func often(until time.Time) string {
	return fmt.Sprintf("the object was written many times in a short time: its CA, or who writes its bundles, keeps changing; next try at %s", until.UTC().Format(time.RFC3339))
}

// read reads an object from the API server.
func (r *Reconciler) read(ctx context.Context, name string) (object, error) {
	var live object
	raw, err := r.Core.Discovery().RESTClient().Get().
		AbsPath("apis", r.target.kind.Group, r.target.kind.Version, r.target.resource, name).
		SetHeader("Accept", "application/json").Do(ctx).Raw()
	if err != nil {
		return live, fmt.Errorf("read the object: %w", err)
	}
	if err := json.Unmarshal(raw, &live); err != nil {
		return live, fmt.Errorf("decode the object: %w", err)
	}
	return live, nil
}

// write applies the bundles to a version of an object, and returns the new version.
// The fields that earlier versions of cert-manager set by updates become fields of its
// applies first: the API server would keep what both managers have set.
func (r *Reconciler) write(ctx context.Context, meta metav1.ObjectMeta, entries []injectable.Entry) (version string, err error) {
	objects := r.Metadata.Resource(r.target.gvr())
	upgrade, err := csaupgrade.UpgradeManagedFieldsPatch(&metav1.PartialObjectMetadata{ObjectMeta: meta}, sets.New(manager), manager)
	if err != nil {
		return "", fmt.Errorf("upgrade the managed fields: %w", err)
	}
	version = meta.ResourceVersion
	if upgrade != nil {
		upgraded, err := objects.Patch(ctx, meta.Name, types.JSONPatchType, upgrade, metav1.PatchOptions{FieldManager: manager})
		if err != nil {
			return "", fmt.Errorf("upgrade the managed fields: %w", err)
		}
		version = upgraded.ResourceVersion
	}
	body, err := r.target.apply(meta.Name, version, entries)
	if err != nil {
		return "", err
	}
	written, err := objects.Patch(ctx, meta.Name, types.ApplyPatchType, body, metav1.PatchOptions{FieldManager: manager, Force: ptr.To(true)})
	if err != nil {
		return "", fmt.Errorf("inject the CA: %w", err)
	}
	return written.ResourceVersion, nil
}

// digest tells CAs apart.
func digest(ca []byte) string {
	sum := sha256.Sum256(ca)
	return string(sum[:])
}
