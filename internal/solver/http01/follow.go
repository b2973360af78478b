package http01

import (
	"context"
	"fmt"
	"slices"

	"github.com/go-logr/logr"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/everleaf/everleaf/internal/lifecycle/challenge"
)

// follower are the EndpointSlices of one Challenge.
type follower struct {
	slices []*discoveryv1.EndpointSlice
	make   func(*discoveryv1.EndpointSlice, Backends) *discoveryv1.EndpointSlice
	led    Backends
}

func (b Backends) equal(o Backends) bool {
	return b.Port == o.Port && slices.Equal(b.Addresses, o.Addresses)
}

// follow has the EndpointSlices of a Challenge follow the responder's pods until unfollow.
func (s *Solver) follow(of types.UID, f *follower) {
	s.mu.Lock()
	s.live[of] = f
	s.mu.Unlock()
	if now, _ := s.backends(); !now.equal(f.led) {
		s.wake()
	}
}

func (s *Solver) unfollow(of types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.live, of)
}

func (s *Solver) wake() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// Follow keeps the EndpointSlices of presented Challenges at the responder's pods until ctx
// ends: a pod that goes while a CA validates must not be asked. Only the process that
// presents challenges may run it.
func (s *Solver) Follow(ctx context.Context) error {
	log := logr.FromContextOrDiscard(ctx)
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
		for _, of := range s.behind(now) {
			if err := s.lead(ctx, of, now); err != nil && ctx.Err() == nil {
				log.Error(err, "An EndpointSlice of an HTTP-01 challenge does not lead to the responder's pods of now; the next self-check of the challenge repairs it", "challenge", of)
			}
		}
	}
}

// behind are the Challenges whose EndpointSlices lead elsewhere.
func (s *Solver) behind(now Backends) []types.UID {
	s.mu.Lock()
	defer s.mu.Unlock()
	var behind []types.UID
	for of, f := range s.live {
		if !f.led.equal(now) {
			behind = append(behind, of)
		}
	}
	return behind
}

// lead has the EndpointSlices of a Challenge lead to backends.
func (s *Solver) lead(ctx context.Context, of types.UID, to Backends) error {
	s.mu.Lock()
	f := s.live[of]
	s.mu.Unlock()
	if f == nil {
		return nil
	}
	for _, slice := range f.slices {
		have := &discoveryv1.EndpointSlice{}
		err := s.API.Get(ctx, client.ObjectKeyFromObject(slice), have)
		if err == nil && correctSlice(have, f.make(slice, to)) {
			err = s.API.Update(ctx, have, client.FieldOwner(challenge.Manager))
		}
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("EndpointSlice %s/%s: %w", slice.Namespace, slice.Name, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f.led = to
	return nil
}
