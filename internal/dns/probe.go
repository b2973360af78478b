package dns

import (
	"cmp"
	"context"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/everleaf/everleaf/internal/dns/dnsname"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/propagation"
)

const (
	// maxReferrals bounds the zone cuts that are followed below the first zone.
	maxReferrals = 8
	// maxTargets bounds the different CNAME targets that servers of one zone
	// return.
	maxTargets = 4
	// maxAsks and askBudget bound what one zone may cost per probe.
	maxAsks   = 32
	askBudget = 10 * time.Second
)

// Probe asks the name servers for the TXT records at fqdn, and returns which of
// them have value. It follows CNAMEs. It fails, with a fault.Error, only if it
// cannot find out which servers to ask; servers that give no answer are part of
// the Report. Its questions take at most a few timeouts; it never waits in
// between.
//
// zone is the zone in which the provider wrote the record, or empty. If resolvers
// agree that it is a zone above the name, no other name is looked up to find it.
func (r *Resolver) Probe(ctx context.Context, fqdn, value string, mode propagation.Mode, zone string) (propagation.Report, error) {
	if !validName(fqdn) {
		return propagation.Report{}, fault.New(fault.Permanent, "InvalidName", "%q is not a domain name", fqdn)
	}
	p := prober{Resolver: r, value: value, qtype: mdns.TypeTXT}
	p.report = propagation.Report{Name: dnsname.Canonical(fqdn), Final: dnsname.Canonical(fqdn), Value: value, Mode: mode}
	if mode == propagation.RecursiveOnly {
		p.recursive(ctx)
	} else if err := p.authoritative(ctx, zone); err != nil {
		return propagation.Report{}, err
	}
	slices.SortFunc(p.report.Answers, compareAnswers)
	return p.report, nil
}

// prober holds the findings of one Probe.
type prober struct {
	*Resolver
	value  string
	report propagation.Report
	// qtype is what the servers are asked for.
	qtype uint16
}

// recursive asks every configured resolver.
func (p *prober) recursive(ctx context.Context) {
	asks := make([]ask, 0, len(p.upstreams))
	for _, u := range p.upstreams {
		addr, _ := netip.ParseAddrPort(u.text)
		asks = append(asks, ask{Answer: propagation.Answer{Server: u.text, Addr: addr, Role: propagation.RoleRecursive, Name: p.report.Name}, recurse: true, at: u})
	}
	for _, got := range p.askAll(ctx, asks) {
		p.report.NegativeTTL = max(p.report.NegativeTTL, got.NegativeTTL)
		p.report.Answers = append(p.report.Answers, got.Answer)
	}
}

// authoritative asks the servers of the challenge name's zone, and those of the
// zones that its CNAMEs lead to.
func (p *prober) authoritative(ctx context.Context, hint string) error {
	names := []string{p.report.Name}
	seen := map[string]bool{p.report.Name: true}
	for hop := 0; hop < len(names); hop++ {
		targets, err := p.hop(ctx, names[hop], hint)
		if err != nil {
			return err
		}
		hint = ""
		for _, target := range targets {
			if seen[target] || len(names) > maxAliases {
				return aliasLoop(target, p.report.Name)
			}
			seen[target] = true
			names = append(names, target)
		}
	}
	return nil
}

// hop asks all servers of one name and returns the CNAME targets that they have.
func (p *prober) hop(ctx context.Context, name, hint string) ([]string, error) {
	where, err := p.enclosing(ctx, name, hint)
	if err != nil {
		return nil, err
	}
	set, err := p.serversOf(ctx, where.zone, nil)
	if err != nil {
		return nil, err
	}
	answers, referral := p.askZone(ctx, set, name)
	for range maxReferrals {
		if referral == nil {
			break
		}
		deeper, err := p.serversOf(ctx, referral.zone, referral)
		if err != nil {
			return nil, err
		}
		set, where = deeper, cut{zone: deeper.zone}
		answers, referral = p.askZone(ctx, set, name)
	}
	if referral != nil {
		return nil, noServers(set.zone, nil)
	}
	p.askLame(ctx, answers)
	p.askHidden(ctx, answers)
	p.report.Final, p.report.Zone, p.report.Signed = name, set.zone, set.signed
	p.report.NegativeTTL = where.negativeTTL
	var targets []string
	for _, got := range answers {
		p.report.NegativeTTL = max(p.report.NegativeTTL, got.NegativeTTL)
		p.report.Answers = append(p.report.Answers, got.Answer)
		if got.Target != "" && !slices.Contains(targets, got.Target) && len(targets) < maxTargets {
			targets = append(targets, got.Target)
		}
	}
	slices.Sort(targets)
	return targets, nil
}

