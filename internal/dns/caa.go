package dns

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"

	mdns "github.com/miekg/dns"

	"github.com/everleaf/everleaf/internal/dns/dnsname"
	"github.com/everleaf/everleaf/internal/propagation"
)

// askCAA asks for the CAA records of the domain and the names above it.
func (s Survey) askCAA(ctx context.Context, resolvers []*surveyed) []propagation.CAAView {
	i := slices.IndexFunc(resolvers, func(r *surveyed) bool { return r.view.Problem == "" })
	if i < 0 {
		return nil
	}
	names := upwards(dnsname.Identifier(s.FQDN) + ".")
	out := make([]propagation.CAAView, len(names))
	var group sync.WaitGroup
	for n, name := range names {
		spawn(&group, func() {
			out[n] = resolvers[i].caa(ctx, name)
		})
	}
	group.Wait()
	return out
}

// caa asks the resolver for the CAA records of a name. If the answer is an error, it finds
// out which of the name's own servers fail.
func (r *surveyed) caa(ctx context.Context, name string) propagation.CAAView {
	view := propagation.CAAView{Name: name}
	m, _, err := r.recurse(ctx, name, mdns.TypeCAA)
	if err != nil {
		view.Failure = FailureOf(err)
		return view
	}
	view.Rcode = RcodeText(m.Rcode)
	if target := lastAlias(m, name); target != name {
		view.Alias = target
	}
	for _, rr := range m.Answer {
		if c, ok := rr.(*mdns.CAA); ok {
			view.Records = append(view.Records, propagation.CAA{Critical: c.Flag&0x80 != 0, Tag: strings.ToLower(c.Tag), Value: c.Value})
		}
	}
	if m.Rcode != mdns.RcodeSuccess && m.Rcode != mdns.RcodeNameError {
		view.Servers = r.refusals(ctx, name)
	}
	return view
}

// refusals asks the servers to which a zone is delegated, and returns those that do
// not answer for it.
func (r *surveyed) refusals(ctx context.Context, zone string) []propagation.Refusal {
	set := r.delegation(ctx, zone)
	servers := r.resolveAll(ctx, set.names, set.glue)
	var out []propagation.Refusal
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		server := servers[name]
		if len(server.addrs) == 0 {
			out = append(out, propagation.Refusal{Server: name, Says: server.failure.Says()})
			continue
		}
		address := netip.AddrPortFrom(server.addrs[0], uint16(r.port))
		m, err := r.transport.ask(ctx, address.String(), query(zone, mdns.TypeSOA, false, false))
		switch {
		case err != nil:
			out = append(out, propagation.Refusal{Server: name, Says: FailureOf(err).Says()})
		case m.Rcode != mdns.RcodeSuccess && m.Rcode != mdns.RcodeNameError:
			out = append(out, propagation.Refusal{Server: name, Says: "answers " + RcodeText(m.Rcode)})
		case !m.Authoritative:
			out = append(out, propagation.Refusal{Server: name, Says: "answers without authority for the zone"})
		}
	}
	return out
}
