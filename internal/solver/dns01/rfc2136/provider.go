package rfc2136

import (
	"context"
	"errors"
	"strings"

	mdns "github.com/miekg/dns"

	"github.com/everleaf/everleaf/internal/dns"
	"github.com/everleaf/everleaf/internal/dns/dnsname"
	"github.com/everleaf/everleaf/internal/propagation"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

// Present implements dns01.Provider. It adds the record to those that the name
// has already.
func (p *Provider) Present(ctx context.Context, r dns01.Record) error {
	return p.update(ctx, r, true)
}

// CleanUp implements dns01.Provider. It removes the record and no other.
func (p *Provider) CleanUp(ctx context.Context, r dns01.Record) error {
	return p.update(ctx, r, false)
}

// ttl is the time to live of the records: resolvers do not cache them.
const ttl = 0

func (p *Provider) update(ctx context.Context, r dns01.Record, add bool) error {
	zone, err := p.Zone(ctx, r.FQDN)
	if err != nil {
		return err
	}
	m := new(mdns.Msg)
	m.SetUpdate(zone)
	change := m.Remove
	if add {
		change = m.Insert
	}
	change([]mdns.RR{&mdns.TXT{
		Hdr: mdns.RR_Header{Name: mdns.Fqdn(r.FQDN), Rrtype: mdns.TypeTXT, Class: mdns.ClassINET, Ttl: ttl},
		Txt: []string{r.Value},
	}})
	answer, err := p.exchange(ctx, m)
	if err != nil {
		// A server that is slow may have carried it out.
		if has, known := p.has(ctx, r); known && has == add && dns.FailureOf(errors.Unwrap(err)) == propagation.Timeout {
			return nil
		}
		return err
	}
	if answer.Rcode != mdns.RcodeSuccess {
		return p.refused(answer.Rcode, zone, r.FQDN)
	}
	return nil
}

// has reports whether the server has a record, and whether it has said so.
func (p *Provider) has(ctx context.Context, r dns01.Record) (has, known bool) {
	answer, err := p.ask(ctx, r.FQDN, mdns.TypeTXT)
	if err != nil || !answer.Authoritative || (answer.Rcode != mdns.RcodeSuccess && answer.Rcode != mdns.RcodeNameError) {
		return false, false
	}
	for _, rr := range answer.Answer {
		txt, ok := rr.(*mdns.TXT)
		if ok && dnsname.Canonical(txt.Hdr.Name) == dnsname.Canonical(r.FQDN) && strings.Join(txt.Txt, "") == r.Value {
			return true, true
		}
	}
	return false, true
}

// Alias implements dns01.Aliaser.
func (p *Provider) Alias(ctx context.Context, fqdn string) (target string, known bool, err error) {
	fqdn = dnsname.Canonical(fqdn)
	answer, err := p.ask(ctx, fqdn, mdns.TypeCNAME)
	if err != nil || !answer.Authoritative || (answer.Rcode != mdns.RcodeSuccess && answer.Rcode != mdns.RcodeNameError) {
		return "", false, err
	}
	for _, rr := range answer.Answer {
		if cname, ok := rr.(*mdns.CNAME); ok && dnsname.Canonical(cname.Hdr.Name) == fqdn {
			return dnsname.Canonical(cname.Target), true, nil
		}
	}
	return "", true, nil
}

// ask asks the server for the records of a type at a name, without recursion.
func (p *Provider) ask(ctx context.Context, name string, qtype uint16) (*mdns.Msg, error) {
	m := new(mdns.Msg)
	m.SetQuestion(mdns.Fqdn(name), qtype)
	m.RecursionDesired = false
	return p.exchange(ctx, m)
}

// Zone implements dns01.Provider. It asks the update server itself, signed with
// the same key, because a server's views may select by key. If the server does
// not answer the question, the zone is the one that Config.Walk finds.
func (p *Provider) Zone(ctx context.Context, fqdn string) (string, error) {
	fqdn = dnsname.Canonical(fqdn)
	rcode := mdns.RcodeSuccess
	var cut *mdns.NS
	for name := fqdn; ; name = dnsname.Parent(name) {
		answer, err := p.ask(ctx, name, mdns.TypeSOA)
		if err != nil {
			return "", err
		}
		if zone, ok := zoneIn(answer, name); ok {
			if cut != nil && mdns.IsSubDomain(zone, dnsname.Canonical(cut.Hdr.Name)) {
				return "", p.delegated(fqdn, zone, cut)
			}
			return zone, nil
		}
		if cut == nil {
			cut = referral(answer, name)
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

// referral returns an NS record of the delegation in an answer (RFC 1034 section
// 4.3.2): the server has a zone above the name, but not the one that the name is
// in. It returns nil if the answer is no referral.
func referral(m *mdns.Msg, name string) *mdns.NS {
	if m.Authoritative || m.Rcode != mdns.RcodeSuccess || len(m.Answer) > 0 {
		return nil
	}
	for _, rr := range m.Ns {
		if ns, ok := rr.(*mdns.NS); ok && ns.Hdr.Name != "." && mdns.IsSubDomain(dnsname.Canonical(ns.Hdr.Name), name) {
			return ns
		}
	}
	return nil
}
