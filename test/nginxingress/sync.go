package nginxingress

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// watch starts the cache and has every change of it loaded.
func (c *Controller) watch(ctx context.Context) error {
	kinds := []client.Object{&networkingv1.Ingress{}, &corev1.Service{}, &discoveryv1.EndpointSlice{}, &corev1.Secret{}}
	if c.options.GatewayClass != "" {
		kinds = append(kinds, &gatewayv1.Gateway{}, &gatewayv1.HTTPRoute{}, &corev1.Namespace{})
	}
	for _, kind := range kinds {
		informer, err := c.cache.GetInformer(ctx, kind)
		if err != nil {
			return err
		}
		_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc: func(any) { c.change() }, UpdateFunc: func(any, any) { c.change() }, DeleteFunc: func(any) { c.change() },
		})
		if err != nil {
			return err
		}
	}
	c.group.Go(func() {
		if err := c.cache.Start(ctx); err != nil && ctx.Err() == nil {
			c.nginx.note(err)
		}
	})
	if !c.cache.WaitForCacheSync(ctx) {
		return errors.New("the cache did not fill")
	}
	return nil
}

// sync has nginx serve what the cache has, and then writes statuses.
func (c *Controller) sync(ctx context.Context) error {
	c.mu.Lock()
	faults, held := c.faults, c.held
	c.mu.Unlock()
	if held {
		return nil
	}
	s, err := c.read(ctx)
	if err != nil {
		return err
	}
	all := sites{}
	var ingresses []*networkingv1.Ingress
	for i := range s.ingresses {
		if ing := &s.ingresses[i]; c.options.serves(ing) && ing.DeletionTimestamp == nil {
			s.addIngress(all, ing, faults)
			ingresses = append(ingresses, ing)
		}
	}
	var gateways []gatewayv1.Gateway
	for _, gateway := range s.gateways {
		if string(gateway.Spec.GatewayClassName) == c.options.GatewayClass {
			gateways = append(gateways, gateway)
			s.addGateway(all, &gateway)
		}
	}
	routes := map[int][]gatewayv1.RouteParentStatus{}
	for i := range s.routes {
		routes[i] = s.addRoute(all, gateways, &s.routes[i], faults)
	}
	if err := c.nginx.load(ctx, all.sorted(), faults, s.pairs); err != nil {
		return err
	}
	var errs []error
	for _, ing := range ingresses {
		errs = append(errs, c.finishIngress(ctx, ing, faults))
	}
	for i := range gateways {
		errs = append(errs, c.finishGateway(ctx, &gateways[i]))
	}
	for i, parents := range routes {
		errs = append(errs, c.finishRoute(ctx, &s.routes[i], parents, faults))
	}
	return errors.Join(errs...)
}
