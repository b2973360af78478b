// Package solvertest tests that a solver does what solverwebhook.Solver says, against
// a name server:
//
//	func TestConformance(t *testing.T) {
//		solvertest.Run(t, &mySolver{}, solvertest.Options{
//			Zone: "example.com.", Nameserver: "127.0.0.1:53", Config: `{"apiTokenSecretRef": {"name": "token", "key": "token"}}`,
//			Namespace: "default", Cluster: config,
//		})
//	}
package solvertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/everleaf/everleaf/api/acme/webhook/v1alpha1"
	"github.com/everleaf/everleaf/solverwebhook"
)

// Options describe what a solver is tested with.
type Options struct {
	// Zone is a zone that the solver may write to: a domain name with a dot at its
	// end. The tests write to names that begin with _acme-challenge, below labels that
	// begin with solvertest, and at the zone's own name.
	Zone string
	// Nameserver is an authoritative name server of the zone, as host:port.
	Nameserver string
	// Config is webhook.config of an issuer, in JSON.
	Config string
	// Namespace has the Secrets that Config names.
	Namespace string
	// Cluster, if set, is passed to Initialize, if the solver has it.
	Cluster *rest.Config
	// SkipApex says that the service allows no TXT records at the zone's own name. A
	// CNAME record of a challenge name may point there.
	SkipApex bool
	// OneValue says that the service keeps only one value per name. With such a
	// service, example.com and *.example.com cannot be in one certificate unless their
	// challenges are solved one after the other, as everleaf and cert-manager do.
	OneValue bool
	// Within is how long the name server may take to have what was written. It is
	// 30 s if zero.
	Within time.Duration
	// Secrets are texts that no error may contain.
	Secrets []string
}

// Values of challenge records are the SHA-256 digest of a text in base64url.
const (
	first  = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"
	second = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
)

type suite struct {
	Options
	solver solverwebhook.Solver
}

// Run tests a solver. Its zone may not have records at the names that are written.
func Run(t *testing.T, solver solverwebhook.Solver, o Options) {
	t.Helper()
	if !dns.IsFqdn(o.Zone) || o.Nameserver == "" {
		t.Fatal("solvertest: Options need a Zone that ends with a dot, and a Nameserver")
	}
	if o.Within == 0 {
		o.Within = 30 * time.Second
	}
	if init, ok := solver.(solverwebhook.Initializer); ok && o.Cluster != nil {
		if err := init.Initialize(t.Context(), o.Cluster); err != nil {
			t.Fatalf("Initialize: %v", err)
		}
	}
	s := suite{Options: o, solver: solver}
	t.Run("Present", s.testPresent)
	t.Run("TwoValues", s.testTwoValues)
	t.Run("CleanUp", s.testCleanUp)
	t.Run("Names", s.testNames)
	t.Run("Config", s.testConfig)
}

func (s suite) testPresent(t *testing.T) {
	fqdn := s.fqdn("solvertest-present")
	s.present(t, fqdn, first)
	s.has(t, fqdn, first)
	s.present(t, fqdn, first)
	s.has(t, fqdn, first)
	s.cleanUp(t, fqdn, first)
	s.has(t, fqdn)
}

func (s suite) testTwoValues(t *testing.T) {
	if s.OneValue {
		t.Skip("the service keeps one value per name")
	}
	fqdn := s.fqdn("solvertest-two")
	s.present(t, fqdn, first)
	s.present(t, fqdn, second)
	s.has(t, fqdn, first, second)
	s.cleanUp(t, fqdn, first)
	s.has(t, fqdn, second)
	s.cleanUp(t, fqdn, second)
	s.has(t, fqdn)
}

func (s suite) testCleanUp(t *testing.T) {
	fqdn := s.fqdn("solvertest-cleanup")
	s.cleanUp(t, fqdn, first)
	s.present(t, fqdn, second)
	s.cleanUp(t, fqdn, first)
	s.has(t, fqdn, second)
	s.cleanUp(t, fqdn, second)
	s.cleanUp(t, fqdn, second)
	s.has(t, fqdn)
}

func (s suite) testNames(t *testing.T) {
	names := []string{"_acme-challenge." + s.Zone, s.fqdn("solvertest.a.b.c.d"), "solvertest-delegated." + s.Zone}
	if !s.SkipApex {
		names = append(names, s.Zone)
	}
	for _, fqdn := range names {
		s.present(t, fqdn, first)
		s.has(t, fqdn, first)
		s.cleanUp(t, fqdn, first)
		s.has(t, fqdn)
	}
}

