package diagnosis

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"

	"github.com/everleaf/everleaf/internal/dns/dnsname"
	"github.com/everleaf/everleaf/internal/propagation"
)

// awsPrivate begins the names of the servers of a private hosted zone, as the
// resolver of a VPC names them.
const awsPrivate = "ns-0.awsdns-00."

// written is how a Challenge's record is written.
type written struct {
	// follow is cnameStrategy: Follow. provider names what writes it.
	follow   bool
	provider string
	// presented reports whether that succeeded.
	presented bool
	// own reports whether the solver has nameservers of its own.
	own bool
	// public is a resolver that leads to the record, empty if none is known.
	public string
}

// sight is a View with what follows from it at once.
type sight struct {
	propagation.View
	written
	// at are the answers at the end of the CNAME chain.
	at []propagation.Reply
	// have, lack, lame and silent are the servers of at by what they answer.
	have, lack, lame, silent []propagation.Reply
	// out are those that nobody can ask from here.
	out []propagation.Reply
}

func newSight(v propagation.View, w written) sight {
	s := sight{View: v, written: w}
	for _, r := range v.Servers {
		switch {
		case r.Target != "":
			continue
		case r.Has:
			s.have = append(s.have, r)
		case r.Failure == propagation.NoAddress || r.Failure == propagation.NoRoute:
			s.out = append(s.out, r)
			continue
		case r.Failure != propagation.NoFailure:
			s.silent = append(s.silent, r)
		case r.Lame():
			s.lame = append(s.lame, r)
		default:
			s.lack = append(s.lack, r)
		}
		s.at = append(s.at, r)
	}
	return s
}

// judge says why the record is not found, the main cause first.
func (s sight) judge() []Verdict {
	for _, rule := range []func() (Verdict, bool){
		s.unsigned, s.intercepted, s.nowhere, s.blocked, s.toldApart, s.lameAll, s.lagging, s.elsewhere, s.alias, s.byProvider, s.undelegated, s.absent,
	} {
		if v, ok := rule(); ok {
			return append([]Verdict{v}, s.asides(v.Code)...)
		}
	}
	if len(s.have) == 0 {
		return []Verdict{s.undecided()}
	}
	found := s.resolvers()
	if all(found, func(v Verdict) bool { return v.Aside }) {
		found = append([]Verdict{{Code: Propagated, Message: fmt.Sprintf("every name server that answers has the record (%s)", names(s.have))}}, found...)
	}
	return append(found, s.asides(found[0].Code)...)
}

// asides are the servers that do not count for the main cause.
func (s sight) asides(main Code) []Verdict {
	var out []Verdict
	if len(s.lame) > 0 && main != LameDelegation && main != SplitHorizon && len(s.have) > 0 {
		out = append(out, Verdict{
			Code: LameDelegation, Aside: true,
			Message: fmt.Sprintf("%s named for the zone and does not serve it: %s", plural(len(s.lame), "a server is", "servers are"), says(s.lame)),
			Fix:     []string{"remove it from the NS records of the zone and of its parent, or have it serve the zone"},
		})
	}
	var tcp []propagation.Reply
	for _, r := range s.at {
		if r.Failure == propagation.NoFailure && r.TCP != propagation.NoFailure {
			tcp = append(tcp, r)
		}
	}
	if len(tcp) > 0 {
		out = append(out, Verdict{
			Code: PortBlocked, Aside: true,
			Message: fmt.Sprintf("%s over UDP and not over TCP (RFC 7766), which a CA needs for long answers", namesAnd(tcp, "answers", "answer")),
			Fix:     []string{"open TCP port 53 of these name servers"},
		})
	}
	return out
}

