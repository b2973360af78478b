package dns

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	mdns "github.com/miekg/dns"
	"k8s.io/utils/clock"

	"github.com/everleaf/everleaf/internal/dns/dnsname"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/propagation"
)

// nowhere is an address at which no name server can be (TEST-NET-1, RFC 5737): an
// answer from there comes from what intercepts port 53.
const nowhere = "192.0.2.1"

const (
	// surveyTimeout bounds each attempt of each question of a Survey: somebody waits
	// for the whole of it.
	surveyTimeout = time.Second
	// maxSurveyed bounds the addresses that a Survey asks more than one question.
	maxSurveyed = 32
	// maxUpwards bounds the names above one that are asked about.
	maxUpwards = 10
)

// Survey asks everything about one challenge name that a person needs to see why a
// record is not found. Unlike a Probe it also asks the resolvers for the name, so it
// is not for names that have not been presented yet.
type Survey struct {
	// FQDN is the challenge name, Value the TXT value that a CA looks for.
	FQDN, Value string
	// System are the resolvers of the machine, Configured those that everleaf is
	// configured to use.
	System, Configured []string
	// Only reports whether the resolvers decide, and not the name servers.
	Only bool
	// Presented reports whether the record has been written: only then are the resolvers
	// asked for it.
	Presented bool
	// Origin are the servers to which the record is written, host:port.
	Origin []string
	// Zone is the zone in which it is written, if that is known.
	Zone string
	// Config is that of the Resolvers; its Servers are not used.
	Config Config
}

// surveyed is one resolver of a Survey.
type surveyed struct {
	*Resolver
	view propagation.ResolverView
	// found is what the servers say to which the resolver leads.
	found []propagation.Answer
}

// Run asks, until ctx ends. The View says what there was no time for.
func (s Survey) Run(ctx context.Context) propagation.View {
	if s.Config.Timeout == 0 {
		s.Config.Timeout = surveyTimeout
	}
	if s.Config.Clock == nil {
		s.Config.Clock = clock.RealClock{}
	}
	name := dnsname.Canonical(s.FQDN)
	view := propagation.View{Name: name, Value: s.Value, Only: s.Only, At: s.Config.Clock.Now().UTC().Truncate(time.Second)}
	resolvers := s.resolvers(&view)
	var group sync.WaitGroup
	for _, r := range resolvers {
		spawn(&group, func() { r.lead(ctx, s) })
	}
	spawn(&group, func() { view.Intercepted = s.askNowhere(ctx) })
	group.Wait()
	for _, r := range resolvers {
		for _, a := range r.found {
			view.Add(propagation.ReplyOf(a), r.view.Server)
		}
	}
	view.Origin = s.askOrigin(ctx, ends(name, resolvers))
	var caa []propagation.CAAView
	mayAsk := s.Presented && mayAskResolvers(view)
	spawn(&group, func() { s.askMore(ctx, view.Servers) })
	spawn(&group, func() { caa = s.askCAA(ctx, resolvers) })
	if mayAsk {
		for _, r := range resolvers {
			spawn(&group, func() { r.askTXT(ctx, s) })
		}
	} else {
		view.Left = append(view.Left, "the resolvers were not asked for the record: it is not there yet, and a resolver would remember that")
	}
	group.Wait()
	view.CAA = caa
	for _, r := range resolvers {
		view.Resolvers = append(view.Resolvers, r.view)
	}
	if ctx.Err() != nil {
		view.Left = append(view.Left, "the time ran out: servers that did not answer by then are shown as silent")
	}
	return view
}

// spawn asks in the background. A panic over what a server has sent ends only this.
func spawn(group *sync.WaitGroup, ask func()) {
	group.Go(func() {
		defer recovered(new(error))
		ask()
	})
}

// transport asks servers by their address.
func (s Survey) transport() Transport {
	return Transport{Timeout: s.Config.Timeout, Dial: s.Config.Dial}
}

// resolvers makes one Resolver for each server, so that it shows where this one leads.
func (s Survey) resolvers(view *propagation.View) []*surveyed {
	var out []*surveyed
	for _, server := range append(slices.Clone(s.Configured), s.System...) {
		if slices.ContainsFunc(out, func(o *surveyed) bool { return o.view.Server == server }) {
			continue
		}
		config := s.Config
		config.Servers = []string{server}
		r, err := NewResolver(config)
		if err != nil {
			view.Left = append(view.Left, err.Error())
			continue
		}
		out = append(out, &surveyed{Resolver: r, view: propagation.ResolverView{
			Server: server, System: slices.Contains(s.System, server), Configured: slices.Contains(s.Configured, server),
		}})
	}
	return out
}

