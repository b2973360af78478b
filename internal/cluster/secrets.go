package cluster

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/cache"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/pki"
)

const (
	ourSecrets     = cmv1.PartOfCertManagerControllerLabelKey + "=true"
	foreignSecrets = cmv1.PartOfCertManagerControllerLabelKey + "!=true"
)

// cachedSecret is what the Secret informer holds: facts, with the identity
// that client-go needs. It is never written back.
type cachedSecret = entry[*corev1.Secret, facts.Secret]

// Secrets answers what Secrets there are, from two informers: the labelled
// ones as facts, all others as metadata only. Contents that are not facts are
// read live, by whoever needs them, when they need them.
type Secrets struct {
	ours, foreign cache.SharedIndexInformer
	kept          store[*corev1.Secret, facts.Secret]
	client        kubernetes.Interface
	limits        pki.Limits
}

// NewSecrets returns the informers, not started yet. Namespace "" means all.
func NewSecrets(client kubernetes.Interface, meta metadata.Interface, namespace string, limits pki.Limits) (*Secrets, error) {
	s := &Secrets{client: client, limits: limits}
	whole, others := client.CoreV1().Secrets(namespace), meta.Resource(corev1.SchemeGroupVersion.WithResource("secrets")).Namespace(namespace)
	s.ours = labelled(client, &corev1.Secret{}, ourSecrets, whole.List, whole.Watch)
	s.foreign = labelled(meta, &metav1.PartialObjectMetadata{}, foreignSecrets, others.List, others.Watch)
	var err error
	if s.kept, err = newStore(s.ours, corev1.Resource("secrets"), s.reduce, indexes[*corev1.Secret, facts.Secret]{}); err != nil {
		return nil, err
	}
	return s, s.foreign.SetTransform(identity)
}

// labelled returns an informer of the objects that a label selector selects.
func labelled[L runtime.Object](
	client any, example runtime.Object, selector string,
	list func(context.Context, metav1.ListOptions) (L, error), watches func(context.Context, metav1.ListOptions) (watch.Interface, error),
) cache.SharedIndexInformer {
	return cache.NewSharedIndexInformer(cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.LabelSelector = selector
			return list(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.LabelSelector = selector
			return watches(ctx, o)
		},
	}, client), example, 0, cache.Indexers{})
}

// reduce keeps the facts of a Secret.
func (s *Secrets) reduce(obj any) (any, error) {
	return reduced(func(secret *corev1.Secret) (*facts.Secret, bool) { return facts.OfSecret(secret, s.limits), false })(obj)
}

// identity keeps of a foreign Secret that it is there, and its version.
func identity(obj any) (any, error) {
	if m, ok := obj.(*metav1.PartialObjectMetadata); ok {
		return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
			Namespace: facts.Shared(m.Namespace), Name: m.Name, UID: m.UID, ResourceVersion: m.ResourceVersion,
		}}, nil
	}
	return obj, nil
}

// Informers are both informers, to be started and watched.
func (s *Secrets) Informers() []cache.SharedIndexInformer {
	return []cache.SharedIndexInformer{s.ours, s.foreign}
}

// Store is the cache that sees our own writes.
func (s *Secrets) Store() Store { return s.ours.GetIndexer() }

// Start runs the informers until ctx ends.
func (s *Secrets) Start(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.foreign.RunWithContext(ctx)
	}()
	s.ours.RunWithContext(ctx)
	<-done
	return nil
}

// WaitForSync waits until both caches are filled.
func (s *Secrets) WaitForSync(ctx context.Context) bool {
	return cache.WaitForCacheSync(ctx.Done(), s.ours.HasSynced, s.foreign.HasSynced)
}

// Facts returns what is known of a Secret, or nil if there is none. A Secret
// without our label is read live.
func (s *Secrets) Facts(ctx context.Context, namespace, name string) (*facts.Secret, error) {
	key := types.NamespacedName{Namespace: namespace, Name: name}
	if f := s.kept.Facts(key); f != nil {
		return f, nil
	}
	if _, ok, err := s.foreign.GetIndexer().GetByKey(key.String()); err != nil || !ok {
		return nil, err
	}
	return s.LiveFacts(ctx, namespace, name)
}

// Kept returns what is known of a Secret with our label, or nil. It asks nobody.
func (s *Secrets) Kept(namespace, name string) *facts.Secret {
	return s.kept.Facts(types.NamespacedName{Namespace: namespace, Name: name})
}

// LiveFacts asks the API server; nil if there is no such Secret.
func (s *Secrets) LiveFacts(ctx context.Context, namespace, name string) (*facts.Secret, error) {
	secret, err := s.Live(ctx, namespace, name)
	if secret == nil || err != nil {
		return nil, err
	}
	return facts.OfSecret(secret, s.limits), nil
}

// Live reads a Secret from the API server; nil if there is none.
func (s *Secrets) Live(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	secret, err := s.client.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read Secret %s/%s: %w", namespace, name, err)
	}
	return secret, nil
}

// Version returns the resourceVersion that the caches have of a Secret, or "".
func (s *Secrets) Version(namespace, name string) string {
	key := namespace + "/" + name
	for _, informer := range s.Informers() {
		if item, ok, err := informer.GetIndexer().GetByKey(key); err == nil && ok {
			return item.(metav1.Object).GetResourceVersion()
		}
	}
	return ""
}

// OwnedBy returns the labelled Secrets that an object controls.
func (s *Secrets) OwnedBy(owner metav1.Object) []*facts.Secret { return s.kept.ControlledBy(owner) }

// FactsIn returns the facts that an informer's event is about, or nil.
func FactsIn(obj any) *facts.Secret {
	if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = gone.Obj
	}
	if c, ok := obj.(*cachedSecret); ok {
		return c.facts
	}
	return nil
}
