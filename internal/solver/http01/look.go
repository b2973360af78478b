package http01

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapi "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/everleaf/everleaf/internal/selfcheck"
)

// look finds what the cluster shows of why a challenge is not found. What cannot be read
// is left out: it is advice.
func (s *session) look(ctx context.Context) selfcheck.Circumstances {
	mode := s.decision.Mode
	if mode == "" {
		// Another Session has presented it.
		mode = byResponder
		if s.API.Get(ctx, s.key(), &corev1.Pod{}) == nil {
			mode = inPod
		}
	}
	seen := selfcheck.Circumstances{Mode: selfcheck.Shared, Responder: s.lookAtResponder(mode)}
	if mode == inPod {
		seen.Mode = selfcheck.PodMode
		seen.Pod = s.lookAtPod(ctx)
	}
	switch with := s.challenge.Solver.HTTP01; {
	case with.Ingress == nil:
		seen.Route, seen.Edges = s.lookAtRoute(ctx)
	case with.Ingress.Name != "":
		seen.Route, seen.Edges = s.lookAtIngress(ctx, selfcheck.EditedIngress, with.Ingress.Name)
	default:
		seen.Route, seen.Edges = s.lookAtIngress(ctx, selfcheck.SolverIngress, nameOf(s.challenge))
		named := with.Ingress.Class != nil || with.Ingress.IngressClassName != nil
		if !named {
			// The class that it has now is the default, which the API server has put in.
			seen.DefaultClass, seen.Route.Class = cmp.Or(seen.Route.Class, s.defaultClass(ctx)), ""
		}
		// A class that the solver names is usually right, and there can be many Ingresses.
		if !named || s.Clock.Now().Sub(s.checked) >= patience {
			seen.Neighbours = s.neighbours(ctx)
		}
		for _, one := range seen.Neighbours {
			if one.Class != "" && one.Class == cmp.Or(seen.Route.Class, seen.DefaultClass) {
				seen.Edges = appendNew(seen.Edges, one.Addresses...)
			}
		}
	}
	return seen
}

// appendNew adds the texts that are not empty and not in the list yet.
func appendNew(list []string, texts ...string) []string {
	for _, text := range texts {
		if text != "" && !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	return list
}

// key is the key of the Challenge's objects.
func (s *session) key() client.ObjectKey {
	return client.ObjectKey{Namespace: s.challenge.Namespace, Name: nameOf(s.challenge)}
}

func (s *session) lookAtResponder(by mode) selfcheck.Responder {
	at := fmt.Sprintf("the shared responder, port %d", Port)
	if by == inPod {
		at = fmt.Sprintf("pod %s/%s, port %d", s.challenge.Namespace, nameOf(s.challenge), Port)
	}
	out := selfcheck.Responder{At: at}
	if by == byResponder && s.Responder != nil {
		saw := s.Responder.Saw(s.challenge.UID)
		out.Asked, out.Host = saw.Answered || saw.Host != "", saw.Host
		informed, ok := s.Responder.(Informed)
		out.Answers = ok && informed.Knows(s.challenge.UID)
	}
	return out
}

// Informed is implemented by a Responder that knows what the one of this process answers.
type Informed interface {
	// Knows reports whether the responder of this process, if there is one, answers
	// requests for a Challenge.
	Knows(challenge types.UID) bool
}

// lookAtPod says why the solver's pod is not ready.
func (s *session) lookAtPod(ctx context.Context) selfcheck.Pod {
	pod := &corev1.Pod{}
	if err := s.API.Get(ctx, s.key(), pod); err != nil {
		return selfcheck.Pod{}
	}
	reason, message := obstacle(pod)
	if reason == "" {
		return selfcheck.Pod{}
	}
	return selfcheck.Pod{Namespace: pod.Namespace, Name: pod.Name, Reason: reason, Message: message}
}

// obstacle is why a pod does not run, empty if it does.
func obstacle(pod *corev1.Pod) (reason, message string) {
	for _, c := range pod.Status.ContainerStatuses {
		switch {
		case c.Ready:
		case c.State.Waiting != nil && c.State.Waiting.Reason == "CrashLoopBackOff" && c.LastTerminationState.Terminated != nil:
			// The back-off's message has times in it.
			return c.State.Waiting.Reason, c.LastTerminationState.Terminated.Reason
		case c.State.Waiting != nil:
			return c.State.Waiting.Reason, c.State.Waiting.Message
		case c.State.Terminated != nil:
			return c.State.Terminated.Reason, c.State.Terminated.Message
		}
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return c.Reason, c.Message
		}
	}
	return pod.Status.Reason, pod.Status.Message
}

