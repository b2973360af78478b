// Package nameserver is a small authoritative DNS server in memory: for the
// quickstart, for people without a name server of their own, and for tests. It
// takes TXT records by DNS UPDATE (RFC 2136), signed with TSIG (RFC 8945), and
// can misbehave in the ways of real servers.
//
// It does no recursion, no zone transfer and no DNSSEC, and keeps nothing when
// it ends.
package nameserver

import (
	"net/netip"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"

	"github.com/everleaf/everleaf/internal/dns/tsig"
)

// Options describe a server.
type Options struct {
	// Listen are the addresses, ip:port, each for UDP and TCP. Port 0 takes a
	// free one; Addrs tells which.
	Listen []string
	// Secondaries are more addresses, which serve what the others had some
	// time ago and take no updates.
	Secondaries []Secondary
	// Keys are known to the server. Names are absolute.
	Keys []tsig.Key
	// Zones are served to everyone whom no view matches.
	Zones []Zone
	// Views are tried in their order, before Zones.
	Views []View
	// Addresses answer A and AAAA questions about any name that has no such
	// record of its own, in the zones or elsewhere: then the server can stand
	// in for the resolver of an ACME server.
	Addresses []netip.Addr
	// OnMessage hears of every message, from many goroutines; may be nil.
	OnMessage func(Message)
	// Clock dates changes and signatures; nil is the system's.
	Clock clock.PassiveClock
	// Log tells about updates at level 1, about queries at level 5.
	Log logr.Logger
}

// Secondary is an address that lags.
type Secondary struct {
	// Listen is ip:port.
	Listen string
	// Delay is after how long it knows of a change.
	Delay time.Duration
}

// View is a set of zones that only some clients see.
type View struct {
	// Keys are names of TSIG keys. Sources are clients' addresses. A message
	// that has either belongs to the view.
	Keys    []string
	Sources []netip.Prefix
	Zones   []Zone
}

// Zone is a zone as it starts.
type Zone struct {
	// Name with or without the final dot.
	Name string
	// NS are the names of its servers; empty is ns1 in the zone.
	NS []string
	// Records are more records, in the form of a zone file, relative to Name.
	Records []string
	// TTL is that of SOA and NS records, and of Records without one; 0 is 60 s.
	TTL time.Duration
	// NegativeTTL is the SOA MINIMUM; 0 is 60 s.
	NegativeTTL time.Duration
	// Update are the names of the keys that may change TXT records; AnyUpdate
	// among them allows unsigned updates.
	Update []string
}

// AnyUpdate in Zone.Update allows updates without a signature.
const AnyUpdate = ""

// Behaviour is how one address misbehaves. The zero value does not.
type Behaviour struct {
	// Silent drops every message.
	Silent bool
	// Truncate answers queries over UDP with TC and nothing else.
	Truncate bool
	// RefuseUpdates answers updates with REFUSED.
	RefuseUpdates bool
	// Unsigned leaves the signature off answers to signed messages.
	Unsigned bool
	// Rcode, if not zero, answers every query, such as 2 for SERVFAIL.
	Rcode int
}

// Message is one that a server has received.
type Message struct {
	// Server is the address that received it, Source the client's.
	Server string
	Source netip.AddrPort
	TCP    bool
	// Update tells a DNS UPDATE; Name is its zone then.
	Update bool
	Name   string
	Type   uint16
	// Rcode of the answer; -1 if the message was dropped.
	Rcode int
}

// Counters count messages since the start.
type Counters struct {
	Queries, Updates, Changes, Refused, Truncated, Dropped uint64
}
