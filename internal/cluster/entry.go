package cluster

import (
	"unique"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

// entry is what a cache of facts holds of an object: its identity, its facts,
// and the object itself as long as there is work on it. A cluster holds a
// finished CertificateRequest for each certificate; as facts it takes a tenth
// of the memory, and cannot be written back by mistake.
type entry[O client.Object, F any] struct {
	metav1.ObjectMeta
	object O
	open   bool
	facts  *F
}

// newEntry returns the entry of an object. The object is kept if it is open.
func newEntry[O client.Object, F any](o O, facts *F, open bool) *entry[O, F] {
	e := &entry[O, F]{facts: facts, open: open, ObjectMeta: metav1.ObjectMeta{
		Namespace: unique.Make(o.GetNamespace()).Value(), Name: o.GetName(), UID: o.GetUID(),
		ResourceVersion: o.GetResourceVersion(), DeletionTimestamp: o.GetDeletionTimestamp(),
	}}
	if owner := metav1.GetControllerOfNoCopy(o); owner != nil {
		e.OwnerReferences = []metav1.OwnerReference{{
			Kind: unique.Make(owner.Kind).Value(), Name: owner.Name, UID: owner.UID, Controller: owner.Controller,
		}}
	}
	if open {
		o.SetManagedFields(nil)
		e.object = o
	}
	return e
}

// GetObjectKind implements runtime.Object.
func (e *entry[O, F]) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

// DeepCopyObject implements runtime.Object. Entries are never changed, so the
// copy shares what they hold.
func (e *entry[O, F]) DeepCopyObject() runtime.Object {
	copied := *e
	return &copied
}

// reduced makes the transform of a cache of entries. read returns the facts of an
// object, and whether there is work on it.
func reduced[O client.Object, F any](read func(O) (facts *F, open bool)) cache.TransformFunc {
	return func(obj any) (any, error) {
		o, ok := obj.(O)
		if !ok {
			return obj, nil
		}
		f, open := read(o)
		return newEntry(o, f, open), nil
	}
}

// The indexes of entries.
const (
	byController = "controller"
	byIssuer     = "issuer"
	byKeySecret  = "keySecret"
	byClass      = "class"
	byName       = "dnsName"
	// byCertificate is the Certificate that the annotations name.
	byCertificate = "certificate"
)

// indexes are the values of indexes by name. An entry is left out of an index if
// the value is empty, or if there is no work on it: it waits for nothing.
type indexes[O client.Object, F any] map[string]func(*entry[O, F]) string

// store is a cache of entries.
type store[O client.Object, F any] struct {
	indexer  cache.Indexer
	resource schema.GroupResource
}

// newStore returns the store of an informer that is not started yet, and sets its
// transform and its indexes, to which it adds that of the controlling owners.
func newStore[O client.Object, F any](
	informer cache.SharedIndexInformer, resource schema.GroupResource, transform cache.TransformFunc, of indexes[O, F],
) (store[O, F], error) {
	indexers := cache.Indexers{byController: func(obj any) ([]string, error) {
		if e, ok := obj.(*entry[O, F]); ok && len(e.OwnerReferences) > 0 {
			return []string{ownerKey(e.Namespace, e.OwnerReferences[0].UID)}, nil
		}
		return nil, nil
	}}
	for name, value := range of {
		indexers[name] = func(obj any) ([]string, error) {
			if e, ok := obj.(*entry[O, F]); ok && e.open {
				if v := value(e); v != "" {
					return []string{v}, nil
				}
			}
			return nil, nil
		}
	}
	if err := informer.SetTransform(transform); err != nil {
		return store[O, F]{}, err
	}
	return store[O, F]{informer.GetIndexer(), resource}, informer.AddIndexers(indexers)
}

// entry returns what the cache holds of an object, nil if there is none.
func (s store[O, F]) entry(key types.NamespacedName) *entry[O, F] {
	item, ok, err := s.indexer.GetByKey(cache.NewObjectName(key.Namespace, key.Name).String())
	if err != nil || !ok {
		return nil
	}
	return item.(*entry[O, F])
}

// Get returns an object and whether there is work on it; it is nil if not. The
// error is NotFound if there is no such object.
func (s store[O, F]) Get(key types.NamespacedName) (o O, open bool, err error) {
	e := s.entry(key)
	if e == nil {
		return o, false, apierrors.NewNotFound(s.resource, key.Name)
	}
	return e.object, e.open, nil
}

// Facts returns the facts of an object, nil if there is no such object.
func (s store[O, F]) Facts(key types.NamespacedName) *F {
	e := s.entry(key)
	if e == nil {
		return nil
	}
	return e.facts
}

// ControlledBy returns the facts of the objects that an owner controls.
func (s store[O, F]) ControlledBy(owner metav1.Object) []*F {
	items, err := s.indexer.ByIndex(byController, ownerKey(owner.GetNamespace(), owner.GetUID()))
	if err != nil {
		return nil
	}
	found := make([]*F, len(items))
	for i, item := range items {
		found[i] = item.(*entry[O, F]).facts
	}
	return found
}

// OpenOf returns the objects of an issuer on which there is work.
func (s store[O, F]) OpenOf(issuer cmv1.GenericIssuer) []O {
	return s.open(byIssuer, KeyOfIssuer(issuer))
}

// open returns the objects with the value of an index that has only those on which
// there is work.
func (s store[O, F]) open(index, value string) []O {
	items, err := s.indexer.ByIndex(index, value)
	if err != nil {
		return nil
	}
	found := make([]O, len(items))
	for i, item := range items {
		found[i] = item.(*entry[O, F]).object
	}
	return found
}

// ownerKey is the value of the index of controlling owners. An object can only be
// controlled by one of its own namespace: a reference from elsewhere is somebody
// else's claim.
func ownerKey(namespace string, owner types.UID) string { return namespace + "/" + string(owner) }
