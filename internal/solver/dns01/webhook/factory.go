package webhook

import (
	"context"
	"fmt"

	"github.com/everleaf/everleaf/internal/solver/dns01"
	"github.com/everleaf/everleaf/internal/validation"
)

// Factory makes Providers from the webhook field of the API.
func Factory() dns01.Factory {
	return dns01.Factory{
		Name:     "webhook",
		Selected: func(s *dns01.Spec) bool { return s.Webhook != nil },
		Server: func(s *dns01.Spec) string {
			return fmt.Sprintf("the solver webhook %s.%s", s.Webhook.SolverName, s.Webhook.GroupName)
		},
		Check: validation.Webhook,
		TTL:   ttl,
		New:   fromSpec,
	}
}

func fromSpec(_ context.Context, d dns01.Deps, s *dns01.Spec) (dns01.Provider, error) {
	return New(Config{
		GroupName: s.Webhook.GroupName, SolverName: s.Webhook.SolverName, Settings: s.Webhook.Config,
		Namespace: d.Namespace, Ambient: d.Ambient, Walk: d.Zone, Cluster: d.Cluster, Clock: d.Clock,
	})
}
