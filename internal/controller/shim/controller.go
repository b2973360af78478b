// Package shim reconciles the objects that Certificates are made for: Ingresses, and
// those of the Gateway API. It loads what decides, has package lifecycle/shim decide,
// and writes the Certificates. A Source says what the kinds differ in.
package shim

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/controller"
	core "github.com/everleaf/everleaf/internal/lifecycle/shim"
	"github.com/everleaf/everleaf/internal/plan"
)

// Source is a kind of objects that Certificates are made for.
type Source[O client.Object] struct {
	// Kind is the API's.
	Kind string
	// New makes an empty object.
	New func() O
	// Get reads an object from a cache.
	Get func(ctx context.Context, key types.NamespacedName) (O, error)
	// Read puts an object into the form that decides.
	Read func(ctx context.Context, object O) (core.Object, error)
	// Using returns the objects in a namespace that refer to a Secret.
	Using func(ctx context.Context, namespace, secret string) []types.NamespacedName
	// Defaulting returns the objects whose issuer is the default. It is nil for kinds
	// that have to name one.
	Defaulting func(ctx context.Context) []types.NamespacedName
}

// API is the API server, as the controllers need it.
type API interface {
	controller.API
	Create(ctx context.Context, subject plan.Ref, kind string, obj client.Object, manager string) error
	Patch(ctx context.Context, subject plan.Ref, kind string, before, changed client.Object, manager string) error
	Delete(ctx context.Context, subject plan.Ref, kind string, obj client.Object) error
}

// Deps is what the controllers need.
type Deps struct {
	// Cache reads Certificates and ClusterIssuers.
	Cache   client.Reader
	Issuers *cluster.Issuers
	Server  API
	Clock   clock.WithTicker
}

// Config is what the options say.
type Config struct {
	core.Settings
	// MarkedIssuers has the ClusterIssuer with core.DefaultIssuerAnnotation as the
	// default issuer.
	MarkedIssuers bool
}

// Controller keeps the Certificates of the objects of one kind.
type Controller[O client.Object] struct {
	Deps
	source Source[O]
	config Config
	driver *controller.Driver[O, core.None]
	memory controller.Memory[core.Memory]
	lacks  lacks
	marks  marks
}

// New returns a Controller. All of d and source is needed, except Defaulting; failed
// counts failures.
func New[O client.Object](d Deps, source Source[O], config Config, failed func()) (*Controller[O], error) {
	if err := controller.Complete(d); err != nil {
		return nil, err
	}
	if err := controller.Complete(source, "Defaulting"); err != nil {
		return nil, err
	}
	c := &Controller[O]{Deps: d, source: source, config: config}
	c.driver = controller.NewDriver(c, controller.Settings[O, core.None]{
		Kind: source.Kind, Manager: core.ManagerOf(source.Kind), New: source.New,
		Status: func(O) *core.None { return &core.None{} },
		API:    d.Server, Clock: d.Clock, Failed: failed,
	})
	return c, nil
}

// Get implements controller.Kind.
func (c *Controller[O]) Get(ctx context.Context, key types.NamespacedName) (O, bool, error) {
	object, err := c.source.Get(ctx, key)
	return object, true, err
}

// Forget implements controller.Kind.
func (c *Controller[O]) Forget(key types.NamespacedName) {
	c.memory.Drop(key)
	c.lacks.set(key, "")
}

// work is one reconcile of one object.
type work[O client.Object] struct {
	*Controller[O]
	core.State
	object O
}

// Load implements controller.Kind.
func (c *Controller[O]) Load(ctx context.Context, object O) (controller.Work[O, core.None], error) {
	read, err := c.source.Read(ctx, object)
	if err != nil {
		return nil, err
	}
	settings, err := c.settings(ctx)
	if err != nil {
		return nil, err
	}
	w := &work[O]{Controller: c, object: object, State: core.State{Object: read, Wanted: core.Want(read, settings)}}
	if w.Memory = c.memory.Find(read.NamespacedName, read.UID); w.Memory == nil {
		w.Memory = &core.Memory{}
	}
	w.Memory.Prune(c.Clock.Now())
	if !w.Wanted.Valid {
		c.lacks.set(read.NamespacedName, "")
		return w, nil
	}
	if err := w.findIssuer(ctx); err != nil {
		return nil, err
	}
	return w, w.findCertificates(ctx)
}

