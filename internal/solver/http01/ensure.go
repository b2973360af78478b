package http01

import (
	"context"
	"fmt"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/everleaf/everleaf/internal/fault"
	core "github.com/everleaf/everleaf/internal/lifecycle/challenge"
	"github.com/everleaf/everleaf/internal/plan"
)

// updateTries is how often a write is tried that another one came before.
const updateTries = 5

// object is a kind of object that a session makes.
type object[T any] interface {
	*T
	client.Object
}

// ensure makes an object, or has correct bring the one that is there to what it must be.
// It returns the object as the API server has it.
func ensure[T any, P object[T]](ctx context.Context, s *session, kind string, want P, correct func(have, want P) bool) (P, error) {
	create := !s.exists(want)
	for range updateTries {
		if create {
			made := P(any(want.DeepCopyObject()).(*T))
			err := s.API.Create(ctx, made, client.FieldOwner(core.Manager))
			if err == nil {
				s.keep(made)
				return made, nil
			}
			if !apierrors.IsAlreadyExists(err) {
				return nil, s.refused(err, "create", kind, want.GetName())
			}
		}
		have := P(new(T))
		err := s.API.Get(ctx, client.ObjectKeyFromObject(want), have)
		switch {
		case apierrors.IsNotFound(err):
			s.drop(want)
			create = true
			continue
		case err != nil:
			return nil, s.refused(err, "read", kind, want.GetName())
		case have.GetDeletionTimestamp() != nil:
			return nil, fault.New(fault.Transient, reasonSolverObject, "the %s %s/%s is being deleted by somebody; it is made again when it is gone", kind, want.GetNamespace(), want.GetName())
		case !ours(have, want):
			return nil, fault.New(fault.User, reasonSolverObject, "the %s %s/%s is in the way: it is not one of this Challenge; delete it", kind, want.GetNamespace(), want.GetName())
		}
		create = false
		s.keep(have)
		if !correct(have, want) {
			return have, nil
		}
		if err = s.API.Update(ctx, have, client.FieldOwner(core.Manager)); err == nil {
			return have, nil
		}
		if !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			return nil, s.refused(err, "update", kind, want.GetName())
		}
	}
	return nil, fault.New(fault.Transient, reasonSolverObject, "the %s %s/%s was changed by somebody else each time that it was to be updated", kind, want.GetNamespace(), want.GetName())
}

// reasonSolverObject is the reason of faults about the objects of a challenge.
const reasonSolverObject = "SolverObject"

// refused classifies an error of the API server.
func (s *session) refused(err error, verb, kind, name string) error {
	what := fmt.Sprintf("could not %s the %s %s/%s", verb, kind, s.challenge.Namespace, name)
	if refusal, ok := plan.RefusalOf(err, false); ok {
		return fault.New(fault.User, reasonSolverObject, "%s: %s; %s", what, refusal.Cause, s.advice(refusal, kind)).Because(err)
	}
	return fault.New(fault.Transient, reasonSolverObject, "%s: %s", what, err).Because(err)
}

// advice is what ends a refusal.
func (s *session) advice(r plan.Refusal, kind string) string {
	switch {
	case r.Kind == plan.RefusedQuota && strings.Contains(r.Cause, string(corev1.ResourceServicesNodePorts)):
		return "set serviceType: ClusterIP in the solver's http01." + s.branch() + ", or raise the quota"
	case kind == kindPod && podTemplateOf(s.challenge) != nil && podTemplateOf(s.challenge).Spec.SecurityContext != nil:
		return r.Advice() + "; podTemplate.spec.securityContext replaces the default security context, with its seccomp profile"
	default:
		return r.Advice()
	}
}

// branch is the solver's field below http01.
func (s *session) branch() string {
	if s.challenge.Solver.HTTP01.GatewayHTTPRoute != nil {
		return "gatewayHTTPRoute"
	}
	return "ingress"
}

// ours reports whether an object is one of the Challenge: it controls the object, or
// nobody does and the object has the Challenge's labels. Some controllers of Ingresses
// remove owner references.
func ours(have, want client.Object) bool {
	owner := metav1.GetControllerOfNoCopy(have)
	if owner != nil {
		return owner.UID == metav1.GetControllerOfNoCopy(want).UID
	}
	for _, key := range identityKeys {
		if have.GetLabels()[key] != want.GetLabels()[key] {
			return false
		}
	}
	return true
}

// own puts the owner of want into have if nobody controls it, and adds labels that lack.
func own(have, want client.Object) {
	if metav1.GetControllerOfNoCopy(have) == nil {
		have.SetOwnerReferences(append(have.GetOwnerReferences(), *metav1.GetControllerOf(want)))
	}
	all := have.GetLabels()
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, want.GetLabels())
	if len(all) > 0 {
		have.SetLabels(all)
	}
}

// remove deletes an object exactly as it was seen. One that is gone is deleted.
func (s *session) remove(ctx context.Context, kind string, o client.Object) error {
	err := s.API.Delete(ctx, o, client.Preconditions{UID: ptr.To(o.GetUID())}, client.PropagationPolicy(metav1.DeletePropagationBackground))
	if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		// A conflict says that another object has the name now.
		s.drop(o)
		return nil
	}
	return s.refused(err, "delete", kind, o.GetName())
}
