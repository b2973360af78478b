package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/test/child"
	"github.com/everleaf/everleaf/test/named"
	"github.com/everleaf/everleaf/test/pebble"
)

// zone is the zone of the certificates' names.
const zone = "bench.example"

// authoritative is the name server's address if the zone's NS records are
// followed: they lead to port 53.
const authoritative = "127.53.211.1:53"

func measureRecursive(ctx context.Context, s settings) ([]*result, error) {
	if !s.wants(nameRecursive) {
		return nil, nil
	}
	address, err := child.FreeAddress()
	if err != nil {
		return nil, err
	}
	return one(measureACME(ctx, s, nameRecursive, address, "--dns01-recursive-nameservers-only"))
}

func measureAuthoritative(ctx context.Context, s settings) ([]*result, error) {
	if !s.wants(nameAuthoritative) {
		return nil, nil
	}
	if os.Getuid() != 0 {
		return []*result{{name: nameAuthoritative, skipped: "needs root, for a name server on port 53"}}, nil
	}
	return one(measureACME(ctx, s, nameAuthoritative, authoritative))
}

func one(r *result, err error) ([]*result, error) {
	if errors.Is(err, named.ErrMissing) || errors.Is(err, pebble.ErrNoBinary) {
		return []*result{{name: r.name, skipped: err.Error()}}, nil
	}
	return []*result{r}, err
}

// measureACME measures an ACME issuer with DNS-01 challenges.
func measureACME(ctx context.Context, s settings, name, address string, flags ...string) (*result, error) {
	skipped := &result{name: name}
	key, err := named.NewKey(ctx, "bench", "hmac-sha256")
	if err != nil {
		return skipped, err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	server, err := named.Run(ctx, named.Options{
		Listen: []string{address}, Keys: []named.Key{key},
		Zones: []named.Zone{{
			Name: zone, Text: named.ZoneText(zone, 60, []string{"ns"}, "ns IN A "+host), AllowUpdate: `key "bench";`,
		}},
	})
	if err != nil {
		return skipped, err
	}
	defer server.Stop()
	return measureIssuer(ctx, s, scene{
		name: name, n: s.acme, names: 1, updates: address, resolver: address, caResolver: address, secret: key.Secret, flags: flags,
	})
}

// scene is an ACME issuer with what is around it.
type scene struct {
	name string
	// n is the number of certificates, names that of the names of each.
	n, names int
	// updates is the address of the name server that takes updates, resolver that of
	// the one which the controllers ask for zones, caResolver the CA's.
	updates, resolver, caResolver string
	// secret is the TSIG key.
	secret string
	flags  []string
}

// measureIssuer measures an ACME issuer. Without a CA it returns a result that has
// only a name.
func measureIssuer(ctx context.Context, s settings, o scene) (*result, error) {
	ca, err := pebble.Run(ctx, pebble.Options{
		Binary: filepath.Join(s.binDir, "pebble"), DNSServer: o.caResolver, Env: []string{"PEBBLE_VA_NOSLEEP=1"},
	})
	if err != nil {
		return &result{name: o.name}, err
	}
	defer ca.Stop()
	p, err := startPlane(ctx, s, o.name)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	p.names = o.names
	if err := p.clusterSecret(ctx, "tsig", map[string]string{"key": o.secret}); err != nil {
		return nil, err
	}
	if err := p.issuer(ctx, acmeIssuer(ca, o.updates)); err != nil {
		return nil, err
	}
	c, err := p.startControllers(ctx, append(o.flags, "--dns01-recursive-nameservers="+o.resolver)...)
	if err != nil {
		return nil, err
	}
	defer c.stop()
	r, err := p.measure(ctx, c, o.n)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.name, err)
	}
	return r, nil
}

func acmeIssuer(ca *pebble.Server, nameserver string) cmv1.IssuerConfig {
	return cmv1.IssuerConfig{ACME: &acmev1.ACMEIssuer{
		Server: ca.DirectoryURL, CABundle: ca.CABundle, PrivateKey: cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: "account"}},
		Solvers: []acmev1.ACMEChallengeSolver{{DNS01: &acmev1.ACMEChallengeSolverDNS01{RFC2136: &acmev1.ACMEIssuerDNS01ProviderRFC2136{
			Nameserver: nameserver, TSIGKeyName: "bench", TSIGAlgorithm: "HMACSHA256",
			TSIGSecret: cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: "tsig"}, Key: "key"},
		}}}},
	}}
}
