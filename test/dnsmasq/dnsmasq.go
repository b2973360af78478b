// Package dnsmasq runs dnsmasq for tests: the forwarder of a home or an office, which
// answers for a local domain by itself.
package dnsmasq

import (
	"net"
	"strings"
	"testing"

	"github.com/everleaf/everleaf/test/dnsdaemon"
)

// Options configure a forwarder.
type Options struct {
	// Listen is ip:port.
	Listen string
	// Upstream is where other names are asked for, ip:port.
	Upstream string
	// Config are lines of the configuration file.
	Config []string
}

// Start runs a forwarder until the test ends. It skips the test if dnsmasq is not
// installed or the test cannot listen on the address.
func Start(tb testing.TB, o Options) *dnsdaemon.Server {
	tb.Helper()
	return dnsdaemon.Start(tb, dnsdaemon.Program{
		Name: "dnsmasq", Package: "dnsmasq-base", Listen: o.Listen, Config: o.text,
		Args: func(file string) []string {
			return []string{"--keep-in-foreground", "--log-facility=-", "--user=", "--conf-file=" + file}
		},
	})
}

// text returns the configuration file.
func (o Options) text(string) (string, error) {
	host, port, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return "", err
	}
	lines := append([]string{
		"no-resolv", "no-hosts", "no-poll", "bind-interfaces", "pid-file=", "listen-address=" + host, "port=" + port,
		"server=" + strings.Replace(o.Upstream, ":", "#", 1),
	}, o.Config...)
	return strings.Join(lines, "\n") + "\n", nil
}
