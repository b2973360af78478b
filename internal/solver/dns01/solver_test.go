package dns01_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/propagation"
	"github.com/everleaf/everleaf/internal/solver"
	"github.com/everleaf/everleaf/internal/solver/dns01"
	"github.com/everleaf/everleaf/internal/solver/dns01/providers"
)

var t0 = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

const (
	ca        = "https://ca.example/directory"
	challenge = "_acme-challenge.www.example.com."
	value     = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"
	older     = "ANOTHERV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"
)

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
		Name:     "vendor",
		TTL:      10 * time.Second,
		Selected: func(s *dns01.Spec) bool { return s.DigitalOcean != nil },
		Secrets: func(s *dns01.Spec) []cmmeta.SecretKeySelector {
			return []cmmeta.SecretKeySelector{s.DigitalOcean.Token}
		},
		Check: func(path *field.Path, s *dns01.Spec) field.ErrorList {
			return dns01.CheckSecret(path.Child("digitalocean", "tokenSecretRef"), s.DigitalOcean.Token)
		},
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
		Providers: append(providers.All(), w.factory()), Secrets: w, Resolver: resolver{w: w}, Ledger: w.ledger, Clock: w.clock,
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

// A provider that is only in a Registry value solves a challenge.
func TestSolve(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	s := w.begin(nil)
	if got, want := w.verdict(s), (propagation.Verdict{State: propagation.Wait, Until: t0.Add(time.Second), AbsentSince: t0}); got != want {
		t.Errorf("before: %+v", got)
	}
	w.called()
	if s.Presented() || s.String() != challenge {
		t.Errorf("before: presented %t at %s", s.Presented(), s)
	}
	w.want("Present", s.Present(ctx), "present "+challenge+" as good", "zone as good")
	if !s.Presented() || !w.records[challenge+" "+value] {
		t.Errorf("presented %t, records %v", s.Presented(), w.records)
	}
	at := t0.Add(time.Second)
	w.clock.SetTime(at)
	if got, want := w.verdict(s), (propagation.Verdict{State: propagation.Accept, VisibleSince: at}); got != want {
		t.Errorf("after: %+v", got)
	}
	w.want("Check", nil, "probe "+challenge+` mode 0 zone "example.com."`)

	// What the CA does is remembered for the next challenge at the name.
	o := solver.ObserverOf(s)
	o.Accepted(at)
	o.Concluded(false, "", at.Add(time.Second))
	o.Forget()
	delete(w.records, challenge+" "+value)
	w.verdict(s)
	w.records[challenge+" "+value] = true
	w.clock.SetTime(at.Add(2 * time.Second))
	if got := w.verdict(s); got.State != propagation.Wait || !strings.Contains(got.Message, "cache") || !got.VisibleSince.Equal(at.Add(2*time.Second)) {
		t.Errorf("after another lookup: %+v", got)
	}
	w.called()

	// The Secret is gone; the provider that presented the record is not.
	w.secrets = nil
	w.want("CleanUp", s.CleanUp(ctx), "clean up "+challenge+" as good")
	if len(w.records) != 0 {
		t.Errorf("left behind: %v", w.records)
	}
}

func TestCleanUpTakesFreshCredentialsAfterFailure(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	s := w.begin(nil)
	w.want("Present", s.Present(ctx), "present "+challenge+" as good", "zone as good")
	w.token = "new"
	if err := s.CleanUp(ctx); err == nil {
		t.Fatal("the vendor accepted an old token")
	}
	w.called()
	w.secrets["team/token"]["key"] = []byte("new")
	w.want("CleanUp", s.CleanUp(ctx), "clean up "+challenge+" as new")

	// Without a Secret the next try has what it had.
	w.want("Present", s.Present(ctx), "present "+challenge+" as new", "zone as new")
	w.token, w.secrets = "newer", nil
	for range 2 {
		if err := s.CleanUp(ctx); err == nil || err.Error() != "the vendor refuses the token" {
			t.Errorf("CleanUp: %v", err)
		}
	}
	w.want("both", nil, "clean up "+challenge+" as new", "clean up "+challenge+" as new")
}

