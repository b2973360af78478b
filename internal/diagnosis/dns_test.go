package diagnosis

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/everleaf/everleaf/internal/propagation"
)

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

const (
	challengeName = "_acme-challenge.www.example.com."
	inside        = "10.96.0.10:53"
	outside       = "8.8.8.8:53"
)

type reply = propagation.Reply

// at is an answer of a name server of example.com; without a change it has the
// record.
func at(server string, changes ...func(*reply)) reply {
	r := reply{
		Server: server + ".example.com.", Address: "192.0.2." + server[2:] + ":53", Role: propagation.RoleBoth, Via: []string{inside},
		Zone: "example.com.", Name: challengeName, Rcode: "NOERROR", Authoritative: true, Values: 1, Has: true, TTL: 60,
	}
	for _, change := range changes {
		change(&r)
	}
	return r
}

func lacks(r *reply)   { r.Rcode, r.Values, r.Has, r.TTL, r.NegativeTTL = "NXDOMAIN", 0, false, 0, 300 }
func refuses(r *reply) { r.Rcode, r.Values, r.Has, r.Authoritative = "REFUSED", 0, false, false }
func has(r *reply)     { r.Has, r.Values, r.TTL = true, 1, 60 }

func silent(r *reply) {
	*r = reply{Server: r.Server, Address: r.Address, Role: r.Role, Via: r.Via, Zone: r.Zone, Name: r.Name, Failure: propagation.Timeout}
}

func serial(n uint32) func(*reply) { return func(r *reply) { r.Serial = n } }
func seenBy(resolver string) func(*reply) {
	return func(r *reply) { r.Via = []string{resolver} }
}

// asked is what a resolver answers about the record.
func asked(rcode string, changes ...func(*reply)) *reply {
	r := &reply{Server: inside, Role: propagation.RoleRecursive, Rcode: rcode, Name: challengeName}
	for _, change := range changes {
		change(r)
	}
	return r
}

// leads is a resolver that leads to example.com.
func leads(server string, txt *reply, changes ...func(*propagation.ResolverView)) propagation.ResolverView {
	r := propagation.ResolverView{
		Server: server, System: true, Zone: "example.com.", Final: challengeName,
		Nameservers: []string{"ns1.example.com.", "ns2.example.com."}, TXT: txt,
	}
	for _, change := range changes {
		change(&r)
	}
	return r
}

func view(resolvers []propagation.ResolverView, servers ...reply) propagation.View {
	return propagation.View{Name: challengeName, Value: "value", At: noon, Resolvers: resolvers, Servers: servers}
}

func by(r ...propagation.ResolverView) []propagation.ResolverView { return r }