// enclosing finds the zone above a name without a question about the name
// itself.
func (p *prober) enclosing(ctx context.Context, name, hint string) (cut, error) {
	if hint != "" && validName(hint) && mdns.IsSubDomain(dnsname.Canonical(hint), name) && !sameName(hint, name) {
		c, err := p.findCut(ctx, hint)
		if err == nil && c.zone == dnsname.Canonical(hint) {
			return c, nil
		}
	}
	return p.findCut(ctx, dnsname.Parent(name))
}

// askZone asks all servers of a zone. If any of them refers to a zone further
// down, askZone returns that referral instead of the answers.
func (p *prober) askZone(ctx context.Context, set serverSet, name string) ([]asked, *nsSet) {
	var (
		asks []ask
		out  []asked
	)
	// One address of each server first, so that a budget that is too small leaves
	// no server out.
	for i := range maxPerName {
		for _, s := range set.servers {
			base := propagation.Answer{Server: s.name, Role: s.role(), Zone: set.zone, Name: name, Failure: s.failure}
			switch {
			case i == 0 && len(s.addrs) == 0:
				out = append(out, asked{Answer: base})
			case i < len(s.addrs) && len(asks) < maxAsks:
				base.Addr = netip.AddrPortFrom(s.addrs[i], uint16(p.port))
				asks = append(asks, ask{Answer: base})
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, askBudget)
	defer cancel()
	out = append(out, p.askAll(ctx, asks)...)
	for _, got := range out {
		if got.referral != nil && len(got.referral.names) > 0 {
			return nil, got.referral
		}
	}
	return out, nil
}

// askLame asks the servers that answer without authority once more, as
// resolvers: where a network intercepts port 53, a resolver answers in the place
// of every name server. It asks none of them while an authoritative server does
// not have the value, so that no resolver is asked too soon.
func (p *prober) askLame(ctx context.Context, answers []asked) {
	var (
		asks  []ask
		index []int
	)
	for i, got := range answers {
		switch {
		case got.Failure != propagation.NoFailure || got.Has || got.Target != "":
		case got.Authoritative && got.Lame():
		case got.Authoritative:
			return
		default:
			again := got.Answer
			again.Rcode, again.Values, again.TTL = "", 0, 0
			asks, index = append(asks, ask{Answer: again, recurse: true}), append(index, i)
		}
	}
	for i, got := range p.askAll(ctx, asks) {
		if got.Has {
			answers[index[i]] = got
		}
	}
}

// askHidden asks the servers that have only other values for a CNAME record: some DNS
// providers answer questions for TXT records themselves, for certificates of their own,
// in the place of the alias that the zone has.
func (p *prober) askHidden(ctx context.Context, answers []asked) {
	for i, got := range answers {
		if got.Values == 0 || got.Has || got.Target != "" || !got.Authoritative || p.qtype != mdns.TypeTXT {
			continue
		}
		if m, err := p.transport.ask(ctx, got.Addr.String(), query(got.Name, mdns.TypeCNAME, false, false)); err == nil {
			answers[i].Alias, _ = aliasOf(m, got.Name)
		}
	}
}

// ask is a question to one address; its Answer holds the server and the name.
type ask struct {
	propagation.Answer
	recurse bool
	// at is the resolver that is asked, nil for a name server at Addr.
	at *upstream
}

// asked is the result of an ask.
type asked struct {
	propagation.Answer
	referral *nsSet
}

// askAll asks in parallel; its results are in the order of asks.
func (p *prober) askAll(ctx context.Context, asks []ask) []asked {
	out := make([]asked, len(asks))
	var group sync.WaitGroup
	slots := make(chan struct{}, parallel)
	for i, a := range asks {
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			out[i] = p.askOne(ctx, a)
		})
	}
	group.Wait()
	return out
}

