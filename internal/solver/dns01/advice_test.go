package dns01_test

import (
	"context"
	"testing"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

// TestLocalZones holds into which zones an alias may lead.
func TestLocalZones(t *testing.T) {
	const local = "LocalZone"
	for target, test := range map[string]struct{ name, reason string }{
		"com-prod.ns.svc.cluster.local.":       {"www.example.com", local},
		"com-prod.ns.svc.Cluster.Local.":       {"www.example.com", local},
		"1.2.0.192.in-addr.arpa.":              {"www.example.com", local},
		"8.b.d.0.1.0.0.2.ip6.arpa.":            {"www.example.com", local},
		"x.localhost.":                         {"www.example.com", local},
		"x.invalid.":                           {"www.example.com", local},
		"x.onion.":                             {"www.example.com", local},
		"x.svc.cluster.local.":                 {"www.app.svc.cluster.local", ""}, // a private CA
		"x.corp.":                              {"www.example.com", ""},
		"x.test.":                              {"www.example.com", ""},
		"x.local.":                             {"www.example.com", ""},
		"x.internal.":                          {"www.example.com", ""},
		"x.home.arpa.":                         {"www.example.com", ""},
		"cluster.local.example.":               {"www.example.com", ""},
		"acme.mycluster.local.":                {"www.example.com", ""},
		"_acme-challenge.www.example.net.":     {"www.example.com", ""},
		"_acme-challenge.a.svc.cluster.local.": {"*.example.com", local},
	} {
		w := newWorld(t)
		w.aliases = map[string]string{"_acme-challenge." + test.name + ".": target}
		err := w.beginAt(test.name, func(spec *dns01.Spec) { spec.CNAMEStrategy = acmev1.FollowStrategy }).Present(t.Context())
		reason := ""
		if err != nil {
			reason = fault.Of(err).Reason
		}
		if reason != test.reason || (len(w.records) == 0) != (err != nil) {
			t.Errorf("%s -> %s: %v, written %v", test.name, target, err, w.records)
		}
	}
	w := newWorld(t)
	w.aliases = map[string]string{challenge: "com-prod.ns.svc.cluster.local."}
	err := w.begin(func(spec *dns01.Spec) { spec.CNAMEStrategy = acmev1.FollowStrategy }).Present(t.Context())
	want := "_acme-challenge.www.example.com. is an alias of com-prod.ns.svc.cluster.local. here, in the local zone cluster.local., into which nothing is written: " +
		"correct the CNAME record, or, if a rewrite rule of the resolver makes it, " +
		"set --dns01-recursive-nameservers, or dns01.nameservers of the solver, to name servers that have the view of the CA"
	if err == nil || err.Error() != want || fault.Of(err).Class != fault.User {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// TestAliasThatIsNotFollowed holds that a failure to write says so.
func TestAliasThatIsNotFollowed(t *testing.T) {
	for name, test := range map[string]struct {
		aliases     map[string]string
		nameservers []string
		token       string
		want        string
	}{
		"an alias": {
			map[string]string{challenge: "_acme-challenge.b.example."},
			nil, "other",
			"the vendor refuses the token; " + challenge + " is an alias of _acme-challenge.b.example.: set cnameStrategy: Follow in the solver to write the record there in the zone example.com.",
		},
		"an alias, by resolvers": {
			map[string]string{challenge: "x.b.example.", "x.b.example.": "y.c.example."},
			[]string{"192.0.2.1:53"},
			"other",
			"the vendor refuses the token; " + challenge + " is an alias of y.c.example.: set cnameStrategy: Follow in the solver to write the record there",
		},
		"none":          {nil, nil, "other", "the vendor refuses the token"},
		"no failure":    {map[string]string{challenge: "_acme-challenge.b.example."}, nil, "good", ""},
		"none, by them": {nil, []string{"192.0.2.1:53"}, "other", "the vendor refuses the token"},
	} {
		w := newWorld(t)
		w.aliases, w.token = test.aliases, test.token
		err := w.begin(func(spec *dns01.Spec) { spec.Nameservers = test.nameservers }).Present(t.Context())
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, test.want)
		}
	}
}

// claiming is a resolver that has a zone.
type claiming struct {
	resolver
	zone string
}

func (c claiming) Claim(context.Context, string) (zone, server string, err error) {
	return c.zone, "10.96.0.10:53", nil
}

// TestZoneOfResolver has a vendor that is given the zone that the resolvers find.
func TestZoneOfResolver(t *testing.T) {
	const other = "set --dns01-recursive-nameservers, or dns01.nameservers of the solver, to name servers that have the view of the CA"
	for zone, want := range map[string]string{
		"example.com.":   "",
		".":              challenge + " is in no zone below the root, as 10.96.0.10:53 has it; check the domain, or " + other,
		"cluster.local.": challenge + " is in the zone cluster.local., as 10.96.0.10:53 has it, into which it does not belong; " + other,
	} {
		w := newWorld(t)
		var walk func(context.Context, string) (string, error)
		walking := w.factory()
		build := walking.New
		walking.New = func(ctx context.Context, d dns01.Deps, s *dns01.Spec) (dns01.Provider, error) {
			walk = d.Zone
			return build(ctx, d, s)
		}
		solver, err := dns01.New(dns01.Config{
			Providers: dns01.Registry{walking}, Secrets: w, Resolver: claiming{resolver{w: w}, zone}, Ledger: w.ledger, Clock: w.clock,
		})
		if err != nil {
			t.Fatal(err)
		}
		w.solver = solver
		if err := w.begin(nil).Present(t.Context()); err != nil {
			t.Fatal(err)
		}
		got, err := walk(t.Context(), challenge)
		if want == "" && (err != nil || got != zone) || want != "" && (err == nil || err.Error() != want || fault.Of(err).Class != fault.User) {
			t.Errorf("%s: %q, %v\nwant %s", zone, got, err, want)
		}
	}
}

// failing is a vendor whose webhook fails.
type failing struct{ vendor }

func (failing) Present(context.Context, dns01.Record) error {
	return fault.New(fault.Transient, "SolverFailed", "the vendor: 404 zone not found")
}

// TestWebhookZone holds that a solver webhook that fails is reported with the zone that it was given.
func TestWebhookZone(t *testing.T) {
	w := newWorld(t)
	factory := w.factory()
	factory.New = func(context.Context, dns01.Deps, *dns01.Spec) (dns01.Provider, error) {
		return failing{vendor{w, "good"}}, nil
	}
	solver, err := dns01.New(dns01.Config{
		Providers: dns01.Registry{factory}, Secrets: w, Resolver: claiming{resolver{w: w}, "int.example.com."}, Ledger: w.ledger, Clock: w.clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.solver = solver
	err = w.begin(nil).Present(t.Context())
	want := "the vendor: 404 zone not found; the solver was asked to write into the zone int.example.com., which 10.96.0.10:53 has: " +
		"if the DNS provider does not have it, an internal zone shadows the public one: " +
		"set --dns01-recursive-nameservers, or dns01.nameservers of the solver, to name servers that have the view of the CA"
	if err == nil || err.Error() != want || fault.Of(err).Class != fault.Transient {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}
