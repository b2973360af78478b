package operator

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	"github.com/everleaf/everleaf/internal/component"
	"github.com/everleaf/everleaf/internal/responder"
	"github.com/everleaf/everleaf/internal/solver/http01"
)

// addResponder adds the shared HTTP-01 responder, if this process has one, and what knows
// where the responders are. It answers whether or not this process leads.
func (s *system) addResponder(challenges cache.SharedIndexInformer) error {
	o, log := &s.options.HTTP01, s.manager.GetLogger().WithName("responder")
	switch {
	case len(o.Addresses) > 0:
		s.backends = o.Addresses
	case o.Service.Name != "":
		service, err := responder.NewService(s.core, o.Service, log)
		if err != nil {
			return fmt.Errorf("follow the Service %s of the HTTP-01 responder: %w", o.Service, err)
		}
		s.backends = service
		if err := s.manager.Add(component.Always(service.Start)); err != nil {
			return err
		}
	}
	s.tokens = responder.NewTable(s.clock)
	if !o.Responds() {
		return nil
	}
	tokens, err := challenges.AddEventHandler(s.tokens)
	if err != nil {
		return fmt.Errorf("follow the Challenges: %w", err)
	}
	var results []string
	for _, r := range responder.Results() {
		results = append(results, string(r))
	}
	count := s.metrics.HTTP01Responder(results)
	s.responding = &responding{
		address: o.ListenAddress, filled: tokens.HasSynced, clock: s.clock, log: log,
		handler: responder.NewHandler(s.tokens, func(r responder.Result) { count(string(r)) }),
	}
	if o.Service.Name != "" {
		s.responding.grace = o.Grace
	}
	return s.manager.Add(component.Always(s.responding.Start))
}

// Knows implements http01.Informed. The table is that of a responder which listens: in a
// process without one, nothing fills it.
func (r shared) Knows(challenge types.UID) bool { return r.table.Knows(challenge) }

var _ http01.Informed = shared{}

// responding is a responder that outlives its manager: requests arrive until proxies know
// of other replicas, while the manager waits for the steps that have begun.
type responding struct {
	address string
	handler http.Handler
	// filled says that the handler knows all Challenges.
	filled cache.InformerSynced
	// grace is how long after the end of its context it answers at least.
	grace time.Duration
	clock clock.Clock
	log   logr.Logger

	mu  sync.Mutex
	end func()
}

// Start answers from when all Challenges are known: until then the port is closed, so that
// the pod is not ready and nobody is sent here. It returns at the end of ctx, and goes on
// to answer until End.
func (r *responding) Start(ctx context.Context) error {
	if !cache.WaitForCacheSync(ctx.Done(), r.filled) {
		return nil
	}
	listener, err := net.Listen("tcp", r.address)
	if err != nil {
		return &component.FlagError{Flag: flagResponderListen, Message: err.Error()}
	}
	r.log.Info("Answering HTTP-01 requests", "address", listener.Addr().String())
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- responder.Serve(serving, listener, r.handler, r.clock) }()
	select {
	case err := <-ended:
		stop()
		return fmt.Errorf("answer HTTP-01 requests: %w", err)
	case <-ctx.Done():
	}
	grace := r.clock.After(r.grace)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.end = func() {
		defer stop()
		select {
		case <-ended:
		case <-grace:
			stop()
			<-ended
		}
	}
	return nil
}

// End waits for the time of grace and for the requests that have begun, and stops to
// answer.
func (r *responding) End() {
	if r == nil {
		return
	}
	r.mu.Lock()
	end := r.end
	r.mu.Unlock()
	if end != nil {
		end()
	}
}
