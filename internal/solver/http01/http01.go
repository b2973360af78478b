// Package http01 solves http-01 challenges (RFC 8555 section 8.3) with objects of the
// Kubernetes API: a Service, what stands behind it, and a route to it by an Ingress or by
// an HTTPRoute of the Gateway API.
//
// Behind the Service is the shared responder, which the controllers run: it needs an
// EndpointSlice and no pod. Where that cannot work, and where a podTemplate asks for it, a
// pod for the Challenge takes its place (mode.go).
package http01

import (
	"context"
	"errors"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/everleaf/everleaf/internal/selfcheck"
	"github.com/everleaf/everleaf/internal/solver"
)

// API is the API server, not a cache of it: the objects of a challenge live for seconds.
type API interface {
	client.Reader
	Create(context.Context, client.Object, ...client.CreateOption) error
	Update(context.Context, client.Object, ...client.UpdateOption) error
	Delete(context.Context, client.Object, ...client.DeleteOption) error
}

// Checker looks for a challenge where the CA will. *selfcheck.Checker is one.
type Checker interface {
	Check(context.Context, selfcheck.Target) selfcheck.Report
}

// Responder is the shared responder.
type Responder interface {
	// Backends are the responder's pods that are ready; configured reports whether it is
	// known where to look for them.
	Backends() (ready Backends, configured bool)
	// Obstacle says why Backends may know less than there is, empty if it knows all.
	Obstacle() string
	// Subscribe has a function called when Backends has changed.
	Subscribe(func())
	// Saw says what the responder of this process has seen of requests for a Challenge.
	Saw(challenge types.UID) Sighting
}

// Sighting is what a responder has seen of requests for one Challenge.
type Sighting struct {
	// Answered reports whether a request was answered with the key authorization.
	Answered bool
	// Host is the wrong Host of the last request that had one, empty if none had.
	Host string
}

// Config configures a Solver. All fields without a default are required.
type Config struct {
	API API
	// Namespace is the only one with Challenges (--namespace); empty means all.
	Namespace string
	Checker   Checker
	Clock     clock.PassiveClock
	// Responder is nil if this process has none.
	Responder Responder
	// GatewayAPI says why HTTPRoutes cannot be used now, empty if they can; nil is "not
	// enabled".
	GatewayAPI func() string
	// Mode is --acme-http01-solver-mode; empty is Auto.
	Mode Mode
	Pods Pods
	// ExtraLabels are those of --acme-http01-solver-extra-labels.
	ExtraLabels map[string]string
	// PathType is that of the paths of Ingresses: Exact, or ImplementationSpecific with the
	// feature gate ACMEHTTP01IngressPathTypeExact off. Empty is Exact.
	PathType networkingv1.PathType
}

// Solver solves http-01 challenges.
type Solver struct {
	Config

	// changed wakes Follow.
	changed chan struct{}
}

var (
	_ solver.Solver  = (*Solver)(nil)
	_ solver.Unaided = (*Solver)(nil)
)

// New returns a Solver, or an error if something that it needs is missing.
func New(c Config) (*Solver, error) {
	if c.API == nil || c.Checker == nil || c.Clock == nil {
		return nil, errors.New("http01: API, checker and clock are required")
	}
	if c.Mode == "" {
		c.Mode = Auto
	}
	if c.PathType == "" {
		c.PathType = networkingv1.PathTypeExact
	}
	if c.GatewayAPI == nil {
		c.GatewayAPI = func() string { return "gateway api is not enabled" }
	}
	s := &Solver{Config: c, changed: make(chan struct{}, 1)}
	if c.Responder != nil {
		c.Responder.Subscribe(s.wake)
	}
	return s, nil
}

// Begin implements solver.Solver.
func (s *Solver) Begin(c solver.Challenge) solver.Session { return &session{Solver: s, challenge: c} }

// Unaided implements solver.Unaided: what there is to remove is in the Challenge's own
// namespace.
func (*Solver) Unaided() {}

// backends are the responder's pods that are ready, and whether it is known where they are.
func (s *Solver) backends() (Backends, bool) {
	if s.Responder == nil {
		return Backends{}, false
	}
	return s.Responder.Backends()
}

// patience is how long a Challenge waits for a pod of the responder to be ready before it
// gets a pod of its own: a controller that has just started is not ready at once.
const patience = 30 * time.Second
