package nginxingress

import (
	"context"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// finishIngress writes the addresses into an Ingress's status.
func (c *Controller) finishIngress(ctx context.Context, ing *networkingv1.Ingress, f Faults) error {
	if err := c.strip(ctx, ing, f); err != nil {
		return err
	}
	var balancers []networkingv1.IngressLoadBalancerIngress
	for _, addr := range c.options.Listen {
		balancers = append(balancers, networkingv1.IngressLoadBalancerIngress{IP: addr.String()})
	}
	if equality.Semantic.DeepEqual(ing.Status.LoadBalancer.Ingress, balancers) {
		return nil
	}
	ing.Status.LoadBalancer.Ingress = balancers
	return c.writeStatus(ctx, ing)
}

// strip removes the owner references of an object, if that is a fault.
func (c *Controller) strip(ctx context.Context, object client.Object, f Faults) error {
	if !f.StripOwners || len(object.GetOwnerReferences()) == 0 {
		return nil
	}
	patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"ownerReferences":null}}`))
	return client.IgnoreNotFound(c.client.Patch(ctx, object, patch, client.FieldOwner(Name)))
}

// finishGateway writes a Gateway's addresses and that it is ready.
func (c *Controller) finishGateway(ctx context.Context, gateway *gatewayv1.Gateway) error {
	before := gateway.Status.DeepCopy()
	gateway.Status.Addresses = nil
	for _, addr := range c.options.Listen {
		kind := gatewayv1.IPAddressType
		gateway.Status.Addresses = append(gateway.Status.Addresses, gatewayv1.GatewayStatusAddress{Type: &kind, Value: addr.String()})
	}
	for _, kind := range []gatewayv1.GatewayConditionType{gatewayv1.GatewayConditionAccepted, gatewayv1.GatewayConditionProgrammed} {
		meta.SetStatusCondition(&gateway.Status.Conditions, metav1.Condition{
			Type: string(kind), Status: metav1.ConditionTrue, Reason: string(kind), ObservedGeneration: gateway.Generation,
		})
	}
	if equality.Semantic.DeepEqual(before, &gateway.Status) {
		return nil
	}
	return c.writeStatus(ctx, gateway)
}

// finishRoute writes a route's status for the controller's Gateways, and leaves that for
// others as it is.
func (c *Controller) finishRoute(ctx context.Context, route *gatewayv1.HTTPRoute, parents []gatewayv1.RouteParentStatus, f Faults) error {
	if len(parents) == 0 && !slices.ContainsFunc(route.Status.Parents, isOurs) {
		return nil
	}
	if err := c.strip(ctx, route, f); err != nil {
		return err
	}
	var all []gatewayv1.RouteParentStatus
	for _, parent := range route.Status.Parents {
		if !isOurs(parent) {
			all = append(all, parent)
		}
	}
	for _, parent := range parents {
		var conditions []metav1.Condition
		for _, before := range route.Status.Parents {
			if isOurs(before) && equality.Semantic.DeepEqual(before.ParentRef, parent.ParentRef) {
				conditions = slices.Clone(before.Conditions)
			}
		}
		for _, condition := range parent.Conditions {
			// It keeps the time of the last transition.
			meta.SetStatusCondition(&conditions, condition)
		}
		parent.Conditions = conditions
		all = append(all, parent)
	}
	if equality.Semantic.DeepEqual(route.Status.Parents, all) {
		return nil
	}
	route.Status.Parents = all
	return c.writeStatus(ctx, route)
}

func isOurs(parent gatewayv1.RouteParentStatus) bool { return parent.ControllerName == Name }

// writeStatus writes a status, unless the object is gone.
func (c *Controller) writeStatus(ctx context.Context, object client.Object) error {
	return client.IgnoreNotFound(c.client.Status().Update(ctx, object, client.FieldOwner(Name)))
}
