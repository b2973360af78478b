// Package nameserver is a small authoritative DNS server in memory, for tests
// and the quickstart. It accepts TXT records by DNS UPDATE (RFC 2136), signed
// with TSIG (RFC 8945), and can misbehave as real servers do.
//
// It has no recursion, no zone transfer and no DNSSEC, and stores nothing.
package nameserver

import (
	"net/netip"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"

	"github.com/everleaf/everleaf/internal/dns/tsig"
)

// Options configure a server.
type Options struct {
	// Listen are the addresses, ip:port, each for UDP and TCP. Port 0 means any
	// free port; see Addrs.
	Listen []string
	// Secondaries are more addresses. They serve what the others had some time
	// ago and accept no updates.
	Secondaries []Secondary
	// Keys are the server's TSIG keys. Names are absolute.
	Keys []tsig.Key
	// Zones are served to clients that match no view.
	Zones []Zone
	// Views are tried in order, before Zones.
	Views []View
	// Addresses answer A and AAAA queries for every name that has no such
	// record, in any zone or none. With them the server can be the resolver of
	// an ACME server.
	Addresses []netip.Addr
	// OnMessage, if set, is called for every message, from many goroutines.
	OnMessage func(Message)
	// Clock dates changes and signatures; nil means the system's clock.
	Clock clock.PassiveClock
	// Log logs updates at level 1 and queries at level 5.
	Log logr.Logger
}

// Secondary is an address that lags.
type Secondary struct {
	// Listen is ip:port.
	Listen string
	// Delay is how long the address lags behind a change.
	Delay time.Duration
}

// View is a set of zones that only some clients see.
type View struct {
	// Keys are names of TSIG keys and Sources are addresses of clients. A
	// message with either belongs to the view.
	Keys    []string
	Sources []netip.Prefix
	Zones   []Zone
}

// Zone is the initial state of a zone.
type Zone struct {
	// Name with or without the final dot.
	Name string
	// NS are the names of the zone's servers; none means ns1 in the zone.
	NS []string
	// Records are more records, in the format of a zone file, relative to Name.
	Records []string
	// TTL applies to SOA and NS records, and to Records without one; 0 means 60
	// s.
	TTL time.Duration
	// NegativeTTL is the MINIMUM of the SOA record (RFC 2308); 0 means 60 s.
	NegativeTTL time.Duration
	// Update are the names of the keys that may change TXT records. AnyUpdate
	// allows unsigned updates.
	Update []string
}

// AnyUpdate in Zone.Update allows updates without a signature.
const AnyUpdate = ""

// Behaviour is how an address misbehaves. The zero value is correct behaviour.
type Behaviour struct {
	// Silent drops every message.
	Silent bool
	// Truncate answers queries over UDP with the TC bit and no records.
	Truncate bool
	// RefuseUpdates answers updates with REFUSED.
	RefuseUpdates bool
	// Unsigned omits the signature of answers to signed messages.
	Unsigned bool
	// Rcode, if not zero, is the answer to every query, such as 2 for SERVFAIL.
	Rcode int
}

// Message is a received message.
type Message struct {
	// Server is the address that received it. Source is the client's.
	Server string
	Source netip.AddrPort
	TCP    bool
	// Update reports whether it is a DNS UPDATE. Name is then the zone.
	Update bool
	Name   string
	Type   uint16
	// Rcode is the RCODE of the answer, -1 if the message was dropped.
	Rcode int
}

// Counters count messages since the start.
type Counters struct {
	Queries, Updates, Changes, Refused, Truncated, Dropped uint64
}
