package nameserver

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	mdns "github.com/miekg/dns"
	"k8s.io/utils/clock"

	"github.com/everleaf/everleaf/internal/dns/tsig"
)

const (
	// tcpIdle is the idle timeout of a TCP connection.
	tcpIdle = 10 * time.Second
	// maxConns bounds the TCP connections of one address.
	maxConns = 256
	// portTries bounds the search for a port that is free for both UDP and TCP.
	portTries = 20
)

// Server is a name server. New creates it and Start starts it.
type Server struct {
	endpoints []*endpoint
	keys      map[string]tsig.Key
	zones     map[string]*zone
	views     []view
	addresses []netip.Addr
	onMessage func(Message)
	clock     clock.PassiveClock
	log       logr.Logger
	counters  struct{ queries, updates, changes, refused, truncated, dropped atomic.Uint64 }

	group sync.WaitGroup
	stop  context.CancelFunc
}

type view struct {
	keys    []string
	sources []netip.Prefix
	zones   map[string]*zone
}

// endpoint is one address.
type endpoint struct {
	addr      string
	secondary bool
	delay     time.Duration
	behaviour atomic.Pointer[Behaviour]
	udp       net.PacketConn
	tcp       net.Listener
	conns     chan struct{}
}

// New validates the options. It opens no socket.
func New(o Options) (*Server, error) {
	s := &Server{
		keys: map[string]tsig.Key{}, addresses: o.Addresses, onMessage: o.OnMessage, clock: o.Clock, log: o.Log,
	}
	if s.clock == nil {
		s.clock = clock.RealClock{}
	}
	for _, k := range o.Keys {
		if !slices.Contains([]tsig.Algorithm{tsig.MD5, tsig.SHA1, tsig.SHA256, tsig.SHA512}, k.Algorithm) {
			return nil, fmt.Errorf("key %s: algorithm %q is not supported", k.Name, k.Algorithm)
		}
		k.Name = mdns.CanonicalName(k.Name)
		s.keys[k.Name] = k
	}
	var keep time.Duration
	for _, sec := range o.Secondaries {
		keep = max(keep, sec.Delay)
	}
	var err error
	if s.zones, err = s.load(o.Zones, keep); err != nil {
		return nil, err
	}
	for _, v := range o.Views {
		zones, err := s.load(v.Zones, keep)
		if err != nil {
			return nil, err
		}
		s.views = append(s.views, view{keys: canonicalNames(v.Keys), sources: v.Sources, zones: zones})
	}
	for _, addr := range o.Listen {
		s.endpoints = append(s.endpoints, newEndpoint(addr, false, 0))
	}
	for _, sec := range o.Secondaries {
		s.endpoints = append(s.endpoints, newEndpoint(sec.Listen, true, sec.Delay))
	}
	return s, nil
}

func newEndpoint(addr string, secondary bool, delay time.Duration) *endpoint {
	e := &endpoint{addr: addr, secondary: secondary, delay: delay, conns: make(chan struct{}, maxConns)}
	e.behaviour.Store(&Behaviour{})
	return e
}

func (s *Server) load(zones []Zone, keep time.Duration) (map[string]*zone, error) {
	out := map[string]*zone{}
	for _, o := range zones {
		z, err := newZone(o, keep, s.clock.Now())
		if err != nil {
			return nil, err
		}
		if out[z.name] != nil {
			return nil, fmt.Errorf("zone %s is given twice", z.name)
		}
		out[z.name] = z
	}
	return out, nil
}

// Start opens the sockets and serves until ctx ends or Stop is called. The
// server answers as soon as Start returns.
func (s *Server) Start(ctx context.Context) error {
	for _, e := range s.endpoints {
		if err := e.open(ctx); err != nil {
			s.close()
			return fmt.Errorf("name server on %s: %w", e.addr, err)
		}
	}
	ctx, s.stop = context.WithCancel(ctx)
	for _, e := range s.endpoints {
		s.group.Go(func() { s.serveUDP(e) })
		s.group.Go(func() { s.serveTCP(ctx, e) })
	}
	s.group.Go(func() {
		<-ctx.Done()
		s.close()
	})
	return nil
}

// Stop closes the sockets and waits for requests in progress.
func (s *Server) Stop() {
	if s.stop != nil {
		s.stop()
	}
	s.group.Wait()
}

func (s *Server) close() {
	for _, e := range s.endpoints {
		if e.udp != nil {
			_ = e.udp.Close()
		}
		if e.tcp != nil {
			_ = e.tcp.Close()
		}
	}
}

func (e *endpoint) open(ctx context.Context) error {
	var err error
	if e.tcp, e.udp, err = Listen(ctx, e.addr); err == nil {
		e.addr = e.udp.LocalAddr().String()
	}
	return err
}

