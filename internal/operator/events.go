package operator

import (
	"context"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/source"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/lifecycle/challenge"
	"github.com/everleaf/everleaf/internal/lifecycle/order"
)

// The functions here say whom an event concerns. They read caches only; one
// that fails is an informer that is not there, and then there is nobody.

// keysOf lists the keys of objects that a selection takes.
func keysOf[T client.Object](items []T, take func(T) bool) []types.NamespacedName {
	var keys []types.NamespacedName
	for _, item := range items {
		if take(item) {
			keys = append(keys, client.ObjectKeyFromObject(item))
		}
	}
	return keys
}

func pointers[T any](items []T) []*T {
	out := make([]*T, len(items))
	for i := range items {
		out[i] = &items[i]
	}
	return out
}

// issuerEvents are the events of issuers of both kinds.
func (s *system) issuerEvents(keys func(context.Context, cmv1.GenericIssuer) []types.NamespacedName) []source.Source {
	of := func(ctx context.Context, o client.Object) []types.NamespacedName {
		if issuer, ok := o.(cmv1.GenericIssuer); ok {
			return keys(ctx, issuer)
		}
		return nil
	}
	sources := []source.Source{s.related(&cmv1.Issuer{}, of)}
	if s.options.Namespace == "" {
		sources = append(sources, s.related(&cmv1.ClusterIssuer{}, of))
	}
	return sources
}

func (s *system) ordersOf(ctx context.Context, issuer cmv1.GenericIssuer) []types.NamespacedName {
	list := &acmev1.OrderList{}
	if err := s.manager.GetCache().List(ctx, list, client.MatchingFields{cluster.IndexIssuer: cluster.KeyOfIssuer(issuer)}); err != nil {
		return nil
	}
	return keysOf(pointers(list.Items), func(o *acmev1.Order) bool { return !order.Done(o) })
}

func (s *system) challengesOf(ctx context.Context, issuer cmv1.GenericIssuer) []types.NamespacedName {
	list := &acmev1.ChallengeList{}
	if err := s.manager.GetCache().List(ctx, list, client.MatchingFields{cluster.IndexIssuer: cluster.KeyOfIssuer(issuer)}); err != nil {
		return nil
	}
	return keysOf(pointers(list.Items), challenge.HasFinalizer)
}

func (s *system) challengesOfOrder(ctx context.Context, o client.Object) []types.NamespacedName {
	list := &acmev1.ChallengeList{}
	if err := s.manager.GetCache().List(ctx, list, client.InNamespace(o.GetNamespace()), cluster.ControlledBy(o)); err != nil {
		return nil
	}
	return keysOf(pointers(list.Items), func(*acmev1.Challenge) bool { return true })
}

// challengesOfSecret are the Challenges whose issuers use a Secret; what failed
// for it may be tried again.
func (s *system) challengesOfSecret(ctx context.Context, o client.Object) []types.NamespacedName {
	var keys []types.NamespacedName
	for _, kind := range []string{cmv1.IssuerKind, cmv1.ClusterIssuerKind} {
		for _, issuer := range s.issuers.Using(ctx, kind, o) {
			keys = append(keys, s.challengesOf(ctx, issuer)...)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	return s.solver.Retry(keys)
}