// lookAtIngress returns an Ingress that leads to the responder, and where it is served.
func (s *session) lookAtIngress(ctx context.Context, kind selfcheck.RouteKind, name string) (selfcheck.Route, []string) {
	i := &networkingv1.Ingress{}
	if err := s.API.Get(ctx, client.ObjectKey{Namespace: s.challenge.Namespace, Name: name}, i); err != nil {
		return selfcheck.Route{}, nil
	}
	return selfcheck.Route{Kind: kind, Namespace: i.Namespace, Name: i.Name, Class: classOf(i), PathType: string(s.exact())}, addressesOf(i)
}

// addressesOf are the addresses and host names at which an Ingress is served.
func addressesOf(i *networkingv1.Ingress) []string {
	var found []string
	for _, at := range i.Status.LoadBalancer.Ingress {
		found = appendNew(found, at.IP, at.Hostname)
	}
	return found
}

// classOf is the class of an Ingress. The annotation wins, as it does for controllers.
func classOf(i *networkingv1.Ingress) string {
	if class, ok := i.Annotations[classAnnotation]; ok {
		return class
	}
	return ptr.Deref(i.Spec.IngressClassName, "")
}

func (s *session) defaultClass(ctx context.Context) string {
	list := &networkingv1.IngressClassList{}
	if err := s.API.List(ctx, list); err != nil {
		return ""
	}
	for i := range list.Items {
		if list.Items[i].Annotations[networkingv1.AnnotationIsDefaultIngressClass] == "true" {
			return list.Items[i].Name
		}
	}
	return ""
}

// neighbours are the other Ingresses of the namespace that have the challenge's host.
func (s *session) neighbours(ctx context.Context) []selfcheck.Neighbour {
	list := &networkingv1.IngressList{}
	if err := s.API.List(ctx, list, client.InNamespace(s.challenge.Namespace)); err != nil {
		return nil
	}
	var found []selfcheck.Neighbour
	for i := range list.Items {
		one := &list.Items[i]
		has := slices.ContainsFunc(one.Spec.Rules, func(r networkingv1.IngressRule) bool { return r.Host == s.challenge.DNSName })
		if has && one.Name != nameOf(s.challenge) {
			found = append(found, selfcheck.Neighbour{Namespace: one.Namespace, Name: one.Name, Class: classOf(one), Addresses: addressesOf(one)})
		}
	}
	return found
}

// lookAtRoute returns the HTTPRoute that leads to the responder, and the addresses of its
// Gateways.
func (s *session) lookAtRoute(ctx context.Context) (selfcheck.Route, []string) {
	route := &gwapi.HTTPRoute{}
	if err := s.API.Get(ctx, s.key(), route); err != nil {
		return selfcheck.Route{}, nil
	}
	refused := refusals(route)
	var at []string
	for _, ref := range route.Spec.ParentRefs {
		if ptr.Deref(ref.Kind, kindGateway) != kindGateway {
			continue
		}
		gateway := &gwapi.Gateway{}
		key := client.ObjectKey{Namespace: string(ptr.Deref(ref.Namespace, gwapi.Namespace(route.Namespace))), Name: string(ref.Name)}
		if err := s.API.Get(ctx, key, gateway); err != nil {
			if apierrors.IsNotFound(err) {
				refused = append(refused, selfcheck.Refusal{Parent: parent(ref, route), Reason: selfcheck.ReasonMissing})
			}
			continue
		}
		for _, address := range gateway.Status.Addresses {
			at = appendNew(at, address.Value)
		}
	}
	return selfcheck.Route{
		Kind: selfcheck.HTTPRoute, Namespace: route.Namespace, Name: route.Name, PathType: string(gwapi.PathMatchExact), Refusals: refused,
	}, at
}

// kindGateway is the kind of most parents of an HTTPRoute.
const kindGateway = "Gateway"

// parent names a parent of an HTTPRoute for a person.
func parent(ref gwapi.ParentReference, of *gwapi.HTTPRoute) string {
	return fmt.Sprintf("%s %s/%s", ptr.Deref(ref.Kind, kindGateway), ptr.Deref(ref.Namespace, gwapi.Namespace(of.Namespace)), ref.Name)
}

// refusals are the parents that do not take an HTTPRoute as it is.
func refusals(route *gwapi.HTTPRoute) []selfcheck.Refusal {
	var out []selfcheck.Refusal
	for _, status := range route.Status.Parents {
		for _, c := range status.Conditions {
			refuses := c.Type == string(gwapi.RouteConditionAccepted) || c.Type == string(gwapi.RouteConditionResolvedRefs)
			if refuses && c.Status == metav1.ConditionFalse {
				out = append(out, selfcheck.Refusal{Parent: parent(status.ParentRef, route), Condition: c.Type, Reason: c.Reason})
			}
		}
	}
	return out
}