// unsigned: signatures of the zone do not verify.
func (s sight) unsigned() (Verdict, bool) {
	for _, r := range s.Resolvers {
		if !r.Bogus {
			continue
		}
		why := ""
		if r.TXT != nil && r.TXT.Extended != "" {
			why = " (" + r.TXT.Extended + ")"
		}
		return Verdict{
			Code: DNSSECFailure,
			Message: fmt.Sprintf("the signatures (DNSSEC) of %s do not verify: the resolver %s answers SERVFAIL%s, and answers if it need not validate. A CA validates, so it cannot see the record",
				s.zoneOr(s.Name), r.Server, why),
			Fix: []string{
				"compare the DS record at the parent with the keys of the zone, and sign the zone again or remove the DS record",
				"$ delv @" + host(r.Server) + " TXT " + s.Name,
			},
		}, true
	}
	return Verdict{}, false
}

// intercepted: something answers in the place of name servers.
func (s sight) intercepted() (Verdict, bool) {
	if s.Intercepted == "" || s.allHave() && len(s.lackingResolvers()) == 0 {
		return Verdict{}, false
	}
	return Verdict{
		Code: PortIntercepted,
		Message: fmt.Sprintf("the network intercepts port 53: 192.0.2.1, where no name server is, answers %s, so that the answers above are not those of the name servers that are named",
			s.Intercepted),
		Fix: []string{
			"exclude everleaf's pods from the interception (service mesh, router, firewall)",
			"or ask over TLS or HTTPS, which is not intercepted:",
			"$ --dns01-recursive-nameservers-only --dns01-recursive-nameservers=https://1.1.1.1/dns-query",
		},
	}, true
}

// nowhere: no resolver leads to a name server.
func (s sight) nowhere() (Verdict, bool) {
	if len(s.at)+len(s.out) > 0 || len(s.Resolvers) == 0 {
		return Verdict{}, false
	}
	first := s.Resolvers[0]
	// What follows is advice, which the Verdict has too.
	problem, _, _ := strings.Cut(first.Problem, "; ")
	failing := first.TXT != nil && (first.TXT.Failure != propagation.NoFailure || first.TXT.Rcode == "SERVFAIL")
	if at := s.originHas(); at != "" && !failing {
		return s.horizon(SplitHorizon, fmt.Sprintf("%s, to which the record is written, has it, but the resolver %s does not know its zone: %s",
			at, first.Server, problem)), true
	}
	return Verdict{
		Code:    ResolverFails,
		Message: fmt.Sprintf("no resolver leads to the name servers of %s: %s", s.Name, problem),
		Fix:     append([]string{"check that the domain is spelled as it is registered, and that it is delegated"}, s.cure()...),
	}, true
}

// blocked: no name server answers, and a resolver does.
func (s sight) blocked() (Verdict, bool) {
	mute := append(slices.Clone(s.silent), s.out...)
	if len(mute) == 0 || len(s.silent) < len(s.at) {
		return Verdict{}, false
	}
	var good string
	for _, r := range s.Resolvers {
		if r.TXT != nil && r.TXT.Failure == propagation.NoFailure || r.TXT == nil && r.Zone != "" {
			good = r.Server
		}
	}
	if good == "" {
		return Verdict{
			Code: PortBlocked, Message: "no name server answers: " + says(mute),
			Fix: []string{"check that these name servers run, and that port 53 (UDP and TCP) to them is open"},
		}, true
	}
	return Verdict{
		Code: PortBlocked,
		Message: fmt.Sprintf("no name server can be asked from here (%s), and the resolver %s answers: the network lets DNS queries pass to the resolver only",
			says(mute), good),
		Fix: []string{
			"open port 53 (UDP and TCP) to the name servers, or check the record at the resolver only:",
			"$ --dns01-recursive-nameservers-only --dns01-recursive-nameservers=" + good,
			"Helm: dns01RecursiveNameserversOnly: true, dns01RecursiveNameservers: " + good,
		},
	}, true
}

