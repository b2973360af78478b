package rfc2136

import (
	"context"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/everleaf/everleaf/internal/dns/dnsname"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

// Present implements dns01.Provider. It adds the record to those that the name
// has already.
func (p *Provider) Present(ctx context.Context, r dns01.Record) error {
	return p.update(ctx, r, (*mdns.Msg).Insert)
}

// CleanUp implements dns01.Provider. It removes the record and no other.
func (p *Provider) CleanUp(ctx context.Context, r dns01.Record) error {
	return p.update(ctx, r, (*mdns.Msg).Remove)
}

func (p *Provider) update(ctx context.Context, r dns01.Record, change func(*mdns.Msg, []mdns.RR)) error {
	zone, err := p.Zone(ctx, r.FQDN)
	if err != nil {
		return err
	}
	m := new(mdns.Msg)
	m.SetUpdate(zone)
	change(m, []mdns.RR{&mdns.TXT{
		Hdr: mdns.RR_Header{
			Name: mdns.Fqdn(r.FQDN), Rrtype: mdns.TypeTXT, Class: mdns.ClassINET,
			Ttl: uint32(dns01.TTL / time.Second),
		},
		Txt: []string{r.Value},
	}})
	answer, err := p.exchange(ctx, m)
	if err != nil {
		return err
	}
	if answer.Rcode != mdns.RcodeSuccess {
		return p.refused(answer.Rcode, zone, r.FQDN)
	}
	return nil
}

// Zone implements dns01.Provider. It asks the update server itself, signed with
// the same key, because a server's views may select by key. If the server does
// not answer the question, the zone is the one that Config.Walk finds.
func (p *Provider) Zone(ctx context.Context, fqdn string) (string, error) {
	fqdn = dnsname.Canonical(fqdn)
	rcode := mdns.RcodeSuccess
	for name := fqdn; ; name = dnsname.Parent(name) {
		m := new(mdns.Msg)
		m.SetQuestion(name, mdns.TypeSOA)
		m.RecursionDesired = false
		answer, err := p.exchange(ctx, m)
		if err != nil {
			return "", err
		}
		if zone, ok := zoneIn(answer, name); ok {
			return zone, nil
		}
		rcode = answer.Rcode
		// BIND refuses names that are in none of its zones, and then the names
		// above are in none either. Other servers refuse such queries in
		// general, or have a broken zone.
		if rcode != mdns.RcodeSuccess && rcode != mdns.RcodeNameError || name == "." {
			break
		}
	}
	if p.walk != nil {
		if zone, err := p.walk(ctx, fqdn); err == nil {
			return dnsname.Canonical(zone), nil
		}
	}
	return "", p.noZone(fqdn, rcode)
}

// zoneIn reads the zone of a name from an authoritative answer: the owner of
// the SOA record, in the answer section if the name is the zone's apex, in the
// authority section if it is below (RFC 2308 section 2).
func zoneIn(m *mdns.Msg, name string) (string, bool) {
	if !m.Authoritative || (m.Rcode != mdns.RcodeSuccess && m.Rcode != mdns.RcodeNameError) {
		return "", false
	}
	for i, section := range [][]mdns.RR{m.Answer, m.Ns} {
		for _, rr := range section {
			soa, ok := rr.(*mdns.SOA)
			if !ok {
				continue
			}
			// The SOA record at the end of a CNAME belongs to another name.
			owner := dnsname.Canonical(soa.Hdr.Name)
			if owner == name || i == 1 && len(m.Answer) == 0 && mdns.IsSubDomain(owner, name) {
				return owner, true
			}
		}
	}
	return "", false
}
