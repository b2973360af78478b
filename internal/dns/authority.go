package dns

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/everleaf/everleaf/internal/dns/dnsname"
	"github.com/everleaf/everleaf/internal/propagation"
)

// Bounds of a zone's server set: hostile answers must not make a probe expensive.
const (
	maxServers  = 32
	maxPerName  = 16
	maxApexAsks = 4
	// apexGrace is how long askNS waits for the other servers once one has
	// named the zone's servers.
	apexGrace = 250 * time.Millisecond
)

// nameServer is a server of a zone with all its addresses.
type nameServer struct {
	name          string
	parent, child bool
	addrs         []netip.Addr
	failure       propagation.Failure // why there are no addrs
}

func (s nameServer) role() propagation.Role {
	switch {
	case s.parent && s.child:
		return propagation.RoleBoth
	case s.parent:
		return propagation.RoleParent
	default:
		return propagation.RoleChild
	}
}

// serverSet is the union of a zone's delegation and its own NS records.
type serverSet struct {
	zone    string
	servers []nameServer
	signed  bool
}

// nsSet holds a zone's NS records from one source.
type nsSet struct {
	zone   string
	names  []string
	glue   map[string][]netip.Addr
	ttl    time.Duration
	signed bool
}

// serversOf returns the servers of a zone. The delegation comes from the
// referral, or, if that is nil, from the parent zone's servers. A parent that
// cannot be asked is no error: the zone's own records are then the only source.
func (r *Resolver) serversOf(ctx context.Context, zone string, referral *nsSet) (serverSet, error) {
	if set, ok := r.sets.get(zone); ok {
		return set, nil
	}
	return r.findingSet.do(ctx, zone, func() (serverSet, error) { return r.searchServers(ctx, zone, referral) })
}

func (r *Resolver) searchServers(ctx context.Context, zone string, referral *nsSet) (serverSet, error) {
	parent := make(chan nsSet, 1)
	go func() {
		var set nsSet
		defer func() { parent <- set }()
		defer recovered(new(error))
		if referral != nil {
			set = *referral
		} else {
			set = r.delegation(ctx, zone)
		}
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
	servers := r.resolveAll(ctx, known, delegated.glue)
	own := r.apexNS(ctx, zone, servers)
	maps.Copy(servers, r.resolveAll(ctx, missing(own.names, servers), delegated.glue))
	set := merge(zone, servers, seen, delegated, own)
	if err := ctx.Err(); err != nil {
		return serverSet{}, noServers(zone, err)
	}
	r.sets.put(zone, set, setTTL(seen, delegated, own))
	return set, nil
}

// merge sets where each server is named. A server that only the recursive
// resolver names, and not the zone itself, comes from a delegation.
func merge(zone string, servers map[string]nameServer, seen, delegated, own nsSet) serverSet {
	set := serverSet{zone: zone, signed: own.signed}
	for name, s := range servers {
		s.child = slices.Contains(own.names, name) || len(own.names) == 0 && slices.Contains(seen.names, name)
		s.parent = slices.Contains(delegated.names, name)
		if !s.child && !s.parent {
			s.parent = true
		}
		set.servers = append(set.servers, s)
	}
	slices.SortFunc(set.servers, func(a, b nameServer) int { return strings.Compare(a.name, b.name) })
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
	ctx, cancel := context.WithTimeout(ctx, parentBudget)
	defer cancel()
	above, err := r.findCut(ctx, dnsname.Parent(zone))
	if err != nil {
		return nsSet{}
	}
	seen, err := r.recursiveNS(ctx, above.zone)
	if err != nil {
		return nsSet{}
	}
	servers := r.resolveAll(ctx, seen.names[:min(len(seen.names), maxApexAsks)], seen.glue)
	return r.askNS(ctx, servers, zone, func(m *mdns.Msg) nsSet {
		ref := referralIn(m, above.zone, zone)
		if ref == nil || ref.zone != zone {
			return nsSet{}
		}
		return *ref
	})
}

// apexNS asks a zone's servers for the NS records that the zone has itself.
func (r *Resolver) apexNS(ctx context.Context, zone string, servers map[string]nameServer) nsSet {
	return r.askNS(ctx, servers, zone, func(m *mdns.Msg) nsSet {
		if !m.Authoritative || m.Rcode != mdns.RcodeSuccess {
			return nsSet{}
		}
		return nsIn(m.Answer, nil, zone)
	})
}

// askNS asks a few of the servers for a zone's NS records in parallel and
// returns the union of their answers, because they may not agree. Once one has
// answered, the others have apexGrace left.
func (r *Resolver) askNS(ctx context.Context, servers map[string]nameServer, zone string, read func(*mdns.Msg) nsSet) nsSet {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	targets := r.someAddresses(servers)
	results := make(chan nsSet, len(targets))
	for _, addr := range targets {
		go func() {
			var set nsSet
			defer func() { results <- set }()
			defer recovered(new(error))
			if m, err := r.transport.ask(ctx, addr.String(), query(zone, mdns.TypeNS, false, true)); err == nil {
				set = read(m)
			}
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
func (r *Resolver) someAddresses(servers map[string]nameServer) []netip.AddrPort {
	names := slices.Sorted(maps.Keys(servers))
	var out []netip.AddrPort
	for i := range maxPerName {
		for _, name := range names {
			addrs := servers[name].addrs
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
	servers := make(map[string]nameServer, len(names))
	var (
		mu    sync.Mutex
		group sync.WaitGroup
		slots = make(chan struct{}, parallel)
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
				s.failure = propagation.Unresolved
			default:
				s.failure = propagation.NoAddress
			}
			mu.Lock()
			defer mu.Unlock()
			servers[name] = s
		})
	}
	group.Wait()
	return servers
}

// nsIn collects a zone's NS records of a section, and the addresses that extra
// has for them.
func nsIn(section, extra []mdns.RR, zone string) nsSet {
	set := nsSet{zone: zone, ttl: maxCacheTTL, glue: map[string][]netip.Addr{}}
	for _, rr := range section {
		switch rr := rr.(type) {
		case *mdns.NS:
			name := dnsname.Canonical(rr.Ns)
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
		name := dnsname.Canonical(rr.Header().Name)
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
		below := dnsname.Canonical(ns.Hdr.Name)
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

func missing(names []string, servers map[string]nameServer) []string {
	var out []string
	for _, name := range names {
		if _, ok := servers[name]; !ok && len(servers)+len(out) < maxServers {
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
