package dns01_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/propagation"
	"github.com/everleaf/everleaf/internal/solver"
	"github.com/everleaf/everleaf/internal/solver/dns01"
	"github.com/everleaf/everleaf/internal/solver/dns01/rfc2136"
	"github.com/everleaf/everleaf/internal/validation"
)

var t0 = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

const (
	ca        = "https://ca.example/directory"
	challenge = "_acme-challenge.www.example.com."
	value     = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"
	older     = "ANOTHERV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"
)

// builtIn is a registry with one provider, so that the tests do not depend on which
// others a build has.
func builtIn() dns01.Registry { return dns01.Registry{rfc2136.Factory()} }

// world is a vendor with its name servers, a provider of this vendor that no
// product file knows, and the Secrets and resolvers that a Solver needs.
type world struct {
	t       *testing.T
	clock   *clocktesting.FakePassiveClock
	ledger  *propagation.Ledger
	solver  *dns01.Solver
	secrets map[string]map[string][]byte
	// records are the vendor's, by name and value.
	records map[string]bool
	token   string // that the vendor accepts
	// aliases are CNAMEs of the challenge name, calls what was asked.
	aliases map[string]string
	calls   []string
	settle  func(presented time.Time) time.Time
	// knows reports whether the vendor knows its CNAME records.
	knows bool
	// silent is what the resolver fails with instead of finding a CNAME record, slow
	// how long that takes.
	silent error
	slow   time.Duration
	// authoritative reports whether the resolvers have the zone themselves.
	authoritative bool
}

// vendor is the provider. Its credentials are those that it was made with.
type vendor struct {
	w     *world
	token string
}

func (v vendor) Zone(context.Context, string) (string, error) { return "example.com.", v.use("zone") }

func (v vendor) Present(_ context.Context, r dns01.Record) error {
	if err := v.use("present " + r.FQDN); err != nil {
		return err
	}
	v.w.records[r.FQDN+" "+r.Value] = true
	return nil
}

func (v vendor) CleanUp(_ context.Context, r dns01.Record) error {
	if err := v.use("clean up " + r.FQDN); err != nil {
		return err
	}
	delete(v.w.records, r.FQDN+" "+r.Value)
	return nil
}

func (v vendor) use(what string) error {
	v.w.calls = append(v.w.calls, what+" as "+v.token)
	if v.token != v.w.token {
		return fault.New(fault.User, "Unauthorized", "the vendor refuses the token")
	}
	return nil
}

type settlingVendor struct{ vendor }

func (v settlingVendor) Settled(_ context.Context, r dns01.Record, presented time.Time) (time.Time, error) {
	v.w.calls = append(v.w.calls, "settled "+r.FQDN)
	return v.w.settle(presented), nil
}

// factory reads the fields of DigitalOcean, with which this build does nothing.
func (w *world) factory() dns01.Factory {
	return dns01.Factory{
		Server:   func(*dns01.Spec) string { return "the vendor" },
		Name:     "vendor",
		TTL:      10 * time.Second,
		Selected: func(s *dns01.Spec) bool { return s.DigitalOcean != nil },
		Secrets: func(s *dns01.Spec) []cmmeta.SecretKeySelector {
			return []cmmeta.SecretKeySelector{s.DigitalOcean.Token}
		},
		Check: validation.DigitalOcean,
		New: func(ctx context.Context, d dns01.Deps, s *dns01.Spec) (dns01.Provider, error) {
			token, err := d.Secret(ctx, s.DigitalOcean.Token)
			if err != nil {
				return nil, err
			}
			if w.knows {
				return knowingVendor{vendor{w, token}}, nil
			}
			if w.settle != nil {
				return settlingVendor{vendor{w, token}}, nil
			}
			return vendor{w, token}, nil
		},
	}
}

// Read implements dns01.Secrets.
func (w *world) Read(_ context.Context, namespace, name string) (map[string][]byte, error) {
	return w.secrets[namespace+"/"+name], nil
}