// lead asks the servers to which the resolver leads. Where the zone itself fails, which
// may take long to show, the delegation at the zone above shows its servers.
func (r *surveyed) lead(ctx context.Context, s Survey) {
	var group sync.WaitGroup
	var further propagation.Report
	failed := errors.New("no zone above the name is known")
	group.Go(func() {
		if above := r.above(ctx, s.FQDN); above != "" {
			further, failed = r.Probe(ctx, s.FQDN, s.Value, propagation.Authoritative, above)
		}
	})
	report, err := r.Probe(ctx, s.FQDN, s.Value, propagation.Authoritative, s.Zone)
	if err != nil {
		group.Wait()
		if failed != nil {
			r.view.Problem = fault.Of(err).Message
			return
		}
		report = further
	}
	r.view.Zone, r.view.Final, r.view.Signed = report.Zone, report.Final, report.Signed
	for _, a := range report.Answers {
		if a.Zone == report.Zone && !slices.Contains(r.view.Nameservers, a.Server) {
			r.view.Nameservers = append(r.view.Nameservers, a.Server)
		}
	}
	r.found = report.Answers
}

// above is the nearest zone above the domain that the resolver finds, "" if there is none
// but the root. It asks for all of them at once.
func (r *surveyed) above(ctx context.Context, fqdn string) string {
	names := upwards(dnsname.Parent(dnsname.Canonical(fqdn)))
	zones := make([]string, len(names))
	var group sync.WaitGroup
	for i, name := range names {
		group.Go(func() {
			if c, err := r.findCut(ctx, name); err == nil && c.zone != "." {
				zones[i] = c.zone
			}
		})
	}
	group.Wait()
	return cmp.Or(zones...)
}

// upwards are a name and those above it, without the root.
func upwards(name string) []string {
	var names []string
	for ; name != "." && len(names) < maxUpwards; name = dnsname.Parent(name) {
		names = append(names, name)
	}
	return names
}

// mayAskResolvers reports whether the resolvers can be asked for the name: only if some
// server has the record, and none may lack it. A resolver that learns that there is none
// remembers it, and the CA may ask the same one.
func mayAskResolvers(v propagation.View) bool {
	if v.Only {
		// everleaf asks them itself.
		return true
	}
	somebody := false
	for _, a := range append(slices.Clone(v.Servers), v.Origin...) {
		somebody = somebody || a.Has
	}
	for _, a := range v.Servers {
		switch {
		case a.Has || a.Target != "" || a.Failure == propagation.NoAddress || a.Failure == propagation.NoRoute:
		case a.Failure == propagation.Timeout || a.Failure == propagation.NoFailure && a.Authoritative:
			return false
		}
	}
	return somebody
}

// askTXT asks the resolver for the record.
func (r *surveyed) askTXT(ctx context.Context, s Survey) {
	name := dnsname.Canonical(s.FQDN)
	a := propagation.Answer{Server: r.view.Server, Role: propagation.RoleRecursive, Name: name}
	a.Addr, _ = netip.ParseAddrPort(r.view.Server)
	start := r.clock.Now()
	m, _, err := r.recurse(ctx, name, mdns.TypeTXT)
	var reply propagation.Reply
	if err != nil {
		a.Failure, a.Detail, a.Duration = FailureOf(err), detail(err), r.clock.Since(start)
		reply = propagation.ReplyOf(a)
	} else {
		a = classify(m, a, s.Value).Answer
		a.Duration = r.clock.Since(start)
		reply = propagation.ReplyOf(a)
		reply.Extended = extendedError(m)
	}
	r.view.TXT = &reply
	if reply.Rcode == "SERVFAIL" {
		r.view.Bogus = r.unchecked(ctx, name)
	}
}

// unchecked reports whether the resolver answers if it need not validate.
func (r *surveyed) unchecked(ctx context.Context, name string) bool {
	q := query(name, mdns.TypeTXT, true, false)
	q.CheckingDisabled = true
	m, err := r.upstreams[0].ask(ctx, q)
	return err == nil && (m.Rcode == mdns.RcodeSuccess || m.Rcode == mdns.RcodeNameError)
}

