// Package gateway keeps the Certificates of Gateways and ListenerSets, as their
// annotations and listeners ask for them, and those of HTTPRoutes.
package gateway

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapi "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/controller/shim"
	core "github.com/everleaf/everleaf/internal/lifecycle/shim"
)

const (
	// gateways and listenerSets are cert-manager's names for the controllers, which has
	// none of HTTPRoutes.
	gateways     = "gateway-shim"
	listenerSets = "listenerset"
	httpRoutes   = "httproute-shim"

	// indexSecret holds namespace/name of the Secrets that an object refers to.
	indexSecret = "tlsSecret"
	// indexParent holds namespace/name of the Gateway that a ListenerSet names.
	indexParent = "parent"
)

// API has the objects of the Gateway API, by their kinds.
type API interface {
	// Get returns an object, not to be changed. The error is NotFound if there is
	// none.
	Get(kind string, key types.NamespacedName) (runtime.Object, error)
	// ByIndex returns the objects with the value of an index.
	ByIndex(kind, index, value string) []any
}

// get returns an object of a kind.
func get[O client.Object](api API, kind string, key types.NamespacedName) (O, error) {
	found, err := api.Get(kind, key)
	if err != nil {
		var none O
		return none, err
	}
	return found.(O), nil
}

// keys are the objects of a kind with the value of an index.
func keys(api API, kind, index string, value types.NamespacedName) []types.NamespacedName {
	var found []types.NamespacedName
	for _, item := range api.ByIndex(kind, index, value.String()) {
		found = append(found, client.ObjectKeyFromObject(item.(client.Object)))
	}
	return found
}

// using returns the objects of a kind that refer to a Secret.
func using(api API, kind string) func(context.Context, string, string) []types.NamespacedName {
	return func(_ context.Context, namespace, secret string) []types.NamespacedName {
		return keys(api, kind, indexSecret, types.NamespacedName{Namespace: namespace, Name: secret})
	}
}

// Gateways keeps the Certificates of Gateways.
type Gateways struct {
	*shim.Controller[*gwapi.Gateway]
}

// NewGateways returns the controller. All of d is needed; failed counts failures.
func NewGateways(d shim.Deps, api API, config shim.Config, failed func()) (*Gateways, error) {
	made, err := shim.New(d, shim.Source[*gwapi.Gateway]{
		Kind: core.KindGateway,
		New:  func() *gwapi.Gateway { return &gwapi.Gateway{} },
		Get: func(_ context.Context, key types.NamespacedName) (*gwapi.Gateway, error) {
			return get[*gwapi.Gateway](api, core.KindGateway, key)
		},
		Read:  func(_ context.Context, g *gwapi.Gateway) (core.Object, error) { return core.OfGateway(g), nil },
		Using: using(api, core.KindGateway),
	}, config, failed)
	return &Gateways{made}, err
}

// Registration is what the controller is.
func (c *Gateways) Registration() controller.Registration {
	r := c.Controller.Registration(gateways)
	r.Indexes = append(r.Indexes, controller.Index{Kind: core.KindGateway, Name: indexSecret, Values: func(o client.Object) []string {
		return secrets(core.OfGateway(o.(*gwapi.Gateway)))
	}})
	return r
}

// secrets are the values of indexSecret.
func secrets(o core.Object) []string {
	var values []string
	for _, name := range o.SecretNames() {
		values = append(values, types.NamespacedName{Namespace: o.Namespace, Name: name}.String())
	}
	return values
}
