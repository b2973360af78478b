package integration

import (
	"fmt"
	"strings"
	"testing"

	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/named"
	"github.com/everleaf/everleaf/test/unbound"
)

// updatable is a zone that key may change on one name server, and that
// server's address.
func updatable(t *testing.T, name, server string, key named.Key, records ...string) {
	t.Helper()
	named.Start(t, named.Options{Listen: []string{server}, Keys: []named.Key{key}, Zones: []named.Zone{{
		Name: name, AllowUpdate: fmt.Sprintf("key %q;", key.Name),
		Text: named.ZoneText(name, 60, []string{"ns1"}, append(records, "ns1 A "+strings.TrimSuffix(server, ":53"))...),
	}}})
}

// The challenge names of a zone that nobody may change lead to another zone.
func TestCNAMEDelegation(t *testing.T) {
	t.Parallel()
	const fixed, delegated, resolver = "127.53.61.1:53", "127.53.61.2:53", "127.53.61.9:53"
	key := named.TSIGKey(t, "delegated-key", "hmac-sha256")
	named.Start(t, named.Options{Listen: []string{fixed}, Zones: []named.Zone{{Name: "fixed.test", Text: named.ZoneText(
		"fixed.test", 60, []string{"ns1"}, "ns1 A 127.53.61.1", "_acme-challenge CNAME fixed.delegated.test.",
		"_acme-challenge.www CNAME hop", "hop CNAME www.delegated.test.",
	)}}})
	updatable(t, "delegated.test", delegated, key)
	unbound.Start(t, unbound.Options{Listen: resolver, CacheMinTTL: 60, Stubs: map[string][]string{"fixed.test": {fixed}, "delegated.test": {delegated}}})
	a := harness.Shared(t).ACME(t, harness.ACMEOptions{CAResolver: resolver, Resolvers: []string{resolver}})
	a.Key(t, a.Namespace, key)
	a.Apply(t, a.Namespace, harness.IssuerManifest("issuer", a.CA, fmt.Sprintf("{dns01: {cnameStrategy: Follow, %s}}", harness.RFC2136(delegated, key))))
	a.Apply(t, a.Namespace, harness.CertificateManifest("fixed", "issuer", "fixed.test", "*.fixed.test", "www.fixed.test"))
	a.Ready(t, a.Namespace, "fixed", issuable)
	harness.WantValidations(t, a.CA, 3, 0)
	for _, name := range []string{"fixed.delegated.test", "www.delegated.test"} {
		harness.WantTXT(t, delegated, name, 0, issuable)
	}
}

// One Certificate has names in zones of different servers and keys.
func TestSolverByZone(t *testing.T) {
	t.Parallel()
	const one, two, resolver = "127.53.62.1:53", "127.53.62.2:53", "127.53.62.9:53"
	first, second := named.TSIGKey(t, "first-key", "hmac-sha256"), named.TSIGKey(t, "second-key", "hmac-sha512")
	updatable(t, "one.test", one, first, "sub NS ns1.sub", "ns1.sub A 127.53.62.2")
	updatable(t, "sub.one.test", two, second)
	unbound.Start(t, unbound.Options{Listen: resolver, Stubs: map[string][]string{"one.test": {one}, "sub.one.test": {two}}})
	a := harness.Shared(t).ACME(t, harness.ACMEOptions{CAResolver: resolver, Resolvers: []string{resolver}})
	a.Key(t, a.Namespace, first)
	a.Key(t, a.Namespace, second)
	a.Apply(t, a.Namespace, harness.IssuerManifest("issuer", a.CA,
		// The first solver would do for all names; the longer zone wins.
		fmt.Sprintf("{selector: {dnsZones: [one.test]}, dns01: {%s}}", harness.RFC2136(one, first)),
		fmt.Sprintf("{selector: {dnsZones: [sub.one.test]}, dns01: {%s}}", harness.RFC2136(two, second))))
	a.Apply(t, a.Namespace, harness.CertificateManifest("both", "issuer", "www.one.test", "www.sub.one.test", "sub.one.test"))
	a.Ready(t, a.Namespace, "both", issuable)
	harness.WantValidations(t, a.CA, 3, 0)

	a.Apply(t, a.Namespace, harness.CertificateManifest("nobody", "issuer", "www.two.test"))
	a.IssuingHolds(t, a.Namespace, "nobody", issuable, "www.two.test", "no configured challenge solvers can be used for this challenge")
}

