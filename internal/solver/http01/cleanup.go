package http01

import (
	"context"
	"errors"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapi "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/everleaf/everleaf/internal/fault"
)

// CleanUp implements solver.Session.
func (s *session) CleanUp(ctx context.Context) error {
	var errs []error
	if with := s.challenge.Solver.HTTP01; with != nil && with.Ingress != nil && with.Ingress.Name != "" {
		err := s.edit(ctx, func(i *networkingv1.Ingress) bool { return removePath(i, s.challenge) })
		if err != nil && !apierrors.IsNotFound(fault.Of(err).Err) {
			errs = append(errs, err)
		}
	}
	if !s.attempted || s.challenge.Resumed {
		if err := s.find(ctx); err != nil {
			errs = append(errs, err)
		}
	}
	// The route first: a data plane complains about one without a Service.
	for _, kind := range []string{kindIngress, kindHTTPRoute, kindService, kindSlice, kindPod} {
		if err := s.removeMade(ctx, kind); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		first := *fault.Of(errs[0])
		first.Err = errors.Join(errs...)
		return &first
	}
	return nil
}

// removeMade deletes what exists of a kind. It returns the first error.
func (s *session) removeMade(ctx context.Context, kind string) error {
	var first error
	for _, key := range slices.Sorted(maps.Keys(s.made)) {
		if o := s.made[key]; kindOf(o) == kind {
			if err := s.remove(ctx, kind, o); err != nil && first == nil {
				first = err
			}
		}
	}
	return first
}

func kindOf(o client.Object) string {
	switch o.(type) {
	case *corev1.Pod:
		return kindPod
	case *corev1.Service:
		return kindService
	case *discoveryv1.EndpointSlice:
		return kindSlice
	case *networkingv1.Ingress:
		return kindIngress
	default:
		return kindHTTPRoute
	}
}

// find remembers all objects of the Challenge that exist, whoever made them.
func (s *session) find(ctx context.Context) error {
	lists := []client.ObjectList{&corev1.PodList{}, &corev1.ServiceList{}, &discoveryv1.EndpointSliceList{}}
	switch with := s.challenge.Solver.HTTP01; {
	case with == nil:
	case with.Ingress != nil:
		lists = append(lists, &networkingv1.IngressList{})
	case s.GatewayAPI() == "":
		lists = append(lists, &gwapi.HTTPRouteList{})
	}
	for _, list := range lists {
		err := s.API.List(ctx, list, client.InNamespace(s.challenge.Namespace), client.MatchingLabels(identity(s.challenge)))
		if err != nil {
			return s.refused(err, "list", "objects of the challenge,", "*")
		}
		err = meta.EachListItem(list, func(o runtime.Object) error {
			if one, ok := o.(client.Object); ok && one.GetDeletionTimestamp() == nil && ours(one, service(s.challenge, byResponder, nil)) {
				s.keep(one)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// takeOver finds what an earlier process has made. Objects under other names, as
// cert-manager gives them, are removed: two Ingresses for one path may not be admitted.
func (s *session) takeOver(ctx context.Context) error {
	if err := s.find(ctx); err != nil {
		return err
	}
	for _, o := range s.made {
		switch kind := kindOf(o); {
		case kind == kindSlice:
		case o.GetName() != nameOf(s.challenge):
			if err := s.remove(ctx, kind, o); err != nil {
				return err
			}
		case kind == kindPod:
			s.hasPod = true
		}
	}
	return nil
}
