package explain

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	gwapi "sigs.k8s.io/gateway-api/apis/v1"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/diagnosis"
	"github.com/everleaf/everleaf/internal/selfcheck"
)

// gatewayVersion is the version of the Gateway API that is read.
var gatewayVersion = schema.GroupVersion{Group: gwapi.GroupName, Version: "v1"}

// canAsk reports whether servers can be asked about a Challenge from here.
func (c *Collector) canAsk(one *acmev1.Challenge) bool {
	return one.Spec.Type == acmev1.ACMEChallengeTypeDNS01 || one.Spec.Type == acmev1.ACMEChallengeTypeHTTP01 && c.SelfCheck != nil
}

// hide drops what answers a challenge. The value of a TXT record is public.
func hide(one *acmev1.Challenge) {
	one.Spec.Token = ""
	if one.Spec.Type == acmev1.ACMEChallengeTypeHTTP01 {
		one.Spec.Key = ""
	}
}

// askAddresses asks the addresses of a Challenge's name.
func (c *Collector) askAddresses(ctx context.Context, e *diagnosis.Evidence, one *acmev1.Challenge) {
	ctx, cancel := context.WithTimeout(ctx, viewTime)
	defer cancel()
	report := c.SelfCheck.Check(ctx, selfcheck.Target{DNSName: one.Spec.DNSName, Token: one.Spec.Token, Key: one.Spec.Key})
	c.add(e, diagnosis.Sighting{Challenge: one.Name, From: diagnosis.FromCommand, HTTP: &selfcheck.View{Report: report}})
}

const (
	// defaultClass is the annotation of the IngressClass for Ingresses without one.
	defaultClass = "ingressclass.kubernetes.io/is-default-class"
	// classAnnotation names the class of an Ingress in the old way.
	classAnnotation = "kubernetes.io/ingress.class"
	challengePath   = "/.well-known/acme-challenge/"
)

// edges reads where the cluster takes requests for the names of Challenges.
func (c *Collector) edges(ctx context.Context, e *diagnosis.Evidence, challenges []*acmev1.Challenge) {
	var found []diagnosis.Edge
	missed := func(err error) {
		if err != nil && !meta.IsNoMatchError(err) && !runtime.IsNotRegisteredError(err) {
			c.miss(e, "%s", err)
		}
	}
	ingresses, err := listAll[networkingv1.Ingress](ctx, c.Client, e.Subject.Namespace, &networkingv1.IngressList{}, func(*networkingv1.Ingress) bool { return true })
	missed(err)
	for i := range ingresses {
		found = append(found, edgeOfIngress(&ingresses[i], challenges))
	}
	services, err := listAll[corev1.Service](ctx, c.Client, "", &corev1.ServiceList{}, func(s *corev1.Service) bool { return s.Spec.Type == corev1.ServiceTypeLoadBalancer })
	missed(err)
	for i := range services {
		if one := edgeOfService(&services[i]); len(one.Addresses) > 0 {
			found = append(found, one)
		}
	}
	for _, one := range challenges {
		spec := one.Spec.Solver.HTTP01
		if spec == nil || spec.GatewayHTTPRoute == nil {
			continue
		}
		routes, err := c.routesOf(ctx, one)
		missed(err)
		found = append(found, routes...)
		for _, ref := range spec.GatewayHTTPRoute.ParentRefs {
			gateway, err := c.gateway(ctx, one, ref)
			missed(err)
			found = append(found, gateway...)
		}
	}
	classes, err := listAll[networkingv1.IngressClass](ctx, c.Client, "", &networkingv1.IngressClassList{}, func(o *networkingv1.IngressClass) bool {
		return o.Annotations[defaultClass] == "true"
	})
	missed(err)
	c.here.Lock()
	defer c.here.Unlock()
	e.Edges = found
	if len(classes) > 0 {
		e.DefaultClass = classes[0].Name
	}
}

// edgeOfIngress is an Ingress as an Edge.
func edgeOfIngress(o *networkingv1.Ingress, challenges []*acmev1.Challenge) diagnosis.Edge {
	out := diagnosis.Edge{Ref: diagnosis.Ref{Kind: diagnosis.IngressKind, Namespace: o.Namespace, Name: o.Name}, Class: o.Annotations[classAnnotation]}
	if o.Spec.IngressClassName != nil {
		out.Class = *o.Spec.IngressClassName
	}
	for _, rule := range o.Spec.Rules {
		out.Hosts = append(out.Hosts, rule.Host)
		if rule.HTTP == nil {
			continue
		}
		for _, path := range rule.HTTP.Paths {
			i := slices.IndexFunc(challenges, func(c *acmev1.Challenge) bool {
				return path.Path == challengePath+c.Spec.Token && (rule.Host == c.Spec.DNSName || rule.Host == "")
			})
			if i < 0 {
				continue
			}
			out.Challenge, out.Own = challenges[i].Name, metav1.IsControlledBy(o, challenges[i])
			if path.PathType != nil {
				out.PathType = string(*path.PathType)
			}
		}
	}
	for _, at := range o.Status.LoadBalancer.Ingress {
		out.Addresses = appendSet(out.Addresses, at.IP, at.Hostname)
	}
	return out
}

