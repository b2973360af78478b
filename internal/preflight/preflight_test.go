package preflight

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/propagation"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

const name = "_acme-challenge.www.example.com."

// world is a vendor with its name servers.
type world struct {
	// values are the vendor's TXT values by name, with when they were written or, if
	// they are gone, deleted.
	values  map[string]map[string]time.Time
	deleted map[string]time.Time
	// lag is how much later each name server follows; one that is negative does not
	// answer.
	lag map[string]time.Duration
	// resolver is what the recursive resolver does: nothing for following the first
	// name server.
	resolver string
	aliases  map[string]string
	secrets  []string      // namespace/name, besides team/token
	refuse   error         // Present
	stuck    error         // CleanUp
	slow     time.Duration // of CleanUp
	// onProbe is called before the n-th probe.
	onProbe func(n int)
	probes  int
}

func newWorld() *world {
	return &world{
		values: map[string]map[string]time.Time{name: {"other": {}}}, deleted: map[string]time.Time{},
		lag: map[string]time.Duration{"ns1.": 0, "ns2.": 3 * time.Second},
	}
}

func (w *world) factory() dns01.Factory {
	return dns01.Factory{
		Name: "vendor", TTL: time.Second,
		Selected: func(s *dns01.Spec) bool { return s.DigitalOcean != nil },
		Secrets: func(s *dns01.Spec) []cmmeta.SecretKeySelector {
			return []cmmeta.SecretKeySelector{s.DigitalOcean.Token}
		},
		Server: func(*dns01.Spec) string { return "the vendor's API" },
		New: func(ctx context.Context, d dns01.Deps, s *dns01.Spec) (dns01.Provider, error) {
			if _, err := d.Secret(ctx, s.DigitalOcean.Token); err != nil {
				return nil, err
			}
			return vendor{w}, nil
		},
	}
}

type vendor struct{ *world }

func (v vendor) Zone(_ context.Context, fqdn string) (string, error) {
	if !strings.HasSuffix(fqdn, "example.com.") {
		return "", fault.New(fault.User, "ZoneNotFound", "the account has no zone for %s", fqdn)
	}
	return "example.com.", nil
}

func (v vendor) Present(ctx context.Context, r dns01.Record) error {
	if v.refuse != nil {
		return v.refuse
	}
	if v.values[r.FQDN] == nil {
		v.values[r.FQDN] = map[string]time.Time{}
	}
	v.values[r.FQDN][r.Value] = time.Now()
	return ctx.Err()
}

func (v vendor) CleanUp(ctx context.Context, r dns01.Record) error {
	if v.stuck != nil {
		return v.stuck
	}
	time.Sleep(v.slow)
	v.deleted[r.Value] = time.Now()
	return ctx.Err()
}

// at returns the values that a server has which lags.
func (w *world) at(fqdn string, lag time.Duration) (values []string) {
	seen := time.Now().Add(-lag)
	for value, written := range w.values[fqdn] {
		deleted, gone := w.deleted[value]
		if !written.After(seen) && (!gone || deleted.After(seen)) {
			values = append(values, value)
		}
	}
	return values
}