// Listen binds one port of an address for TCP and UDP. If the port is 0, it is one
// that is free for both.
func Listen(ctx context.Context, addr string) (net.Listener, net.PacketConn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, nil, err
	}
	var lc net.ListenConfig
	for range portTries {
		var tcp net.Listener
		if tcp, err = lc.Listen(ctx, "tcp", addr); err != nil {
			return nil, nil, err
		}
		_, bound, _ := net.SplitHostPort(tcp.Addr().String())
		var udp net.PacketConn
		if udp, err = lc.ListenPacket(ctx, "udp", net.JoinHostPort(host, bound)); err == nil {
			return tcp, udp, nil
		}
		_ = tcp.Close()
		if port != "0" {
			break
		}
	}
	return nil, nil, err
}

// Addrs returns the addresses with their actual ports: those of Listen, then
// the secondaries.
func (s *Server) Addrs() []string {
	out := make([]string, 0, len(s.endpoints))
	for _, e := range s.endpoints {
		out = append(out, e.addr)
	}
	return out
}

// Addr returns the first address.
func (s *Server) Addr() string { return s.endpoints[0].addr }

// Behave sets how the i-th of Addrs misbehaves.
func (s *Server) Behave(i int, b Behaviour) { s.endpoints[i].behaviour.Store(&b) }

// Records returns the TXT values at a name in the newest version of its zone,
// sorted; with views, in all of them.
func (s *Server) Records(fqdn string) []string {
	name := mdns.CanonicalName(fqdn)
	sets := []map[string]*zone{s.zones}
	for _, v := range s.views {
		sets = append(sets, v.zones)
	}
	var out []string
	for _, zones := range sets {
		z := enclosing(zones, name)
		if z == nil {
			continue
		}
		for _, rr := range z.at(s.clock.Now(), 0).records[name] {
			if txt, ok := rr.(*mdns.TXT); ok {
				out = append(out, strings.Join(txt.Txt, ""))
			}
		}
	}
	slices.Sort(out)
	return out
}

// Counters returns the counts so far.
func (s *Server) Counters() Counters {
	c := &s.counters
	return Counters{
		Queries: c.queries.Load(), Updates: c.updates.Load(), Changes: c.changes.Load(),
		Refused: c.refused.Load(), Truncated: c.truncated.Load(), Dropped: c.dropped.Load(),
	}
}

func (s *Server) note(m Message) {
	switch {
	case m.Rcode < 0:
		s.counters.dropped.Add(1)
	case m.Update:
		s.counters.updates.Add(1)
	default:
		s.counters.queries.Add(1)
	}
	if m.Rcode == mdns.RcodeRefused {
		s.counters.refused.Add(1)
	}
	if m.Update {
		s.log.V(1).Info("DNS update", "zone", m.Name, "source", m.Source.String(), "rcode", mdns.RcodeToString[m.Rcode])
	} else {
		s.log.V(5).Info("DNS query", "name", m.Name, "type", mdns.TypeToString[m.Type], "source", m.Source.String(), "rcode", mdns.RcodeToString[m.Rcode])
	}
	if s.onMessage != nil {
		s.onMessage(m)
	}
}

func (s *Server) serveUDP(e *endpoint) {
	buf := make([]byte, mdns.MaxMsgSize)
	for {
		n, from, err := e.udp.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error of an earlier answer
		}
		if answer := s.respond(e, slices.Clone(buf[:n]), addrPort(from), false); answer != nil {
			_, _ = e.udp.WriteTo(answer, from)
		}
	}
}

func (s *Server) serveTCP(ctx context.Context, e *endpoint) {
	for {
		conn, err := e.tcp.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		select {
		case e.conns <- struct{}{}:
		default:
			_ = conn.Close()
			continue
		}
		s.group.Go(func() {
			defer func() { <-e.conns }()
			s.serveConn(ctx, e, conn)
		})
	}
}

func (s *Server) serveConn(ctx context.Context, e *endpoint, conn net.Conn) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	for {
		if conn.SetDeadline(time.Now().Add(tcpIdle)) != nil {
			return
		}
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		raw := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(conn, raw); err != nil {
			return
		}
		answer := s.respond(e, raw, addrPort(conn.RemoteAddr()), true)
		if answer == nil {
			if e.behaviour.Load().Silent {
				continue // the client waits, as with a server that hangs
			}
			return
		}
		framed := binary.BigEndian.AppendUint16(make([]byte, 0, len(answer)+2), uint16(len(answer)))
		if _, err := conn.Write(append(framed, answer...)); err != nil {
			return
		}
	}
}

func addrPort(a net.Addr) netip.AddrPort {
	switch a := a.(type) {
	case *net.UDPAddr:
		return a.AddrPort()
	case *net.TCPAddr:
		return a.AddrPort()
	default:
		return netip.AddrPort{}
	}
}

func macOf(rr *mdns.TSIG) []byte {
	mac, _ := hex.DecodeString(rr.MAC) // miekg/dns wrote the hex itself
	return mac
}
