// Command coredns is CoreDNS with the plugins that the DNS of a cluster needs, and
// without those that bring in the SDKs of clouds.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/template"
)

func main() {
	// Queries pass through the plugins in this order, which is CoreDNS's own.
	dnsserver.Directives = []string{"ready", "health", "errors", "cache", "template", "kubernetes", "forward"}
	coremain.Run()
}
