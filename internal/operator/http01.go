package operator

import (
	"context"
	"net"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/client-go/tools/cache"

	"github.com/everleaf/everleaf/internal/component"
	"github.com/everleaf/everleaf/internal/responder"
	"github.com/everleaf/everleaf/internal/solver/http01"
)

// HTTP01Options STUB
type HTTP01Options struct {
	Mode          string
	Addresses     []netip.AddrPort
	Nameservers   []string
	ExtraLabels   map[string]string
	Listen        string
	Port, TLSPort int
}

func (HTTP01Options) pods() http01.Pods {
	q := resource.MustParse
	return http01.Pods{Image: "stub", RunAsNonRoot: true,
		Requests: corev1.ResourceList{"cpu": q("10m"), "memory": q("64Mi")}, Limits: corev1.ResourceList{"cpu": q("100m"), "memory": q("64Mi")}}
}

func (s *system) addResponder(challenges interface {
	AddEventHandler(cache.ResourceEventHandler) (cache.ResourceEventHandlerRegistration, error)
}) error {
	s.tokens = responder.NewTable(s.clock)
	if _, err := challenges.AddEventHandler(s.tokens); err != nil {
		return err
	}
	if len(s.options.HTTP01.Addresses) > 0 {
		s.backends = responder.Fixed(s.options.HTTP01.Addresses)
	}
	if s.options.HTTP01.Listen == "" {
		return nil
	}
	return s.manager.Add(component.Always(func(ctx context.Context) error {
		l, err := net.Listen("tcp", s.options.HTTP01.Listen)
		if err != nil {
			return err
		}
		return responder.Serve(ctx, l, responder.NewHandler(s.tokens, func(responder.Result) {}), s.clock)
	}))
}