func TestCleanUpAfterRestart(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	w.aliases = map[string]string{challenge: "x.example.com."}
	w.records["x.example.com. "+value] = true
	s := w.begin(func(spec *dns01.Spec) { spec.CNAMEStrategy = acmev1.FollowStrategy })
	w.want("CleanUp", s.CleanUp(ctx), "locate "+challenge+" true", "clean up x.example.com. as good")
	if len(w.records) != 0 || s.Presented() {
		t.Errorf("records %v, presented %t", w.records, s.Presented())
	}
	w.secrets = nil
	if err := w.begin(nil).CleanUp(ctx); err == nil || err.Error() != "the secret team/token does not exist" || fault.Of(err).Class != fault.User {
		t.Errorf("without the Secret: %v", err)
	}
}

func TestFollowCNAME(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	w.aliases = map[string]string{challenge: "x.example.com."}
	s := w.begin(func(spec *dns01.Spec) { spec.CNAMEStrategy = acmev1.FollowStrategy })
	w.want("Present", s.Present(ctx), "locate "+challenge+" true", "present x.example.com. as good", "zone as good")
	// The CA starts at the challenge name, and so does the probe.
	if got := w.verdict(s); got.State != propagation.Accept {
		t.Errorf("%+v", got)
	}
	w.want("Check", nil, "probe "+challenge+` mode 0 zone "example.com."`)
	w.aliases = nil
	w.want("CleanUp", s.CleanUp(ctx), "clean up x.example.com. as good")

	w.aliases = map[string]string{challenge: "y.example.com."}
	s = w.begin(func(spec *dns01.Spec) {
		spec.CNAMEStrategy, spec.Nameservers = acmev1.FollowStrategy, []string{"192.0.2.1:53", "192.0.2.2:53"}
	})
	w.want("Present", s.Present(ctx), "192.0.2.1:53,192.0.2.2:53 alias "+challenge, "192.0.2.1:53,192.0.2.2:53 alias y.example.com.",
		"present y.example.com. as good", "zone as good")
	// Resolvers cache that there is no record: they are not asked at once.
	if got := w.verdict(s); got.State != propagation.Wait || !got.Until.Equal(t0.Add(5*time.Second)) {
		t.Errorf("right after the update: %+v", got)
	}
	w.want("Check", nil, "192.0.2.1:53,192.0.2.2:53 authoritative example.com.")
	w.authoritative = true
	if got := w.verdict(s); got.State != propagation.Accept {
		t.Errorf("resolvers with the zone itself: %+v", got)
	}
	w.called()
	w.clock.SetTime(t0.Add(5 * time.Second))
	w.verdict(s)
	w.want("Check", nil, "192.0.2.1:53,192.0.2.2:53 probe "+challenge+` mode 1 zone "example.com."`)
}

// TestFailureElsewhere holds that the name servers of the CNAME record, which may be
// a tenant's, do not count as the provider's.
func TestFailureElsewhere(t *testing.T) {
	silent := fault.New(fault.Transient, "CNAMEUnknown", "no answer")
	for _, test := range []struct {
		name        string
		nameservers []string
		silent      error
		slow        time.Duration
		token       string
		fails, want bool
	}{
		{"no answer about the CNAME record", nil, silent, 0, "good", true, true},
		{"no answer from resolvers", []string{"192.0.2.1:53"}, silent, 0, "good", true, true},
		{"the provider refuses after a slow answer", nil, nil, 8 * time.Second, "bad", true, true},
		{"the provider refuses", nil, nil, 0, "bad", true, false},
		{"no failure", nil, nil, 8 * time.Second, "good", false, false},
	} {
		w := newWorld(t)
		w.silent, w.slow, w.token = test.silent, test.slow, test.token
		w.aliases = map[string]string{challenge: "x.example.com."}
		s := w.begin(func(spec *dns01.Spec) { spec.CNAMEStrategy, spec.Nameservers = acmev1.FollowStrategy, test.nameservers })
		if err := s.Present(context.Background()); (err != nil) != test.fails || fault.IsElsewhere(err) != test.want {
			t.Errorf("%s: %v, elsewhere %t", test.name, err, fault.IsElsewhere(err))
		}
	}
}