// extendedError is the first extended error of an answer (RFC 8914). Its text is the
// code's: the server's own is a stranger's.
func extendedError(m *mdns.Msg) string {
	opt := m.IsEdns0()
	if opt == nil {
		return ""
	}
	for _, o := range opt.Option {
		if e, ok := o.(*mdns.EDNS0_EDE); ok {
			if text, ok := mdns.ExtendedErrorCodeToString[e.InfoCode]; ok {
				return text
			}
			return fmt.Sprintf("extended error %d", e.InfoCode)
		}
	}
	return ""
}

// ends are the names at which the record can be: the name, and where its CNAME chain
// ends.
func ends(name string, resolvers []*surveyed) []string {
	names := []string{name}
	for _, r := range resolvers {
		if r.view.Final != "" && !slices.Contains(names, r.view.Final) && len(names) <= maxTargets {
			names = append(names, r.view.Final)
		}
	}
	return names
}

// askOrigin asks the servers to which the record is written. Of several names, the one
// that has it counts, else the first.
func (s Survey) askOrigin(ctx context.Context, names []string) []propagation.Reply {
	out := make([]propagation.Reply, len(s.Origin)*len(names))
	var group sync.WaitGroup
	for i, server := range s.Origin {
		for j, name := range names {
			spawn(&group, func() {
				out[i*len(names)+j] = s.askOne(ctx, server, name)
			})
		}
	}
	group.Wait()
	var kept []propagation.Reply
	for i := range s.Origin {
		of := out[i*len(names) : (i+1)*len(names)]
		kept = append(kept, of[max(slices.IndexFunc(of, func(r propagation.Reply) bool { return r.Has }), 0)])
	}
	return kept
}

// askOne asks a server for the record at a name, and for its zone.
func (s Survey) askOne(ctx context.Context, server, name string) propagation.Reply {
	t := s.transport()
	a := propagation.Answer{Server: server, Name: name}
	start := s.Config.Clock.Now()
	m, err := t.ask(ctx, server, query(name, mdns.TypeTXT, false, false))
	if err == nil {
		a = classify(m, a, s.Value).Answer
	}
	a.Failure, a.Duration = FailureOf(err), s.Config.Clock.Since(start)
	reply := propagation.ReplyOf(a)
	// The SOA record shows in which zone the server has the name.
	if m, err = t.ask(ctx, server, query(name, mdns.TypeSOA, false, false)); err == nil {
		if soa := soaOf(append(slices.Clone(m.Answer), m.Ns...)); soa != nil {
			reply.Zone, reply.Serial = dnsname.Canonical(soa.Hdr.Name), soa.Serial
		}
	}
	return reply
}

// askNowhere says what answers where nothing can be.
func (s Survey) askNowhere(ctx context.Context) string {
	packed, err := query(".", mdns.TypeNS, true, false).Pack()
	if err != nil {
		return ""
	}
	t := s.transport()
	raw, err := t.RoundTrip(ctx, "udp", nowhere+":53", packed)
	if err != nil || len(raw) < headerSize {
		return ""
	}
	return RcodeText(int(raw[3] & 0x0f))
}

// askMore asks each address for the record over TCP, and for the zone's serial.
func (s Survey) askMore(ctx context.Context, replies []propagation.Reply) {
	t := s.transport()
	var group sync.WaitGroup
	slots := make(chan struct{}, parallel)
	for i := range replies[:min(len(replies), maxSurveyed)] {
		r := &replies[i]
		if r.Address == "" || r.Failure == propagation.NoRoute {
			continue
		}
		spawn(&group, func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			r.TCP = t.overTCP(ctx, r.Address, r.Name)
			if r.Values > 0 && !r.Has {
				if m, err := t.ask(ctx, r.Address, query(r.Name, mdns.TypeCNAME, false, false)); err == nil {
					r.Alias, _ = aliasOf(m, r.Name)
				}
			}
			if r.Serial == 0 && r.Failure == propagation.NoFailure {
				if m, err := t.ask(ctx, r.Address, query(r.Zone, mdns.TypeSOA, false, false)); err == nil {
					if soa := soaOf(m.Answer); soa != nil {
						r.Serial = soa.Serial
					}
				}
			}
		})
	}
	group.Wait()
}

// overTCP returns why a server gives no answer over TCP.
func (t Transport) overTCP(ctx context.Context, address, name string) propagation.Failure {
	packed, err := query(name, mdns.TypeTXT, false, false).Pack()
	if err == nil {
		_, err = t.RoundTrip(ctx, "tcp", address, packed)
	}
	return FailureOf(err)
}
