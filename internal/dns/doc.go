// Package dns asks name servers for a dns-01 challenge (RFC 8555 section 8.4):
// which zone holds a name, which servers answer for the zone, and which of them
// have a TXT value.
//
// # Which servers are asked for what
//
// A recursive resolver that is asked for a name which does not exist yet caches
// for a while that the name does not exist, for all types (RFC 2308, RFC 8020).
// The resolver of a CA may be the same one, or forward to it. So in
// Authoritative mode a Probe never asks a recursive resolver for the challenge
// name, for any type: it finds the zone from the name above (or from a hint),
// and asks the authoritative servers for the CNAME and TXT records at the name
// itself. From there it follows their referrals and CNAMEs. It treats the target
// of a CNAME in the same way.
//
// One trace is left without a hint: the question for the SOA record of the name
// above. If that name does not exist either, or if the zone is signed, a
// resolver may derive from the answer that the challenge name does not exist,
// until the zone's negative TTL has expired. So callers give Probe the zone, which
// their provider knows; asking for the zone's own apex does no harm.
//
// A Probe reports evidence and decides nothing; package propagation decides.
package dns
