package nginxingress

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// snapshot is what the API server has, by the cache.
type snapshot struct {
	ingresses []networkingv1.Ingress
	gateways  []gatewayv1.Gateway
	routes    []gatewayv1.HTTPRoute
	// namespaces are the labels of each.
	namespaces map[string]map[string]string
	services   map[client.ObjectKey]corev1.Service
	// slices are the EndpointSlices of each Service.
	slices map[client.ObjectKey][]discoveryv1.EndpointSlice
	// pairs are the keys with certificates, as one PEM text, of Secrets.
	pairs map[client.ObjectKey][]byte
}

// read reads a snapshot.
func (c *Controller) read(ctx context.Context) (*snapshot, error) {
	s := &snapshot{
		namespaces: map[string]map[string]string{},
		services:   map[client.ObjectKey]corev1.Service{}, slices: map[client.ObjectKey][]discoveryv1.EndpointSlice{},
		pairs: map[client.ObjectKey][]byte{},
	}
	ingresses, services, endpoints, secrets := &networkingv1.IngressList{}, &corev1.ServiceList{}, &discoveryv1.EndpointSliceList{}, &corev1.SecretList{}
	lists := []client.ObjectList{ingresses, services, endpoints, secrets}
	gateways, routes, namespaces := &gatewayv1.GatewayList{}, &gatewayv1.HTTPRouteList{}, &corev1.NamespaceList{}
	if c.options.GatewayClass != "" {
		lists = append(lists, gateways, routes, namespaces)
	}
	for _, list := range lists {
		if err := c.cache.List(ctx, list); err != nil {
			return nil, err
		}
	}
	s.ingresses, s.gateways, s.routes = ingresses.Items, gateways.Items, routes.Items
	slices.SortFunc(s.ingresses, func(a, b networkingv1.Ingress) int { return older(&a, &b) })
	slices.SortFunc(s.routes, func(a, b gatewayv1.HTTPRoute) int { return older(&a, &b) })
	for _, namespace := range namespaces.Items {
		s.namespaces[namespace.Name] = namespace.Labels
	}
	for _, service := range services.Items {
		s.services[client.ObjectKeyFromObject(&service)] = service
	}
	for _, slice := range endpoints.Items {
		of := client.ObjectKey{Namespace: slice.Namespace, Name: slice.Labels[discoveryv1.LabelServiceName]}
		s.slices[of] = append(s.slices[of], slice)
	}
	for _, secret := range secrets.Items {
		cert, key := secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey]
		if _, err := tls.X509KeyPair(cert, key); err == nil {
			s.pairs[client.ObjectKeyFromObject(&secret)] = slices.Concat(cert, []byte("\n"), key)
		}
	}
	return s, nil
}

// older orders objects by their age, and then by their names.
func older(a, b client.Object) int {
	return cmp.Or(
		a.GetCreationTimestamp().Compare(b.GetCreationTimestamp().Time),
		cmp.Compare(a.GetNamespace()+"/"+a.GetName(), b.GetNamespace()+"/"+b.GetName()),
	)
}

// backends returns the ready endpoints of a port of a Service, sorted. The port is a number
// or a name.
func (s *snapshot) backends(key client.ObjectKey, number int32, name string) []string {
	service, ok := s.services[key]
	if !ok {
		return nil
	}
	i := slices.IndexFunc(service.Spec.Ports, func(p corev1.ServicePort) bool {
		return name != "" && p.Name == name || name == "" && p.Port == number
	})
	if i < 0 {
		return nil
	}
	wanted := service.Spec.Ports[i].Name
	var all []string
	for _, slice := range s.slices[key] {
		for _, port := range slice.Ports {
			if port.Port == nil || port.Name != nil && *port.Name != wanted || port.Name == nil && wanted != "" {
				continue
			}
			for _, endpoint := range slice.Endpoints {
				if endpoint.Conditions.Ready != nil && !*endpoint.Conditions.Ready {
					continue
				}
				for _, address := range endpoint.Addresses {
					all = append(all, net.JoinHostPort(address, strconv.Itoa(int(*port.Port))))
				}
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