// edgeOfService is a Service of type LoadBalancer as an Edge.
func edgeOfService(o *corev1.Service) diagnosis.Edge {
	out := diagnosis.Edge{Ref: diagnosis.Ref{Kind: diagnosis.ServiceKind, Namespace: o.Namespace, Name: o.Name}}
	for _, at := range o.Status.LoadBalancer.Ingress {
		out.Addresses = appendSet(out.Addresses, at.IP, at.Hostname)
	}
	out.Addresses = appendSet(out.Addresses, o.Spec.ExternalIPs...)
	return out
}

// appendSet adds the texts that are not empty.
func appendSet(to []string, texts ...string) []string {
	for _, t := range texts {
		if t != "" {
			to = append(to, t)
		}
	}
	return to
}

// routesOf reads the HTTPRoutes of a Challenge.
func (c *Collector) routesOf(ctx context.Context, one *acmev1.Challenge) ([]diagnosis.Edge, error) {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(gatewayVersion.WithKind(diagnosis.HTTPRouteKind + "List"))
	all, err := listAll[unstructured.Unstructured](ctx, c.Client, one.Namespace, list, func(o *unstructured.Unstructured) bool {
		return metav1.IsControlledBy(o, one)
	})
	var out []diagnosis.Edge
	for _, o := range all {
		var route gwapi.HTTPRoute
		if runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &route) != nil {
			continue
		}
		edge := diagnosis.Edge{Ref: diagnosis.Ref{Kind: diagnosis.HTTPRouteKind, Namespace: route.Namespace, Name: route.Name}, Challenge: one.Name, Own: true}
		for _, parent := range route.Status.Parents {
			edge.Refusals = append(edge.Refusals, refusals(parent, route.Namespace)...)
		}
		out = append(out, edge)
	}
	return out, err
}

// refusals are the conditions by which a parent does not accept a route.
func refusals(parent gwapi.RouteParentStatus, namespace string) []selfcheck.Refusal {
	kind := diagnosis.GatewayKind
	if parent.ParentRef.Kind != nil {
		kind = string(*parent.ParentRef.Kind)
	}
	if parent.ParentRef.Namespace != nil {
		namespace = string(*parent.ParentRef.Namespace)
	}
	var out []selfcheck.Refusal
	for _, cond := range parent.Conditions {
		if cond.Status == metav1.ConditionFalse && (cond.Type == string(gwapi.RouteConditionAccepted) || cond.Type == string(gwapi.RouteConditionResolvedRefs)) {
			out = append(out, selfcheck.Refusal{
				Parent: diagnosis.Ref{Kind: kind, Namespace: namespace, Name: string(parent.ParentRef.Name)}.String(), Condition: cond.Type, Reason: cond.Reason,
			})
		}
	}
	return out
}

// gateway reads a Gateway that an HTTPRoute of a Challenge is to attach to, if it is one.
func (c *Collector) gateway(ctx context.Context, one *acmev1.Challenge, ref gwapi.ParentReference) ([]diagnosis.Edge, error) {
	if ref.Kind != nil && *ref.Kind != diagnosis.GatewayKind {
		return nil, nil
	}
	key := types.NamespacedName{Namespace: one.Namespace, Name: string(ref.Name)}
	if ref.Namespace != nil {
		key.Namespace = string(*ref.Namespace)
	}
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(gatewayVersion.WithKind(diagnosis.GatewayKind))
	if err := c.Client.Get(ctx, key, o); err != nil {
		return nil, err
	}
	var gateway gwapi.Gateway
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &gateway); err != nil {
		return nil, err
	}
	edge := diagnosis.Edge{Ref: diagnosis.Ref{Kind: diagnosis.GatewayKind, Namespace: key.Namespace, Name: key.Name}, Class: string(gateway.Spec.GatewayClassName)}
	for _, at := range gateway.Status.Addresses {
		edge.Addresses = appendSet(edge.Addresses, at.Value)
	}
	return []diagnosis.Edge{edge}, nil
}
