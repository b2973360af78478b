// Package ingress keeps the Certificates of Ingresses, as the annotations of the
// Ingresses ask for them.
package ingress

import (
	"context"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/controller/shim"
	core "github.com/everleaf/everleaf/internal/lifecycle/shim"
)

const (
	// name is cert-manager's for the controller.
	name = "ingress-shim"
	// indexSecret holds the names of the Secrets of an Ingress.
	indexSecret = "tlsSecret"
	// indexDefault is of the Ingresses whose issuer is the default.
	indexDefault = "defaultIssuer"
)

// Controller keeps the Certificates of Ingresses.
type Controller struct {
	*shim.Controller[*networkingv1.Ingress]
	config shim.Config
}

// New returns a Controller. All of d is needed, and its cache has Ingresses too; failed
// counts failures.
func New(d shim.Deps, config shim.Config, failed func()) (*Controller, error) {
	made, err := shim.New(d, shim.Source[*networkingv1.Ingress]{
		Kind: core.KindIngress,
		New:  func() *networkingv1.Ingress { return &networkingv1.Ingress{} },
		Get: func(ctx context.Context, key types.NamespacedName) (*networkingv1.Ingress, error) {
			found := &networkingv1.Ingress{}
			return found, d.Cache.Get(ctx, key, found)
		},
		Read: func(_ context.Context, i *networkingv1.Ingress) (core.Object, error) { return core.OfIngress(i), nil },
		Using: func(ctx context.Context, namespace, secret string) []types.NamespacedName {
			return find(ctx, d.Cache, client.InNamespace(namespace), client.MatchingFields{indexSecret: secret})
		},
		Defaulting: func(ctx context.Context) []types.NamespacedName {
			return find(ctx, d.Cache, client.MatchingFields{indexDefault: "true"})
		},
	}, config, failed)
	if err != nil {
		return nil, err
	}
	return &Controller{made, config}, nil
}

// find returns the Ingresses in the cache that the options select.
func find(ctx context.Context, cache client.Reader, options ...client.ListOption) []types.NamespacedName {
	var list networkingv1.IngressList
	if err := cache.List(ctx, &list, options...); err != nil {
		return nil
	}
	var keys []types.NamespacedName
	for i := range list.Items {
		keys = append(keys, client.ObjectKeyFromObject(&list.Items[i]))
	}
	return keys
}

// Registration is what the controller is.
func (c *Controller) Registration() controller.Registration {
	r := c.Controller.Registration(name)
	r.Indexes = append(r.Indexes,
		controller.Index{Kind: core.KindIngress, Name: indexSecret, Values: secrets},
		controller.Index{Kind: core.KindIngress, Name: indexDefault, Values: c.usesDefault},
	)
	return r
}

// secrets are the values of indexSecret.
func secrets(o client.Object) []string {
	if i, ok := o.(*networkingv1.Ingress); ok {
		return core.OfIngress(i).SecretNames()
	}
	return nil
}

// usesDefault is the value of indexDefault.
func (c *Controller) usesDefault(o client.Object) []string {
	if i, ok := o.(*networkingv1.Ingress); ok && c.config.UsesDefault(core.OfIngress(i)) {
		return []string{"true"}
	}
	return nil
}