func TestJudge(t *testing.T) {
	lost := propagation.ResolverView{Server: inside, System: true, Problem: "no zone", TXT: asked("NXDOMAIN")}
	private := leads(inside, nil, func(r *propagation.ResolverView) {
		r.Nameservers = []string{"ns-0.awsdns-00.com.", "ns-512.awsdns-00.net."}
	})
	shadow := leads(inside, nil, func(r *propagation.ResolverView) {
		r.Zone, r.Nameservers = "www.example.com.", []string{"dc1.www.example.com."}
	})
	intercepted := view(by(leads(inside, asked("NXDOMAIN"))), at("ns1", lacks, func(r *reply) { r.Authoritative = false }))
	intercepted.Intercepted = "NOERROR"
	only := func(v propagation.View) propagation.View { v.Only = true; return v }
	hidden := view(by(leads(inside, nil)), at("ns1", lacks))
	hidden.Origin = []reply{at("ns9", func(r *reply) { r.Server = "192.0.2.9:53" })}
	const horizon = ". A CA sees the record, and everleaf does not (split horizon)"
	for name, tt := range map[string]struct {
		view    propagation.View
		written written
		// want are the code and the message of each verdict.
		want []string
	}{
		"propagated": {
			view: view(by(leads(inside, asked("NOERROR", has))), at("ns1"), at("ns2")),
			want: []string{"Propagated: every name server that answers has the record (ns1.example.com. (192.0.2.1:53), ns2.example.com. (192.0.2.2:53))"},
		},
		"absent": {
			view:    view(by(leads(inside, nil)), at("ns1", lacks), at("ns2", lacks)),
			written: written{provider: "the Cloudflare API", presented: true},
			want: []string{
				"RecordAbsent: no name server of example.com. has the record: ns1.example.com. (192.0.2.1:53) answers NXDOMAIN, ns2.example.com. (192.0.2.2:53) answers NXDOMAIN; the Cloudflare API reported that it was written",
			},
		},
		"lagging": {
			view: view(by(leads(inside, nil)), at("ns1", serial(12)), at("ns2", lacks, serial(11))),
			want: []string{
				"LaggingServers: ns1.example.com. (192.0.2.1:53) has the record and ns2.example.com. (192.0.2.2:53) does not: ns2.example.com. (192.0.2.2:53) answers NXDOMAIN; the zone has serial 12 where the record is, and 11 where it is not",
			},
		},
		"lagging with one serial": {
			view: view(by(leads(inside, nil)), at("ns1", serial(12)), at("ns2", lacks, serial(12))),
			want: []string{
				"LaggingServers: ns1.example.com. (192.0.2.1:53) has the record and ns2.example.com. (192.0.2.2:53) does not: ns2.example.com. (192.0.2.2:53) answers NXDOMAIN; all have serial 12 of the zone, so they hold different zones of one name",
			},
		},
		"a lame server beside a good one": {
			view: view(by(leads(inside, asked("NOERROR", has))), at("ns1"), at("ns2", refuses)),
			want: []string{
				"Propagated: every name server that answers has the record (ns1.example.com. (192.0.2.1:53))",
				"LameDelegation: a server is named for the zone and does not serve it: ns2.example.com. (192.0.2.2:53) answers REFUSED",
			},
		},
		"all lame": {
			view: view(by(leads(inside, nil)), at("ns1", refuses), at("ns2", refuses)),
			want: []string{
				"LameDelegation: the name servers that are named for example.com. do not serve it: ns1.example.com. (192.0.2.1:53) answers REFUSED, ns2.example.com. (192.0.2.2:53) answers REFUSED",
			},
		},
		"private hosted zone": {
			view: view(by(private, leads(outside, nil)), at("ns1", refuses, func(r *reply) { r.Server = "ns-0.awsdns-00.com." }), at("ns2", seenBy(outside))),
			want: []string{
				"SplitHorizon: the resolver 10.96.0.10:53 shows a private hosted zone (ns-0.awsdns-00.com., ns-512.awsdns-00.net.) as a VPC's resolver does; the resolver 8.8.8.8:53, which leads to ns1.example.com., ns2.example.com., has the record" + horizon,
			},
		},
		"shadowing zone": {
			view: view(by(shadow, leads(outside, nil)), at("ns1", lacks, func(r *reply) { r.Zone = "www.example.com." }), at("ns2", seenBy(outside))),
			want: []string{
				"ShadowingZone: the zone www.example.com., to which the resolver 10.96.0.10:53 leads, shadows the public zone example.com., which has the record: ns1.example.com. (192.0.2.1:53) answers NXDOMAIN" + horizon,
			},
		},
		"another view of the zone": {
			view: view(by(leads(inside, nil), leads(outside, nil)), at("ns1", lacks), at("ns2", seenBy(outside))),
			want: []string{
				"SplitHorizon: the resolver 10.96.0.10:53 leads to name servers that do not have the record (ns1.example.com. (192.0.2.1:53) answers NXDOMAIN); the resolver 8.8.8.8:53, which leads to ns1.example.com., ns2.example.com., has it" + horizon,
			},
		},
		"blocked, and a resolver answers": {
			view: view(by(leads(inside, asked("NOERROR", has))), at("ns1", silent), at("ns2", silent)),
			want: []string{
				"PortBlocked: no name server can be asked from here (ns1.example.com. (192.0.2.1:53) does not answer, ns2.example.com. (192.0.2.2:53) does not answer), and the resolver 10.96.0.10:53 answers: the network lets DNS queries pass to the resolver only",
			},
		},
		"intercepted": {
			view: intercepted,
			want: []string{
				"PortIntercepted: the network intercepts port 53: 192.0.2.1, where no name server is, answers NOERROR, so that the answers above are not those of the name servers that are named",
			},
		},
		"negative answer cached": {
			view: only(view(by(leads(inside, asked("NXDOMAIN", func(r *reply) { r.NegativeTTL = 299 }))), at("ns1"))),
			want: []string{
				"NegativeAnswerCached: the resolver 10.96.0.10:53 keeps the answer that the record does not exist (NXDOMAIN) until 2026-11-26T12:05:00Z; the name servers have it (ns1.example.com. (192.0.2.1:53))",
			},
		},
		"older answer cached": {
			view: view(by(leads(inside, asked("NOERROR", func(r *reply) { r.Values, r.TTL = 2, 119 }))), at("ns1")),
			want: []string{
				"Propagated: every name server that answers has the record (ns1.example.com. (192.0.2.1:53))",
				"OldAnswerCached: the resolver 10.96.0.10:53 keeps an older answer with other values until 2026-11-26T12:02:00Z; the name servers have the record",
			},
		},
		"a resolver that everleaf does not ask": {
			view: view(by(lost, leads(outside, asked("NOERROR", has), func(r *propagation.ResolverView) { r.Configured = true })), at("ns1", seenBy(outside))),
			want: []string{"Propagated: every name server that answers has the record (ns1.example.com. (192.0.2.1:53))"},
		},
		"servers that nobody can ask from here": {
			view: view(by(leads(inside, asked("NOERROR", has))), at("ns1", silent, func(r *reply) { r.Failure = propagation.NoRoute })),
			want: []string{
				"PortBlocked: no name server can be asked from here (ns1.example.com. (192.0.2.1:53) cannot be reached from here (no route)), and the resolver 10.96.0.10:53 answers: the network lets DNS queries pass to the resolver only",
			},
		},
		"a resolver with a local domain": {
			view: view(by(lost, leads(outside, asked("NOERROR", has))), at("ns1", seenBy(outside))),
			want: []string{
				"SplitHorizon: the name servers have the record (ns1.example.com. (192.0.2.1:53)), and the resolver 10.96.0.10:53 answers NXDOMAIN: it knows nothing of its zone" + horizon,
			},
		},
		"bogus": {
			view: view(by(leads(inside, asked("SERVFAIL", func(r *reply) { r.Extended = "DNSSEC Bogus" }), func(r *propagation.ResolverView) { r.Bogus = true })), at("ns1")),
			want: []string{
				"DNSSECFailure: the signatures (DNSSEC) of example.com. do not verify: the resolver 10.96.0.10:53 answers SERVFAIL (DNSSEC Bogus), and answers if it need not validate. A CA validates, so it cannot see the record",
			},
		},
		"alias, not followed": {
			view: view(by(leads(inside, nil)), at("ns1", lacks, func(r *reply) { r.Target = "x.delegated.example." }), at("ns2", lacks, func(r *reply) { r.Name, r.Zone = "x.delegated.example.", "delegated.example." })),
			want: []string{
				"AliasNotFollowed: _acme-challenge.www.example.com. is an alias (CNAME) of x.delegated.example., so that a CA looks there; the record is written at _acme-challenge.www.example.com., because the solver does not follow aliases",
			},
		},
		"answered by the provider itself": {
			view: view(by(leads(inside, nil)), at("ns1", func(r *reply) { r.Values, r.Has, r.Alias = 2, false, "x.delegated.example." })),
			want: []string{
				"AnsweredByProvider: _acme-challenge.www.example.com. is an alias (CNAME) of x.delegated.example., but the name servers (ns1.example.com. (192.0.2.1:53)) answer the question for TXT records with 2 values of their own: the DNS provider validates the name for certificates of its own",
			},
		},
		"not delegated": {
			view: view(by(leads(inside, nil, func(r *propagation.ResolverView) { r.Zone = "com." })), at("ns1", lacks, func(r *reply) { r.Zone = "com." })),
			want: []string{`NotDelegated: the domain is not delegated: the name servers of "com." know no zone below it for www.example.com`},
		},
		"hidden primary": {
			view: hidden,
			want: []string{
				"OtherZone: 192.0.2.9:53, to which the record is written, has it, but it is not one of the name servers of example.com., and those do not have it: ns1.example.com. (192.0.2.1:53) answers NXDOMAIN",
			},
		},
		"no TCP": {
			view: view(by(leads(inside, asked("NOERROR", has))), at("ns1", func(r *reply) { r.TCP = propagation.Timeout })),
			want: []string{
				"Propagated: every name server that answers has the record (ns1.example.com. (192.0.2.1:53))",
				"PortBlocked: ns1.example.com. (192.0.2.1:53) answers over UDP and not over TCP (RFC 7766), which a CA needs for long answers",
			},
		},
		"nothing answers": {view: view(nil), want: []string{"Undecided: nothing was answered"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, v := range newSight(tt.view, tt.written).judge() {
				got = append(got, string(v.Code)+": "+v.Message)
				if len(v.Fix) == 0 && v.Code != Propagated {
					t.Errorf("%s says nothing of what to do", v.Code)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// A cure names a resolver that is known to see the record.
func TestCure(t *testing.T) {
	v := view(by(propagation.ResolverView{Server: inside, System: true, Problem: "no zone", TXT: asked("NXDOMAIN")}))
	v.Origin = []reply{at("ns9")}
	got := newSight(v, written{public: "1.1.1.1:53"}).judge()
	want := []string{
		"have everleaf ask name servers that see what the CA sees; any one of these:",
		"$ --dns01-recursive-nameservers=1.1.1.1:53   (and --dns01-recursive-nameservers-only, if port 53 to other servers is closed)",
		"Helm: dns01RecursiveNameservers: 1.1.1.1:53 (and dns01RecursiveNameserversOnly: true, if port 53 to other servers is closed)",
		"Helm: podDnsPolicy: None and podDnsConfig.nameservers: [1.1.1.1]",
		"or have the internal resolver forward _acme-challenge.www.example.com. to the outside",
	}
	if len(got) != 1 || got[0].Code != SplitHorizon || cmp.Diff(want, got[0].Fix) != "" {
		t.Errorf("%+v", got)
	}
}

func TestJudgeCAA(t *testing.T) {
	caa := func(name string, records ...string) propagation.CAAView {
		c := propagation.CAAView{Name: name, Rcode: "NOERROR"}
		for _, r := range records {
			tag, value, _ := strings.Cut(r, " ")
			c.Records = append(c.Records, propagation.CAA{Critical: strings.HasPrefix(tag, "!"), Tag: strings.TrimPrefix(tag, "!"), Value: value})
		}
		return c
	}
	list := func(c ...propagation.CAAView) []propagation.CAAView { return c }
	alias := caa("www.example.com.", "issue other.example")
	alias.Alias = "x.cloud.example."
	lame := propagation.CAAView{Name: "example.com.", Rcode: "SERVFAIL", Servers: []propagation.Refusal{{Server: "ns1.vendor.example.", Says: "answers REFUSED"}}}
	ours := asks{identities: []string{"ca.example"}, account: "https://ca.example/acct/1", method: "dns-01"}
	wildcard := ours
	wildcard.wildcard = true
	for name, tt := range map[string]struct {
		list []propagation.CAAView
		asks asks
		// want is the code, says a part of the message; empty for no verdict.
		want, says string
	}{
		"no records":                   {list(caa("www.example.com."), caa("example.com.")), ours, "", ""},
		"allowed":                      {list(caa("www.example.com."), caa("example.com.", "issue ca.example")), ours, "", ""},
		"allowed, with parameters":     {list(caa("example.com.", "issue CA.example; policy=ev")), ours, "", ""},
		"the nearest decides":          {list(caa("www.example.com.", "issue ca.example"), caa("example.com.", "issue other.example")), ours, "", ""},
		"forbidden by a parent":        {list(caa("www.example.com."), caa("example.com.", "issue other.example")), ours, "CAAForbids", `at example.com. allow 0 issue "other.example", and not ca.example`},
		"forbidden through an alias":   {list(alias), ours, "CAAForbids", "at x.cloud.example. (the end of the alias www.example.com.)"},
		"nobody":                       {list(caa("example.com.", "issue ;")), ours, "CAAForbids", `0 issue ";"`},
		"issuewild for a wildcard":     {list(caa("example.com.", "issue ca.example", "issuewild ;")), wildcard, "CAAForbids", "issuewild"},
		"issuewild for another name":   {list(caa("example.com.", "issuewild ;")), ours, "", ""},
		"issue for a wildcard":         {list(caa("example.com.", "issue other.example")), wildcard, "CAAForbids", "issue"},
		"another account":              {list(caa("example.com.", "issue ca.example; accounturi=https://ca.example/acct/2")), ours, "CAAForbids", "accounturi is https://ca.example/acct/2"},
		"this account":                 {list(caa("example.com.", "issue ca.example; accounturi=https://ca.example/acct/1; validationmethods=dns-01")), ours, "", ""},
		"another method":               {list(caa("example.com.", "issue ca.example; validationmethods=http-01,tls-alpn-01")), ours, "CAAForbids", "validationmethods is http-01,tls-alpn-01"},
		"unknown critical tag":         {list(caa("example.com.", "!future x", "issue ca.example")), ours, "CAAForbids", `critical tag "future"`},
		"unknown tag":                  {list(caa("example.com.", "future x")), ours, "", ""},
		"the CA says no name":          {list(caa("example.com.", "issue other.example")), asks{}, "CAAForbids", "nobody can tell from here"},
		"malformed":                    {list(caa("example.com.", "issue ca.example; policy")), ours, "CAAForbids", "and not ca.example"},
		"nobody, from a CA of no name": {list(caa("example.com.", "issue ;")), asks{}, "CAAForbids", "which is nobody"},
		"a timeout at the name":        {list(propagation.CAAView{Name: "www.example.com.", Failure: propagation.Timeout}, caa("example.com.", "issue ca.example")), ours, "CAAUnanswered", "the resolver does not answer"},
		"servers that refuse":          {list(caa("www.example.com."), lame), ours, "CAAUnanswered", "ns1.vendor.example. answers REFUSED (lame delegation)"},
		"an answer before the failure": {list(caa("www.example.com.", "issue ca.example"), lame), ours, "", ""},
		"a failure without servers":    {list(propagation.CAAView{Name: "example.com.", Rcode: "SERVFAIL"}), ours, "CAAUnanswered", "the resolver answers SERVFAIL"},
	} {
		t.Run(name, func(t *testing.T) {
			v, found := judgeCAA(tt.list, tt.asks)
			if string(v.Code) != tt.want || found != (tt.want != "") || !strings.Contains(v.Message, tt.says) {
				t.Errorf("%s: %s, want %s: …%s…", v.Code, v.Message, tt.want, tt.says)
			}
		})
	}
}
