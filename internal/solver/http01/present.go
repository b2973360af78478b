package http01

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/everleaf/everleaf/internal/fault"
	core "github.com/everleaf/everleaf/internal/lifecycle/challenge"
	"github.com/everleaf/everleaf/internal/plan"
)

// Kinds of the objects of a challenge, as messages name them.
const (
	kindPod       = "Pod"
	kindService   = "Service"
	kindSlice     = "EndpointSlice"
	kindIngress   = "Ingress"
	kindHTTPRoute = "HTTPRoute"
)

// answer makes what answers the CA: a Service, and a pod or EndpointSlices behind it.
func (s *session) answer(ctx context.Context) error {
	if s.decision.Mode == byResponder {
		err := s.answerShared(ctx)
		refusal, ok := plan.RefusalOf(err, false)
		forbids := refusal.Kind == plan.RefusedPermission || refusal.Kind == plan.RefusedPolicy
		if !ok || !forbids || s.Mode != Auto {
			return err
		}
		// Nobody but the administrator can change that: a pod does the same.
		s.forbidden = true
		d, err := s.decide()
		if err != nil {
			return err
		}
		s.decision = d
	}
	pod, err := s.Pods.pod(s.challenge, s.ExtraLabels)
	if err != nil {
		return err
	}
	// Those of the shared responder would lead some of the requests away from the pod.
	if err := s.removeMade(ctx, kindSlice); err != nil {
		return err
	}
	if _, err := ensure(ctx, s, kindService, service(s.challenge, inPod, s.ExtraLabels), correctService); err != nil {
		return err
	}
	return s.ensurePod(ctx, pod)
}

func (s *session) answerShared(ctx context.Context) error {
	ready, _ := s.backends()
	if len(ready.Addresses) == 0 {
		return fault.New(fault.Transient, "NoResponder", "nobody can answer the challenge of %q: no pod of the shared responder is ready", s.challenge.DNSName)
	}
	made, err := ensure(ctx, s, kindService, service(s.challenge, byResponder, s.ExtraLabels), correctService)
	if err != nil {
		return err
	}
	served := 0
	for _, family := range ipFamilies(made) {
		want := endpointSlice(s.challenge, family, ready, s.ExtraLabels)
		served += len(want.Endpoints)
		if _, err := ensure(ctx, s, kindSlice, want, correctSlice); err != nil {
			return err
		}
	}
	if served == 0 {
		return fault.New(fault.User, "NoResponder", "the shared responder has no address of the families of the Service %s/%s (%v)", made.Namespace, made.Name, ipFamilies(made))
	}
	if now, _ := s.backends(); !now.equal(ready) {
		// Follow may have come too early for what is there now.
		s.wake()
	}
	return nil
}

// ensurePod makes the pod of a challenge anew if it has ended.
func (s *session) ensurePod(ctx context.Context, want *corev1.Pod) error {
	have, err := ensure(ctx, s, kindPod, want, func(have, want *corev1.Pod) bool {
		before := len(have.OwnerReferences)
		own(have, want)
		return len(have.OwnerReferences) != before
	})
	if err != nil {
		return err
	}
	if have.Status.Phase != corev1.PodFailed && have.Status.Phase != corev1.PodSucceeded {
		return nil
	}
	// Evicted, for example: such a pod never runs again.
	if err := s.remove(ctx, kindPod, have); err != nil {
		return err
	}
	_, err = ensure(ctx, s, kindPod, want, func(_, _ *corev1.Pod) bool { return false })
	return err
}

func (s *session) ensureIngress(ctx context.Context) error {
	want, err := ingress(s.challenge, s.exact(), s.ExtraLabels)
	if err != nil {
		return err
	}
	_, err = ensure(ctx, s, kindIngress, want, correctIngress)
	if s.loosen(err) {
		return s.ensureIngress(ctx)
	}
	return err
}

// loosen gives up the path type Exact if an admission controller refuses it, and reports
// whether it has done so.
func (s *session) loosen(err error) bool {
	refused := err != nil && refusesExact(fault.Of(err).Err)
	if !refused || s.exact() != networkingv1.PathTypeExact {
		return false
	}
	s.pathType = networkingv1.PathTypeImplementationSpecific
	return true
}

func (s *session) ensureRoute(ctx context.Context) error {
	_, err := ensure(ctx, s, kindHTTPRoute, httpRoute(s.challenge, s.ExtraLabels), correctRoute)
	return err
}

// editIngress adds the challenge's path to the Ingress that the solver names.
func (s *session) editIngress(ctx context.Context) error {
	err := s.edit(ctx, func(i *networkingv1.Ingress) bool { return addPath(i, s.challenge, s.exact()) })
	if s.loosen(err) {
		return s.editIngress(ctx)
	}
	if err != nil && apierrors.IsNotFound(fault.Of(err).Err) {
		return fault.New(fault.User, reasonSolverObject, "the Ingress %s/%s, to which the path of the challenge is to be added, does not exist (acme.cert-manager.io/http01-edit-in-place, or http01.ingress.name of the solver)",
			s.challenge.Namespace, s.challenge.Solver.HTTP01.Ingress.Name).Because(err)
	}
	return err
}

// edit changes the Ingress that the solver names. Others may write it at the same time.
func (s *session) edit(ctx context.Context, change func(*networkingv1.Ingress) bool) error {
	name := s.challenge.Solver.HTTP01.Ingress.Name
	for range updateTries {
		i := &networkingv1.Ingress{}
		if err := s.API.Get(ctx, client.ObjectKey{Namespace: s.challenge.Namespace, Name: name}, i); err != nil {
			return s.refused(err, "read", kindIngress, name)
		}
		if !change(i) {
			return nil
		}
		err := s.API.Update(ctx, i, client.FieldOwner(core.Manager))
		if err == nil || !apierrors.IsConflict(err) {
			if err != nil {
				return s.refused(err, "update", kindIngress, name)
			}
			return nil
		}
	}
	return fault.New(fault.Transient, reasonSolverObject, "the Ingress %s/%s was changed by somebody else each time that it was to be updated", s.challenge.Namespace, name)
}

// keep remembers an object that exists, drop that it does not.
func (s *session) keep(o client.Object) {
	if s.made == nil {
		s.made = map[string]client.Object{}
	}
	s.made[nameIn(o)] = o
}

func (s *session) drop(o client.Object) { delete(s.made, nameIn(o)) }

// exists reports whether this process has made an object.
func (s *session) exists(o client.Object) bool { return s.made[nameIn(o)] != nil }

func nameIn(o client.Object) string { return fmt.Sprintf("%T %s", o, o.GetName()) }
