package dns

import (
	"slices"
	"testing"

	mdns "github.com/miekg/dns"

	"github.com/everleaf/everleaf/internal/propagation"
)

// FuzzAnswers feeds messages to all functions that read them.
func FuzzAnswers(f *testing.F) {
	question := mdns.Question{Name: challenge, Qtype: mdns.TypeTXT, Qclass: mdns.ClassINET}
	for _, records := range [][]string{
		{challenge + ` 10 TXT "a" "b"`},
		{challenge + " CNAME x.test.", "x.test. CNAME " + challenge},
		{"example.test. SOA a. b. 1 2 3 4 5", "example.test. NS ns.example.test.", "ns.example.test. A 192.0.2.1", "ns.example.test. AAAA ::1"},
	} {
		m := new(mdns.Msg)
		m.SetQuestion(challenge, mdns.TypeTXT)
		m.Response, m.Authoritative = true, len(records) == 1
		for _, text := range records {
			rr, err := mdns.NewRR(text)
			if err != nil {
				f.Fatal(err)
			}
			switch rr.Header().Rrtype {
			case mdns.TypeSOA, mdns.TypeNS:
				m.Ns = append(m.Ns, rr)
			case mdns.TypeA, mdns.TypeAAAA:
				m.Extra = append(m.Extra, rr)
			default:
				m.Answer = append(m.Answer, rr)
			}
		}
		raw, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		answers(raw, make([]byte, headerSize))
		m, err := parse(raw, question)
		if err != nil {
			return
		}
		for _, role := range []propagation.Role{propagation.RoleBoth, propagation.RoleRecursive} {
			got := classify(m, propagation.Answer{Name: challenge, Zone: "test.", Role: role}, "ab")
			if got.Has && got.Values == 0 {
				t.Fatal("the value is there, but no values are")
			}
			if got.referral != nil && (len(got.referral.names) > maxServers || !mdns.IsSubDomain(got.referral.zone, challenge)) {
				t.Fatalf("a referral to %v", got.referral)
			}
		}
		for _, name := range []string{challenge, "test.", "."} {
			if c, _, ok := soaAnswer(m, name); ok && c.zone != name {
				t.Fatalf("zone %s for %s", c.zone, name)
			}
			set := nsIn(slices.Concat(m.Answer, m.Ns), m.Extra, name)
			if len(set.names) > maxServers {
				t.Fatalf("%d servers", len(set.names))
			}
			lastAlias(m, name)
		}
		for _, rr := range slices.Concat(m.Answer, m.Ns, m.Extra) {
			addrOf(rr)
		}
	})
}
