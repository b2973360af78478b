package operator

import (
	"context"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"
	"k8s.io/component-base/featuregate"

	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/component"
	"github.com/everleaf/everleaf/internal/controller/gateway"
	core "github.com/everleaf/everleaf/internal/lifecycle/shim"
)

// GatewayAPI says what is done with the Gateway API.
type GatewayAPI struct {
	// Enabled is whether it is used at all, for Gateways and for HTTP-01.
	Enabled bool
	// ListenerSets and HTTPRoutes are whether Certificates are made for them.
	ListenerSets, HTTPRoutes bool
	// Interval is how often the API server is asked whether it has the CRDs; 0 is the
	// default. For tests.
	Interval time.Duration
}

// The controllers that make Certificates for the Gateway API: two by cert-manager's
// names, and one that cert-manager does not have.
const (
	gatewayShim     = "gateway-shim"
	listenerSetShim = "listenerset"
	httpRouteShim   = "httproute-shim"
)

const (
	flagGatewayAPI   = "enable-gateway-api"
	flagListenerSets = "enable-gateway-api-listenerset"
	flagHTTPRoutes   = "enable-httproute-shim"
	flagProtocols    = "gateway-api-extra-protocols"

	gateGatewayAPI   featuregate.Feature = "ExperimentalGatewayAPISupport"
	gateListenerSets featuregate.Feature = "ListenerSets"
)

// addGatewayAPI adds the flags about the Gateway API.
func (o *Options) addGatewayAPI(fs *pflag.FlagSet) {
	g := &o.GatewayAPI
	fs.BoolVar(&g.Enabled, flagGatewayAPI, g.Enabled, "use the Gateway API: issue Certificates for Gateways, and solve HTTP-01 challenges with HTTPRoutes; its CRDs may be installed later")
	fs.BoolVar(&g.ListenerSets, flagListenerSets, g.ListenerSets, "issue Certificates for ListenerSets too; needs --"+flagGatewayAPI+" and the feature gate "+string(gateListenerSets))
	fs.BoolVar(&g.HTTPRoutes, flagHTTPRoutes, g.HTTPRoutes, "issue Certificates for the hostnames of HTTPRoutes that have an issuer's annotation; needs --"+flagGatewayAPI)
	fs.StringSliceVar(&o.Shims.ExtraProtocols, flagProtocols, o.Shims.ExtraProtocols, "protocols of listeners that need a Certificate, besides HTTPS and TLS")
}

// gate reports whether a feature gate is on. Options that are not from flags have none.
func (o *Options) gate(name featuregate.Feature) bool {
	return o.features == nil || o.features.Enabled(name)
}

// noGatewayAPI says why the Gateway API is not used; it is "" if it is.
func (o *Options) noGatewayAPI() string {
	switch {
	case !o.GatewayAPI.Enabled:
		return "--" + flagGatewayAPI + " is not set"
	case !o.gate(gateGatewayAPI):
		return "the feature gate " + string(gateGatewayAPI) + " is off"
	default:
		return ""
	}
}

// listenerSets is whether Certificates are made for ListenerSets.
func (o *Options) listenerSets() bool {
	return o.noGatewayAPI() == "" && o.GatewayAPI.ListenerSets && o.gate(gateListenerSets)
}

// httpRoutes is whether Certificates are made for HTTPRoutes.
func (o *Options) httpRoutes() bool { return o.noGatewayAPI() == "" && o.GatewayAPI.HTTPRoutes }

// ineffectiveGatewayAPI says which flags have no effect because of others.
func (o *Options) ineffectiveGatewayAPI() []string {
	var warnings []string
	warn := func(flag, why string) { warnings = append(warnings, "--"+flag+"=true has no effect: "+why) }
	off := o.noGatewayAPI()
	if off != "" && o.GatewayAPI.Enabled {
		warn(flagGatewayAPI, off)
	}
	switch {
	case !o.GatewayAPI.ListenerSets:
	case off != "":
		warn(flagListenerSets, off)
	case !o.gate(gateListenerSets):
		warn(flagListenerSets, "the feature gate "+string(gateListenerSets)+" is off")
	}
	if off != "" && o.GatewayAPI.HTTPRoutes {
		warn(flagHTTPRoutes, off)
	}
	return warnings
}

// newGatewayAPI makes what knows whether the API server has the Gateway API, and looks
// for the first time.
func (s *system) newGatewayAPI(ctx context.Context, rc *rest.Config, caches *component.Caches) error {
	kinds := []string{core.KindGateway, core.KindHTTPRoute}
	if s.options.listenerSets() {
		kinds = append(kinds, core.KindListenerSet)
	}
	var err error
	s.gatewayAPI, err = cluster.NewGatewayAPI(rc, s.manager.GetScheme(), cluster.GatewayAPIConfig{
		Disabled: s.options.noGatewayAPI(), Kinds: kinds, Namespace: s.options.Namespace, Interval: s.options.GatewayAPI.Interval,
		Compact: cluster.CompactGatewayAPI(s.options.Shims.Reads), Observe: caches.Observe, Log: s.manager.GetLogger().WithName("gateway-api"),
	})
	if err != nil {
		return err
	}
	s.gatewayAPI.Look(ctx)
	return s.manager.Add(component.Always(s.gatewayAPI.Start))
}

func (s *system) newGateways() (registrable, error) {
	return gateway.NewGateways(s.shimDeps(), s.gatewayAPI, s.options.Shims, s.metrics.Failed(gatewayShim))
}

func (s *system) newListenerSets() (registrable, error) {
	return gateway.NewListenerSets(s.shimDeps(), s.gatewayAPI, s.options.Shims, s.metrics.Failed(listenerSetShim))
}

func (s *system) newHTTPRoutes() (registrable, error) {
	return gateway.NewHTTPRoutes(s.shimDeps(), s.gatewayAPI, s.options.Shims, s.metrics.Failed(httpRouteShim))
}
