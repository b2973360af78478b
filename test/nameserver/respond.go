package nameserver

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/everleaf/everleaf/internal/dns/tsig"
)

const (
	// maxUDP is the largest answer over UDP, plainUDP the largest without
	// EDNS0.
	maxUDP   = 1232
	plainUDP = 512
	// signatureSize is reserved for a TSIG record: two names, and 64 bytes of
	// HMAC-SHA512.
	signatureSize = 360
)

// request is a message with its properties.
type request struct {
	msg  *mdns.Msg
	from netip.AddrPort
	tcp  bool
	// key is the key of the signature, nil if unsigned.
	key *tsig.Key
	mac []byte
}

// respond answers one packed message; nil means no answer. raw is untrusted.
func (s *Server) respond(e *endpoint, raw []byte, from netip.AddrPort, tcp bool) []byte {
	b := e.behaviour.Load()
	r := request{msg: new(mdns.Msg), from: from, tcp: tcp}
	note := Message{Server: e.addr, Source: from, TCP: tcp, Rcode: -1}
	defer func() { s.note(note) }()
	if b.Silent || r.msg.Unpack(raw) != nil || r.msg.Response || len(raw) < 12 {
		return nil
	}
	if len(r.msg.Question) != 1 {
		note.Rcode = mdns.RcodeFormatError
		return s.pack(b, r, reply(r.msg, mdns.RcodeFormatError))
	}
	note.Update, note.Name, note.Type = r.msg.Opcode == mdns.OpcodeUpdate, r.msg.Question[0].Name, r.msg.Question[0].Qtype
	record, key, err := s.verify(raw)
	if err != nil {
		note.Rcode = mdns.RcodeNotAuth
		return s.unauthentic(r, record, key, err)
	}
	if record != nil {
		r.key, r.mac = key, macOf(record)
	}
	var answer *mdns.Msg
	switch {
	case note.Update:
		answer = s.update(e, b, r)
	case r.msg.Opcode != mdns.OpcodeQuery:
		answer = reply(r.msg, mdns.RcodeNotImplemented)
	default:
		answer = s.query(e, b, r)
	}
	note.Rcode = answer.Rcode
	return s.pack(b, r, answer)
}

func reply(m *mdns.Msg, rcode int) *mdns.Msg {
	out := new(mdns.Msg)
	out.SetRcode(m, rcode)
	return out
}

// query answers a query.
func (s *Server) query(e *endpoint, b *Behaviour, r request) *mdns.Msg {
	m := reply(r.msg, b.Rcode)
	if b.Rcode != mdns.RcodeSuccess {
		return m
	}
	if b.Truncate && !r.tcp {
		m.Truncated = true
		return m
	}
	q := r.msg.Question[0]
	if q.Qclass != mdns.ClassINET {
		m.Rcode = mdns.RcodeRefused
		return m
	}
	name, zones := mdns.CanonicalName(q.Name), s.zonesFor(r)
	now := s.clock.Now()
	for hop := 0; hop < maxChase; hop++ {
		z := enclosing(zones, name)
		if z == nil {
			break
		}
		m.Authoritative = true
		name = z.lookup(z.at(now, e.delay), m, name, q.Qtype)
		if name == "" {
			break
		}
	}
	s.inventAddress(m, q)
	if !m.Authoritative && len(m.Ns) == 0 {
		m.Rcode = mdns.RcodeRefused
	}
	return m
}

// inventAddress answers an address query that found nothing.
func (s *Server) inventAddress(m *mdns.Msg, q mdns.Question) {
	if len(s.addresses) == 0 || len(m.Answer) > 0 || q.Qtype != mdns.TypeA && q.Qtype != mdns.TypeAAAA {
		return
	}
	m.Authoritative, m.Rcode = true, mdns.RcodeSuccess
	h := mdns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: mdns.ClassINET, Ttl: 1}
	for _, a := range s.addresses {
		switch {
		case a.Is4() && q.Qtype == mdns.TypeA:
			m.Answer = append(m.Answer, &mdns.A{Hdr: h, A: a.AsSlice()})
		case a.Is6() && q.Qtype == mdns.TypeAAAA:
			m.Answer = append(m.Answer, &mdns.AAAA{Hdr: h, AAAA: a.AsSlice()})
		}
	}
	if len(m.Answer) > 0 {
		m.Ns = nil
	}
}

