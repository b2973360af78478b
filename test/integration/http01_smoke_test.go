package integration

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/nameserver"
	"github.com/everleaf/everleaf/test/nginxingress"
)

func TestHTTP01Smoke(t *testing.T) {
	t.Parallel()
	cluster := harness.Shared(t)
	ns := cluster.Namespace(t)
	edge := harness.Edge(t)
	backend := harness.Backend(t)
	l, err := net.Listen("tcp", netip.AddrPortFrom(backend, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	responder := l.Addr().String()
	_ = l.Close()
	dns := harness.Nameserver(t, nameserver.Options{
		Listen: []string{"127.53.93.1:0"},
		Zones:  []nameserver.Zone{{Name: "http.test", Records: []string{"ns1 IN A 127.53.93.1", "first IN A " + edge.String(), "second IN A " + edge.String()}}},
	})
	nginxingress.Start(t, nginxingress.Options{Config: cluster.RESTConfig(), Class: ns, Namespaces: []string{ns}, Listen: []netip.Addr{edge}})
	ca := harness.HTTPCA(t, dns.Addr())
	a := cluster.ACME(t, harness.ACMEOptions{CA: ca, Namespace: ns, Options: func(o *operator.Options) {
		o.HTTP01.Nameservers = []netip.AddrPort{netip.MustParseAddrPort(dns.Addr())}
		o.HTTP01.Addresses = []netip.AddrPort{netip.MustParseAddrPort(responder)}
		o.HTTP01.ListenAddress = responder
	}})
	a.Apply(t, ns, harness.IssuerManifest("le", ca, "{http01: {ingress: {ingressClassName: "+ns+"}}}"))
	a.Apply(t, ns, harness.CertificateManifest("first", "le", "first.http.test"))
	begun := time.Now()
	a.Ready(t, ns, "first", time.Minute)
	t.Logf("the first: %s", time.Since(begun))
	begun = time.Now()
	a.Apply(t, ns, harness.CertificateManifest("second", "le", "second.http.test"))
	a.Ready(t, ns, "second", time.Minute)
	t.Logf("the second: %s", time.Since(begun))
}
