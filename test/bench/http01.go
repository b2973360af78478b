package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/test/address"
	"github.com/everleaf/everleaf/test/haproxyingress"
	"github.com/everleaf/everleaf/test/nameserver"
	"github.com/everleaf/everleaf/test/nginxingress"
	"github.com/everleaf/everleaf/test/pebble"
)

// ingressClass is the class of the solver's Ingresses.
const ingressClass = "bench"

// measureHTTP01 measures HTTP-01 through ingress controllers: nginx, which loads a
// configuration at once, and haproxy-ingress, which does so at most twice a second.
func measureHTTP01(ctx context.Context, s settings) ([]*result, error) {
	var results []*result
	for _, one := range []struct {
		name  string
		start func(context.Context, *plane, netip.Addr) (stop func(), err error)
	}{{nameHTTP01, startNginx}, {nameHTTP01HAProxy, startHAProxy}} {
		if !s.wants(one.name) {
			continue
		}
		if os.Getuid() != 0 {
			results = append(results, &result{name: one.name, skipped: "needs root, for an ingress controller on port 80"})
			continue
		}
		r, err := measureThrough(ctx, s, one.name, one.start)
		if errors.Is(err, pebble.ErrNoBinary) || errors.Is(err, nginxingress.ErrMissing) || errors.Is(err, haproxyingress.ErrMissing) {
			r, err = &result{name: one.name, skipped: err.Error()}, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", one.name, err)
		}
		results = append(results, r)
	}
	return results, nil
}

func startNginx(ctx context.Context, p *plane, edge netip.Addr) (func(), error) {
	c, err := nginxingress.Run(ctx, nginxingress.Options{Config: p.RESTConfig(), Class: ingressClass, Namespaces: []string{namespace}, Listen: []netip.Addr{edge}})
	if err != nil {
		return nil, err
	}
	return c.Stop, nil
}

func startHAProxy(ctx context.Context, p *plane, edge netip.Addr) (func(), error) {
	c, err := haproxyingress.Run(ctx, haproxyingress.Options{Kubeconfig: p.KubeconfigPath(), Class: ingressClass, Namespace: namespace, Listen: []netip.Addr{edge}})
	if err != nil {
		return nil, err
	}
	return c.Stop, nil
}

// measureThrough measures HTTP-01 through an ingress controller.
func measureThrough(ctx context.Context, s settings, name string, start func(context.Context, *plane, netip.Addr) (func(), error)) (*result, error) {
	edge, err := address.Edge(ctx, 80, 443)
	if err != nil {
		return nil, err
	}
	backend, err := address.Backend()
	if err != nil {
		return nil, err
	}
	responder, err := address.FreePort(ctx, backend)
	if err != nil {
		return nil, err
	}
	dns, err := nameserver.New(nameserver.Options{
		Listen: []string{"127.0.0.1:0"}, Zones: []nameserver.Zone{{Name: zone}}, Addresses: []netip.Addr{edge},
	})
	if err != nil {
		return nil, err
	}
	if err := dns.Start(ctx); err != nil {
		return nil, err
	}
	defer dns.Stop()
	ca, err := pebble.Run(ctx, pebble.Options{
		Binary: filepath.Join(s.binDir, "pebble"), DNSServer: dns.Addr(), HTTPPort: 80, TLSPort: 443, Env: []string{"PEBBLE_VA_NOSLEEP=1"},
	})
	if err != nil {
		return nil, err
	}
	defer ca.Stop()
	p, err := startPlane(ctx, s, name)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	stop, err := start(ctx, p, edge)
	if err != nil {
		return nil, err
	}
	defer stop()
	if err := p.issuer(ctx, http01Issuer(ca)); err != nil {
		return nil, err
	}
	c, err := p.startControllers(ctx, "--acme-http01-solver-nameservers="+dns.Addr(),
		"--acme-http01-responder-addresses="+responder.String(), "--acme-http01-responder-listen-address="+responder.String())
	if err != nil {
		return nil, err
	}
	defer c.stop()
	r, err := p.measure(ctx, c, s.http01)
	if err != nil {
		return nil, err
	}
	r.pods = r.writes["create pods"]
	for _, resource := range []string{"services", "endpointslices", "ingresses", "httproutes", "pods"} {
		r.objects += r.writes["create "+resource]
	}
	return r, nil
}

func http01Issuer(ca *pebble.Server) cmv1.IssuerConfig {
	class := ingressClass
	return cmv1.IssuerConfig{ACME: &acmev1.ACMEIssuer{
		Server: ca.DirectoryURL, CABundle: ca.CABundle, PrivateKey: cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: "account"}},
		Solvers: []acmev1.ACMEChallengeSolver{{HTTP01: &acmev1.ACMEChallengeSolverHTTP01{
			Ingress: &acmev1.ACMEChallengeSolverHTTP01Ingress{IngressClassName: &class},
		}}},
	}}
}
