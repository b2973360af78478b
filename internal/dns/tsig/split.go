package tsig

import (
	"encoding/binary"
	"errors"

	mdns "github.com/miekg/dns"
)

const headerSize = 12

var (
	errShort    = errors.New("the message is cut off")
	errPosition = errors.New("the TSIG record is not the last one")
)

// Split removes the TSIG record from a packed message. It returns the message
// as it was before it was signed, except for the ID, which a forwarder may have
// changed, and the record. For a message without one it returns ErrUnsigned.
func Split(raw []byte) ([]byte, *mdns.TSIG, error) {
	if len(raw) < headerSize {
		return nil, nil, errShort
	}
	count := func(i int) int { return int(binary.BigEndian.Uint16(raw[4+2*i:])) }
	off := headerSize
	for range count(0) {
		_, end, err := mdns.UnpackDomainName(raw, off)
		if err != nil {
			return nil, nil, err
		}
		off = end + 4 // type and class
	}
	records := count(1) + count(2) + count(3)
	for i := range records {
		start := off
		kind, end, err := skipRecord(raw, off)
		if err != nil {
			return nil, nil, err
		}
		off = end
		if kind != mdns.TypeTSIG {
			continue
		}
		if i != records-1 || count(3) == 0 || off != len(raw) {
			return nil, nil, errPosition
		}
		return cutOff(raw, start)
	}
	return nil, nil, ErrUnsigned
}

func cutOff(raw []byte, start int) ([]byte, *mdns.TSIG, error) {
	unpacked, _, err := mdns.UnpackRR(raw, start)
	if err != nil {
		return nil, nil, err
	}
	rr, ok := unpacked.(*mdns.TSIG)
	if !ok {
		return nil, nil, errShort
	}
	msg := append([]byte(nil), raw[:start]...)
	binary.BigEndian.PutUint16(msg[10:], binary.BigEndian.Uint16(raw[10:])-1)
	return msg, rr, nil
}

func skipRecord(raw []byte, off int) (kind uint16, end int, err error) {
	_, off, err = mdns.UnpackDomainName(raw, off)
	if err != nil {
		return 0, 0, err
	}
	if off+10 > len(raw) {
		return 0, 0, errShort
	}
	kind = binary.BigEndian.Uint16(raw[off:])
	end = off + 10 + int(binary.BigEndian.Uint16(raw[off+8:]))
	if end > len(raw) {
		return 0, 0, errShort
	}
	return kind, end, nil
}
