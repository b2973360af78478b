package dns

import (
	"testing"
	"testing/synctest"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/everleaf/everleaf/internal/propagation"
)

// TestHiddenAlias has name servers that answer questions for TXT records themselves, in
// the place of the alias that the zone has.
func TestHiddenAlias(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{servers: []string{"192.0.2.1:53", "192.0.2.13:53"}, noRoute: "[2001:", records: []string{
			"test. 60 SOA ns1 h 1 1 1 1 60", "example.test. 60 SOA ns1 h 1 1 1 1 60", "example.test. 60 NS ns3.example.test.",
			"ns3.example.test. 60 A 192.0.2.13",
			challenge + ` 60 TXT "one"`, challenge + ` 60 TXT "two"`, challenge + " 60 CNAME X.Delegated.Example.test.",
		}}
		r, err := NewResolver(Config{Servers: []string{"192.0.2.1:53"}, Dial: n.dial})
		if err != nil {
			t.Fatal(err)
		}
		if name, zone, err := r.Locate(t.Context(), challenge, true); err != nil || name != "x.delegated.example.test." || zone != "example.test." {
			t.Errorf("Locate = %q, %q, %v", name, zone, err)
		}
		report, err := r.Probe(t.Context(), challenge, "v", propagation.Authoritative, "")
		if err != nil {
			t.Fatal(err)
		}
		verdict := propagation.Judge(report, propagation.LedgerEntry{}, propagation.Policy{Follow: true}, time.Now())
		if want := `DNS record for "example.test" not yet propagated: ns3.example.test. (192.0.2.13) has other values only, in the place of its CNAME record to x.delegated.example.test.: ` +
			"the DNS provider answers this name itself, as for a certificate of its own"; verdict.Message != want {
			t.Errorf("got  %s\nwant %s", verdict.Message, want)
		}
		time.Sleep(time.Minute)
	})
}

// TestForeignSOA has a resolver with a rewrite rule: it answers a question for the SOA
// record of a name with that of the zone to which the rule leads.
func TestForeignSOA(t *testing.T) {
	soa, err := mdns.NewRR("cluster.local. 30 SOA ns.dns.cluster.local. h 1 1 1 1 30")
	if err != nil {
		t.Fatal(err)
	}
	for name, add := range map[string]func(*mdns.Msg){
		"in the answer":            func(a *mdns.Msg) { a.Answer = append(a.Answer, soa) },
		"in the authority section": func(a *mdns.Msg) { a.Ns = append(a.Ns, soa) },
		"as the end of an alias": func(a *mdns.Msg) {
			alias, _ := mdns.NewRR(a.Question[0].Name + " 30 CNAME com-prod.ns.svc.cluster.local.")
			a.Answer = append(a.Answer, alias, soa)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{servers: []string{"192.0.2.1:53"}, records: familyRecords, change: func(a *mdns.Msg) {
					if a.Question[0].Name == "www.example.test." {
						add(a)
					}
				}}
				r, err := NewResolver(Config{Servers: []string{"192.0.2.1:53"}, Dial: n.dial})
				if err != nil {
					t.Fatal(err)
				}
				if zone, server, err := r.Claim(t.Context(), "www.example.test."); err != nil || zone != "example.test." || server != "192.0.2.1:53" {
					t.Errorf("%q, %q, %v", zone, server, err)
				}
			})
		})
	}
}
