// Package providers lists the DNS providers of this build. Those with a vendor's SDK
// have a file each with a build tag: -tags everleaf_no_cloud leaves them out.
package providers

import (
	"cmp"
	"slices"

	"github.com/everleaf/everleaf/internal/solver/dns01"
	"github.com/everleaf/everleaf/internal/solver/dns01/rfc2136"
	"github.com/everleaf/everleaf/internal/solver/dns01/webhook"
)

// order is the order in which the providers of a solver are looked at, which is that of
// cert-manager: a stored solver can have several.
var order = []string{"webhook", "rfc2136", "akamai", "cloudDNS", "cloudflare", "digitalocean", "route53", "azureDNS", "acmeDNS"}

// all has the providers of the build. The files with build tags add theirs.
var all = []func() dns01.Factory{
	rfc2136.Factory,
	webhook.Factory,
}

// All returns the DNS providers of this build.
func All() dns01.Registry {
	registry := make(dns01.Registry, 0, len(all))
	for _, factory := range all {
		registry = append(registry, factory())
	}
	slices.SortFunc(registry, func(a, b dns01.Factory) int {
		return cmp.Compare(slices.Index(order, a.Name), slices.Index(order, b.Name))
	})
	return registry
}