// findIssuer looks whether there is the issuer that the object names, and if not,
// whether one of the other kind is meant.
func (w *work[O]) findIssuer(ctx context.Context) error {
	ref, key := w.Wanted.Issuer, w.State.Object.NamespacedName
	namesake, own := core.Namesake(ref)
	if !own {
		w.lacks.set(key, "")
		return nil
	}
	found, err := w.Issuers.Get(ctx, key.Namespace, ref)
	if err != nil {
		return err
	}
	if found != nil {
		w.lacks.set(key, "")
		return nil
	}
	w.lacks.set(key, ref.Name)
	w.Issuer.Missing = true
	found, err = w.Issuers.Get(ctx, key.Namespace, namesake)
	w.Issuer.Namesake = found != nil
	return err
}

// findCertificates finds the Certificates that the object controls, and those with the
// names that it wants.
func (w *work[O]) findCertificates(ctx context.Context) error {
	var controlled cmv1.CertificateList
	if err := w.Cache.List(ctx, &controlled, client.InNamespace(w.object.GetNamespace()), cluster.ControlledBy(w.object)); err != nil {
		return err
	}
	found := map[string]bool{}
	for i := range controlled.Items {
		w.Certificates = append(w.Certificates, &controlled.Items[i])
		found[controlled.Items[i].Name] = true
	}
	for _, wanted := range w.Wanted.Certificates {
		if found[wanted.Name] {
			continue
		}
		var c cmv1.Certificate
		err := w.Cache.Get(ctx, client.ObjectKeyFromObject(wanted), &c)
		switch {
		case apierrors.IsNotFound(err):
		case err != nil:
			return err
		default:
			w.Certificates = append(w.Certificates, &c)
		}
	}
	return nil
}

// Object implements controller.Work.
func (w *work[O]) Object() O { return w.object }

// Replace implements controller.Work.
func (w *work[O]) Replace(object O) { w.object = object }

// Do implements controller.Work.
func (w *work[O]) Do(ctx context.Context, action plan.Action) error {
	key := w.State.Object.NamespacedName
	subject, manager := plan.Ref{Kind: w.source.Kind, NamespacedName: key}, core.ManagerOf(w.source.Kind)
	var answer, live *cmv1.Certificate
	var err error
	switch a := action.(type) {
	case core.Create:
		answer = a.Certificate.DeepCopy()
		err = w.Server.Create(ctx, subject, cmv1.CertificateKind, answer, manager)
	case core.Update:
		answer = a.Certificate.DeepCopy()
		err = w.Server.Patch(ctx, subject, cmv1.CertificateKind, a.Before, answer, manager)
	case core.Delete:
		err = w.Server.Delete(ctx, subject, cmv1.CertificateKind, a.Certificate)
	case core.Look:
		live = &cmv1.Certificate{}
		err = w.Server.Live(ctx, client.ObjectKeyFromObject(a.Certificate), live)
		if err == nil && live.UID != a.Certificate.UID {
			err = cluster.ErrStale
		}
	case core.Tell, core.PutOff:
	default:
		return fmt.Errorf("an object that Certificates are made for has no action %T", action)
	}
	if err != nil {
		return err
	}
	// It was kept nowhere as long as it was empty.
	w.Memory = w.memory.Of(key, w.State.Object.UID, nil)
	switch a := action.(type) {
	case core.Tell:
		w.Tell(a)
	case core.PutOff:
		w.PutOff(a)
	case core.Look:
		w.Looked(a, core.WrittenFor(w.source.Kind, live.ManagedFields))
	default:
		w.Done(action, answer, w.Clock.Now())
	}
	if w.Memory.Empty() {
		w.memory.Drop(key)
	}
	return nil
}
