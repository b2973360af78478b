package component

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
)

// Adder takes what runs in a program: a manager, or what a program has in its place.
type Adder interface {
	Add(manager.Runnable) error
}

// Always is a runnable that does not wait for leadership.
type Always func(context.Context) error

// Start implements manager.Runnable.
func (a Always) Start(ctx context.Context) error { return a(ctx) }

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (Always) NeedLeaderElection() bool { return false }

// Expose has the metrics of a registry served by another one; nil is that of
// controller-runtime. remove takes all of them back at once.
func Expose(registry *prometheus.Registry, served prometheus.Registerer) (remove func(), err error) {
	if served == nil {
		served = ctrlmetrics.Registry
	}
	if err := served.Register(registry); err != nil {
		return nil, fmt.Errorf("register the metrics: %w", err)
	}
	return func() { served.Unregister(registry) }, nil
}
