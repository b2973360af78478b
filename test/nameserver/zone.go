package nameserver

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	mdns "github.com/miekg/dns"
)

// maxChase bounds the aliases followed within one answer.
const maxChase = 8

// zone is a zone with its recent versions, for secondaries. Versions are
// replaced, never changed.
type zone struct {
	name   string
	ttl    uint32
	update []string
	keep   time.Duration // the longest delay of a secondary

	mu       sync.RWMutex
	versions []version // oldest first, never empty
}

type version struct {
	since  time.Time
	serial uint32
	// records by owner name, absolute and in lower case.
	records map[string][]mdns.RR
}

func newZone(o Zone, keep time.Duration, now time.Time) (*zone, error) {
	z := &zone{name: mdns.CanonicalName(o.Name), update: canonicalNames(o.Update), keep: keep, ttl: wholeSeconds(o.TTL)}
	if _, ok := mdns.IsDomainName(z.name); !ok {
		return nil, fmt.Errorf("zone name %q is not a domain name", o.Name)
	}
	ns := o.NS
	if len(ns) == 0 {
		ns = []string{"ns1"}
	}
	// With the directive, a record's own TTL does not apply to the next record.
	lines := []string{fmt.Sprintf("$TTL %d", z.ttl), fmt.Sprintf("@ IN SOA %s hostmaster 1 3600 600 86400 %d", ns[0], wholeSeconds(o.NegativeTTL))}
	for _, name := range ns {
		lines = append(lines, "@ IN NS "+name)
	}
	text := strings.Join(append(lines, o.Records...), "\n") + "\n"
	parser := mdns.NewZoneParser(strings.NewReader(text), z.name, "")
	v := version{since: now, serial: 1, records: map[string][]mdns.RR{}}
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		owner := mdns.CanonicalName(rr.Header().Name)
		if !mdns.IsSubDomain(z.name, owner) {
			return nil, fmt.Errorf("record %s is not in zone %s", owner, z.name)
		}
		v.records[owner] = append(v.records[owner], rr)
	}
	if err := parser.Err(); err != nil {
		return nil, fmt.Errorf("zone %s: %w", z.name, err)
	}
	z.versions = []version{v}
	return z, nil
}

func wholeSeconds(d time.Duration) uint32 {
	if d <= 0 {
		return 60
	}
	return uint32(min(d/time.Second, 1<<31-1))
}

func canonicalNames(names []string) []string {
	out := make([]string, 0, len(names))
	for _, name := range names {
		if name != AnyUpdate {
			name = mdns.CanonicalName(name)
		}
		out = append(out, name)
	}
	return out
}

// at returns the newest version that is at least delay old.
func (z *zone) at(now time.Time, delay time.Duration) version {
	z.mu.RLock()
	defer z.mu.RUnlock()
	for _, v := range slices.Backward(z.versions) {
		if !v.since.After(now.Add(-delay)) {
			return v
		}
	}
	return z.versions[0]
}

// change applies edit to a copy of the newest version's records and stores the
// result as a new version, if edit changed it.
func (z *zone) change(now time.Time, edit func(map[string][]mdns.RR) (changed bool, rcode int)) (bool, int) {
	z.mu.Lock()
	defer z.mu.Unlock()
	last := z.versions[len(z.versions)-1]
	records := maps.Clone(last.records)
	changed, rcode := edit(records)
	if !changed || rcode != mdns.RcodeSuccess {
		return false, rcode
	}
	z.versions = append(z.versions, version{since: now, serial: last.serial + 1, records: records})
	// Keep the version that the slowest secondary serves, and all later ones.
	first := 0
	for i, v := range z.versions {
		if !v.since.After(now.Add(-z.keep)) {
			first = i
		}
	}
	z.versions = slices.Clone(z.versions[first:])
	return true, mdns.RcodeSuccess
}

// soa returns the SOA record of a version. If negative is true, its TTL is that
// for negative answers (RFC 2308 section 3).
func (z *zone) soa(v version, negative bool) *mdns.SOA {
	for _, rr := range v.records[z.name] {
		if soa, ok := rr.(*mdns.SOA); ok {
			out := *soa
			out.Serial = v.serial
			if negative {
				out.Hdr.Ttl = min(out.Hdr.Ttl, out.Minttl)
			}
			return &out
		}
	}
	return nil
}

// lookup answers a query from one version (RFC 1034 section 4.3.2, without
// wildcards). If the answer ends at an alias that points out of the zone, it
// returns the alias's target.
func (z *zone) lookup(v version, m *mdns.Msg, name string, qtype uint16) (onward string) {
	for range maxChase {
		if z.refer(v, m, name, qtype) {
			return ""
		}
		rrs, exists := v.records[name]
		found, alias := pick(rrs, qtype)
		if qtype == mdns.TypeSOA && name == z.name {
			found = []mdns.RR{z.soa(v, false)}
		}
		m.Answer = append(m.Answer, found...)
		switch {
		case len(found) > 0:
			return ""
		case alias != "":
			m.Answer = append(m.Answer, rrs[slices.IndexFunc(rrs, isAlias)])
			if !mdns.IsSubDomain(z.name, alias) {
				return alias
			}
			name = alias
			continue
		case !exists && !v.hasBelow(name):
			m.Rcode = mdns.RcodeNameError
		}
		m.Ns = append(m.Ns, z.soa(v, true))
		return ""
	}
	return ""
}

func isAlias(rr mdns.RR) bool { return rr.Header().Rrtype == mdns.TypeCNAME }

// pick returns the records of a type, or else the target of an alias.
func pick(rrs []mdns.RR, qtype uint16) (found []mdns.RR, alias string) {
	for _, rr := range rrs {
		if qtype == mdns.TypeANY || rr.Header().Rrtype == qtype {
			found = append(found, rr)
		}
		if c, ok := rr.(*mdns.CNAME); ok {
			alias = mdns.CanonicalName(c.Target)
		}
	}
	return found, alias
}

// hasBelow reports whether a name is an empty non-terminal (RFC 8020).
func (v version) hasBelow(name string) bool {
	for owner := range v.records {
		if owner != name && mdns.IsSubDomain(name, owner) {
			return true
		}
	}
	return false
}

// refer answers with a delegation if there is a zone cut between zone and name.
func (z *zone) refer(v version, m *mdns.Msg, name string, qtype uint16) bool {
	labels := mdns.SplitDomainName(name)
	depth := mdns.CountLabel(z.name)
	for i := len(labels) - depth - 1; i >= 0; i-- {
		cut := mdns.Fqdn(strings.Join(labels[i:], "."))
		servers, _ := pick(v.records[cut], mdns.TypeNS)
		if len(servers) == 0 || cut == name && qtype == mdns.TypeDS {
			continue
		}
		m.Authoritative = len(m.Answer) > 0
		m.Ns = append(m.Ns, servers...)
		for _, rr := range servers {
			ns, ok := rr.(*mdns.NS)
			if !ok {
				continue
			}
			for _, glue := range v.records[mdns.CanonicalName(ns.Ns)] {
				if t := glue.Header().Rrtype; t == mdns.TypeA || t == mdns.TypeAAAA {
					m.Extra = append(m.Extra, glue)
				}
			}
		}
		return true
	}
	return false
}