// toldApart: resolvers lead to different name servers.
func (s sight) toldApart() (Verdict, bool) {
	var good, bad *propagation.ResolverView
	for i := range s.Resolvers {
		r := &s.Resolvers[i]
		switch seen := s.via(r.Server); {
		case len(seen) > 0 && all(seen, func(a propagation.Reply) bool { return !a.Has }) && s.used(*r):
			bad = first(bad, r)
		case slices.ContainsFunc(seen, func(a propagation.Reply) bool { return a.Has }):
			good = first(good, r)
		}
	}
	switch {
	case bad == nil || good == nil && s.originHas() == "":
		return Verdict{}, false
	case good == nil && bad.Zone == s.originZone():
		// The same zone at other servers is a secondary, not another view.
		return Verdict{}, false
	}
	there, truth := says(s.via(bad.Server)), "the server to which the record is written, "+s.originHas()+","
	if good != nil {
		truth = fmt.Sprintf("the resolver %s, which leads to %s,", good.Server, strings.Join(good.Nameservers, ", "))
	}
	switch {
	case good != nil && bad.Zone != good.Zone && dnsname.Within(s.Name, bad.Zone):
		return s.horizon(ShadowingZone, fmt.Sprintf("the zone %s, to which the resolver %s leads, shadows the public zone %s, which has the record: %s",
			bad.Zone, bad.Server, good.Zone, there)), true
	case strings.HasPrefix(strings.Join(bad.Nameservers, " "), awsPrivate):
		return s.horizon(SplitHorizon, fmt.Sprintf("the resolver %s shows a private hosted zone (%s) as a VPC's resolver does; %s has the record",
			bad.Server, strings.Join(bad.Nameservers, ", "), truth)), true
	default:
		return s.horizon(SplitHorizon, fmt.Sprintf("the resolver %s leads to name servers that do not have the record (%s); %s has it",
			bad.Server, there, truth)), true
	}
}

// lameAll: no server serves the zone for which it is named.
func (s sight) lameAll() (Verdict, bool) {
	if len(s.lame) == 0 || len(s.have)+len(s.lack) > 0 {
		return Verdict{}, false
	}
	for _, r := range s.Resolvers {
		if len(r.Nameservers) > 0 && strings.HasPrefix(slices.Min(r.Nameservers), awsPrivate) {
			return s.horizon(SplitHorizon, fmt.Sprintf("the resolver %s shows a private hosted zone (%s), whose servers answer nobody: %s",
				r.Server, strings.Join(r.Nameservers, ", "), says(s.lame))), true
		}
	}
	return Verdict{
		Code:    LameDelegation,
		Message: fmt.Sprintf("the name servers that are named for %s do not serve it: %s", s.zoneOr(s.Name), says(s.lame)),
		Fix: []string{
			"create the zone at these name servers, or change the NS records at the registrar to those that have it",
			"$ dig +trace NS " + s.zoneOr(s.Name),
		},
	}, true
}

// lagging: some servers have the record, others do not.
func (s sight) lagging() (Verdict, bool) {
	if len(s.have) == 0 || len(s.lack) == 0 {
		return Verdict{}, false
	}
	return Verdict{
		Code: LaggingServers,
		Message: fmt.Sprintf("%s the record and %s not: %s%s", namesAnd(s.have, "has", "have"), namesAnd(s.lack, "does", "do"),
			says(s.lack), s.serials()),
		Fix: []string{
			"wait, if the zone is being transferred; otherwise check NOTIFY (also-notify) and allow-transfer at the primary, and the log of these servers",
			"if a server is no longer in use, remove it from the NS records of the zone and of its parent",
		},
	}, true
}

// serials compares the serials of the zone.
func (s sight) serials() string {
	have, lack := serialsOf(s.have), serialsOf(s.lack)
	switch {
	case len(have) == 0 || len(lack) == 0:
		return ""
	case slices.Equal(have, lack):
		return fmt.Sprintf("; all have serial %d of the zone, so they hold different zones of one name", have[0])
	default:
		return fmt.Sprintf("; the zone has serial %s where the record is, and %s where it is not", join(have), join(lack))
	}
}

