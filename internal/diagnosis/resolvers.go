package diagnosis

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/everleaf/everleaf/internal/propagation"
)

// lackingResolvers are the resolvers that were asked for the record and do not have
// it.
func (s sight) lackingResolvers() []propagation.ResolverView {
	return slices.DeleteFunc(slices.Clone(s.Resolvers), func(r propagation.ResolverView) bool { return r.TXT == nil || r.TXT.Has })
}

// undecided: nothing that is known of the servers says anything.
func (s sight) undecided() Verdict {
	message := "nothing was answered"
	if len(s.at) > 0 {
		message = "too few servers answer to say anything: " + says(append(slices.Clone(s.silent), s.lame...))
	}
	return Verdict{Code: Undecided, Message: message, Fix: []string{"ask again, and check the network between the place of the questions and the name servers"}}
}

// resolvers says why resolvers do not have a record that the name servers have. One
// that leads to these name servers stops nothing, unless resolvers alone are asked.
func (s sight) resolvers() []Verdict {
	var out []Verdict
	for _, r := range s.lackingResolvers() {
		if !s.used(r) {
			// Its answer has no effect on the challenge.
			continue
		}
		v := s.resolver(r)
		if !s.Only && r.Problem == "" && s.serves(r.Zone) {
			v.Aside = true
		}
		out = append(out, v)
	}
	return out
}

// resolver says why one resolver does not have the record.
func (s sight) resolver(r propagation.ResolverView) Verdict {
	switch t := r.TXT; {
	case t.Failure != propagation.NoFailure:
		return Verdict{
			Code: ResolverFails, Aside: true, Message: fmt.Sprintf("the resolver %s %s", r.Server, t.Failure.Says()),
			Fix: append([]string{"check the resolver, and that it can be reached from here"}, s.cure()...),
		}
	case t.Rcode != "NOERROR" && t.Rcode != "NXDOMAIN":
		return Verdict{
			Code: ResolverFails, Message: fmt.Sprintf("the resolver %s answers %s, and the name servers have the record (%s)", r.Server, t.Rcode, names(s.have)),
			Fix: append([]string{"see the log of the resolver: it cannot reach these name servers, or it refuses queries from here"}, s.cure()...),
		}
	case t.Values > 0:
		until := s.until(t.TTL)
		return Verdict{
			Code: OldAnswerCached, Until: until,
			Message: fmt.Sprintf("the resolver %s keeps an older answer with other values until %s; the name servers have the record", r.Server, clockOf(until)),
			Fix:     []string{"wait until then; everleaf goes on by itself, and waits for a resolver only if resolvers alone are asked"},
		}
	case r.Problem != "" || !s.serves(r.Zone):
		where := "knows nothing of its zone"
		if r.Problem == "" {
			where = fmt.Sprintf("looks for it in its own zone %s", r.Zone)
		}
		return s.horizon(SplitHorizon, fmt.Sprintf("the name servers have the record (%s), and the resolver %s answers %s: it %s",
			names(s.have), r.Server, t.Rcode, where))
	case t.NegativeTTL > 0:
		until := s.until(t.NegativeTTL)
		return Verdict{
			Code: NegativeCached, Until: until,
			Message: fmt.Sprintf("the resolver %s keeps the answer that the record does not exist (%s) until %s; the name servers have it (%s)",
				r.Server, t.Rcode, clockOf(until), names(s.have)),
			Fix: []string{
				"wait until then; everleaf goes on by itself",
				"a smaller SOA MINIMUM of the zone makes such waits shorter (60 s is enough)",
			},
		}
	default:
		return s.horizon(SplitHorizon, fmt.Sprintf("the name servers have the record (%s), and the resolver %s answers %s without a record of the zone (SOA): it answers for the domain itself, as a resolver with a local domain does",
			names(s.have), r.Server, t.Rcode))
	}
}

// used reports whether everleaf asks a resolver: those of the system only if no others
// are configured.
func (s sight) used(r propagation.ResolverView) bool {
	return r.Configured || !slices.ContainsFunc(s.Resolvers, func(o propagation.ResolverView) bool { return o.Configured })
}

// serves reports whether a zone is that of a server which has the record.
func (s sight) serves(zone string) bool {
	return slices.ContainsFunc(s.have, func(r propagation.Reply) bool { return r.Zone == zone })
}

// horizon is a Verdict about a resolver that sees another world.
func (s sight) horizon(code Code, message string) Verdict {
	fix := s.cure()
	if !s.own {
		fix = append([]string{"have everleaf ask name servers that see what the CA sees; any one of these:"}, fix...)
	}
	return Verdict{Code: code, Message: message + ". A CA sees the record, and everleaf does not (split horizon)", Fix: fix}
}

// publicResolver is an example of a resolver that sees what a CA sees.
const publicResolver = "8.8.8.8:53"

