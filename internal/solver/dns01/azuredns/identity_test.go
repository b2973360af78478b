package azuredns

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/solver/dns01"
	"github.com/everleaf/everleaf/internal/solver/dns01/azuredns/azurednstest"
)

const (
	fqdn   = "_acme-challenge.www.example.com."
	first  = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"
	second = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
)

func record(value string) dns01.Record {
	return dns01.Record{DNSName: "www.example.com", FQDN: fqdn, Value: value}
}

// asked returns the hosts that requests went to, each once.
func (s *server) asked() []string {
	var hosts []string
	s.Do(func() {
		for _, r := range s.Requests {
			host, _, _ := strings.Cut(strings.Fields(r)[1], "/")
			if !slices.Contains(hosts, host) {
				hosts = append(hosts, host)
			}
		}
	})
	return hosts
}

func TestClouds(t *testing.T) {
	hosts := map[string][]string{
		"AzurePublicCloud":       {"login.microsoftonline.com", "management.azure.com"},
		"AzureUSGovernmentCloud": {"login.microsoftonline.us", "management.usgovcloudapi.net"},
		"AzureChinaCloud":        {"login.chinacloudapi.cn", "management.chinacloudapi.cn"},
	}
	for environment, c := range map[string]azure{
		"": publicCloud, "AzurePublicCloud": publicCloud, "azurepubliccloud": publicCloud, "AzureCloud": publicCloud,
		"AzureUSGovernment": governmentCloud, "AzureUSGovernmentCloud": governmentCloud, "AZUREUSGOVERNMENTCLOUD": governmentCloud,
		"AzureChinaCloud": chinaCloud, "azurechinacloud": chinaCloud,
	} {
		t.Run(environment, func(t *testing.T) {
			s := newServer(t, c) // it checks the audience
			config := s.principal()
			config.Environment = environment
			if err := provider(t, config).Present(t.Context(), record(first)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(hosts[c.name], s.asked()); diff != "" {
				t.Errorf("hosts (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAuthorityHost tests which cloud a workload identity is in: that of the issuer, or
// else that of the pod.
func TestAuthorityHost(t *testing.T) {
	for name, test := range map[string]struct {
		environment, authority string
		want                   azure
	}{
		"neither":               {"", "", publicCloud},
		"pod":                   {"", "https://login.microsoftonline.us/", governmentCloud},
		"pod, no slash":         {"", "https://Login.ChinaCloudAPI.cn", chinaCloud},
		"issuer before the pod": {"AzureChinaCloud", "https://login.microsoftonline.us/", chinaCloud},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, test.want)
			env := s.Environment()
			env[envAuthority] = test.authority
			c := s.ambient(env, Identity{})
			c.Environment = test.environment
			if err := provider(t, c).Present(t.Context(), record(first)); err != nil {
				t.Fatal(err)
			}
		})
	}
	if c, err := cloudOf("https://login.example.com/"); err != nil || c.authority() != "login.example.com" || c.name != "AzurePublicCloud" {
		t.Errorf("another host: %v, %v", c, err)
	}
}

func TestIdentities(t *testing.T) {
	const other = "22222222-3333-4444-5555-666666666666"
	without := func(env map[string]string, name string) map[string]string {
		env[name] = ""
		return env
	}
	for name, test := range map[string]struct {
		config func(*server) Config
		hosts  []string
	}{
		"service principal": {func(s *server) Config { return s.principal() }, []string{"login.microsoftonline.com"}},
		"service principal in a pod with workload identity": {func(s *server) Config {
			c := s.principal()
			env := s.Environment()
			c.Getenv = func(name string) string { return env[name] }
			return c
		}, []string{"login.microsoftonline.com"}},
		"workload identity": {func(s *server) Config { return s.ambient(s.Environment(), Identity{}) }, []string{"login.microsoftonline.com"}},
		"workload identity, client id of the issuer": {func(s *server) Config {
			s.Identities = []string{other}
			return s.ambient(s.Environment(), Identity{ClientID: other})
		}, []string{"login.microsoftonline.com"}},
		"workload identity, no client id in the pod": {func(s *server) Config {
			return s.ambient(without(s.Environment(), envClientID), Identity{ClientID: client})
		}, []string{"login.microsoftonline.com"}},
		"workload identity, tenant of the issuer": {func(s *server) Config {
			return s.ambient(without(s.Environment(), envTenantID), Identity{ClientID: client, TenantID: tenant})
		}, []string{"login.microsoftonline.com"}},
		"managed identity by client id": {func(s *server) Config {
			s.Identities = []string{other, client}
			return s.ambient(nil, Identity{ClientID: client})
		}, []string{"169.254.169.254"}},
		"managed identity by resource id": {func(s *server) Config {
			s.Identities = []string{other, client}
			return s.ambient(nil, Identity{ResourceID: resourceID})
		}, []string{"169.254.169.254"}},
		"managed identity of the node": {func(s *server) Config { return s.ambient(nil, Identity{}) }, []string{"169.254.169.254"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, publicCloud)
			p := provider(t, test.config(s))
			if err := p.Present(t.Context(), record(first)); err != nil {
				t.Fatal(err)
			}
			if err := p.CleanUp(t.Context(), record(first)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(append(test.hosts, "management.azure.com"), s.asked()); diff != "" {
				t.Errorf("hosts (-want +got):\n%s", diff)
			}
			if s.Exchanges != 1 {
				t.Errorf("%d exchanges, want 1", s.Exchanges)
			}
		})
	}
}

// TestTokens tests that Providers share the token of equal identities only, and that a
// token of a service account is read for each exchange.
func TestTokens(t *testing.T) {
	s := newServer(t, publicCloud)
	tokens := NewTokens()
	make := func(c Config) *Provider {
		c.Tokens = tokens
		return provider(t, c)
	}
	zone := func(p *Provider, exchanges int) {
		t.Helper()
		if _, err := p.Zone(t.Context(), fqdn); err != nil {
			t.Error(err)
		}
		if s.Exchanges != exchanges {
			t.Errorf("%d exchanges, want %d", s.Exchanges, exchanges)
		}
	}
	zone(make(s.principal()), 1)
	zone(make(s.principal()), 1)
	zone(make(s.ambient(s.Environment(), Identity{})), 2)
	zone(make(s.ambient(s.Environment(), Identity{})), 2)
	zone(make(s.ambient(nil, Identity{})), 3)

	wrong := s.principal()
	wrong.ClientSecret = "another"
	if _, err := make(wrong).Zone(t.Context(), fqdn); err == nil {
		t.Error("a Provider with another secret uses the token")
	}

	p := make(s.ambient(s.Environment(), Identity{}))
	s.Renew("2")
	p.source.forget()
	zone(p, 4)
}

// TestManyWaitForOneToken tests that Providers ask for a token once, and that one that
// gives up does not end the request of the others.
func TestManyWaitForOneToken(t *testing.T) {
	s := newServer(t, publicCloud)
	silent := make(chan struct{})
	s.Silent = silent
	source := provider(t, s.principal()).source
	options := policy.TokenRequestOptions{Scopes: []string{publicCloud.Services[cloud.ResourceManager].Audience + "/.default"}}
	impatient, cancel := context.WithCancel(t.Context())
	one, two := source.start(impatient, options), source.start(t.Context(), options)
	cancel()
	if _, err := source.GetToken(impatient, options); fault.Of(err).Class != fault.Transient || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	s.Do(func() { s.Silent = nil })
	close(silent)
	<-one.done
	if one != two || one.err != nil || s.Exchanges != 1 {
		t.Errorf("the same exchange: %t, its error: %v, %d exchanges", one == two, one.err, s.Exchanges)
	}
}

// TestNewPermissions tests that an old token that was refused is not used again: the API
// looks at the assignments of the time when the token was made.
func TestNewPermissions(t *testing.T) {
	for name, config := range map[string]func(*server) Config{
		"service principal": (*server).principal,
		"workload identity": func(s *server) Config { return s.ambient(s.Environment(), Identity{}) },
		"managed identity":  func(s *server) Config { return s.ambient(nil, Identity{}) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, publicCloud)
			s.Role = "none"
			c := config(s)
			clock := clocktesting.NewFakePassiveClock(time.Now())
			c.Clock = clock
			p := provider(t, c)
			refused := func(exchanges int) {
				t.Helper()
				if err := p.Present(t.Context(), record(first)); fault.Of(err).Reason != "Forbidden" || s.Exchanges != exchanges {
					t.Fatalf("no permission: %v, %d exchanges, want %d", err, s.Exchanges, exchanges)
				}
			}
			refused(1)
			refused(1)
			clock.SetTime(clock.Now().Add(renewAge))
			refused(2)
			refused(2)
			s.Do(func() { s.Role = "contributor" })
			clock.SetTime(clock.Now().Add(renewAge))
			ok(t, p.Present(t.Context(), record(first)))
		})
	}
}

func TestRefusedToken(t *testing.T) {
	s := newServer(t, publicCloud)
	clock := clocktesting.NewFakePassiveClock(time.Now())
	c := s.principal()
	c.Clock = clock
	p := provider(t, c)
	ok(t, p.Present(t.Context(), record(first)))
	s.Do(func() { clear(s.Tokens) })
	if f := fault.Of(p.Present(t.Context(), record(second))); f.Reason != "Unauthorized" || f.Class != fault.User {
		t.Errorf("a new token that is not valid: %v", f)
	}
	clock.SetTime(clock.Now().Add(renewAge))
	ok(t, p.Present(t.Context(), record(second)))
	s.refuse(azurednstest.ARMError(http.StatusUnauthorized, "ExpiredAuthenticationToken", "The access token expiry UTC time is earlier than current UTC time."))
	if f := fault.Of(p.Present(t.Context(), record(first))); f.Class != fault.Transient {
		t.Errorf("a token that has expired: %v", f)
	}
}

// TestOldToken tests that a token is replaced before it expires.
func TestOldToken(t *testing.T) {
	s := newServer(t, publicCloud)
	clock := clocktesting.NewFakePassiveClock(time.Now())
	c := s.principal()
	c.Clock = clock
	p := provider(t, c)
	ok(t, p.Present(t.Context(), record(first)))
	clock.SetTime(clock.Now().Add(54 * time.Minute))
	ok(t, p.CleanUp(t.Context(), record(first)))
	if s.Exchanges != 1 {
		t.Errorf("%d exchanges, want 1", s.Exchanges)
	}
	clock.SetTime(clock.Now().Add(2 * time.Minute))
	ok(t, p.CleanUp(t.Context(), record(first)))
	if s.Exchanges != 2 {
		t.Errorf("%d exchanges, want 2", s.Exchanges)
	}
}