func serialsOf(list []propagation.Reply) []uint32 {
	var out []uint32
	for _, r := range list {
		if r.Serial != 0 {
			out = append(out, r.Serial)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// elsewhere: the server to which the record is written has it, the zone's do not.
func (s sight) elsewhere() (Verdict, bool) {
	at := s.originHas()
	if at == "" || len(s.have) > 0 || len(s.lack) == 0 {
		return Verdict{}, false
	}
	return Verdict{
		Code: OtherZone,
		Message: fmt.Sprintf("%s, to which the record is written, has it, but it is not one of the name servers of %s, and those do not have it: %s%s",
			at, s.zoneOr(s.Name), says(s.lack), s.serials()),
		Fix: []string{
			"have these name servers transfer the zone from it (NOTIFY, allow-transfer), or write to the primary of the zone that the NS records name",
		},
	}, true
}

// alias: the name is an alias, and the record is written at the name.
func (s sight) alias() (Verdict, bool) {
	target := s.target()
	if target == "" || s.follow || len(s.have) > 0 {
		return Verdict{}, false
	}
	return Verdict{
		Code: AliasNotFollowed,
		Message: fmt.Sprintf("%s is an alias (CNAME) of %s, so that a CA looks there; the record is written at %s, because the solver does not follow aliases",
			s.Name, target, s.Name),
		Fix: []string{
			"set cnameStrategy: Follow in the solver, and give it credentials for the zone of " + target,
			"or remove the CNAME record",
		},
	}, true
}

// byProvider: the name servers answer the TXT question with values of their own.
func (s sight) byProvider() (Verdict, bool) {
	for _, r := range s.lack {
		if r.Values > 0 && r.Alias != "" {
			return Verdict{
				Code: AnsweredByProvider,
				Message: fmt.Sprintf("%s is an alias (CNAME) of %s, but the name servers (%s) answer the question for TXT records with %d values of their own: the DNS provider validates the name for certificates of its own",
					s.Name, r.Alias, r.Who(), r.Values),
				Fix: []string{"switch the provider's own certificates for the domain off (such as Universal SSL or Advanced Certificate Manager), or issue with HTTP-01"},
			}, true
		}
	}
	return Verdict{}, false
}

// undelegated: the zone that is found is a public suffix, which has many owners.
func (s sight) undelegated() (Verdict, bool) {
	zone := s.zoneOr("")
	suffix, listed := publicsuffix.PublicSuffix(dnsname.Identifier(s.Name))
	if len(s.have) > 0 || !listed || zone != suffix+"." {
		return Verdict{}, false
	}
	return Verdict{
		Code:    NotDelegated,
		Message: fmt.Sprintf("the domain is not delegated: the name servers of %q know no zone below it for %s", zone, dnsname.Identifier(s.Name)),
		Fix: append([]string{
			"check the spelling, and that the registrar has the NS records of the domain",
			"if the domain is new, wait until the delegation is published",
		}, s.cure()...),
	}, true
}

// absent: no server has the record.
func (s sight) absent() (Verdict, bool) {
	if len(s.have) > 0 || len(s.lack) == 0 {
		return Verdict{}, false
	}
	v := Verdict{Code: RecordAbsent, Message: fmt.Sprintf("no name server of %s has the record: %s", s.zoneOr(s.Name), says(s.lack))}
	if s.presented {
		v.Message += fmt.Sprintf("; %s reported that it was written", s.provider)
		v.Fix = []string{
			fmt.Sprintf("check that %s writes to the zone %s, and not to another one of that name (an account, a view, a private zone)", s.provider, s.zoneOr(s.Name)),
			"check that nothing else removes it: another controller that owns the zone, such as external-dns with policy sync",
			"check the least TTL of the provider: some drop a record with a smaller one without a word",
		}
	} else {
		v.Fix = []string{"see why the record was not written: the reason of the Challenge"}
	}
	return v, true
}

func (s sight) allHave() bool { return len(s.have) > 0 && len(s.lack) == 0 && len(s.lame) == 0 }

// until is when an answer of a resolver expires.
func (s sight) until(ttl int64) *time.Time {
	at := s.At.Add(time.Duration(ttl+1) * time.Second)
	return &at
}
