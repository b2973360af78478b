package rfc2136

import (
	"context"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	mdns "github.com/miekg/dns"

	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/solver/dns01"
	"github.com/everleaf/everleaf/test/nameserver"
)

// odd is a server of example.com that carries updates out and never answers
// them, and that delegates child.example.com.
type odd struct {
	mu sync.Mutex
	// ignores reports whether it does not carry them out either.
	ignores bool
	values  []string
}

func (o *odd) ServeDNS(w mdns.ResponseWriter, q *mdns.Msg) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if q.Opcode == mdns.OpcodeUpdate {
		if !o.ignores {
			o.update(q.Ns)
		}
		return
	}
	m := new(mdns.Msg)
	m.SetReply(q)
	name, soa := strings.ToLower(q.Question[0].Name), rr("example.com. 60 SOA ns1 host 1 1 1 1 60")
	switch {
	case mdns.IsSubDomain("child.example.com.", name):
		m.Ns = []mdns.RR{rr("child.example.com. 60 NS ns.child.example.com.")}
	case !mdns.IsSubDomain("example.com.", name):
		m.Rcode = mdns.RcodeRefused
	default:
		m.Authoritative = true
		for _, v := range o.values {
			if q.Question[0].Qtype == mdns.TypeTXT && name == fqdn {
				m.Answer = append(m.Answer, rr(fqdn+" 0 TXT "+v))
			}
		}
		if q.Question[0].Qtype == mdns.TypeCNAME && name == "alias.example.com." {
			m.Answer = append(m.Answer, rr("alias.example.com. 60 CNAME Target.example.net."))
		}
		if len(m.Answer) == 0 {
			m.Ns = []mdns.RR{soa}
		}
	}
	_ = w.WriteMsg(m)
}

func (o *odd) update(records []mdns.RR) {
	for _, record := range records {
		v := strings.Join(record.(*mdns.TXT).Txt, "")
		o.values = slices.DeleteFunc(o.values, func(has string) bool { return has == v })
		if record.Header().Class == mdns.ClassINET {
			o.values = append(o.values, v)
		}
	}
}

func (o *odd) ignore(ignores bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ignores = ignores
}

func rr(text string) mdns.RR {
	record, err := mdns.NewRR(text)
	if err != nil {
		panic(err)
	}
	return record
}

// startOdd returns the server and a Provider that writes to it.
func startOdd(t *testing.T) (*odd, *Provider) {
	t.Helper()
	tcp, udp, err := nameserver.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := &odd{}
	accept := func(mdns.Header) mdns.MsgAcceptAction { return mdns.MsgAccept }
	for _, s := range []*mdns.Server{
		{PacketConn: udp, Handler: o, MsgAcceptFunc: accept},
		{Listener: tcp, Handler: o, MsgAcceptFunc: accept},
	} {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go func() { _ = s.ActivateAndServe() }()
		<-started
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	return o, provider(t, Config{Nameserver: udp.LocalAddr().String(), Timeout: 100 * time.Millisecond})
}

// TestUnansweredUpdate holds that an update without an answer has succeeded if
// the server has carried it out, and has failed if not.
func TestUnansweredUpdate(t *testing.T) {
	o, p := startOdd(t)
	r := record(value)
	unanswered := func(what string, err error) {
		t.Helper()
		if f := fault.Of(err); f == nil || f.Reason != "ServerUnreachable" || f.Class != fault.Transient {
			t.Errorf("%s: %v", what, err)
		}
	}
	o.ignore(true)
	unanswered("Present that is not carried out", p.Present(t.Context(), r))
	o.ignore(false)
	if err := p.Present(t.Context(), r); err != nil {
		t.Errorf("Present that is carried out: %v", err)
	}
	o.ignore(true)
	unanswered("CleanUp that is not carried out", p.CleanUp(t.Context(), r))
	o.ignore(false)
	if err := p.CleanUp(t.Context(), r); err != nil {
		t.Errorf("CleanUp that is carried out: %v", err)
	}
}

// deadConn never answers.
type deadConn struct{ net.Conn }

func (deadConn) SetDeadline(time.Time) error { return nil }
func (deadConn) Write(b []byte) (int, error) { return len(b), nil }
func (deadConn) Read([]byte) (int, error)    { return 0, os.ErrDeadlineExceeded }
func (deadConn) Close() error                { return nil }

// TestUpdatePatience holds that an update gets more time than a question.
func TestUpdatePatience(t *testing.T) {
	for opcode, want := range map[int]map[string]time.Duration{
		mdns.OpcodeUpdate: {"udp": 5 * time.Second, "tcp": 15 * time.Second},
		mdns.OpcodeQuery:  {"udp": 2 * time.Second, "tcp": 2 * time.Second},
	} {
		got := map[string]time.Duration{}
		p := provider(t, Config{Nameserver: "192.0.2.1", Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			deadline, _ := ctx.Deadline()
			got[network] = time.Until(deadline).Round(time.Second)
			return deadConn{}, nil
		}})
		m := new(mdns.Msg)
		m.SetUpdate("example.com.")
		m.Opcode = opcode
		if _, err := p.exchange(t.Context(), m); err == nil {
			t.Error("a dead server answered")
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", mdns.OpcodeToString[opcode], diff)
		}
	}
}

// TestDelegatedZone holds that nothing is written above a zone cut: the server
// would take it, and nobody would find it.
func TestDelegatedZone(t *testing.T) {
	o, p := startOdd(t)
	err := p.Present(t.Context(), dns01.Record{FQDN: "_acme-challenge.www.child.example.com.", Value: value})
	f := fault.Of(err)
	if f == nil || f.Reason != "ZoneDelegated" || f.Class != fault.User ||
		!strings.Contains(f.Message, "child.example.com. is delegated to ns.child.example.com.") {
		t.Errorf("%v", err)
	}
	if len(o.values) != 0 {
		t.Errorf("written: %v", o.values)
	}
}

func TestAlias(t *testing.T) {
	_, p := startOdd(t)
	for name, want := range map[string]struct {
		target string
		known  bool
	}{
		"Alias.example.com.":     {"target.example.net.", true},
		"www.example.com.":       {"", true},
		"www.child.example.com.": {"", false},
		"www.example.net.":       {"", false},
	} {
		target, known, err := p.Alias(t.Context(), name)
		if err != nil || target != want.target || known != want.known {
			t.Errorf("%s: %q, %t, %v", name, target, known, err)
		}
	}
}