func (p *prober) askOne(ctx context.Context, a ask) (got asked) {
	defer func() {
		if recover() != nil {
			got = asked{Answer: a.Answer}
			got.Failure = propagation.Malformed
		}
	}()
	start := p.clock.Now()
	var m *mdns.Msg
	var err error
	if q := query(a.Name, p.qtype, a.recurse, false); a.at != nil {
		m, err = a.at.ask(ctx, q)
	} else {
		m, err = p.transport.ask(ctx, a.Addr.String(), q)
	}
	got = asked{Answer: a.Answer}
	if err == nil {
		got = classify(m, a.Answer, p.value)
	} else {
		got.Failure, got.Detail = FailureOf(err), detail(err)
	}
	got.Duration = p.clock.Since(start)
	if a.recurse {
		got.referral = nil
	}
	return got
}

// classify reads a server's answer about a.Name.
func classify(m *mdns.Msg, a propagation.Answer, value string) asked {
	a.Rcode, a.Authoritative = RcodeText(m.Rcode), m.Authoritative
	if soa := soaOf(m.Ns); soa != nil {
		a.NegativeTTL, a.Serial = negativeTTL(soa), soa.Serial
	}
	end := a.Name
	if target, ok := aliasOf(m, end); ok {
		// A resolver follows CNAMEs itself; the servers of a zone are asked only
		// about their own names.
		if a.Role != propagation.RoleRecursive {
			a.Target = target
			return asked{Answer: a}
		}
		end = lastAlias(m, end)
	}
	for _, rr := range m.Answer {
		txt, ok := rr.(*mdns.TXT)
		if !ok || !sameName(txt.Hdr.Name, end) {
			continue
		}
		if ttl := seconds(txt.Hdr.Ttl); a.Values == 0 || ttl < a.TTL {
			a.TTL = ttl
		}
		a.Values++
		a.Has = a.Has || strings.Join(txt.Txt, "") == value
	}
	return asked{Answer: a, referral: referralIn(m, a.Zone, a.Name)}
}

// lastAlias follows the CNAME records within one message.
func lastAlias(m *mdns.Msg, name string) string {
	for range maxAliases {
		target, ok := aliasOf(m, name)
		if !ok {
			return name
		}
		name = target
	}
	return name
}

func compareAnswers(a, b propagation.Answer) int {
	return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Server, b.Server), a.Addr.Compare(b.Addr))
}

// Locate returns the name at the end of fqdn's CNAME chain, or fqdn itself if
// follow is false, and the zone that holds that name, as the authoritative
// servers have it. Unlike FindZone and Alias it asks no recursive resolver
// for a name that may not exist yet, but it must be able to reach the
// authoritative servers. It fails if none of them says whether there is a CNAME
// record.
func (r *Resolver) Locate(ctx context.Context, fqdn string, follow bool) (name, zone string, err error) {
	if !validName(fqdn) {
		return "", "", fault.New(fault.Permanent, "InvalidName", "%q is not a domain name", fqdn)
	}
	name = dnsname.Canonical(fqdn)
	seen := map[string]bool{name: true}
	// A server can have an alias that it does not show to a question for TXT records.
	p := prober{Resolver: r, report: propagation.Report{Name: name}, qtype: mdns.TypeCNAME}
	for range maxAliases {
		p.report.Answers = nil
		targets, err := p.hop(ctx, name, "")
		if err == nil && follow {
			err = silence(name, p.report.Answers)
		}
		if err != nil {
			return "", "", err
		}
		if !follow || len(targets) == 0 {
			return name, p.report.Zone, nil
		}
		name = targets[0]
		if seen[name] {
			break
		}
		seen[name] = true
	}
	return "", "", aliasLoop(name, fqdn)
}

// silence is the fault for name servers that do not say whether a name has a CNAME
// record, nil if one of them does.
func silence(name string, answers []propagation.Answer) error {
	servers := propagation.Silence(answers)
	if servers == "" {
		return nil
	}
	f := noAlias(name, "%s; check these name servers, and that they can be reached from here", servers)
	if slices.ContainsFunc(answers, func(a propagation.Answer) bool { return a.Failure == propagation.Timeout }) {
		return f.Because(os.ErrDeadlineExceeded)
	}
	return f
}
