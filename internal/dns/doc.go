// Package dns asks name servers, and says what their answers mean for a dns-01
// challenge (RFC 8555 section 8.4): which zone holds a name, which servers
// answer for it, whether each of them has a TXT value, and when a CA may be
// told to look.
//
// # What is asked where
//
// A recursive resolver that is asked for a name which does not exist yet
// remembers for a while that it does not exist, for all types (RFC 2308, RFC
// 8020). The resolver of a CA may be the same one, or forward to it. So in
// Authoritative mode a Probe never asks a recursive resolver for the challenge
// name, of whatever type: the zone is found from the name above it (or from a
// hint), and CNAME and TXT records at the name itself are asked of the
// authoritative servers, whose referrals and aliases are followed from there.
// A CNAME's target is treated in the same way.
//
// One trace is left without a hint: the question for the SOA record of the name
// above. If that name does not exist either, or if the zone is signed, a
// resolver may derive from the answer that the challenge name does not exist,
// until the zone's negative TTL has run out. So callers pass Hints.Zone, which
// their provider knows; the zone's own apex can be asked for without harm.
//
// A Probe reports evidence and decides nothing. Judge decides, and is a pure
// function of the Report, a snapshot of the Ledger and the time.
package dns