// cure are the flags and Helm values that have everleaf ask other resolvers.
func (s sight) cure() []string {
	resolver := cmp.Or(s.public, publicResolver)
	if s.own {
		return []string{
			"set dns01.nameservers of the solver to [" + strconv.Quote(resolver) + "], or leave it out: it takes the place of --dns01-recursive-nameservers",
			"or have these name servers forward " + s.Name + " to the outside",
		}
	}
	fix := []string{
		"$ --dns01-recursive-nameservers=" + resolver + "   (and --dns01-recursive-nameservers-only, if port 53 to other servers is closed)",
		"Helm: dns01RecursiveNameservers: " + resolver + " (and dns01RecursiveNameserversOnly: true, if port 53 to other servers is closed)",
	}
	// Kubernetes takes addresses only.
	if at, err := netip.ParseAddrPort(resolver); err == nil {
		fix = append(fix, "Helm: podDnsPolicy: None and podDnsConfig.nameservers: ["+at.Addr().String()+"]")
	}
	return append(fix, "or have the internal resolver forward "+s.Name+" to the outside")
}

// leading is a resolver of a View that shows the record, or leads to it if it was not
// asked, and that others can use: one that the user has named, or one with a public
// address; or "".
func leading(v propagation.View, named []string) string {
	for _, r := range v.Resolvers {
		leads := slices.ContainsFunc(v.Servers, func(a propagation.Reply) bool { return a.Has && slices.Contains(a.Via, r.Server) })
		if leads && (r.TXT == nil || r.TXT.Has) && (slices.Contains(named, r.Server) || isPublic(r.Server)) {
			return r.Server
		}
	}
	return ""
}

func isPublic(server string) bool {
	at, err := netip.ParseAddrPort(server)
	return err == nil && at.Addr().IsGlobalUnicast() && !at.Addr().IsPrivate() && !sharedSpace.Contains(at.Addr())
}

// sharedSpace is what providers use inside their networks (RFC 6598).
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")

// originHas names a server to which the record is written and that has it.
func (s sight) originHas() string {
	for _, r := range s.Origin {
		if r.Has {
			return r.Who()
		}
	}
	return ""
}

// originZone is the zone of such a server.
func (s sight) originZone() string {
	for _, r := range s.Origin {
		if r.Zone != "" {
			return r.Zone
		}
	}
	return ""
}

// via are the servers to which a resolver leads, at the end of the CNAME chain.
func (s sight) via(resolver string) []propagation.Reply {
	return slices.DeleteFunc(slices.Clone(s.at), func(r propagation.Reply) bool {
		return !slices.Contains(r.Via, resolver) || r.Failure != propagation.NoFailure
	})
}

// target is the target of the name's CNAME record.
func (s sight) target() string {
	for _, r := range s.Servers {
		if r.Name == s.Name && r.Target != "" {
			return r.Target
		}
	}
	return ""
}

// zoneOr is the zone to which the first resolver leads that leads anywhere.
func (s sight) zoneOr(otherwise string) string {
	for _, r := range s.Resolvers {
		if r.Zone != "" {
			return r.Zone
		}
	}
	return otherwise
}

func first[T any](a, b *T) *T {
	if a != nil {
		return a
	}
	return b
}

func all[T any](list []T, holds func(T) bool) bool {
	return !slices.ContainsFunc(list, func(one T) bool { return !holds(one) })
}

// maxNamed bounds the servers that a message names.
const maxNamed = 4

// names lists servers.
func names(list []propagation.Reply) string {
	return few(list, propagation.Reply.Who)
}

// says lists servers and what each answers.
func says(list []propagation.Reply) string {
	return few(list, func(r propagation.Reply) string { return r.Who() + " " + r.Says() })
}

func few(list []propagation.Reply, text func(propagation.Reply) string) string {
	var out []string
	for _, r := range list {
		out = append(out, text(r))
	}
	slices.Sort(out)
	out = slices.Compact(out)
	if len(out) > maxNamed {
		out = append(out[:maxNamed], fmt.Sprintf("and %d more", len(out)-maxNamed))
	}
	return strings.Join(out, ", ")
}

// namesAnd lists servers with a verb.
func namesAnd(list []propagation.Reply, one, many string) string {
	if len(list) == 1 {
		return names(list) + " " + one
	}
	return names(list) + " " + many
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func join(list []uint32) string {
	out := make([]string, len(list))
	for i, n := range list {
		out[i] = fmt.Sprint(n)
	}
	return strings.Join(out, ", ")
}

// host is the host of host:port, or the whole of anything else.
func host(server string) string {
	i := strings.LastIndexByte(server, ':')
	if i < 0 || strings.Contains(server, "//") {
		return server
	}
	return strings.Trim(server[:i], "[]")
}
