package http01

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/everleaf/everleaf/internal/lifecycle/challenge"
)

// followRetry is the wait after an EndpointSlice could not be changed.
const followRetry = 5 * time.Second

func (b Backends) equal(o Backends) bool {
	return b.Port == o.Port && slices.Equal(b.Addresses, o.Addresses)
}

func (s *Solver) wake() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// Follow keeps the EndpointSlices of challenges at the responder's pods until ctx ends: a
// pod that goes while a CA validates must not be asked. At its start it leads those of
// earlier processes, whose pods are gone. Only the process that presents challenges may run
// it.
func (s *Solver) Follow(ctx context.Context) error {
	log := logr.FromContextOrDiscard(ctx)
	s.wake()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.changed:
		}
		now, _ := s.backends()
		if len(now.Addresses) == 0 {
			// A slice without endpoints helps nobody, and the next change comes soon.
			continue
		}
		if err := s.leadAll(ctx, now); err != nil && ctx.Err() == nil {
			log.Error(err, "EndpointSlices of HTTP-01 challenges do not lead to the responder's pods of now", "nextTry", followRetry.String())
			time.AfterFunc(followRetry, s.wake)
		}
	}
}

// leadAll has all EndpointSlices of challenges lead to backends.
func (s *Solver) leadAll(ctx context.Context, to Backends) error {
	all := &discoveryv1.EndpointSliceList{}
	if err := s.API.List(ctx, all, client.InNamespace(s.Namespace), client.MatchingLabels{discoveryv1.LabelManagedBy: slicesManager}); err != nil {
		return fmt.Errorf("list EndpointSlices: %w", err)
	}
	var problems []error
	for i := range all.Items {
		slice := &all.Items[i]
		if !lead(slice, to) {
			continue
		}
		err := s.API.Update(ctx, slice, client.FieldOwner(challenge.Manager))
		if err != nil && !apierrors.IsNotFound(err) {
			problems = append(problems, fmt.Errorf("EndpointSlice %s/%s: %w", slice.Namespace, slice.Name, err))
		}
	}
	return errors.Join(problems...)
}

// lead has an EndpointSlice lead to those backends that are of its family, and reports
// whether that changes it. Ready pods only are listed.
func lead(slice *discoveryv1.EndpointSlice, to Backends) bool {
	ports := []discoveryv1.EndpointPort{{Name: ptr.To(portName), Port: ptr.To(to.Port), Protocol: ptr.To(corev1.ProtocolTCP)}}
	var endpoints []discoveryv1.Endpoint
	for _, a := range to.Addresses {
		if family(a) == slice.AddressType {
			endpoints = append(endpoints, discoveryv1.Endpoint{
				Addresses: []string{a.Unmap().String()}, Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true)},
			})
		}
	}
	if equality.Semantic.DeepEqual(slice.Endpoints, endpoints) && equality.Semantic.DeepEqual(slice.Ports, ports) {
		return false
	}
	slice.Endpoints, slice.Ports = endpoints, ports
	return true
}

func family(a netip.Addr) discoveryv1.AddressType {
	if a.Unmap().Is4() {
		return discoveryv1.AddressTypeIPv4
	}
	return discoveryv1.AddressTypeIPv6
}