// resolver answers from the vendor's records.
type resolver struct {
	w    *world
	name string
}

func (r resolver) Probe(_ context.Context, fqdn, value string, mode propagation.Mode, zone string) (propagation.Report, error) {
	r.w.calls = append(r.w.calls, fmt.Sprintf("%sprobe %s mode %d zone %q", r.name, fqdn, mode, zone))
	final := fqdn
	if target, ok := r.w.aliases[fqdn]; ok {
		final = target
	}
	a := propagation.Answer{Server: "ns1.example.com.", Role: propagation.RoleBoth, Zone: "example.com.", Name: final, Rcode: "NXDOMAIN", Authoritative: true}
	if r.w.records[final+" "+value] {
		a.Rcode, a.Values, a.Has = "NOERROR", 1, true
	}
	return propagation.Report{Name: fqdn, Final: final, Value: value, Mode: mode, Zone: "example.com.", Answers: []propagation.Answer{a}}, nil
}

func (r resolver) Locate(_ context.Context, fqdn string, follow bool) (string, string, error) {
	r.w.calls = append(r.w.calls, fmt.Sprintf("%slocate %s %t", r.name, fqdn, follow))
	r.w.clock.SetTime(r.w.clock.Now().Add(r.w.slow))
	return r.w.aliases[fqdn], "example.com.", r.w.silent
}

func (r resolver) FindZone(context.Context, string) (string, error) {
	return "", errors.New("not asked here")
}

func (r resolver) Alias(_ context.Context, fqdn string) (string, error) {
	r.w.calls = append(r.w.calls, r.name+"alias "+fqdn)
	return r.w.aliases[fqdn], r.w.silent
}

func (r resolver) Authoritative(_ context.Context, zone string) bool {
	r.w.calls = append(r.w.calls, r.name+"authoritative "+zone)
	return r.w.authoritative
}

func newWorld(t *testing.T, change ...func(*dns01.Config)) *world {
	t.Helper()
	w := &world{
		t: t, clock: clocktesting.NewFakePassiveClock(t0), ledger: &propagation.Ledger{}, token: "good",
		secrets: map[string]map[string][]byte{"team/token": {"key": []byte("good")}},
		records: map[string]bool{},
	}
	config := dns01.Config{
		Providers: append(builtIn(), w.factory()), Secrets: w, Resolver: resolver{w: w}, Ledger: w.ledger, Clock: w.clock,
		NewResolver: func(servers []string) (dns01.Resolver, error) {
			return resolver{w: w, name: strings.Join(servers, ",") + " "}, nil
		},
	}
	for _, f := range change {
		f(&config)
	}
	var err error
	w.solver, err = dns01.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) begin(change func(*dns01.Spec)) solver.Session {
	return w.beginAt("www.example.com", change)
}

func (w *world) beginAt(name string, change func(*dns01.Spec)) solver.Session {
	spec := &dns01.Spec{DigitalOcean: &acmev1.ACMEIssuerDNS01ProviderDigitalOcean{
		Token: cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: "token"}, Key: "key"},
	}}
	if change != nil {
		change(spec)
	}
	return w.solver.Begin(solver.Challenge{
		SecretNamespace: "team", CA: ca, Type: acmev1.ACMEChallengeTypeDNS01, DNSName: name, Key: value,
		Solver: acmev1.ACMEChallengeSolver{DNS01: spec},
	})
}

// called returns the calls since the last time.
func (w *world) called() []string {
	calls := w.calls
	w.calls = nil
	return calls
}

func (w *world) want(what string, err error, calls ...string) {
	w.t.Helper()
	if err != nil {
		w.t.Errorf("%s: %v", what, err)
	}
	if diff := cmp.Diff(calls, w.called()); diff != "" {
		w.t.Errorf("%s: -want +got:\n%s", what, diff)
	}
}

func (w *world) verdict(s solver.Session) propagation.Verdict {
	w.t.Helper()
	evidence, err := s.Check(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	return evidence.Verdict(w.clock.Now())
}
