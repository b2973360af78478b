package rfc2136

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	mdns "github.com/miekg/dns"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/everleaf/everleaf/internal/dns/tsig"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/solver/dns01"
	"github.com/everleaf/everleaf/test/named"
	"github.com/everleaf/everleaf/test/nameserver"
)

const (
	fqdn   = "_acme-challenge.example.com."
	value  = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"
	value2 = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
)

// freePort returns an address of this host that nothing listens on.
func freePort(t *testing.T, host string) string {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Skipf("no %s here: %v", host, err)
	}
	defer l.Close()
	return l.Addr().String()
}

func run(t *testing.T, o named.Options) (*named.Server, string) {
	t.Helper()
	if len(o.Listen) == 0 {
		o.Listen = []string{freePort(t, "127.0.0.1")}
	}
	return named.Start(t, o), o.Listen[0]
}

func zone(name, update string) named.Zone {
	return named.Zone{Name: name, Text: named.ZoneText(name, 60, []string{"ns.invalid."}), AllowUpdate: update}
}

func provider(t *testing.T, c Config) *Provider {
	t.Helper()
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// txt asks a server for the values at a name, over TCP.
func txt(t *testing.T, addr, name string) []string {
	t.Helper()
	q := new(mdns.Msg)
	q.SetQuestion(name, mdns.TypeTXT)
	c := mdns.Client{Net: "tcp", Timeout: 2 * time.Second}
	m, _, err := c.Exchange(q, addr)
	if err != nil {
		t.Fatal(err)
	}
	out := []string{}
	for _, rr := range m.Answer {
		if rr, ok := rr.(*mdns.TXT); ok {
			out = append(out, strings.Join(rr.Txt, ""))
		}
	}
	slices.Sort(out)
	return out
}

func record(v string) dns01.Record { return dns01.Record{FQDN: fqdn, Value: v} }

func TestNamedAlgorithms(t *testing.T) {
	algorithms := map[string]string{
		"": "hmac-md5", "hmacmd5": "hmac-md5", "HMACSHA1": "hmac-sha1", "HmacSha256": "hmac-sha256", "HMACSHA512": "hmac-sha512",
	}
	var o named.Options
	keys := map[string]named.Key{}
	var allow strings.Builder
	for api, bind := range algorithms {
		k := named.TSIGKey(t, fmt.Sprintf("key-%d.%s", len(keys), bind), bind)
		keys[api] = k
		o.Keys = append(o.Keys, k)
		fmt.Fprintf(&allow, "key %q; ", k.Name)
	}
	o.Zones = []named.Zone{zone("example.com", allow.String())}
	_, addr := run(t, o)
	for api, k := range keys {
		for _, protocol := range []string{"", "UDP", "TCP"} {
			t.Run(api+protocol, func(t *testing.T) {
				p := provider(t, Config{Nameserver: addr, Protocol: protocol, TSIGKeyName: k.Name, TSIGAlgorithm: api, TSIGSecret: " " + k.Secret + "\n"})
				ctx := context.Background()
				if err := p.Present(ctx, record(value)); err != nil {
					t.Fatal(err)
				}
				if err := p.Present(ctx, record(value)); err != nil {
					t.Fatalf("again: %v", err)
				}
				if diff := cmp.Diff([]string{value}, txt(t, addr, fqdn)); diff != "" {
					t.Error(diff)
				}
				if err := p.CleanUp(ctx, record(value)); err != nil {
					t.Fatal(err)
				}
				if err := p.CleanUp(ctx, record(value)); err != nil {
					t.Fatalf("again: %v", err)
				}
				if diff := cmp.Diff([]string{}, txt(t, addr, fqdn)); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

func TestNamedTwoValues(t *testing.T) {
	k := named.TSIGKey(t, "k", "hmac-sha256")
	_, addr := run(t, named.Options{Keys: []named.Key{k}, Zones: []named.Zone{zone("example.com", `key "k";`)}})
	p := provider(t, Config{Nameserver: addr, TSIGKeyName: "k", TSIGAlgorithm: "HMACSHA256", TSIGSecret: k.Secret})
	ctx := context.Background()
	for _, v := range []string{value, value2} {
		if err := p.Present(ctx, record(v)); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{value, value2}
	slices.Sort(want)
	if diff := cmp.Diff(want, txt(t, addr, fqdn)); diff != "" {
		t.Error(diff)
	}
	if err := p.CleanUp(ctx, record(value)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{value2}, txt(t, addr, fqdn)); diff != "" {
		t.Error(diff)
	}
}

func TestNamedUnsignedAndIPv6(t *testing.T) {
	_, addr := run(t, named.Options{Listen: []string{freePort(t, "::1")}, Zones: []named.Zone{zone("example.com", "any;")}})
	p := provider(t, Config{Nameserver: addr})
	if err := p.Present(context.Background(), record(value)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{value}, txt(t, addr, fqdn)); diff != "" {
		t.Error(diff)
	}
}

// failure is what a caller sees of an error.
type failure struct {
	Class   fault.Class
	Reason  string
	Message string
}

func failureOf(err error) failure {
	if err == nil {
		return failure{}
	}
	e := fault.Of(err)
	return failure{e.Class, e.Reason, e.Message}
}

func TestNamedRefusals(t *testing.T) {
	right, other, md5 := named.TSIGKey(t, "right", "hmac-sha256"), named.TSIGKey(t, "other", "hmac-sha256"), named.TSIGKey(t, "md5", "hmac-md5")
	_, addr := run(t, named.Options{
		Keys:  []named.Key{right, other, md5},
		Zones: []named.Zone{zone("example.com", `key "right";`)},
	})
	twice := encodeBase64(right.Secret)
	clockAt := func(d time.Duration) *clocktesting.FakePassiveClock {
		return clocktesting.NewFakePassiveClock(time.Now().Add(d))
	}
	base := Config{Nameserver: addr, TSIGKeyName: "right", TSIGAlgorithm: "HMACSHA256", TSIGSecret: right.Secret, SecretName: "default/tsig"}
	for name, test := range map[string]struct {
		change func(*Config)
		fqdn   string
		want   failure
	}{
		"wrong key name": {
			change: func(c *Config) { c.TSIGKeyName = "wrong" },
			want: failure{fault.User, "BadKey", `DNS update failed: ADDR does not know the TSIG key "wrong" (HMACSHA256) (BADKEY): ` +
				`check tsigKeyName and tsigAlgorithm against the server's key statement, whose name and algorithm both have to be the same`},
		},
		"wrong algorithm": {
			change: func(c *Config) { c.TSIGAlgorithm = "" },
			want: failure{fault.User, "BadKey", `DNS update failed: ADDR does not know the TSIG key "right" (HMACMD5) (BADKEY): ` +
				`check tsigKeyName and tsigAlgorithm against the server's key statement, whose name and algorithm both have to be the same`},
		},
		"wrong secret": {
			change: func(c *Config) { c.TSIGSecret = other.Secret },
			want: failure{fault.User, "BadSignature", `DNS update failed: ADDR rejected the signature by TSIG key "right" (HMACSHA256) (BADSIG): ` +
				`the secret differs from the server's; put the text of its key statement into Secret "default/tsig"`},
		},
		"secret encoded twice": {
			change: func(c *Config) { c.TSIGSecret = twice },
			want: failure{fault.User, "SecretEncodedTwice", `DNS update failed: ADDR rejected the signature by TSIG key "right" (HMACSHA256) (BADSIG): ` +
				`the TSIG secret in Secret "default/tsig" is base64-encoded twice; store the text that tsig-keygen printed as it is, under stringData, or encoded once more under data`},
		},
		"clock behind": {
			change: func(c *Config) { c.Clock = clockAt(-12 * time.Minute) },
			want: failure{fault.Transient, "BadTime", `DNS update failed: ADDR rejected the time of the signature (BADTIME): ` +
				`its clock is about 12 minutes ahead of the one of this machine; set both by NTP`},
		},
		"clock ahead": {
			change: func(c *Config) { c.Clock = clockAt(3 * time.Hour) },
			want: failure{fault.Transient, "BadTime", `DNS update failed: ADDR rejected the time of the signature (BADTIME): ` +
				`its clock is about 3 hours behind the one of this machine; set both by NTP`},
		},
		"key without permission": {
			change: func(c *Config) { c.TSIGKeyName, c.TSIGSecret = "other", other.Secret },
			want: failure{fault.User, "UpdateRefused", `DNS update failed. Server replied: REFUSED (ADDR, zone example.com.): ` +
				`its policy does not allow the TSIG key "other" (HMACSHA256) to change TXT records at _acme-challenge.example.com.; check allow-update or update-policy of the zone`},
		},
		"unsigned": {
			change: func(c *Config) { c.TSIGKeyName = "" },
			want: failure{fault.User, "UpdateRefused", `DNS update failed. Server replied: REFUSED (ADDR, zone example.com.): ` +
				`its policy does not allow unsigned updates to change TXT records at _acme-challenge.example.com.; check allow-update or update-policy of the zone`},
		},
		"zone missing": {
			fqdn: "_acme-challenge.example.net.",
			want: failure{fault.User, "ZoneNotFound", `Could not determine the zone for "_acme-challenge.example.net.": ADDR serves none that contains it ` +
				`(it answers REFUSED to a query signed by TSIG key "right" (HMACSHA256)); check rfc2136.nameserver, the zones of the server, and its views`},
		},
		"zone of the walk": {
			change: func(c *Config) { c.Walk = func(context.Context, string) (string, error) { return "example.net.", nil } },
			fqdn:   "_acme-challenge.example.net.",
			want: failure{fault.User, "UpdateRefused", `DNS update failed. Server replied: NOTAUTH (ADDR, zone example.net.): ` +
				`it is not the primary server of the zone, or does not accept the TSIG key "right" (HMACSHA256)`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := base
			if test.change != nil {
				test.change(&c)
			}
			r := record(value)
			if test.fqdn != "" {
				r.FQDN = test.fqdn
			}
			got := failureOf(provider(t, c).Present(context.Background(), r))
			test.want.Message = strings.ReplaceAll(test.want.Message, "ADDR", addr)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if strings.Contains(got.Message, right.Secret) || strings.Contains(got.Message, other.Secret) {
				t.Error("the message has a secret in it")
			}
		})
	}
}

func TestNamedSilentAndDown(t *testing.T) {
	k := named.TSIGKey(t, "k", "hmac-sha256")
	s, addr := run(t, named.Options{Keys: []named.Key{k}, Zones: []named.Zone{zone("example.com", `key "k";`)}})
	c := Config{Nameserver: addr, TSIGKeyName: "k", TSIGAlgorithm: "HMACSHA256", TSIGSecret: k.Secret, Timeout: 50 * time.Millisecond}
	if err := s.Pause(); err != nil {
		t.Fatal(err)
	}
	got := failureOf(provider(t, c).Present(context.Background(), record(value)))
	want := failure{fault.Transient, "ServerUnreachable", "DNS update failed: " + addr +
		" does not answer; check its address, that it runs, and that no firewall drops UDP and TCP to it"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("silent: -want +got:\n%s", diff)
	}
	if err := s.Continue(); err != nil {
		t.Fatal(err)
	}
	c.Nameserver = freePort(t, "127.0.0.1")
	got = failureOf(provider(t, c).Present(context.Background(), record(value)))
	want.Message = "DNS update failed: " + c.Nameserver + " refuses connections; check its address and port, and that it runs"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("down: -want +got:\n%s", diff)
	}
}

func TestNamedViewsByKey(t *testing.T) {
	in, out := named.TSIGKey(t, "in", "hmac-sha512"), named.TSIGKey(t, "out", "hmac-sha512")
	_, addr := run(t, named.Options{
		Keys: []named.Key{in, out},
		Views: []named.View{
			{Name: "in", MatchClients: `key "in";`, Zones: []named.Zone{zone("example.com", `key "in";`)}},
			{Name: "out", MatchClients: `key "out";`, Zones: []named.Zone{zone("_acme-challenge.example.com", `key "out";`)}},
			{Name: "rest", MatchClients: `any;`, Zones: []named.Zone{zone("example.org", "none;")}},
		},
	})
	ctx := context.Background()
	for k, want := range map[named.Key]string{in: "example.com.", out: fqdn} {
		p := provider(t, Config{Nameserver: addr, TSIGKeyName: k.Name, TSIGAlgorithm: "HMACSHA512", TSIGSecret: k.Secret})
		got, err := p.Zone(ctx, fqdn)
		if err != nil || got != want {
			t.Errorf("Zone by key %s: %q, %v; want %q", k.Name, got, err, want)
		}
		if err := p.Present(ctx, record(value)); err != nil {
			t.Error(err)
		}
	}
}

func TestNamedTruncation(t *testing.T) {
	k := named.TSIGKey(t, "k", "hmac-sha256")
	// A rate limit with slip 1 is BIND's way to send
	// truncated answers over UDP.
	s, addr := run(t, named.Options{
		Keys: []named.Key{k}, Zones: []named.Zone{zone("example.com", `key "k";`)},
		Config: "\trate-limit { nodata-per-second 1; nxdomains-per-second 1; slip 1; log-only no; window 1; };",
	})
	p := provider(t, Config{Nameserver: addr, TSIGKeyName: "k", TSIGAlgorithm: "HMACSHA256", TSIGSecret: k.Secret})
	for range 20 {
		if err := p.Present(context.Background(), record(value)); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(s.Log(), "slip") {
		t.Error("named sent no truncated answers")
	}
}

func encodeBase64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func TestBuiltInServer(t *testing.T) {
	secret := []byte("0123456789abcdef")
	s, err := nameserver.New(nameserver.Options{
		Listen: []string{"127.0.0.1:0"},
		Keys:   []tsig.Key{{Name: "k.", Algorithm: tsig.MD5, Secret: secret}},
		Zones:  []nameserver.Zone{{Name: "example.com", Update: []string{"k"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	p := provider(t, Config{Nameserver: s.Addr(), TSIGKeyName: "k", TSIGSecret: encodeBase64(string(secret)), Timeout: 100 * time.Millisecond})
	for _, test := range []struct {
		behaviour nameserver.Behaviour
		reason    string
		values    []string
	}{
		{nameserver.Behaviour{}, "", []string{value}},
		{nameserver.Behaviour{Truncate: true}, "", []string{value}},
		{nameserver.Behaviour{RefuseUpdates: true}, "UpdateRefused", nil},
		{nameserver.Behaviour{Rcode: mdns.RcodeServerFailure}, "ZoneNotFound", nil},
		{nameserver.Behaviour{Silent: true}, "ServerUnreachable", nil},
		{nameserver.Behaviour{Unsigned: true}, "UnsignedAnswer", []string{value}},
	} {
		s.Behave(0, test.behaviour)
		err := p.Present(context.Background(), record(value))
		if got := failureOf(err).Reason; got != test.reason {
			t.Errorf("%+v: %s: %v", test.behaviour, got, err)
		}
		if diff := cmp.Diff(test.values, s.Records(fqdn)); diff != "" {
			t.Errorf("%+v: %s", test.behaviour, diff)
		}
		s.Behave(0, nameserver.Behaviour{})
		if err := p.CleanUp(context.Background(), record(value)); err != nil {
			t.Fatal(err)
		}
	}
}
