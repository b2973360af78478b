// Package dns01test tests that a DNS provider does what dns01.Provider says.
package dns01test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/everleaf/everleaf/internal/dns/dnsname"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

// Server is a provider's server, as a test runs it. It has two zones without
// records at the names that Run writes. All fields are required, except as said.
type Server struct {
	// Zone is a zone, and SubZone a zone below it that is served too; both
	// absolute and in lower case. Elsewhere is a name that is in no zone of the
	// server.
	Zone, SubZone, Elsewhere string
	// Provider has credentials for both zones. Its calls must give up on a
	// silent server within Patience.
	Provider dns01.Provider
	Patience time.Duration
	// Unauthorized is a provider whose credentials the server does not accept.
	Unauthorized dns01.Provider
	// Forbidden is a provider whose credentials the server accepts, without the
	// permission to change records. It is nil if the server has no such credentials.
	Forbidden dns01.Provider
	// Secrets are credentials that no message may contain.
	Secrets []string
	// Values returns the TXT values that the server has at a name.
	Values func(t *testing.T, fqdn string) []string
	// Fail makes the server answer all requests with an error until restore is
	// called. It is nil if the server cannot be made to.
	Fail func(t *testing.T) (restore func())
	// Limit makes the server limit the rate of requests until restore is called. It is
	// nil if the server does not.
	Limit func(t *testing.T) (restore func())
	// KeepsValues says that the server keeps values: CleanUp does nothing, and the
	// server drops the oldest of a name. Such a server has names of its own, to which
	// CNAME records point, so that only names of challenges are presented.
	KeepsValues bool
	// Silence makes the server give no answer until restore is called.
	Silence func(t *testing.T) (restore func())
}

const (
	first  = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"
	second = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
)

// Run tests a provider against its server.
func Run(t *testing.T, s Server) {
	if s.Provider == nil || s.Unauthorized == nil || s.Values == nil || s.Silence == nil || s.Patience <= 0 || len(s.Secrets) == 0 {
		t.Fatal("dns01test: a required field of Server is missing")
	}
	t.Run("Present", s.testPresent)
	t.Run("CleanUp", s.testCleanUp)
	t.Run("Names", s.testNames)
	t.Run("Elsewhere", s.testElsewhere)
	t.Run("Unauthorized", s.testUnauthorized)
	t.Run("Forbidden", s.testForbidden)
	t.Run("Limit", s.testLimit)
	t.Run("Fail", s.testFail)
	t.Run("Silence", s.testSilence)
	t.Run("Cancel", s.testCancel)
}

// record returns the record of a value at a challenge name.
func record(fqdn, value string) dns01.Record {
	name := strings.TrimSuffix(strings.ToLower(fqdn), ".")
	return dns01.Record{DNSName: strings.TrimPrefix(name, "_acme-challenge."), FQDN: fqdn, Value: value}
}

// has fails unless a name has exactly these values, or, if the server keeps values,
// these and others.
func (s Server) has(t *testing.T, fqdn string, want ...string) {
	t.Helper()
	got := s.Values(t, fqdn)
	if s.KeepsValues {
		got = slices.DeleteFunc(got, func(v string) bool { return !slices.Contains(want, v) })
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("values at %s: %q, want %q", fqdn, got, want)
	}
}

func (s Server) present(t *testing.T, r dns01.Record) {
	t.Helper()
	if err := s.Provider.Present(t.Context(), r); err != nil {
		t.Fatalf("Present %v: %v", r, err)
	}
}

func (s Server) cleanUp(t *testing.T, r dns01.Record) {
	t.Helper()
	if err := s.Provider.CleanUp(t.Context(), r); err != nil {
		t.Fatalf("CleanUp %v: %v", r, err)
	}
}

func (s Server) testPresent(t *testing.T) {
	fqdn := "_acme-challenge.present." + s.Zone
	one, two := record(fqdn, first), record(fqdn, second)
	s.present(t, one)
	s.has(t, fqdn, first)
	s.present(t, one)
	s.has(t, fqdn, first)
	s.present(t, two)
	s.has(t, fqdn, first, second)
	s.cleanUp(t, one)
	s.has(t, fqdn, second)
	s.cleanUp(t, two)
	s.has(t, fqdn)
}

func (s Server) testCleanUp(t *testing.T) {
	fqdn := "_acme-challenge.clean-up." + s.Zone
	one, two := record(fqdn, first), record(fqdn, second)
	s.cleanUp(t, one)
	s.present(t, two)
	s.cleanUp(t, one)
	s.has(t, fqdn, second)
	s.cleanUp(t, two)
	s.cleanUp(t, two)
	s.has(t, fqdn)
}

// testNames writes at names of all depths, at the end of CNAMEs too: those have
// any label, or none, in front of the zone.
func (s Server) testNames(t *testing.T) {
	for fqdn, zone := range map[string]string{
		"_acme-challenge." + s.Zone:            s.Zone,
		s.Zone:                                 s.Zone,
		"delegated." + s.Zone:                  s.Zone,
		"_acme-challenge.a.b.c.d." + s.Zone:    s.Zone,
		"_acme-challenge." + s.SubZone:         s.SubZone,
		"_acme-challenge.a.b.c.d." + s.SubZone: s.SubZone,
		"_Acme-Challenge.Upper-Case." + s.Zone: s.Zone,
	} {
		if s.KeepsValues && !strings.HasPrefix(dnsname.Canonical(fqdn), "_acme-challenge.") {
			continue
		}
		t.Run(fqdn, func(t *testing.T) {
			if got, err := s.Provider.Zone(t.Context(), fqdn); err != nil || got != zone {
				t.Errorf("Zone: %q, %v, want %q", got, err, zone)
			}
			r := record(fqdn, first)
			s.present(t, r)
			s.has(t, fqdn, first)
			s.cleanUp(t, r)
			s.has(t, fqdn)
		})
	}
}

