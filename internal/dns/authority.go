package dns

import (
	"context"
	"net/netip"
	"slices"
	"sort"
	"sync"
	"time"

	mdns "github.com/miekg/dns"
)

// Bounds of a zone's server set, against answers made to be expensive.
const (
	maxServers  = 32
	maxPerName  = 16
	maxApexAsks = 4
	// apexGrace is how long the other servers are waited for when one has
	// named the zone's servers.
	apexGrace = 250 * time.Millisecond
)

// nameServer is a server of a zone with all its addresses.
type nameServer struct {
	name          string
	parent, child bool
	addrs         []netip.Addr
	failure       Failure // why there are no addrs
}

func (s nameServer) role() Role {
	switch {
	case s.parent && s.child:
		return RoleBoth
	case s.parent:
		return RoleParent
	default:
		return RoleChild
	}
}

// serverSet is the union of a zone's delegation and its own NS records.
type serverSet struct {
	zone    string
	servers []nameServer
	signed  bool
}

// nsSet is one source's NS records of a zone.
type nsSet struct {
	zone   string
	names  []string
	glue   map[string][]netip.Addr
	ttl    time.Duration
	signed bool
}

// serversOf returns the servers of a zone. Its delegation is looked for at the
// parent zone's servers unless a referral has told it already. A parent that
// cannot be asked is no error: the zone's own records are then the only
// source.
func (r *Resolver) serversOf(ctx context.Context, zone string, referral *nsSet) (serverSet, error) {
	if set, ok := r.sets.get(zone); ok {
		return set, nil
	}
	return r.findingSet.do(ctx, zone, func() (serverSet, error) { return r.searchServers(ctx, zone, referral) })
}

func (r *Resolver) searchServers(ctx context.Context, zone string, referral *nsSet) (serverSet, error) {
	parent := make(chan nsSet, 1)
	go func() {
		if referral != nil {
			parent <- *referral
			return
		}
		parent <- r.delegation(ctx, zone)
	}()
	var (
		seen nsSet
		err  error
	)
	if referral == nil {
		seen, err = r.recursiveNS(ctx, zone)
	}
	delegated := <-parent
	known := union(seen.names, delegated.names)
	if len(known) == 0 {
		return serverSet{}, noServers(zone, err)
	}
	book := r.resolveAll(ctx, known, delegated.glue)
	own := r.apexNS(ctx, zone, book)
	if more := missing(own.names, book); len(more) > 0 {
		for name, s := range r.resolveAll(ctx, more, delegated.glue) {
			book[name] = s
		}
	}
	set := merge(zone, book, seen, delegated, own)
	if err := ctx.Err(); err != nil {
		return serverSet{}, noServers(zone, err)
	}
	r.sets.put(zone, set, setTTL(seen, delegated, own))
	return set, nil
}

// merge gives each server its role. A server that only the recursive resolver
// names, and that the zone itself does not, comes from a delegation.
func merge(zone string, book map[string]nameServer, seen, delegated, own nsSet) serverSet {
	set := serverSet{zone: zone, signed: own.signed}
	for name, s := range book {
		s.child = slices.Contains(own.names, name) || len(own.names) == 0 && slices.Contains(seen.names, name)
		s.parent = slices.Contains(delegated.names, name)
		if !s.child && !s.parent {
			s.parent = true
		}
		set.servers = append(set.servers, s)
	}
	sort.Slice(set.servers, func(i, j int) bool { return set.servers[i].name < set.servers[j].name })
	return set
}

func setTTL(sets ...nsSet) time.Duration {
	ttl := maxCacheTTL
	for _, s := range sets {
		if len(s.names) > 0 {
			ttl = min(ttl, s.ttl)
		}
	}
	// A TTL of 0 would mean a walk for each of a hundred challenges at once.
	return max(ttl, time.Second)
}

// recursiveNS is a zone's server set as the recursive resolvers see it.
func (r *Resolver) recursiveNS(ctx context.Context, zone string) (nsSet, error) {
	m, _, err := r.recurse(ctx, zone, mdns.TypeNS)
	if err != nil {
		return nsSet{}, err
	}
	return nsIn(m.Answer, m.Extra, zone), nil
}

// delegation asks the servers of the zone above for the zone's NS records. It
// returns an empty set if they cannot be found or asked within the budget, or
// if they serve the zone as well and therefore give no referral.
func (r *Resolver) delegation(ctx context.Context, zone string) nsSet {
	if zone == "." {
		return nsSet{}
	}
	ctx, cancel := context.WithTimeout(ctx, r.parent)
	defer cancel()
	above, err := r.findCut(ctx, parentOf(zone))
	if err != nil {
		return nsSet{}
	}
	seen, err := r.recursiveNS(ctx, above.zone)
	if err != nil {
		return nsSet{}
	}
	book := r.resolveAll(ctx, seen.names[:min(len(seen.names), maxApexAsks)], seen.glue)
	return r.askNS(ctx, book, zone, func(m *mdns.Msg) nsSet {
		ref := referralIn(m, above.zone, zone)
		if ref == nil || ref.zone != zone {
			return nsSet{}
		}
		return *ref
	})
}

// apexNS asks a zone's servers for the NS records that the zone has itself.
func (r *Resolver) apexNS(ctx context.Context, zone string, book map[string]nameServer) nsSet {
	return r.askNS(ctx, book, zone, func(m *mdns.Msg) nsSet {
		if !m.Authoritative || m.Rcode != mdns.RcodeSuccess {
			return nsSet{}
		}
		return nsIn(m.Answer, nil, zone)
	})
}