func TestPresentFailures(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	w.token = "other"
	s := w.begin(nil)
	if err := s.Present(ctx); err == nil || !s.Presented() {
		t.Errorf("refused by the vendor: %v, presented %t", err, s.Presented())
	}
	w.secrets["team/token"]["key"] = []byte{}
	s = w.begin(nil)
	if err := s.Present(ctx); err == nil || err.Error() != `the secret team/token has an empty value for key "key"` {
		t.Errorf("an empty entry: %v", err)
	}
	delete(w.secrets["team/token"], "key")
	s = w.begin(nil)
	if err := s.Present(ctx); err == nil || err.Error() != `the secret team/token does not have key "key"` || s.Presented() {
		t.Errorf("no entry: %v, presented %t", err, s.Presented())
	}
	s = w.begin(func(spec *dns01.Spec) { *spec = dns01.Spec{} })
	want := "this version of everleaf has no provider for the solver; it has rfc2136, vendor"
	if err := s.Present(ctx); err == nil || err.Error() != want || fault.Of(err).Class != fault.User {
		t.Errorf("no provider: %v", err)
	}
}

func TestSettler(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	w.settle = func(presented time.Time) time.Time { return presented.Add(15 * time.Second) }
	s := w.begin(nil)
	if err := s.Present(ctx); err != nil {
		t.Fatal(err)
	}
	w.called()
	want := propagation.Verdict{
		State: propagation.Wait, Until: t0.Add(15 * time.Second),
		Message: `DNS record for "www.example.com" not yet propagated: the provider's name servers are taking it up`,
	}
	if got := w.verdict(s); got != want {
		t.Errorf("%+v", got)
	}
	w.want("Check", nil, "settled "+challenge)
	w.clock.SetTime(t0.Add(15 * time.Second))
	if got := w.verdict(s); got.State != propagation.Accept {
		t.Errorf("%+v", got)
	}
	w.want("Check", nil, "settled "+challenge, "probe "+challenge+` mode 0 zone "example.com."`)
}

func TestObserver(t *testing.T) {
	w := newWorld(t)
	w.records[challenge+" "+value] = true
	o := solver.ObserverOf(w.begin(nil))
	o.Accepted(t0)
	o.Refused(t0)
	if got := w.verdict(w.begin(nil)); got.State != propagation.Accept {
		t.Errorf("refused: %+v", got)
	}
	w = newWorld(t)
	w.records[challenge+" "+value] = true
	w.solver.Restore(solver.Challenge{CA: ca, DNSName: "www.example.com"}, t0.Add(-time.Minute), t0.Add(-time.Second), false)
	if got := w.verdict(w.begin(nil)); got.State != propagation.Wait {
		t.Errorf("restored: %+v", got)
	}
}

func TestGrouped(t *testing.T) {
	c := func(kind acmev1.ACMEChallengeType, name string) solver.Challenge {
		return solver.Challenge{Type: kind, DNSName: name}
	}
	w := newWorld(t)
	one := c(acmev1.ACMEChallengeTypeDNS01, "a.example")
	for other, want := range map[*solver.Challenge]bool{
		{Type: one.Type, DNSName: "A.example"}:                       true,
		{Type: one.Type, DNSName: "b.example"}:                       false,
		{Type: acmev1.ACMEChallengeTypeHTTP01, DNSName: "a.example"}: false,
	} {
		if got := w.solver.Grouped(one, *other); got != want {
			t.Errorf("%+v: %t", other, got)
		}
	}
}

func TestNewRefusesWhatIsMissing(t *testing.T) {
	w := newWorld(t)
	whole := func() dns01.Config {
		return dns01.Config{Providers: providers.All(), Secrets: w, Resolver: resolver{w: w}, Ledger: w.ledger, Clock: w.clock}
	}
	if _, err := dns01.New(whole()); err != nil {
		t.Fatal(err)
	}
	changes := map[string]func(*dns01.Config){
		"providers": func(c *dns01.Config) { c.Providers = nil },
		"secrets":   func(c *dns01.Config) { c.Secrets = nil },
		"resolver":  func(c *dns01.Config) { c.Resolver = nil },
		"ledger":    func(c *dns01.Config) { c.Ledger = nil },
		"clock":     func(c *dns01.Config) { c.Clock = nil },
	}
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		c := whole()
		changes[name](&c)
		if _, err := dns01.New(c); err == nil {
			t.Errorf("New made a Solver without %s", name)
		}
	}
}