// calls are the methods of a provider at one name that ask the server.
func (s Server) calls(p dns01.Provider, fqdn string) map[string]func(context.Context) error {
	r := record(fqdn, first)
	calls := map[string]func(context.Context) error{"Present": func(ctx context.Context) error { return p.Present(ctx, r) }}
	if !s.KeepsValues {
		calls["CleanUp"] = func(ctx context.Context) error { return p.CleanUp(ctx, r) }
	}
	return calls
}

// fails fails unless a call returns a classified error, twice the same text,
// without a credential.
func (s Server) fails(t *testing.T, name string, call func(context.Context) error, want fault.Class) {
	t.Helper()
	var texts []string
	for range 2 {
		err := call(t.Context())
		var f *fault.Error
		if !errors.As(err, &f) || f.Reason == "" || f.Message == "" {
			t.Errorf("%s: no fault with a reason and a message: %v", name, err)
			return
		}
		if f.Class != want {
			t.Errorf("%s: class %s, want %s: %v", name, f.Class, want, err)
		}
		texts = append(texts, f.Message)
		for _, secret := range s.Secrets {
			if strings.Contains(f.Message, secret) {
				t.Errorf("%s: the message contains a credential", name)
			}
		}
	}
	if diff := cmp.Diff(texts[0], texts[1]); diff != "" {
		t.Errorf("%s: the message is not stable: %s", name, diff)
	}
}

func (s Server) testElsewhere(t *testing.T) {
	if zone, err := s.Provider.Zone(t.Context(), s.Elsewhere); err == nil {
		t.Errorf("Zone of %s: %q", s.Elsewhere, zone)
	}
	s.fails(t, "Present", s.calls(s.Provider, s.Elsewhere)["Present"], fault.User)
}

func (s Server) testUnauthorized(t *testing.T) {
	fqdn := "_acme-challenge.unauthorized." + s.Zone
	for name, call := range s.calls(s.Unauthorized, fqdn) {
		s.fails(t, name, call, fault.User)
	}
	s.has(t, fqdn)
}

func (s Server) testForbidden(t *testing.T) {
	if s.Forbidden == nil {
		t.Skip("this server has no such credentials")
	}
	fqdn := "_acme-challenge.forbidden." + s.Zone
	s.fails(t, "Present", s.calls(s.Forbidden, fqdn)["Present"], fault.User)
	s.has(t, fqdn)
}

func (s Server) testLimit(t *testing.T) {
	if s.Limit == nil {
		t.Skip("this server does not limit the rate")
	}
	fqdn := "_acme-challenge.limit." + s.Zone
	restore := s.Limit(t)
	for name, call := range s.calls(s.Provider, fqdn) {
		s.fails(t, name, call, fault.Later)
	}
	restore()
	s.present(t, record(fqdn, first))
	s.cleanUp(t, record(fqdn, first))
	s.has(t, fqdn)
}

func (s Server) testFail(t *testing.T) {
	if s.Fail == nil {
		t.Skip("this server cannot be made to answer with errors")
	}
	fqdn := "_acme-challenge.fail." + s.Zone
	restore := s.Fail(t)
	for name, call := range s.calls(s.Provider, fqdn) {
		s.fails(t, name, call, fault.Transient)
	}
	restore()
	s.present(t, record(fqdn, first))
	s.cleanUp(t, record(fqdn, first))
	s.has(t, fqdn)
}

func (s Server) testSilence(t *testing.T) {
	fqdn := "_acme-challenge.silence." + s.Zone
	restore := s.Silence(t)
	for name, call := range s.calls(s.Provider, fqdn) {
		s.fails(t, name, func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, s.Patience)
			defer cancel()
			err := call(ctx)
			if ctx.Err() != nil {
				t.Errorf("%s waited longer than %s", name, s.Patience)
			}
			return err
		}, fault.Transient)
	}
	restore()
	s.present(t, record(fqdn, first))
	s.cleanUp(t, record(fqdn, first))
	s.has(t, fqdn)
}

func (s Server) testCancel(t *testing.T) {
	fqdn := "_acme-challenge.cancel." + s.Zone
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range s.calls(s.Provider, fqdn) {
		if err := call(cancelled); err == nil {
			t.Errorf("%s ignores a context that is cancelled", name)
		}
	}
	s.has(t, fqdn)

	restore := s.Silence(t)
	defer restore()
	for name, call := range s.calls(s.Provider, fqdn) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- call(ctx) }()
		cancel()
		select {
		case err := <-done:
			if err == nil {
				t.Errorf("%s succeeded at a silent server", name)
			}
		case <-time.After(s.Patience):
			t.Errorf("%s goes on after its context was cancelled", name)
		}
	}
}