// askNS asks a few of the servers for a zone's NS records at once and unites
// what they say, in case they do not agree. Once one has said something the
// others have a little time left.
func (r *Resolver) askNS(ctx context.Context, book map[string]nameServer, zone string, read func(*mdns.Msg) nsSet) nsSet {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	targets := r.someAddresses(book)
	results := make(chan nsSet, len(targets))
	for _, addr := range targets {
		go func() {
			m, err := r.transport.ask(ctx, addr.String(), query(zone, mdns.TypeNS, false, true))
			if err != nil {
				results <- nsSet{}
				return
			}
			results <- read(m)
		}()
	}
	all := nsSet{zone: zone, ttl: maxCacheTTL, glue: map[string][]netip.Addr{}}
	for range targets {
		set := <-results
		if len(set.names) == 0 {
			continue
		}
		if len(all.names) == 0 {
			defer time.AfterFunc(apexGrace, cancel).Stop()
		}
		all.names = union(all.names, set.names)
		all.ttl, all.signed = min(all.ttl, set.ttl), all.signed || set.signed
		for name, addrs := range set.glue {
			all.glue[name] = distinct(append(all.glue[name], addrs...))
		}
	}
	return all
}

// someAddresses picks maxApexAsks addresses, of different servers first.
func (r *Resolver) someAddresses(book map[string]nameServer) []netip.AddrPort {
	names := make([]string, 0, len(book))
	for name := range book {
		names = append(names, name)
	}
	sort.Strings(names)
	var out []netip.AddrPort
	for i := range maxPerName {
		for _, name := range names {
			addrs := book[name].addrs
			if i < len(addrs) && len(out) < maxApexAsks {
				out = append(out, netip.AddrPortFrom(addrs[i], uint16(r.port)))
			}
		}
	}
	return out
}

// resolveAll looks up the addresses of servers, adding the glue that came with
// a referral: resolvers use both.
func (r *Resolver) resolveAll(ctx context.Context, names []string, glue map[string][]netip.Addr) map[string]nameServer {
	book := make(map[string]nameServer, len(names))
	var (
		mu    sync.Mutex
		group sync.WaitGroup
		slots = make(chan struct{}, r.parallel)
	)
	for _, name := range names {
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			s := nameServer{name: name}
			found, err := r.addresses(ctx, name)
			s.addrs = distinct(append(found, glue[name]...))
			switch {
			case len(s.addrs) > 0:
			case err != nil:
				s.failure = Unresolved
			default:
				s.failure = NoAddress
			}
			mu.Lock()
			defer mu.Unlock()
			book[name] = s
		})
	}
	group.Wait()
	return book
}

// nsIn collects a zone's NS records of a section, and the addresses that extra
// has for them.
func nsIn(section, extra []mdns.RR, zone string) nsSet {
	set := nsSet{zone: zone, ttl: maxCacheTTL, glue: map[string][]netip.Addr{}}
	for _, rr := range section {
		switch rr := rr.(type) {
		case *mdns.NS:
			name := Canonical(rr.Ns)
			if sameName(rr.Hdr.Name, zone) && validName(rr.Ns) && len(set.names) < maxServers && !slices.Contains(set.names, name) {
				set.names = append(set.names, name)
				set.ttl = min(set.ttl, seconds(rr.Hdr.Ttl))
			}
		case *mdns.RRSIG:
			set.signed = set.signed || rr.TypeCovered == mdns.TypeNS
		}
	}
	for _, rr := range extra {
		addr, ok := addrOf(rr)
		name := Canonical(rr.Header().Name)
		if ok && slices.Contains(set.names, name) && len(set.glue[name]) < maxPerName {
			set.glue[name] = append(set.glue[name], addr)
		}
	}
	return set
}

// referralIn returns the delegation in a message that a server of zone sent
// about name: NS records in the authority section of an answer that is not
// authoritative, for a zone between the two (RFC 1034 section 4.3.2). A
// referral to anywhere else is no help and counts as none.
func referralIn(m *mdns.Msg, zone, name string) *nsSet {
	if m.Authoritative || m.Rcode != mdns.RcodeSuccess || len(m.Answer) > 0 {
		return nil
	}
	for _, rr := range m.Ns {
		ns, ok := rr.(*mdns.NS)
		if !ok {
			continue
		}
		below := Canonical(ns.Hdr.Name)
		if below == zone || !mdns.IsSubDomain(zone, below) || !mdns.IsSubDomain(below, name) {
			continue
		}
		set := nsIn(m.Ns, m.Extra, below)
		return &set
	}
	return nil
}

func union(a, b []string) []string {
	out := append([]string(nil), a...)
	for _, s := range b {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out[:min(len(out), maxServers)]
}

func missing(names []string, book map[string]nameServer) []string {
	var out []string
	for _, name := range names {
		if _, ok := book[name]; !ok && len(book)+len(out) < maxServers {
			out = append(out, name)
		}
	}
	return out
}

func distinct(addrs []netip.Addr) []netip.Addr {
	slices.SortFunc(addrs, netip.Addr.Compare)
	addrs = slices.Compact(addrs)
	return addrs[:min(len(addrs), maxPerName)]
}
