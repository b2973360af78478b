package shim

import (
	"context"
	"errors"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/controller"
	core "github.com/everleaf/everleaf/internal/lifecycle/shim"
)

// indexMarked is the index of the ClusterIssuers that are marked as the default.
const indexMarked = "marked"

// Registration is what the controller is, by the name of cert-manager's. The Source's
// indexes, and further watches, are added by the caller.
func (c *Controller[O]) Registration(name string) controller.Registration {
	return controller.Registration{
		Name: name, Kind: c.source.Kind, Reconciler: c.driver, Requeue: c.driver.Requeue, Share: 1,
		Indexes: []controller.Index{
			{Kind: cmv1.CertificateKind, Name: cluster.IndexController, Values: cluster.ControllerUID},
			{Kind: cmv1.ClusterIssuerKind, Name: indexMarked, Values: marked},
		},
		Watches: []controller.Watch{
			{Kind: cmv1.CertificateKind, Keys: controller.Owner(c.source.Kind)},
			// One that is deleted may have kept the name from another object.
			{Kind: cmv1.CertificateKind, Keys: c.wanting},
			{Kind: cmv1.IssuerKind, Keys: c.lacking},
			{Kind: cmv1.ClusterIssuerKind, Keys: c.lacking},
			{Kind: cmv1.ClusterIssuerKind, Keys: c.defaulting},
		},
	}
}

// wanting are the objects that refer to a Secret with the name of a Certificate.
func (c *Controller[O]) wanting(ctx context.Context, o client.Object) []types.NamespacedName {
	return c.source.Using(ctx, o.GetNamespace(), o.GetName())
}

// lacking are the objects that name an issuer of this name that was not found.
func (c *Controller[O]) lacking(_ context.Context, o client.Object) []types.NamespacedName {
	return c.lacks.of(o.GetName(), o.GetNamespace())
}

// lacks are the objects whose issuer was not found, by its name. Few are.
type lacks struct {
	mu     sync.Mutex
	issuer map[types.NamespacedName]string
}

// set notes the issuer that an object lacks, "" for none.
func (l *lacks) set(key types.NamespacedName, issuer string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case issuer == "":
		delete(l.issuer, key)
	case l.issuer == nil:
		l.issuer = map[types.NamespacedName]string{key: issuer}
	default:
		l.issuer[key] = issuer
	}
}

// of are the objects that lack an issuer in a namespace, in all for a ClusterIssuer.
func (l *lacks) of(issuer, namespace string) []types.NamespacedName {
	l.mu.Lock()
	defer l.mu.Unlock()
	var keys []types.NamespacedName
	for key, name := range l.issuer {
		if name == issuer && (namespace == "" || namespace == key.Namespace) {
			keys = append(keys, key)
		}
	}
	return keys
}

// marked is the value of indexMarked.
func marked(o client.Object) []string {
	if o.GetAnnotations()[core.DefaultIssuerAnnotation] == "true" {
		return []string{"true"}
	}
	return nil
}

// marks are the marked ClusterIssuers that were seen last.
type marks struct {
	mu    sync.Mutex
	names []string
}

// changed notes the marked ClusterIssuers, and reports whether they are others.
func (m *marks) changed(names []string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if slices.Equal(m.names, names) {
		return false
	}
	m.names = names
	return true
}

// defaulting are the objects whose issuer is the default, if it has become another.
func (c *Controller[O]) defaulting(ctx context.Context, _ client.Object) []types.NamespacedName {
	if c.source.Defaulting == nil || !c.config.MarkedIssuers {
		return nil
	}
	names, err := c.markedIssuers(ctx)
	if err != nil || !c.marks.changed(names) {
		return nil
	}
	return c.source.Defaulting(ctx)
}

// settings are those that are in force now.
func (c *Controller[O]) settings(ctx context.Context) (core.Settings, error) {
	s := c.config.Settings
	if !c.config.MarkedIssuers {
		return s, nil
	}
	var err error
	s.MarkedIssuers, err = c.markedIssuers(ctx)
	return s, err
}

// markedIssuers are the names of the ClusterIssuers that are marked as the default.
func (c *Controller[O]) markedIssuers(ctx context.Context) ([]string, error) {
	var list cmv1.ClusterIssuerList
	err := c.Cache.List(ctx, &list, client.MatchingFields{indexMarked: "true"})
	if errors.As(err, new(*cache.ErrResourceNotCached)) {
		// With --namespace there are no ClusterIssuers for us.
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for i := range list.Items {
		if list.Items[i].DeletionTimestamp == nil {
			names = append(names, list.Items[i].Name)
		}
	}
	slices.Sort(names)
	return names, nil
}