func (w *world) Probe(ctx context.Context, fqdn, value string, mode propagation.Mode, _ string) (propagation.Report, error) {
	if w.probes++; w.onProbe != nil {
		w.onProbe(w.probes)
	}
	if ctx.Err() != nil {
		return propagation.Report{}, ctx.Err()
	}
	final := fqdn
	if target, ok := w.aliases[fqdn]; ok {
		final = target
	}
	report := propagation.Report{Name: fqdn, Final: final, Value: value, Mode: mode, Zone: "example.com."}
	answer := func(server string, role propagation.Role, lag time.Duration) {
		a := propagation.Answer{Server: server, Role: role, Name: final, Zone: "example.com.", Rcode: "NOERROR", Authoritative: role != propagation.RoleRecursive}
		if lag < 0 {
			a.Failure, a.Rcode, a.Authoritative = propagation.Timeout, "", false
		} else {
			values := w.at(final, lag)
			a.Values, a.Has = len(values), slices.Contains(values, value)
		}
		report.Answers = append(report.Answers, a)
	}
	if mode == propagation.RecursiveOnly {
		lag := time.Duration(0)
		if w.resolver == "stale" {
			lag = time.Hour
		}
		answer("10.0.0.53:53", propagation.RoleRecursive, lag)
		return report, nil
	}
	for _, server := range []string{"ns1.", "ns2."} {
		if final != fqdn {
			report.Answers = append(report.Answers, propagation.Answer{
				Server: server, Role: propagation.RoleBoth, Name: fqdn, Zone: "example.com.", Rcode: "NOERROR", Authoritative: true, Target: final,
			})
		}
		answer(server, propagation.RoleBoth, w.lag[server])
	}
	return report, nil
}

func (w *world) Locate(_ context.Context, fqdn string, _ bool) (string, string, error) {
	if target, ok := w.aliases[fqdn]; ok {
		return target, "example.com.", nil
	}
	return fqdn, "example.com.", nil
}

func (w *world) FindZone(context.Context, string) (string, error)     { return "example.com.", nil }
func (w *world) Alias(_ context.Context, fqdn string) (string, error) { return w.aliases[fqdn], nil }
func (w *world) Authoritative(context.Context, string) bool           { return false }
func (w *world) Read(_ context.Context, ns, name string) (map[string][]byte, error) {
	if ns == "closed" {
		return nil, errors.New("forbidden")
	}
	if ns+"/"+name != "team/token" && !slices.Contains(w.secrets, ns+"/"+name) {
		return nil, nil
	}
	return map[string][]byte{"key": []byte("x"), "b": nil}, nil
}

// issuer has one solver of the vendor.
func issuer(change ...func(*acmev1.ACMEChallengeSolver)) *cmv1.Issuer {
	solver := acmev1.ACMEChallengeSolver{DNS01: &dns01.Spec{DigitalOcean: &acmev1.ACMEIssuerDNS01ProviderDigitalOcean{
		Token: cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: "token"}, Key: "key"},
	}}}
	for _, f := range change {
		f(&solver)
	}
	return &cmv1.Issuer{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "ca"},
		Spec: cmv1.IssuerSpec{IssuerConfig: cmv1.IssuerConfig{ACME: &acmev1.ACMEIssuer{
			Server: "https://ca.example/directory", Solvers: []acmev1.ACMEChallengeSolver{solver},
		}}},
	}
}

func (w *world) check(i cmv1.GenericIssuer) Check {
	return Check{
		Issuer: i, SecretNamespace: "team", Domain: "www.example.com", Providers: dns01.Registry{w.factory()}, Secrets: w,
		Resolver: w, NewResolver: func([]string) (dns01.Resolver, error) { return w, nil }, Patience: time.Minute, Clock: clock.RealClock{},
	}
}

// short has a line for each step, with the random value replaced.
func short(r Report) []string {
	var out []string
	for _, s := range r.Steps {
		line := fmt.Sprintf("%s %s %.0fs %s", s.Name, s.State, s.Seconds, s.Message)
		for _, word := range strings.Fields(line) {
			if quoted := strings.Trim(word, `",;`); len(quoted) == 43 && !strings.ContainsAny(quoted, "./:") {
				line = strings.ReplaceAll(line, quoted, "VALUE")
			}
		}
		out = append(out, line)
	}
	return out
}

const (
	issuerLine  = `issuer ok 0s Issuer "team/ca" of the ACME server https://ca.example/directory, which is not asked`
	solverLine  = "solver ok 0s spec.acme.solvers[0]: vendor, which writes to the vendor's API"
	secretsLine = "secrets ok 0s team/token has key"
	zoneLine    = "zone ok 0s " + name + " is in the zone example.com."
	writeLine   = `write ok 0s wrote TXT "VALUE" at ` + name
	deleteLine  = "delete ok 0s deleted it"
)

