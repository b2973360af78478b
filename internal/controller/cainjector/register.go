package cainjector

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlcontroller "sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/lifecycle/injectable"
)

const (
	// bySource is the index of the objects by their sources.
	bySource = "source"
	// workers bound the calls in flight of one kind.
	workers = 2
)

// Register makes the controller. Certificates are watched if the cache may have them.
func (r *Reconciler) Register(ctx context.Context, mgr ctrl.Manager, watchCertificates bool) error {
	object := r.target.metadata()
	err := mgr.GetFieldIndexer().IndexField(ctx, object, bySource, func(o client.Object) []string {
		if source, err := injectable.SourceOf(o.GetAnnotations()); err == nil {
			return []string{source.String()}
		}
		return nil
	})
	if err != nil {
		return err
	}
	c, err := ctrlcontroller.New(r.target.name(), mgr, ctrlcontroller.Options{
		Reconciler: r, MaxConcurrentReconciles: workers, NewQueue: controller.NewQueue,
		RateLimiter: controller.Backoff(time.Second, 5*time.Minute),
	})
	if err != nil {
		return err
	}
	secret := &metav1.PartialObjectMetadata{}
	secret.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	sources := []source.Source{
		r.requeue,
		source.Kind[client.Object](mgr.GetCache(), object, controller.Own(), asking()),
		source.Kind[client.Object](mgr.GetCache(), secret, controller.Related(r.usersOfSecret)),
	}
	if watchCertificates {
		sources = append(sources, source.Kind[client.Object](mgr.GetCache(), &cmv1.Certificate{}, controller.Related(r.usersOfCertificate), moved()))
	}
	for _, s := range sources {
		if err := c.Watch(s); err != nil {
			return err
		}
	}
	return nil
}

// asking passes the events of objects that ask for a CA, or did.
func asking() predicate.Predicate {
	asks := func(o client.Object) bool { return injectable.Asks(o.GetAnnotations()) }
	return predicate.Funcs{
		CreateFunc:  func(e event.CreateEvent) bool { return asks(e.Object) },
		UpdateFunc:  func(e event.UpdateEvent) bool { return asks(e.ObjectNew) || asks(e.ObjectOld) },
		DeleteFunc:  func(e event.DeleteEvent) bool { return asks(e.Object) },
		GenericFunc: func(e event.GenericEvent) bool { return asks(e.Object) },
	}
}

// moved passes the events of Certificates that change which Secret they have.
func moved() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*cmv1.Certificate)
		after, too := e.ObjectNew.(*cmv1.Certificate)
		return !ok || !too || before.Spec.SecretName != after.Spec.SecretName
	}}
}

// usersOfSecret are the objects that get the CA of a Secret, or of the Certificate
// that the Secret says it belongs to.
func (r *Reconciler) usersOfSecret(ctx context.Context, secret client.Object) []types.NamespacedName {
	key := client.ObjectKeyFromObject(secret)
	users := r.users(ctx, injectable.Source{Kind: injectable.KindSecret, Key: key})
	if name := secret.GetAnnotations()[cmv1.CertificateNameAnnotationKey]; name != "" {
		key.Name = name
		users = append(users, r.users(ctx, injectable.Source{Kind: injectable.KindCertificate, Key: key})...)
	}
	return users
}

func (r *Reconciler) usersOfCertificate(ctx context.Context, crt client.Object) []types.NamespacedName {
	return r.users(ctx, injectable.Source{Kind: injectable.KindCertificate, Key: client.ObjectKeyFromObject(crt)})
}

// users are the objects with a source.
func (r *Reconciler) users(ctx context.Context, source injectable.Source) []types.NamespacedName {
	found := r.target.list()
	// A cache that runs answers; before it does, all objects are looked at anyway.
	if err := r.Cache.List(ctx, found, client.MatchingFields{bySource: source.String()}); err != nil {
		return nil
	}
	var keys []types.NamespacedName
	for _, o := range found.Items {
		keys = append(keys, types.NamespacedName{Name: o.Name})
	}
	return keys
}

// kept are the annotations that are cached.
var kept = append(slices.Clone(injectable.Annotations), cmv1.CertificateNameAnnotationKey, cmv1.AllowsInjectionFromSecretAnnotation)

// Compact is the transform of the caches: it drops what is not needed here.
func Compact(o any) (any, error) {
	switch o := o.(type) {
	case *metav1.PartialObjectMetadata:
		var annotations map[string]string
		for _, name := range kept {
			if value, ok := o.Annotations[name]; ok {
				if annotations == nil {
					annotations = map[string]string{}
				}
				annotations[name] = value
			}
		}
		o.ObjectMeta = identity(o.ObjectMeta)
		o.Annotations = annotations
	case *cmv1.Certificate:
		return &cmv1.Certificate{
			TypeMeta: o.TypeMeta, ObjectMeta: identity(o.ObjectMeta), Spec: cmv1.CertificateSpec{SecretName: o.Spec.SecretName},
		}, nil
	}
	return o, nil
}

func identity(m metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: m.Namespace, Name: m.Name, UID: m.UID, ResourceVersion: m.ResourceVersion, DeletionTimestamp: m.DeletionTimestamp,
	}
}
