package rfc2136

import (
	"context"
	"errors"
	"fmt"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/everleaf/everleaf/internal/dns/tsig"
	"github.com/everleaf/everleaf/internal/fault"
)

// updateUDP and updateTCP bound one attempt of an update. Servers with a
// database, or that sign a large zone, need seconds for one.
const (
	updateUDP = 5 * time.Second
	updateTCP = 15 * time.Second
)

// exchange sends a message, signed if there is a key, checks the signature of
// the answer and returns the answer. The caller checks the RCODE, except where
// the answer's TSIG record has an error.
func (p *Provider) exchange(ctx context.Context, m *mdns.Msg) (*mdns.Msg, error) {
	packed, err := m.Pack()
	if err != nil {
		return nil, fault.New(fault.Permanent, "InvalidName", "DNS update failed: the name cannot be put into a message").Because(err)
	}
	var mac []byte
	if p.key != nil {
		packed, mac, err = tsig.Sign(packed, *p.key, tsig.Stamp{Time: p.clock.Now()})
		if err != nil {
			return nil, fault.New(fault.User, "InvalidConfig", "DNS update failed: the message cannot be signed").Because(err)
		}
	}
	udp, tcp := p.transport, p.transport
	if m.Opcode == mdns.OpcodeUpdate && p.transport.Timeout == 0 {
		udp.Timeout, tcp.Timeout = updateUDP, updateTCP
	}
	var raw []byte
	if p.tcp {
		raw, err = tcp.RoundTrip(ctx, "tcp", p.server, packed)
	} else {
		raw, err = udp.ExchangeThen(ctx, tcp, p.server, packed)
	}
	if err != nil {
		return nil, p.unreachable(err)
	}
	return p.read(raw, m, mac)
}

// read parses an answer and checks its signature.
func (p *Provider) read(raw []byte, request *mdns.Msg, mac []byte) (*mdns.Msg, error) {
	answer := new(mdns.Msg)
	if err := answer.Unpack(raw); err != nil {
		return nil, p.malformed(err)
	}
	if answer.Opcode != request.Opcode {
		return nil, p.malformed(fmt.Errorf("opcode %d", answer.Opcode))
	}
	if p.key == nil {
		return answer, nil
	}
	rr, err := tsig.Verify(raw, *p.key, mac, p.clock.Now())
	// The error in the record counts even if the record is not signed: the
	// server cannot sign with a key that it does not know. A forged error can
	// do no more than fail the exchange.
	if rr != nil && rr.Error != mdns.RcodeSuccess {
		return nil, p.rejected(rr)
	}
	switch {
	case err == nil:
		return answer, nil
	case errors.Is(err, tsig.ErrUnsigned) && (answer.Rcode != mdns.RcodeSuccess || request.Opcode == mdns.OpcodeQuery):
		// Servers do not sign every refusal, and some do not sign answers to
		// queries. A forged zone makes the update fail and does no other harm.
		return answer, nil
	case errors.Is(err, tsig.ErrUnsigned):
		return nil, p.unsigned()
	default:
		return nil, p.badAnswer(err)
	}
}
