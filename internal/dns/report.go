package dns

import (
	"net/netip"
	"time"
)

// Mode says who has to have a value before a CA is asked to look.
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
	// RoleBoth: delegation and zone agree on it.
	RoleBoth Role = "both"
	// RoleRecursive: a configured resolver.
	RoleRecursive Role = "recursive"
	// RolePrimary: the server that a provider sends its updates to. It is
	// evidence and never blocks: the CA may have no way to it.
	RolePrimary Role = "primary"
)

// Answer is what one address of one server said.
type Answer struct {
	// Server is the name from the NS record, absolute and in lower case, or
	// host:port of a resolver.
	Server string
	// Addr is the address that was asked; the zero AddrPort if Failure is
	// NoAddress or Unresolved, or if Server is a host name that was dialled.
	Addr netip.AddrPort
	Role Role
	// Zone is the zone for which it was asked, Name the owner name.
	Zone string
	Name string

	// Failure is why there is no answer; nothing below but Duration is set
	// then.
	Failure Failure
	Rcode   string
	// Authoritative is the AA bit.
	Authoritative bool
	// Target is the alias that the server has at Name, if any.
	Target string
	// Values counts the TXT values at the end of what the answer holds, Has
	// tells whether ours is one of them. TTL is theirs.
	Values int
	Has    bool
	TTL    time.Duration
	// NegativeTTL and Serial are from the SOA record of a negative answer.
	NegativeTTL time.Duration
	Serial      uint32

	Duration time.Duration
}

// Report is the evidence of one Probe.
type Report struct {
	// Name is the challenge name that was asked for, Final the name at the end
	// of its CNAMEs; absolute, in lower case.
	Name  string
	Final string
	Value string
	Mode  Mode
	// Zone holds Final. It may be empty in RecursiveOnly mode.
	Zone string
	// NegativeTTL is how long resolvers may remember that a name of the zone
	// does not exist: min(SOA MINIMUM, SOA TTL).
	NegativeTTL time.Duration
	// Signed tells whether the zone's servers sign their answers (DNSSEC): a
	// validating resolver may then derive from one negative answer that other
	// names do not exist (RFC 8198).
	Signed bool
	// Answers are sorted by name, server and address.
	Answers []Answer
}

// Extra is a server that is asked besides those of the zone.
type Extra struct {
	// Address is host:port.
	Address string
	Role    Role
}
