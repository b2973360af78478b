package dns01_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/propagation"
	"github.com/everleaf/everleaf/internal/solver"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

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
	if err := s.Present(ctx); err == nil || err.Error() != `the secret team/token does not have key "key"; it has none` || s.Presented() {
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

func TestNewRefusesWhatIsMissing(t *testing.T) {
	w := newWorld(t)
	whole := func() dns01.Config {
		return dns01.Config{Providers: builtIn(), Secrets: w, Resolver: resolver{w: w}, Ledger: w.ledger, Clock: w.clock}
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

func TestMissingKey(t *testing.T) {
	keys := func(n int) map[string][]byte {
		data := map[string][]byte{}
		for i := range n {
			data[string(rune('a'+i))] = []byte("x")
		}
		return data
	}
	for _, test := range []struct {
		data map[string][]byte
		want string
	}{
		{keys(0), "; it has none"},
		{keys(2), "; it has a, b"},
		{keys(8), "; it has a, b, c, d, e, f, g, h"},
		{keys(10), "; it has a, b, c, d, e, f, g, h and 2 more"},
	} {
		deps := dns01.Deps{Namespace: "team", Secrets: oneSecret(test.data)}
		_, err := deps.Secret(t.Context(), cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: "token"}, Key: "key"})
		if want := `the secret team/token does not have key "key"` + test.want; err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

type oneSecret map[string][]byte

func (s oneSecret) Read(context.Context, string, string) (map[string][]byte, error) { return s, nil }