// TestCNAMEChanges holds that each attempt to present looks for the CNAME record
// again, and that what was written at its former target is removed too.
func TestCNAMEChanges(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	follow := func(spec *dns01.Spec) { spec.CNAMEStrategy = acmev1.FollowStrategy }
	w.aliases = map[string]string{challenge: "x.example.com."}
	s := w.begin(follow)
	w.token = "other"
	if err := s.Present(ctx); err == nil {
		t.Fatal("the vendor accepted another token")
	}
	w.token = "good"
	w.records["x.example.com. "+value] = true
	w.aliases[challenge] = "y.example.com."
	if err := s.Present(ctx); err != nil {
		t.Fatal(err)
	}
	if !w.records["y.example.com. "+value] || s.String() != "y.example.com." {
		t.Errorf("presented at %s: %v", s, w.records)
	}
	if err := s.CleanUp(ctx); err != nil || len(w.records) != 0 {
		t.Errorf("CleanUp: %v, left: %v", err, w.records)
	}
}

// knowingVendor knows the CNAME records of its own zones.
type knowingVendor struct{ vendor }

func (v knowingVendor) Alias(_ context.Context, fqdn string) (string, bool, error) {
	v.w.calls = append(v.w.calls, "vendor alias "+fqdn)
	return "", strings.HasSuffix(fqdn, ".example.com."), nil
}

// TestFollowWithoutPoisoning holds that no resolver is asked for a CNAME record
// at a name of the provider's own zone: the name does not exist yet, and a
// resolver would cache that.
func TestFollowWithoutPoisoning(t *testing.T) {
	for name, test := range map[string]struct {
		dnsName string
		aliases map[string]string
		want    []string
	}{
		"no CNAME record": {"www.example.com", nil, []string{"vendor alias " + challenge, "present " + challenge + " as good", "zone as good"}},
		"a CNAME record elsewhere": {"www.example.net", map[string]string{"_acme-challenge.www.example.net.": "x.example.com."}, []string{
			"vendor alias _acme-challenge.www.example.net.", "192.0.2.1:53 alias _acme-challenge.www.example.net.", "vendor alias x.example.com.",
			"present x.example.com. as good", "zone as good",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.aliases, w.knows = test.aliases, true
			s := w.beginAt(test.dnsName, func(spec *dns01.Spec) {
				spec.CNAMEStrategy, spec.Nameservers = acmev1.FollowStrategy, []string{"192.0.2.1:53"}
			})
			w.want("Present", s.Present(t.Context()), test.want...)
		})
	}
}

// TestCNAMELoop ends.
func TestCNAMELoop(t *testing.T) {
	w := newWorld(t)
	w.aliases = map[string]string{challenge: "x.example.com.", "x.example.com.": challenge}
	s := w.begin(func(spec *dns01.Spec) {
		spec.CNAMEStrategy, spec.Nameservers = acmev1.FollowStrategy, []string{"192.0.2.1:53"}
	})
	if err := s.Present(t.Context()); err == nil || fault.Of(err).Reason != "CNAMELoop" {
		t.Errorf("%v", err)
	}
}

// TestWaitInstead asks nobody, and waits for what the CA may have cached.
func TestWaitInstead(t *testing.T) {
	w := newWorld(t)
	s := w.solver.Begin(solver.Challenge{
		SecretNamespace: "team", CA: ca, Type: acmev1.ACMEChallengeTypeDNS01, DNSName: "www.example.com", Key: value,
		Solver: acmev1.ACMEChallengeSolver{
			DNS01: &dns01.Spec{DigitalOcean: &acmev1.ACMEIssuerDNS01ProviderDigitalOcean{}}, WaitInsteadOfSelfCheck: &metav1.Duration{},
		},
	})
	if got := w.verdict(s); got.State != propagation.Accept {
		t.Errorf("without a look-up: %+v", got)
	}
	w.solver.Restore(solver.Challenge{CA: ca, DNSName: "www.example.com"}, t0.Add(-2*time.Second), t0.Add(-time.Second), false)
	if got := w.verdict(s); got.State != propagation.Wait || !got.Until.Equal(t0.Add(10*time.Second)) {
		t.Errorf("after a look-up: %+v", got)
	}
	w.want("both", nil)
}

