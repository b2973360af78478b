package gateway

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapi "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/controller/shim"
	core "github.com/everleaf/everleaf/internal/lifecycle/shim"
)

// ListenerSets keeps the Certificates of ListenerSets.
type ListenerSets struct {
	*shim.Controller[*gwapi.ListenerSet]
	api API
}

// NewListenerSets returns the controller. All of d is needed; failed counts failures.
func NewListenerSets(d shim.Deps, api API, config shim.Config, failed func()) (*ListenerSets, error) {
	made, err := shim.New(d, shim.Source[*gwapi.ListenerSet]{
		Kind: core.KindListenerSet,
		New:  func() *gwapi.ListenerSet { return &gwapi.ListenerSet{} },
		Get: func(_ context.Context, key types.NamespacedName) (*gwapi.ListenerSet, error) {
			return get[*gwapi.ListenerSet](api, core.KindListenerSet, key)
		},
		Read: func(_ context.Context, s *gwapi.ListenerSet) (core.Object, error) {
			parent, err := get[*gwapi.Gateway](api, core.KindGateway, core.ParentOf(s))
			if err != nil && !apierrors.IsNotFound(err) {
				return core.Object{}, err
			}
			return core.OfListenerSet(s, parent), nil
		},
		Using: using(api, core.KindListenerSet),
	}, config, failed)
	return &ListenerSets{made, api}, err
}

// Registration is what the controller is. The Gateway of a ListenerSet wakes it: it
// may have become another issuer's.
func (c *ListenerSets) Registration() controller.Registration {
	r := c.Controller.Registration(listenerSets)
	r.Indexes = append(r.Indexes,
		controller.Index{Kind: core.KindListenerSet, Name: indexSecret, Values: func(o client.Object) []string {
			return secrets(core.OfListenerSet(o.(*gwapi.ListenerSet), nil))
		}},
		controller.Index{Kind: core.KindListenerSet, Name: indexParent, Values: func(o client.Object) []string {
			return []string{core.ParentOf(o.(*gwapi.ListenerSet)).String()}
		}},
	)
	r.Watches = append(r.Watches, controller.Watch{Kind: core.KindGateway, Keys: func(_ context.Context, o client.Object) []types.NamespacedName {
		return keys(c.api, core.KindListenerSet, indexParent, client.ObjectKeyFromObject(o))
	}})
	return r
}
