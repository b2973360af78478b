package nameserver

import (
	"fmt"
	"slices"
	"time"

	mdns "github.com/miekg/dns"
)

const (
	// maxOwners and maxValues bound what updates may add to a zone.
	maxOwners = 100_000
	maxValues = 256
)

// allows reports whether a key, or no key (""), may change the zone.
func (z *zone) allows(key string) bool { return slices.Contains(z.update, key) }

// apply applies an UPDATE (RFC 2136 section 3). It can change TXT records only;
// it rejects any other update as a whole.
func (z *zone) apply(m *mdns.Msg, now time.Time) (changed bool, rcode int) {
	return z.change(now, func(records map[string][]mdns.RR) (bool, int) {
		for _, rr := range m.Answer {
			if rcode := z.prerequisite(records, rr); rcode != mdns.RcodeSuccess {
				return false, rcode
			}
		}
		changed := false
		for _, rr := range m.Ns {
			did, rcode := z.edit(records, rr)
			if rcode != mdns.RcodeSuccess {
				return false, rcode
			}
			changed = changed || did
		}
		return changed, mdns.RcodeSuccess
	})
}

// SetTXT replaces the TXT values at a name in its zone, which is none of a View. It stands
// for a vendor's API, and so needs no key.
func (s *Server) SetTXT(fqdn string, ttl time.Duration, values []string) error {
	name := mdns.CanonicalName(fqdn)
	z := enclosing(s.zones, name)
	if z == nil {
		return fmt.Errorf("no zone has the name %s", fqdn)
	}
	changed, _ := z.change(s.clock.Now(), func(records map[string][]mdns.RR) (bool, int) {
		kept := without(records[name], func(rr mdns.RR) bool { return rr.Header().Rrtype == mdns.TypeTXT })
		for _, v := range values {
			header := mdns.RR_Header{Name: name, Rrtype: mdns.TypeTXT, Class: mdns.ClassINET, Ttl: wholeSeconds(ttl)}
			kept = append(kept, &mdns.TXT{Hdr: header, Txt: []string{v}})
		}
		set(records, name, kept)
		return true, mdns.RcodeSuccess
	})
	if changed {
		s.counters.changes.Add(1)
	}
	return nil
}

// edit applies one record of the update section (RFC 2136 section 2.5).
func (z *zone) edit(records map[string][]mdns.RR, rr mdns.RR) (bool, int) {
	h := rr.Header()
	owner := mdns.CanonicalName(h.Name)
	if !mdns.IsSubDomain(z.name, owner) {
		return false, mdns.RcodeNotZone
	}
	old := records[owner]
	var kept []mdns.RR
	switch h.Class {
	case mdns.ClassINET:
		txt, ok := rr.(*mdns.TXT)
		if !ok || slices.ContainsFunc(old, isAlias) {
			return false, mdns.RcodeRefused
		}
		return z.add(records, owner, txt)
	case mdns.ClassANY:
		if h.Rrtype != mdns.TypeTXT && h.Rrtype != mdns.TypeANY {
			return false, mdns.RcodeRefused
		}
		kept = without(old, func(rr mdns.RR) bool { return rr.Header().Rrtype == mdns.TypeTXT })
	case mdns.ClassNONE:
		txt, ok := rr.(*mdns.TXT)
		if !ok {
			return false, mdns.RcodeRefused
		}
		kept = without(old, func(rr mdns.RR) bool { return sameText(rr, txt) })
	default:
		return false, mdns.RcodeFormatError
	}
	set(records, owner, kept)
	return len(kept) != len(old), mdns.RcodeSuccess
}

// add adds a value to a record set. All records of a set have one TTL (RFC 2181
// section 5.2), the newest.
func (z *zone) add(records map[string][]mdns.RR, owner string, txt *mdns.TXT) (bool, int) {
	old := records[owner]
	if len(old) == 0 && len(records) >= maxOwners || len(old) >= maxValues {
		return false, mdns.RcodeRefused
	}
	same := func(rr mdns.RR) bool { return sameText(rr, txt) && rr.Header().Ttl == txt.Hdr.Ttl }
	if slices.ContainsFunc(old, same) {
		return false, mdns.RcodeSuccess
	}
	kept := without(old, func(rr mdns.RR) bool { return sameText(rr, txt) })
	for i, rr := range kept {
		if other, ok := rr.(*mdns.TXT); ok && other.Hdr.Ttl != txt.Hdr.Ttl {
			copied := *other
			copied.Hdr.Ttl = txt.Hdr.Ttl
			kept[i] = &copied
		}
	}
	added := *txt
	added.Hdr.Name = owner
	records[owner] = append(kept, &added)
	return true, mdns.RcodeSuccess
}

func sameText(rr mdns.RR, txt *mdns.TXT) bool {
	other, ok := rr.(*mdns.TXT)
	return ok && slices.Equal(other.Txt, txt.Txt)
}

// without returns a copy of a list without the records for which out is true.
func without(rrs []mdns.RR, out func(mdns.RR) bool) []mdns.RR {
	return slices.DeleteFunc(slices.Clone(rrs), out)
}

func set(records map[string][]mdns.RR, owner string, rrs []mdns.RR) {
	if len(rrs) == 0 {
		delete(records, owner)
		return
	}
	records[owner] = rrs
}

// prerequisite checks one record of the prerequisite section (RFC 2136 section
// 3.2). It checks sets by value (section 3.2.3) record by record.
func (z *zone) prerequisite(records map[string][]mdns.RR, rr mdns.RR) int {
	h := rr.Header()
	owner := mdns.CanonicalName(h.Name)
	if !mdns.IsSubDomain(z.name, owner) {
		return mdns.RcodeNotZone
	}
	rrs := records[owner]
	ofType, _ := pick(rrs, h.Rrtype)
	switch {
	case h.Class == mdns.ClassANY && h.Rrtype == mdns.TypeANY && len(rrs) == 0:
		return mdns.RcodeNameError
	case h.Class == mdns.ClassANY && len(ofType) == 0:
		return mdns.RcodeNXRrset
	case h.Class == mdns.ClassNONE && h.Rrtype == mdns.TypeANY && len(rrs) > 0:
		return mdns.RcodeYXDomain
	case h.Class == mdns.ClassNONE && h.Rrtype != mdns.TypeANY && len(ofType) > 0:
		return mdns.RcodeYXRrset
	case h.Class == mdns.ClassINET && !slices.ContainsFunc(rrs, func(have mdns.RR) bool { return mdns.IsDuplicate(have, rr) }):
		return mdns.RcodeNXRrset
	}
	return mdns.RcodeSuccess
}