// The authoritative servers cannot be reached from here, so the solver names a
// resolver that knows what they have.
func TestSolverNameservers(t *testing.T) {
	t.Parallel()
	const primary, resolver, local = "127.53.63.1:53", "127.53.63.9:53", "127.53.63.10:53"
	key := named.TSIGKey(t, "hidden-key", "hmac-sha256")
	named.Start(t, named.Options{Listen: []string{primary}, Keys: []named.Key{key}, Zones: []named.Zone{{
		Name: "hidden.test", AllowUpdate: `key "hidden-key";`, Text: named.ZoneText("hidden.test", 5, []string{"ns1"}, "ns1 A 127.53.63.99"),
	}}})
	for _, addr := range []string{resolver, local} {
		unbound.Start(t, unbound.Options{Listen: addr, Stubs: map[string][]string{"hidden.test": {primary}}})
	}
	a := harness.Shared(t).ACME(t, harness.ACMEOptions{CAResolver: primary, Resolvers: []string{local}})
	a.Key(t, a.Namespace, key)
	a.Apply(t, a.Namespace, harness.IssuerManifest("plain", a.CA, fmt.Sprintf("{dns01: {%s}}", harness.RFC2136(primary, key))))
	a.Apply(t, a.Namespace, harness.IssuerManifest("told", a.CA, fmt.Sprintf(`{dns01: {nameservers: ["%s"], %s}}`, resolver, harness.RFC2136(primary, key))))
	a.Apply(t, a.Namespace, harness.CertificateManifest("plain", "plain", "plain.hidden.test"))
	a.Apply(t, a.Namespace, harness.CertificateManifest("told", "told", "told.hidden.test", "*.told.hidden.test"))
	a.Ready(t, a.Namespace, "told", issuable)
	a.WaitingFor(t, a.Namespace, "plain", issuable, "Waiting for DNS-01 challenge propagation: ", "ns1.hidden.test. (127.53.63.99)", "refuses connections")
	harness.WantValidations(t, a.CA, 2, 0)
}

// The server shows each client another zone of one name, by key or by address.
// Unsigned questions from here see an inner view, with a zone of its own for
// sub; the CA's resolver and whoever has the right key see the outer one.
func TestViewsByKey(t *testing.T) {
	t.Parallel()
	const server, resolver = "127.53.64.1:53", "127.53.64.9:53"
	inner, outer := named.TSIGKey(t, "inner-key", "hmac-sha256"), named.TSIGKey(t, "outer-key", "hmac-sha256")
	zone := func(name, key string) named.Zone {
		return named.Zone{Name: name, AllowUpdate: fmt.Sprintf("key %q;", key), Text: named.ZoneText(name, 5, []string{"ns1"}, "ns1 A 127.53.64.1")}
	}
	named.Start(t, named.Options{Listen: []string{server}, Keys: []named.Key{inner, outer}, Views: []named.View{
		{Name: "outer", MatchClients: "key outer-key; !key inner-key; 127.53.64.9;", Zones: []named.Zone{zone("views.test", "outer-key")}},
		{Name: "inner", Zones: []named.Zone{zone("views.test", "inner-key"), zone("sub.views.test", "inner-key")}},
	}})
	unbound.Start(t, unbound.Options{Listen: resolver, Config: "\toutgoing-interface: 127.53.64.9", Stubs: map[string][]string{"views.test": {server}}})
	a := harness.Shared(t).ACME(t, harness.ACMEOptions{CAResolver: resolver, Resolvers: []string{resolver}})
	issuer := func(key named.Key) string {
		return harness.IssuerManifest("issuer", a.CA, fmt.Sprintf(`{dns01: {nameservers: ["%s"], %s}}`, resolver, harness.RFC2136(server, key)))
	}
	a.Key(t, a.Namespace, inner)
	a.Key(t, a.Namespace, outer)
	a.Apply(t, a.Namespace, issuer(inner))
	a.Apply(t, a.Namespace, harness.CertificateManifest("sub", "issuer", "www.sub.views.test"))
	a.WaitingFor(t, a.Namespace, "sub", issuable, "Waiting for DNS-01 challenge propagation: ", resolver, "NXDOMAIN")
	harness.WantTXT(t, server, "_acme-challenge.www.sub.views.test", 1, issuable)
	a.Apply(t, a.Namespace, issuer(outer))
	a.Ready(t, a.Namespace, "sub", issuable)
	harness.WantValidations(t, a.CA, 1, 0)
	harness.WantTXT(t, server, "_acme-challenge.www.sub.views.test", 0, issuable)
}
