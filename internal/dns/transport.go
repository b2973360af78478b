package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	mdns "github.com/miekg/dns"
)

const (
	// ednsSize is the UDP payload size that queries offer (DNS flag day 2020): it
	// fits into one packet on any path that carries IPv6.
	ednsSize = 1232
	// maxMessage is the largest DNS message there is (RFC 1035 section 4.2.2).
	maxMessage = 65535
	// strayReplies bounds how many datagrams that do not belong to a query are
	// read before the query fails.
	strayReplies = 64
)

// DefaultTimeout bounds one attempt of one query, over UDP and TCP each.
const DefaultTimeout = 2 * time.Second

// ErrTruncated is the error for an answer that did not fit into a datagram.
var ErrTruncated = errors.New("truncated answer")

// errStray is the error for a query that only foreign datagrams answered.
var errStray = errors.New("no answer among the datagrams that arrived")

// Transport exchanges packed DNS messages. The zero value is ready.
type Transport struct {
	// Timeout bounds one attempt; 0 is DefaultTimeout.
	Timeout time.Duration
	// Dial replaces the system's dialler, for tests.
	Dial dialFunc
}

// dialFunc connects as net.Dialer.DialContext does.
type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

func (t Transport) timeout() time.Duration {
	if t.Timeout <= 0 {
		return DefaultTimeout
	}
	return t.Timeout
}

func (t Transport) dialer() dialFunc {
	if t.Dial == nil {
		return (&net.Dialer{}).DialContext
	}
	return t.Dial
}

// RoundTrip sends a packed query to address (host:port) over network ("udp" or
// "tcp") and returns the packed answer that has the query's ID and the QR bit
// set. It checks nothing else. With ErrTruncated it returns the answer too.
func (t Transport) RoundTrip(ctx context.Context, network, address string, query []byte) ([]byte, error) {
	if len(query) < headerSize || len(query) > maxMessage {
		return nil, fmt.Errorf("query of %d bytes", len(query))
	}
	ctx, cancel := context.WithTimeout(ctx, t.timeout())
	defer cancel()
	conn, err := t.dialer()(ctx, network, address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return nil, err
		}
	}
	// A deadline in the past wakes a blocked Read when the caller gives up.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if strings.HasPrefix(network, "tcp") {
		return roundTripTCP(conn, query)
	}
	return roundTripUDP(conn, query)
}

// Exchange is RoundTrip over UDP, and then over TCP if the answer is truncated
// or does not arrive in time. It returns other errors of UDP (no route, port
// unreachable) unchanged.
func (t Transport) Exchange(ctx context.Context, address string, query []byte) ([]byte, error) {
	return t.ExchangeThen(ctx, t, address, query)
}

// ExchangeThen is Exchange with another Transport for TCP.
func (t Transport) ExchangeThen(ctx context.Context, tcp Transport, address string, query []byte) ([]byte, error) {
	answer, err := t.RoundTrip(ctx, "udp", address, query)
	if err == nil || ctx.Err() != nil {
		return answer, err
	}
	if errors.Is(err, ErrTruncated) || errors.Is(err, errStray) || isTimeout(err) {
		return tcp.RoundTrip(ctx, "tcp", address, query)
	}
	return nil, err
}

const headerSize = 12

func roundTripUDP(conn net.Conn, query []byte) ([]byte, error) {
	if _, err := conn.Write(query); err != nil {
		return nil, err
	}
	buf := make([]byte, maxMessage)
	for range strayReplies {
		n, err := conn.Read(buf)
		if err != nil {
			return nil, err
		}
		if !answers(buf[:n], query) {
			continue
		}
		if buf[2]&0x02 != 0 { // TC, RFC 1035 section 4.1.1
			return buf[:n], ErrTruncated
		}
		return buf[:n], nil
	}
	return nil, errStray
}

func roundTripTCP(conn net.Conn, query []byte) ([]byte, error) {
	// Conn precedes messages by their length (RFC 1035 section 4.2.2).
	framed := &mdns.Conn{Conn: conn}
	if _, err := framed.Write(query); err != nil {
		return nil, err
	}
	buf := make([]byte, maxMessage)
	n, err := framed.Read(buf)
	if err != nil {
		return nil, err
	}
	if !answers(buf[:n], query) {
		return nil, errStray
	}
	return buf[:n], nil
}

// answers reports whether a message has the form of a reply to the query.
func answers(msg, query []byte) bool {
	return len(msg) >= headerSize && msg[0] == query[0] && msg[1] == query[1] && msg[2]&0x80 != 0
}

// ask sends a question over UDP, and then TCP if need be, and returns the answer.
func (t Transport) ask(ctx context.Context, address string, q *mdns.Msg) (*mdns.Msg, error) {
	return askBy(ctx, q, func(ctx context.Context, query []byte) ([]byte, error) { return t.Exchange(ctx, address, query) })
}

// askBy sends a question and returns the answer if it repeats the question. It
// asks a server that does not understand EDNS0 again without EDNS0 (RFC 6891
// section 7).
func askBy(ctx context.Context, q *mdns.Msg, exchange func(context.Context, []byte) ([]byte, error)) (_ *mdns.Msg, err error) {
	defer recovered(&err)
	m, err := askOnce(ctx, q, exchange)
	if err != nil || m.Rcode != mdns.RcodeFormatError && m.Rcode != mdns.RcodeNotImplemented || m.IsEdns0() != nil {
		return m, err
	}
	plain := q.Copy()
	plain.Extra = nil
	return askOnce(ctx, plain, exchange)
}

// recovered turns a panic into an error, as the last thing of a function. What
// name servers answer is data of strangers, and one of them must not end the
// process.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%w: %v", errMalformed, r)
	}
}

func askOnce(ctx context.Context, q *mdns.Msg, exchange func(context.Context, []byte) ([]byte, error)) (*mdns.Msg, error) {
	packed, err := q.Pack()
	if err != nil {
		return nil, fmt.Errorf("pack query: %w", err)
	}
	raw, err := exchange(ctx, packed)
	if err != nil {
		return nil, err
	}
	return parse(raw, q.Question[0])
}

var errMalformed = errors.New("malformed answer")

// parse unpacks an answer and checks that it answers this question.
func parse(raw []byte, question mdns.Question) (*mdns.Msg, error) {
	m := new(mdns.Msg)
	if err := m.Unpack(raw); err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	// Some servers do not repeat the question in an error.
	if len(m.Question) == 0 && m.Rcode != mdns.RcodeSuccess && len(m.Answer) == 0 {
		return m, nil
	}
	if len(m.Question) != 1 || m.Question[0].Qtype != question.Qtype || m.Question[0].Qclass != question.Qclass ||
		!sameName(m.Question[0].Name, question.Name) {
		return nil, fmt.Errorf("%w: it is about another question", errMalformed)
	}
	return m, nil
}

// query builds a question with EDNS0. recurse sets RD; dnssec asks for
// signatures (DO, RFC 3225).
func query(name string, qtype uint16, recurse, dnssec bool) *mdns.Msg {
	q := new(mdns.Msg)
	q.SetQuestion(name, qtype)
	q.RecursionDesired = recurse
	q.SetEdns0(ednsSize, dnssec)
	return q
}
