package rfc2136

import (
	"context"
	"errors"
	"fmt"

	mdns "github.com/miekg/dns"

	"github.com/everleaf/everleaf/internal/dns/tsig"
	"github.com/everleaf/everleaf/internal/fault"
)

// exchange sends a message, signed if there is a key, and returns the answer
// once its signature has been checked. Its RCODE is for the caller, except for
// what the answer's TSIG record explains.
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
	var raw []byte
	if p.tcp {
		raw, err = p.carry.RoundTrip(ctx, "tcp", p.server, packed)
	} else {
		raw, err = p.carry.Exchange(ctx, p.server, packed)
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
	// An error in the record explains itself. It is believed unsigned, as the
	// server cannot sign with a key that it does not know; it can only fail.
	if rr != nil && rr.Error != mdns.RcodeSuccess {
		return nil, p.rejected(rr)
	}
	switch {
	case err == nil:
		return answer, nil
	case errors.Is(err, tsig.ErrUnsigned) && (answer.Rcode != mdns.RcodeSuccess || request.Opcode == mdns.OpcodeQuery):
		// Servers refuse unsigned what they did not look at closely, and some
		// sign no answers to queries. A zone that someone made up makes the
		// update fail and does no other harm.
		return answer, nil
	case errors.Is(err, tsig.ErrUnsigned):
		return nil, p.unsigned()
	default:
		return nil, p.badAnswer(err)
	}
}
