package nameserver

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	mdns "github.com/miekg/dns"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/everleaf/everleaf/internal/dns/tsig"
	"github.com/everleaf/everleaf/test/child"
)

const name = "_acme-challenge.example.test."

var secret = []byte("0123456789abcdef0123456789abcdef")

func start(t *testing.T, o Options) *Server {
	t.Helper()
	if o.Listen == nil {
		o.Listen = []string{"127.0.0.1:0"}
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// say summarises an answer.
type say struct {
	Rcode      string
	AA, TC     bool
	Answer, Ns []string
}

func ask(t *testing.T, network, addr, name string, qtype uint16) say {
	t.Helper()
	q := new(mdns.Msg)
	q.SetQuestion(name, qtype)
	c := mdns.Client{Net: network, Timeout: 2 * time.Second}
	m, _, err := c.Exchange(q, addr)
	if err != nil {
		t.Fatal(err)
	}
	out := say{Rcode: mdns.RcodeToString[m.Rcode], AA: m.Authoritative, TC: m.Truncated}
	for _, rr := range m.Answer {
		out.Answer = append(out.Answer, strings.ReplaceAll(rr.String(), "\t", " "))
	}
	for _, rr := range m.Ns {
		out.Ns = append(out.Ns, strings.ReplaceAll(rr.String(), "\t", " "))
	}
	slices.Sort(out.Answer)
	return out
}

func testZone() Zone {
	return Zone{
		Name: "example.test", NS: []string{"ns1", "ns2.example.org."}, NegativeTTL: 30 * time.Second,
		Records: []string{
			"ns1 A 192.0.2.53", "a.b 300 A 192.0.2.1", "alias CNAME a.b", "out CNAME www.example.org.", "loop CNAME loop",
			"sub NS ns.sub", "ns.sub A 192.0.2.54",
		},
		Update: []string{"k"},
	}
}

func TestAnswers(t *testing.T) {
	s := start(t, Options{Zones: []Zone{testZone(), {Name: "example.org", Records: []string{"www A 192.0.2.2"}}}})
	soa := []string{"example.test. 30 IN SOA ns1.example.test. hostmaster.example.test. 1 3600 600 86400 30"}
	for _, test := range []struct {
		name  string
		qtype uint16
		want  say
	}{
		{"EXAMPLE.test.", mdns.TypeSOA, say{"NOERROR", true, false, []string{"example.test. 60 IN SOA ns1.example.test. hostmaster.example.test. 1 3600 600 86400 30"}, nil}},
		{"example.test.", mdns.TypeNS, say{"NOERROR", true, false, []string{"example.test. 60 IN NS ns1.example.test.", "example.test. 60 IN NS ns2.example.org."}, nil}},
		{"a.b.example.test.", mdns.TypeA, say{"NOERROR", true, false, []string{"a.b.example.test. 300 IN A 192.0.2.1"}, nil}},
		{"a.b.example.test.", mdns.TypeTXT, say{"NOERROR", true, false, nil, soa}},
		{"b.example.test.", mdns.TypeTXT, say{"NOERROR", true, false, nil, soa}},
		{"c.example.test.", mdns.TypeTXT, say{"NXDOMAIN", true, false, nil, soa}},
		{"alias.example.test.", mdns.TypeA, say{"NOERROR", true, false, []string{"a.b.example.test. 300 IN A 192.0.2.1", "alias.example.test. 60 IN CNAME a.b.example.test."}, nil}},
		{"alias.example.test.", mdns.TypeCNAME, say{"NOERROR", true, false, []string{"alias.example.test. 60 IN CNAME a.b.example.test."}, nil}},
		{"out.example.test.", mdns.TypeA, say{"NOERROR", true, false, []string{"out.example.test. 60 IN CNAME www.example.org.", "www.example.org. 60 IN A 192.0.2.2"}, nil}},
		{"x.sub.example.test.", mdns.TypeTXT, say{"NOERROR", false, false, nil, []string{"sub.example.test. 60 IN NS ns.sub.example.test."}}},
		{"example.com.", mdns.TypeSOA, say{"REFUSED", false, false, nil, nil}},
	} {
		for _, network := range []string{"udp", "tcp"} {
			if diff := cmp.Diff(test.want, ask(t, network, s.Addr(), test.name, test.qtype)); diff != "" {
				t.Errorf("%s %s over %s: -want +got:\n%s", test.name, mdns.TypeToString[test.qtype], network, diff)
			}
		}
	}
	if got := ask(t, "udp", s.Addr(), "loop.example.test.", mdns.TypeA); got.Rcode != "NOERROR" {
		t.Errorf("loop: %+v", got)
	}
}

func TestAddresses(t *testing.T) {
	s := start(t, Options{Zones: []Zone{testZone()}, Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")}})
	want := say{"NOERROR", true, false, []string{"www.anything. 1 IN A 127.0.0.1"}, nil}
	if diff := cmp.Diff(want, ask(t, "udp", s.Addr(), "www.anything.", mdns.TypeA)); diff != "" {
		t.Error(diff)
	}
	want.Answer = []string{"a.b.example.test. 300 IN A 192.0.2.1"}
	if diff := cmp.Diff(want, ask(t, "udp", s.Addr(), "a.b.example.test.", mdns.TypeA)); diff != "" {
		t.Error(diff)
	}
}

// nsupdate runs BIND's client against a server.
func nsupdate(t *testing.T, addr, algorithm, key, script string) (string, error) {
	t.Helper()
	path, err := exec.LookPath("nsupdate")
	if err != nil {
		child.Missing(t, "nsupdate is not installed (Debian: apt-get install bind9-dnsutils)")
	}
	ap := netip.MustParseAddrPort(addr)
	args := []string{"-t", "3", "-r", "0"}
	if key != "" {
		args = append(args, "-y", algorithm+":"+key+":"+base64.StdEncoding.EncodeToString(secret))
	}
	cmd := exec.Command(path, args...)
	cmd.Stdin = strings.NewReader(fmt.Sprintf("server %s %d\n%s\nsend\n", ap.Addr(), ap.Port(), script))
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestNsupdate(t *testing.T) {
	algorithms := map[string]tsig.Algorithm{"hmac-md5": tsig.MD5, "hmac-sha1": tsig.SHA1, "hmac-sha256": tsig.SHA256, "hmac-sha512": tsig.SHA512}
	for bind, algorithm := range algorithms {
		t.Run(bind, func(t *testing.T) {
			s := start(t, Options{Zones: []Zone{testZone()}, Keys: []tsig.Key{
				{Name: "K.", Algorithm: algorithm, Secret: secret},
				{Name: "other.", Algorithm: algorithm, Secret: secret},
				{Name: "bad.", Algorithm: algorithm, Secret: []byte("another")},
			}})
			do := func(key, script, want string) {
				t.Helper()
				out, err := nsupdate(t, s.Addr(), bind, key, script)
				if want == "" && err != nil || !strings.Contains(out, want) {
					t.Errorf("%s: %v: %s; want %q", script, err, out, want)
				}
			}
			do("k", "update add "+name+" 10 TXT one", "")
			do("k", "update add "+name+" 10 TXT two", "")
			do("k", "update add "+name+" 10 TXT two", "")
			if diff := cmp.Diff([]string{"one", "two"}, s.Records(name)); diff != "" {
				t.Error(diff)
			}
			do("k", "update delete "+name+" TXT one", "")
			if diff := cmp.Diff([]string{"two"}, s.Records(name)); diff != "" {
				t.Error(diff)
			}
			do("k", "prereq nxdomain "+name+"\nupdate add "+name+" 10 TXT three", "YXDOMAIN")
			do("k", "update add www.example.test. 10 A 192.0.2.1", "REFUSED")
			do("other", "update add "+name+" 10 TXT three", "REFUSED")
			do("", "update add "+name+" 10 TXT three", "REFUSED")
			do("unknown", "update add "+name+" 10 TXT three", "BADKEY")
			do("bad", "update add "+name+" 10 TXT three", "BADSIG")
			do("k", "zone example.com\nupdate add x.example.com 10 TXT three", "NOTAUTH")
			do("k", "update delete "+name, "")
			if got := ask(t, "udp", s.Addr(), name, mdns.TypeTXT); got.Rcode != "NXDOMAIN" || !strings.Contains(got.Ns[0], " 5 3600") {
				t.Errorf("after the last delete: %+v", got)
			}
		})
	}
}

func TestSecondaryLags(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(time.Now())
	z := testZone()
	z.Update = []string{AnyUpdate}
	s := start(t, Options{Zones: []Zone{z}, Clock: clock, Secondaries: []Secondary{{"127.0.0.1:0", 30 * time.Second}, {"127.0.0.1:0", time.Minute}}})
	addrs := s.Addrs()
	add := func(value string) {
		t.Helper()
		if out, err := nsupdate(t, addrs[0], "", "", "update add "+name+" 10 TXT "+value); err != nil {
			t.Fatal(err, out)
		}
	}
	count := func() [3]int {
		var out [3]int
		for i, addr := range addrs {
			out[i] = len(ask(t, "udp", addr, name, mdns.TypeTXT).Answer)
		}
		return out
	}
	steps := [][3]int{}
	at := clock.Now()
	step := func(d time.Duration) {
		at = at.Add(d)
		clock.SetTime(at)
		steps = append(steps, count())
	}
	add("one")
	step(0)
	step(29 * time.Second)
	add("two")
	step(time.Second)
	step(29 * time.Second)
	step(time.Second)
	step(29 * time.Second)
	want := [][3]int{{1, 0, 0}, {1, 0, 0}, {2, 1, 0}, {2, 2, 0}, {2, 2, 1}, {2, 2, 2}}
	if diff := cmp.Diff(want, steps); diff != "" {
		t.Error(diff)
	}
	if out, _ := nsupdate(t, addrs[1], "", "", "update add "+name+" 10 TXT x"); !strings.Contains(out, "REFUSED") {
		t.Errorf("a secondary took an update: %s", out)
	}
}

func TestSetTXT(t *testing.T) {
	z := testZone()
	z.Records = append(z.Records, "www 60 TXT old", "www A 192.0.2.3")
	s := start(t, Options{Zones: []Zone{z}})
	for _, values := range [][]string{{"b", "a"}, {"c"}, nil} {
		if err := s.SetTXT("WWW.example.test.", 5*time.Second, values); err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, v := range values {
			want = append(want, "www.example.test. 5 IN TXT \""+v+"\"")
		}
		got := ask(t, "udp", s.Addr(), "www.example.test.", mdns.TypeTXT).Answer
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	if got := ask(t, "udp", s.Addr(), "www.example.test.", mdns.TypeA); got.Answer == nil {
		t.Error("the A record has gone")
	}
	if err := s.SetTXT("www.example.net.", time.Second, nil); err == nil {
		t.Error("a name in no zone was set")
	}
}

func TestBehaviour(t *testing.T) {
	z := testZone()
	z.Update = []string{AnyUpdate}
	s := start(t, Options{Zones: []Zone{z}})
	s.Behave(0, Behaviour{Truncate: true})
	if got := ask(t, "udp", s.Addr(), "a.b.example.test.", mdns.TypeA); !got.TC || got.Answer != nil {
		t.Errorf("truncate: %+v", got)
	}
	if got := ask(t, "tcp", s.Addr(), "a.b.example.test.", mdns.TypeA); got.TC || got.Answer == nil {
		t.Errorf("truncate over TCP: %+v", got)
	}
	s.Behave(0, Behaviour{Rcode: mdns.RcodeServerFailure})
	if got := ask(t, "udp", s.Addr(), "a.b.example.test.", mdns.TypeA); got.Rcode != "SERVFAIL" {
		t.Errorf("rcode: %+v", got)
	}
	s.Behave(0, Behaviour{RefuseUpdates: true})
	if out, _ := nsupdate(t, s.Addr(), "", "", "update add "+name+" 10 TXT x"); !strings.Contains(out, "REFUSED") {
		t.Errorf("refuse: %s", out)
	}
	s.Behave(0, Behaviour{Silent: true})
	for _, network := range []string{"udp", "tcp"} {
		q := new(mdns.Msg)
		q.SetQuestion(name, mdns.TypeTXT)
		c := mdns.Client{Net: network, Timeout: 50 * time.Millisecond}
		if m, _, err := c.Exchange(q, s.Addr()); err == nil {
			t.Errorf("silent over %s: %v", network, m)
		}
	}
	want := Counters{Queries: 4, Updates: 1, Refused: 1, Truncated: 1, Dropped: 2}
	// nsupdate first queries the zone.
	if diff := cmp.Diff(want, s.Counters()); diff != "" {
		t.Error(diff)
	}
}

func TestViews(t *testing.T) {
	key := func(name string) tsig.Key { return tsig.Key{Name: name, Algorithm: tsig.SHA256, Secret: secret} }
	inside := Zone{Name: "example.test", Update: []string{"in"}, Records: []string{"www TXT inside"}}
	source := Zone{Name: "example.test", Records: []string{"www TXT source"}}
	s := start(t, Options{
		Keys:  []tsig.Key{key("in."), key("out.")},
		Zones: []Zone{{Name: "example.test", Update: []string{"out"}, Records: []string{"www TXT rest"}}},
		Views: []View{{Keys: []string{"in"}, Zones: []Zone{inside}}, {Sources: []netip.Prefix{netip.MustParsePrefix("127.7.0.0/16")}, Zones: []Zone{source}}},
	})
	if out, err := nsupdate(t, s.Addr(), "hmac-sha256", "in", "update add "+name+" 10 TXT in"); err != nil {
		t.Fatal(err, out)
	}
	if got := ask(t, "udp", s.Addr(), name, mdns.TypeTXT); got.Rcode != "NXDOMAIN" {
		t.Errorf("the value is in another view: %+v", got)
	}
	if diff := cmp.Diff([]string{"in"}, s.Records(name)); diff != "" {
		t.Error(diff)
	}
	e := s.endpoints[0]
	q := new(mdns.Msg)
	q.SetQuestion("www.example.test.", mdns.TypeTXT)
	raw, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	for from, want := range map[string]string{"127.7.0.1:1": "source", "127.0.0.1:1": "rest"} {
		m := new(mdns.Msg)
		if err := m.Unpack(s.respond(e, raw, netip.MustParseAddrPort(from), false)); err != nil {
			t.Fatal(err)
		}
		if got := m.Answer[0].(*mdns.TXT).Txt[0]; got != want {
			t.Errorf("from %s: %s, want %s", from, got, want)
		}
	}
}

func FuzzRespond(f *testing.F) {
	s, err := New(Options{
		Listen: []string{"127.0.0.1:0"}, Zones: []Zone{testZone(), {Name: ".", Update: []string{AnyUpdate}}},
		Keys: []tsig.Key{{Name: "k.", Algorithm: tsig.MD5, Secret: secret}}, Addresses: []netip.Addr{netip.MustParseAddr("::1")},
	})
	if err != nil {
		f.Fatal(err)
	}
	q := new(mdns.Msg)
	q.SetQuestion("alias.example.test.", mdns.TypeA)
	q.SetEdns0(1232, true)
	u := new(mdns.Msg)
	u.SetUpdate("example.test.")
	u.Insert([]mdns.RR{&mdns.TXT{Hdr: mdns.RR_Header{Name: name, Rrtype: mdns.TypeTXT, Class: mdns.ClassINET}, Txt: []string{"x"}}})
	u.NameUsed([]mdns.RR{&mdns.TXT{Hdr: mdns.RR_Header{Name: name}}})
	for _, m := range []*mdns.Msg{q, u} {
		raw, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
		signed, _, err := tsig.Sign(raw, s.keys["k."], tsig.Stamp{Time: s.clock.Now()})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(signed)
	}
	from := netip.MustParseAddrPort("127.0.0.1:5000")
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, tcp := range []bool{false, true} {
			answer := s.respond(s.endpoints[0], slices.Clone(raw), from, tcp)
			if answer == nil {
				continue
			}
			m := new(mdns.Msg)
			if err := m.Unpack(answer); err != nil {
				t.Fatalf("the answer is malformed: %v", err)
			}
			if !tcp && len(answer) > maxUDP {
				t.Fatalf("an answer of %d bytes over UDP", len(answer))
			}
		}
	})
}