// testConfig checks that a typo in the configuration is not ignored.
func (s suite) testConfig(t *testing.T) {
	r := s.request(s.fqdn("solvertest-config"), first, v1alpha1.ChallengeActionPresent)
	r.Config = &apiextensionsv1.JSON{Raw: []byte(`{"solvertestUnknownField": true}`)}
	err := s.ask(t, s.solver.Present, r)
	switch {
	case err == nil:
		t.Error("Present accepts a config with a field that it does not know")
	case !strings.Contains(err.Error(), "solvertestUnknownField"):
		t.Errorf("the error for an unknown field of config does not name it: %v", err)
	}
}

func (s suite) fqdn(below string) string { return "_acme-challenge." + below + "." + s.Zone }

func (s suite) request(fqdn, value string, action v1alpha1.ChallengeAction) *v1alpha1.ChallengeRequest {
	r := &v1alpha1.ChallengeRequest{
		UID: types.UID("solvertest"), Action: action, Type: "dns-01", Key: value, ResourceNamespace: s.Namespace,
		DNSName:      strings.TrimSuffix(strings.TrimPrefix(fqdn, "_acme-challenge."), "."),
		ResolvedFQDN: fqdn, ResolvedZone: s.Zone,
	}
	if s.Config != "" {
		r.Config = &apiextensionsv1.JSON{Raw: []byte(s.Config)}
	}
	return r
}

func (s suite) present(t *testing.T, fqdn, value string) {
	t.Helper()
	s.call(t, s.solver.Present, s.request(fqdn, value, v1alpha1.ChallengeActionPresent))
}

func (s suite) cleanUp(t *testing.T, fqdn, value string) {
	t.Helper()
	s.call(t, s.solver.CleanUp, s.request(fqdn, value, v1alpha1.ChallengeActionCleanUp))
}

func (s suite) call(t *testing.T, do func(context.Context, *v1alpha1.ChallengeRequest) error, r *v1alpha1.ChallengeRequest) {
	t.Helper()
	if err := s.ask(t, do, r); err != nil {
		t.Fatalf("%s of %s at %s: %v", r.Action, r.Key, r.ResolvedFQDN, err)
	}
}

// ask has the solver do something, with the patience of a caller. It fails if the error
// contains a secret.
func (s suite) ask(t *testing.T, do func(context.Context, *v1alpha1.ChallengeRequest) error, r *v1alpha1.ChallengeRequest) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), solverwebhook.Patience)
	defer cancel()
	err := do(ctx, r)
	for _, secret := range s.Secrets {
		if err != nil && secret != "" && strings.Contains(err.Error(), secret) {
			t.Error("an error contains a secret")
		}
	}
	return err
}

// has fails unless the name server has exactly these TXT values at a name, within
// the time that it may take. It asks again and again: a name server tells nobody but
// its secondaries when a zone changes (RFC 1996).
func (s suite) has(t *testing.T, fqdn string, want ...string) {
	t.Helper()
	slices.Sort(want)
	deadline := time.Now().Add(s.Within)
	for {
		got, err := lookup(t.Context(), s.Nameserver, fqdn)
		// The zone's own name may have other values.
		if fqdn == s.Zone {
			got = slices.DeleteFunc(got, func(v string) bool { return v != first && v != second })
		}
		if err == nil && slices.Equal(got, want) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s has %q at %s, want %q (error: %v)", s.Nameserver, got, fqdn, want, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// lookup returns the TXT values that a name server has at a name, sorted.
func lookup(ctx context.Context, nameserver, fqdn string) ([]string, error) {
	query := new(dns.Msg)
	query.SetQuestion(fqdn, dns.TypeTXT)
	query.RecursionDesired = false
	client := dns.Client{Net: "tcp"}
	answer, _, err := client.ExchangeContext(ctx, query, nameserver)
	if err != nil {
		return nil, err
	}
	if answer.Rcode != dns.RcodeSuccess && answer.Rcode != dns.RcodeNameError {
		return nil, fmt.Errorf("%s for TXT %s", dns.RcodeToString[answer.Rcode], fqdn)
	}
	var values []string
	for _, rr := range answer.Answer {
		txt, ok := rr.(*dns.TXT)
		if !ok {
			return nil, errors.New("the answer has other records than TXT")
		}
		values = append(values, strings.Join(txt.Txt, ""))
	}
	slices.Sort(values)
	return values, nil
}
