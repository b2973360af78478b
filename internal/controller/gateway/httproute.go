package gateway

import (
	"context"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapi "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/controller/shim"
	core "github.com/everleaf/everleaf/internal/lifecycle/shim"
)

// HTTPRoutes keeps the Certificates of HTTPRoutes, which cert-manager does not make.
type HTTPRoutes struct {
	*shim.Controller[*gwapi.HTTPRoute]
}

// NewHTTPRoutes returns the controller. All of d is needed; failed counts failures.
func NewHTTPRoutes(d shim.Deps, api API, config shim.Config, failed func()) (*HTTPRoutes, error) {
	made, err := shim.New(d, shim.Source[*gwapi.HTTPRoute]{
		Kind: core.KindHTTPRoute,
		New:  func() *gwapi.HTTPRoute { return &gwapi.HTTPRoute{} },
		Get: func(_ context.Context, key types.NamespacedName) (*gwapi.HTTPRoute, error) {
			return get[*gwapi.HTTPRoute](api, core.KindHTTPRoute, key)
		},
		Read:  func(_ context.Context, r *gwapi.HTTPRoute) (core.Object, error) { return core.OfHTTPRoute(r), nil },
		Using: using(api, core.KindHTTPRoute),
	}, config, failed)
	return &HTTPRoutes{made}, err
}

// Registration is what the controller is.
func (c *HTTPRoutes) Registration() controller.Registration {
	r := c.Controller.Registration(httpRoutes)
	r.Indexes = append(r.Indexes, controller.Index{Kind: core.KindHTTPRoute, Name: indexSecret, Values: func(o client.Object) []string {
		return secrets(core.OfHTTPRoute(o.(*gwapi.HTTPRoute)))
	}})
	return r
}
