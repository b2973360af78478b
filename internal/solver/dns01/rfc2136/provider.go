package rfc2136

import (
	"context"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/everleaf/everleaf/internal/solver/dns01"
)

// Nameserver is the host:port that updates go to.
func (p *Provider) Nameserver() string { return p.server }

// Present adds the record to what the name has already.
func (p *Provider) Present(ctx context.Context, r dns01.Record) error {
	return p.update(ctx, r, (*mdns.Msg).Insert)
}

// CleanUp removes the record and no other.
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

// Zone asks the server itself, signed with the same key, because a server's
// views may select by key. A server that does not tell is believed to serve
// what the recursive resolvers say.
func (p *Provider) Zone(ctx context.Context, fqdn string) (string, error) {
	fqdn = mdns.CanonicalName(fqdn)
	rcode := mdns.RcodeSuccess
	for name := fqdn; ; name = parentOf(name) {
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
		// BIND refuses what lies in none of its zones: then the names above do
		// not either. Others refuse to tell, or have a zone that is broken.
		if rcode != mdns.RcodeSuccess && rcode != mdns.RcodeNameError || name == "." {
			break
		}
	}
	if p.walk != nil {
		if zone, err := p.walk(ctx, fqdn); err == nil {
			return mdns.CanonicalName(zone), nil
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
			// The SOA record at the end of a CNAME is that of another name.
			owner := mdns.CanonicalName(soa.Hdr.Name)
			if owner == name || i == 1 && len(m.Answer) == 0 && mdns.IsSubDomain(owner, name) {
				return owner, true
			}
		}
	}
	return "", false
}

func parentOf(name string) string {
	next, end := mdns.NextLabel(name, 0)
	if end || next >= len(name) {
		return "."
	}
	return name[next:]
}