// update applies a DNS UPDATE, or rejects it.
func (s *Server) update(e *endpoint, b *Behaviour, r request) *mdns.Msg {
	q := r.msg.Question[0]
	if b.RefuseUpdates || e.secondary {
		return reply(r.msg, mdns.RcodeRefused)
	}
	if q.Qtype != mdns.TypeSOA || q.Qclass != mdns.ClassINET {
		return reply(r.msg, mdns.RcodeFormatError)
	}
	z := s.zonesFor(r)[mdns.CanonicalName(q.Name)]
	if z == nil {
		return reply(r.msg, mdns.RcodeNotAuth)
	}
	key := AnyUpdate
	if r.key != nil {
		key = r.key.Name
	}
	if !z.allows(key) && !z.allows(AnyUpdate) {
		return reply(r.msg, mdns.RcodeRefused)
	}
	changed, rcode := z.apply(r.msg, s.clock.Now())
	if changed {
		s.counters.changes.Add(1)
	}
	return reply(r.msg, rcode)
}

// zonesFor returns the zones of the client's view.
func (s *Server) zonesFor(r request) map[string]*zone {
	for _, v := range s.views {
		if r.key != nil && slices.Contains(v.keys, r.key.Name) {
			return v.zones
		}
		for _, p := range v.sources {
			if p.Contains(r.from.Addr().Unmap()) {
				return v.zones
			}
		}
	}
	return s.zones
}

// enclosing returns the deepest zone that contains a name.
func enclosing(zones map[string]*zone, name string) *zone {
	for off, end := 0, false; !end; off, end = mdns.NextLabel(name, off) {
		if z := zones[name[off:]]; z != nil {
			return z
		}
	}
	return zones["."]
}

// verify verifies the signature, if there is one.
func (s *Server) verify(raw []byte) (*mdns.TSIG, *tsig.Key, error) {
	_, record, err := tsig.Split(raw)
	if errors.Is(err, tsig.ErrUnsigned) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	key, ok := s.keys[mdns.CanonicalName(record.Hdr.Name)]
	if !ok {
		return record, nil, tsig.ErrKey
	}
	record, err = tsig.Verify(raw, key, nil, s.clock.Now())
	return record, &key, err
}

// unauthentic answers a message with an invalid signature (RFC 8945 section
// 5.2).
func (s *Server) unauthentic(r request, record *mdns.TSIG, key *tsig.Key, err error) []byte {
	m := reply(r.msg, mdns.RcodeNotAuth)
	if record == nil {
		m.Rcode = mdns.RcodeFormatError
		return packed(m)
	}
	stamp := tsig.Stamp{Time: time.Unix(int64(record.TimeSigned), 0), Error: mdns.RcodeBadKey}
	with := tsig.Key{Name: record.Hdr.Name, Algorithm: tsig.Algorithm(mdns.CanonicalName(record.Algorithm))}
	switch {
	case errors.Is(err, tsig.ErrSignature):
		stamp.Error = mdns.RcodeBadSig
	case errors.Is(err, tsig.ErrTime):
		stamp.Error, stamp.Other, stamp.RequestMAC = mdns.RcodeBadTime, s.clock.Now(), macOf(record)
		with = *key
	}
	raw := packed(m)
	if raw == nil {
		return nil
	}
	signed, _, err := tsig.Sign(raw, with, stamp)
	if err != nil {
		return nil
	}
	return signed
}

// pack encodes an answer: cut to the client's maximum size, and signed if the
// request was.
func (s *Server) pack(b *Behaviour, r request, m *mdns.Msg) []byte {
	size := mdns.MaxMsgSize
	if opt := r.msg.IsEdns0(); opt != nil {
		m.SetEdns0(maxUDP, false)
		if !r.tcp {
			size = min(max(int(opt.UDPSize()), plainUDP), maxUDP)
		}
	} else if !r.tcp {
		size = plainUDP
	}
	if r.key != nil {
		size -= signatureSize
	}
	truncated := m.Truncated
	m.Truncate(size)
	m.Truncated = m.Truncated || truncated
	if m.Truncated {
		s.counters.truncated.Add(1)
	}
	raw := packed(m)
	if r.key == nil || b.Unsigned || raw == nil {
		return raw
	}
	signed, _, err := tsig.Sign(raw, *r.key, tsig.Stamp{Time: s.clock.Now(), RequestMAC: r.mac})
	if err != nil {
		return nil
	}
	return signed
}

// packed encodes m. It returns nil for a message that cannot be encoded, for
// example because it repeats an invalid name of the request.
func packed(m *mdns.Msg) []byte {
	raw, err := m.Pack()
	if err != nil {
		return nil
	}
	return raw
}