func TestRun(t *testing.T) {
	account := issuer()
	account.Spec.ACME.PrivateKey.Name = "account"
	follow := func(s *acmev1.ACMEChallengeSolver) { s.DNS01.CNAMEStrategy = acmev1.FollowStrategy }
	refused := fault.New(fault.User, "Forbidden", "the token may not write")
	silent := fault.New(fault.Transient, "ServerUnreachable", "the vendor does not answer")
	const hint = "; --flag names the namespace"
	for _, test := range []struct {
		name   string
		issuer cmv1.GenericIssuer
		change func(*Check, *world)
		want   []string
		ok     bool
		left   int // values of ours at the vendor
	}{
		{"all is well", issuer(), nil, []string{
			issuerLine, solverLine, secretsLine, zoneLine, writeLine,
			"name servers ok 3s every name server has it", "resolvers ok 0s every resolver has it", deleteLine,
			"gone ok 3s no name server has it; 1 other value at the name: kept",
		}, true, 0},
		{"alias", issuer(follow), func(_ *Check, w *world) { w.aliases = map[string]string{name: "x.example.com."} }, []string{
			issuerLine, solverLine, secretsLine, "zone ok 0s " + name + " is an alias of x.example.com., in the zone example.com.",
			`write ok 0s wrote TXT "VALUE" at x.example.com.`,
			"name servers ok 3s every name server has it", "resolvers ok 0s every resolver has it", deleteLine, "gone ok 3s no name server has it",
		}, true, 0},
		{"alias, not followed", issuer(), func(_ *Check, w *world) {
			w.aliases = map[string]string{name: "x.example.com."}
			w.refuse = refused
		}, []string{
			issuerLine, solverLine, secretsLine, zoneLine,
			"write failed 0s the token may not write; " + name + " is an alias of x.example.com.: set cnameStrategy: Follow in the solver to write the record there in the zone example.com.",
			"delete skipped 0s the record was refused: nothing was written",
		}, false, 0},
		{"alias, written beside it", issuer(), func(_ *Check, w *world) { w.aliases = map[string]string{name: "x.example.com."} }, []string{
			issuerLine, solverLine, secretsLine, zoneLine, writeLine,
			"name servers failed 0s " + name + " is an alias of x.example.com., which the solver does not follow: the CA does, and does not see what is written beside it; set cnameStrategy: Follow in the solver, or remove the CNAME record",
			deleteLine, "gone ok 0s no name server has it",
		}, false, 0},
		{"refused, and the deletion too", issuer(), func(_ *Check, w *world) { w.refuse, w.stuck = refused, refused }, []string{
			issuerLine, solverLine, secretsLine, zoneLine, "write failed 0s the token may not write",
			"delete skipped 0s the record was refused: nothing was written",
		}, false, 0},
		{"outcome not known", issuer(), func(_ *Check, w *world) { w.refuse = silent }, []string{
			issuerLine, solverLine, secretsLine, zoneLine, "write failed 0s the vendor does not answer", deleteLine,
			"gone ok 0s no name server has it; 1 other value at the name: kept",
		}, false, 0},
		{"outcome not known, and no deletion", issuer(), func(_ *Check, w *world) { w.refuse, w.stuck = silent, silent }, []string{
			issuerLine, solverLine, secretsLine, zoneLine, "write failed 0s the vendor does not answer",
			`delete failed 0s the vendor does not answer; the TXT record "VALUE" at ` + name + " may be left behind: delete it if it is there",
		}, false, 0},
		{"recursive only", issuer(), func(c *Check, _ *world) { c.Mode = propagation.RecursiveOnly }, []string{
			issuerLine, solverLine, secretsLine, zoneLine, writeLine,
			"name servers ok 5s every resolver has it; the name servers are not asked", deleteLine,
			"gone skipped 0s only resolvers are asked, which keep the record in their caches for a while",
		}, true, 0},
		{"a resolver with another view", issuer(), func(_ *Check, w *world) { w.resolver = "stale" }, []string{
			issuerLine, solverLine, secretsLine, zoneLine, writeLine,
			"name servers ok 3s every name server has it",
			"resolvers warning 0s 1 of 1 resolvers do not have it, although every name server has: they may have another view of the domain, or an older answer in a cache; if the CA uses such resolvers, its validation fails",
			deleteLine, "gone ok 3s no name server has it; 1 other value at the name: kept",
		}, true, 0},
		{"a secondary that stays behind", issuer(), func(_ *Check, w *world) { w.lag["ns2."] = time.Hour }, []string{
			issuerLine, solverLine, secretsLine, zoneLine, writeLine,
			`name servers failed 60s not everywhere within 1m0s: DNS record for "www.example.com" not yet propagated: ns2. has other values only; ns1. has it; ` +
				"a secondary server is behind: have the primary notify it, or shorten the refresh time of the zone",
			deleteLine, "gone ok 0s no name server has it; 1 other value at the name: kept",
		}, false, 0},
		{"a server that is silent", issuer(), func(_ *Check, w *world) { w.lag["ns2."] = -1 }, []string{
			issuerLine, solverLine, secretsLine, zoneLine, writeLine,
			"name servers warning 30s 1 of 2 addresses have it; everleaf does not wait for the others, which give no usable answer: check the servers that do not answer, and that UDP and TCP port 53 is open to them",
			"resolvers ok 0s every resolver has it", deleteLine, "gone ok 0s no name server has it; 1 other value at the name: kept",
		}, true, 0},
		{"left behind", issuer(), func(_ *Check, w *world) { w.stuck = refused }, []string{
			issuerLine, solverLine, secretsLine, zoneLine, writeLine,
			"name servers ok 3s every name server has it", "resolvers ok 0s every resolver has it",
			`delete failed 0s the token may not write; the TXT record "VALUE" at ` + name + " is left behind: delete it",
		}, false, 1},
		{"no such Secret", issuer(), func(c *Check, _ *world) { c.SecretNamespace = "elsewhere" }, []string{
			issuerLine, solverLine, "secrets failed 0s the secret elsewhere/token does not exist",
		}, false, 0},
		{"no such Secret in any namespace", issuer(), func(c *Check, _ *world) {
			c.SecretNamespace, c.OtherNamespaces, c.SecretHint = "elsewhere", []string{"other"}, "--flag names the namespace"
		}, []string{
			issuerLine, solverLine, "secrets failed 0s the secret elsewhere/token does not exist (looked for in the namespaces elsewhere, other)" + hint,
		}, false, 0},
		{"the Secret in another namespace", issuer(), func(c *Check, _ *world) { c.SecretNamespace, c.OtherNamespaces = "closed", []string{"team"} }, []string{
			issuerLine, solverLine, secretsLine + "; of the namespaces closed, team, team was taken, because it has what the solver names: set --cluster-resource-namespace to that of the controllers", zoneLine, writeLine,
			"name servers ok 3s every name server has it", "resolvers ok 0s every resolver has it", deleteLine,
			"gone ok 3s no name server has it; 1 other value at the name: kept",
		}, true, 0},
		{"the account key shows the namespace", account, func(c *Check, w *world) {
			c.SecretNamespace, c.OtherNamespaces, c.SecretHint = "team", []string{"controllers"}, "--flag names the namespace"
			w.secrets = []string{"controllers/account"}
		}, []string{
			issuerLine, solverLine, "secrets failed 0s the secret controllers/token does not exist; the namespace controllers was taken, because it has the issuer's account key account" + hint,
		}, false, 0},
		{"account keys in both", account, func(c *Check, w *world) {
			c.SecretNamespace, c.OtherNamespaces = "controllers", []string{"team"}
			w.secrets = []string{"controllers/account", "team/account"}
			w.refuse = refused
		}, []string{
			issuerLine, solverLine, secretsLine + "; the namespace team was taken, because it has the issuer's account key account", zoneLine,
			"write failed 0s the token may not write", "delete skipped 0s the record was refused: nothing was written",
		}, false, 0},
		{"no such key", issuer(func(s *acmev1.ACMEChallengeSolver) { s.DNS01.DigitalOcean.Token.Key = "tokem" }), nil, []string{
			issuerLine, solverLine, `secrets failed 0s the secret team/token does not have key "tokem"; it has b, key`,
		}, false, 0},
		{"another zone", issuer(), func(c *Check, _ *world) { c.Domain = "www.example.net" }, []string{
			issuerLine, solverLine, secretsLine, "zone failed 0s the account has no zone for _acme-challenge.www.example.net.",
		}, false, 0},
		{"no solver", issuer(func(s *acmev1.ACMEChallengeSolver) {
			s.Selector = &acmev1.CertificateDNSNameSelector{DNSZones: []string{"example.net"}}
		}), nil, []string{
			issuerLine, `solver failed 0s none of the solvers of Issuer "team/ca" matches "www.example.com": see their selectors (dnsNames, dnsZones, matchLabels)`,
		}, false, 0},
		{"a solver for labels", issuer(func(s *acmev1.ACMEChallengeSolver) {
			s.Selector = &acmev1.CertificateDNSNameSelector{MatchLabels: map[string]string{"app": "web"}}
		}), nil, []string{
			issuerLine, `solver failed 0s none of the solvers of Issuer "team/ca" matches "www.example.com": see their selectors (dnsNames, dnsZones, matchLabels); ` +
				"some select Certificates by labels: give those of the Certificate with --labels",
		}, false, 0},
		{"HTTP-01", issuer(func(s *acmev1.ACMEChallengeSolver) {
			*s = acmev1.ACMEChallengeSolver{HTTP01: &acmev1.ACMEChallengeSolverHTTP01{}}
		}), nil, []string{
			issuerLine, `solver failed 0s the solver selected for "www.example.com", spec.acme.solvers[0] of Issuer "team/ca", is HTTP-01: there is no DNS record to check`,
		}, false, 0},
		{"an odd domain", issuer(), func(c *Check, _ *world) { c.Domain = "www_example" }, []string{
			`issuer failed 0s "www_example" is not a domain name such as www.example.com or *.example.com: its labels have letters, digits and hyphens, with a letter or digit first and last`,
		}, false, 0},
		{"not ACME", &cmv1.ClusterIssuer{ObjectMeta: metav1.ObjectMeta{Name: "ca"}}, nil, []string{
			`issuer failed 0s ClusterIssuer "ca" is not an ACME issuer: it needs no challenge`,
		}, false, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				c := w.check(test.issuer)
				if test.change != nil {
					test.change(&c, w)
				}
				var progress []Step
				c.Progress = func(s Step) {
					if s.State != Waiting {
						progress = append(progress, s)
					}
				}
				report := c.Run(t.Context())
				if diff := cmp.Diff(test.want, short(report)); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
				if diff := cmp.Diff(report.Steps, progress); diff != "" {
					t.Errorf("progress, -report +progress:\n%s", diff)
				}
				if report.OK != test.ok {
					t.Errorf("OK is %t", report.OK)
				}
				if left := w.left(); left != test.left {
					t.Errorf("%d values are left behind, want %d", left, test.left)
				}
			})
		})
	}
}

// left counts the values that a check has left at the vendor.
func (w *world) left() int {
	n := 0
	for _, values := range w.values {
		for value := range values {
			if _, deleted := w.deleted[value]; value != "other" && !deleted {
				n++
			}
		}
	}
	return n
}
