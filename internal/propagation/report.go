package propagation

import (
	"net/netip"
	"time"
)

// Mode says which servers must have a value before a CA is asked to validate.
type Mode int

const (
	// Authoritative: every authoritative server of the zone.
	Authoritative Mode = iota
	// RecursiveOnly: every configured recursive resolver
	// (--dns01-recursive-nameservers-only, solver.dns01.nameservers).
	RecursiveOnly
)

// Role says why a server was asked.
type Role string

// Roles of a server.
const (
	// RoleParent: only the parent zone's delegation names it.
	RoleParent Role = "parent"
	// RoleChild: only the zone's own NS records name it.
	RoleChild Role = "child"
	// RoleBoth: the delegation and the zone name it.
	RoleBoth Role = "both"
	// RoleRecursive: a configured resolver.
	RoleRecursive Role = "recursive"
)

// Answer is the answer of one address of one server.
type Answer struct {
	// Server is the name from the NS record, absolute and in lower case, or the
	// entry of a resolver as it is configured: host:port, tcp://host:port,
	// tls://host or https://host/path.
	Server string
	// Addr is the address that was asked. It is the zero AddrPort if Failure is
	// NoAddress or Unresolved, or if Server is a host name or a URL that was dialled.
	Addr netip.AddrPort
	Role Role
	// Zone is the zone for which the server was asked, Name the owner name.
	Zone string
	Name string

	// Failure says why there is no answer. If it is set, Detail and Duration are the
	// only fields below that may be set too.
	Failure Failure
	// Detail is what the server did, as it follows its name in a message, if that is
	// more than Failure.Says.
	Detail string
	// Rcode is the RCODE as dig prints it.
	Rcode string
	// Authoritative is the AA bit.
	Authoritative bool
	// Target is the target of the server's CNAME record at Name, if any.
	Target string
	// Alias is the target of a CNAME record that the server has at Name, but does
	// not show in its answer to a question for TXT records.
	Alias string
	// Values is the number of TXT values at the end of the answer's CNAME
	// chain, Has reports whether the wanted value is among them, and TTL is the
	// smallest TTL of theirs.
	Values int
	Has    bool
	TTL    time.Duration
	// NegativeTTL and Serial are from the SOA record of a negative answer.
	NegativeTTL time.Duration
	Serial      uint32

	Duration time.Duration
}

// Report is the evidence of one probe of the name servers.
type Report struct {
	// Name is the challenge name, Final the name at the end of its CNAME chain;
	// both absolute, in lower case.
	Name  string
	Final string
	// Value is the wanted TXT value.
	Value string
	Mode  Mode
	// Zone holds Final. It may be empty in RecursiveOnly mode.
	Zone string
	// NegativeTTL is how long resolvers may cache that a name of the zone does
	// not exist: min(SOA MINIMUM, SOA TTL), RFC 2308 section 5.
	NegativeTTL time.Duration
	// Signed reports whether the zone's servers sign their answers (DNSSEC). A
	// validating resolver can then derive from one negative answer that other
	// names do not exist (RFC 8198).
	Signed bool
	// Answers are sorted by name, server and address.
	Answers []Answer
}