// TestCacheFloor holds that an issuer's floor takes the place of the general one.
func TestCacheFloor(t *testing.T) {
	for _, test := range []struct {
		general time.Duration
		issuer  *time.Duration
		want    time.Duration
	}{
		{0, nil, 11 * time.Second},
		{time.Minute, nil, 61 * time.Second},
		{time.Minute, ptr.To(20 * time.Second), 21 * time.Second},
		{time.Minute, ptr.To(time.Duration(0)), 11 * time.Second},
	} {
		w := newWorld(t, func(c *dns01.Config) { c.CacheFloor = test.general })
		w.records[challenge+" "+value] = true
		spec := &dns01.Spec{DigitalOcean: &acmev1.ACMEIssuerDNS01ProviderDigitalOcean{}}
		s := w.solver.Begin(solver.Challenge{
			CA: ca, DNSName: "www.example.com", Key: value, CacheFloor: test.issuer, Solver: acmev1.ACMEChallengeSolver{DNS01: spec},
		})
		w.solver.Restore(solver.Challenge{CA: ca, DNSName: "www.example.com"}, t0.Add(-time.Second), t0, false)
		w.clock.SetTime(t0.Add(time.Millisecond))
		if got := w.verdict(s); !got.Until.Equal(t0.Add(test.want)) {
			t.Errorf("%+v: %+v", test, got)
		}
	}
}

// TestLearnsFromMisses holds that a CA that finds an earlier value instead of one
// that every server has, soon after another look-up, is one that keeps answers
// longer.
func TestLearnsFromMisses(t *testing.T) {
	for name, test := range map[string]struct {
		missed string
		want   propagation.State
	}{
		"missed":           {`Incorrect TXT record "` + older + `" found`, propagation.Wait},
		"not found":        {"NXDOMAIN looking up TXT", propagation.Accept},
		"failed otherwise": {"", propagation.Accept},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			earlier := w.solver.Begin(solver.Challenge{CA: ca, DNSName: "www.example.com", Key: older, Solver: acmev1.ACMEChallengeSolver{DNS01: &dns01.Spec{}}})
			w.verdict(earlier)
			solver.ObserverOf(earlier).Forget()
			w.records[challenge+" "+value] = true
			w.solver.Restore(solver.Challenge{CA: ca, DNSName: "www.example.com"}, t0.Add(-31*time.Second), t0.Add(-30*time.Second), false)
			s := w.begin(nil)
			if got := w.verdict(s); got.State != propagation.Accept {
				t.Fatalf("%+v", got)
			}
			o := solver.ObserverOf(s)
			o.Accepted(t0)
			o.Concluded(true, test.missed, t0.Add(time.Second))
			w.clock.SetTime(t0.Add(40 * time.Second))
			o.Forget()
			if got := w.verdict(w.begin(nil)); got.State != test.want {
				t.Errorf("the next: %+v", got)
			}
		})
	}
}

// TestForgetsUnderTheChallengeName holds that what was collected of a value is
// dropped also if the record is at the end of a CNAME.
func TestForgetsUnderTheChallengeName(t *testing.T) {
	w := newWorld(t)
	w.aliases = map[string]string{challenge: "x.example.com."}
	s := w.begin(func(spec *dns01.Spec) { spec.CNAMEStrategy = acmev1.FollowStrategy })
	if err := s.Present(t.Context()); err != nil {
		t.Fatal(err)
	}
	probes := func() int {
		evidence, err := s.Check(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return evidence.(propagation.Observation).Entry.Probes
	}
	probes()
	if got := probes(); got != 2 {
		t.Fatalf("%d probes", got)
	}
	solver.ObserverOf(s).Forget()
	if got := probes(); got != 1 {
		t.Errorf("%d probes after it was forgotten", got)
	}
}

// TestResolversAreBounded holds that the Resolvers of solvers with nameservers of
// their own are kept for the next Challenge, and not without a bound: anybody who may
// create an Issuer chooses these nameservers.
func TestResolversAreBounded(t *testing.T) {
	made := map[string]int{}
	w := newWorld(t)
	w = newWorld(t, func(c *dns01.Config) {
		c.NewResolver = func(servers []string) (dns01.Resolver, error) {
			made[servers[0]]++
			return resolver{w: w}, nil
		}
	})
	probe := func(server int) string {
		address := fmt.Sprintf("192.0.2.%d:53", server)
		if _, err := w.begin(func(s *dns01.Spec) { s.Nameservers = []string{address} }).Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		return address
	}
	const others = 100
	first := probe(0)
	if probe(0); made[first] != 1 {
		t.Errorf("made %d times for two Challenges", made[first])
	}
	for i := range others {
		probe(1 + i)
	}
	if probe(0); made[first] != 2 {
		t.Errorf("after %d others: made %d times, want 2", others, made[first])
	}
	if last := probe(others); made[last] != 1 {
		t.Errorf("the last one was made %d times", made[last])
	}
}
