package dns

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/everleaf/everleaf/internal/dns/dnsname"
	"github.com/everleaf/everleaf/internal/fault"
)

// maxAliases bounds a CNAME chain; loops are found earlier, by name.
const maxAliases = 16

// cut is a zone, from its SOA record.
type cut struct {
	zone string
	// negativeTTL is how long resolvers cache that a name in the zone does not
	// exist: the lesser of SOA MINIMUM and the SOA's own TTL (RFC 2308 section
	// 5).
	negativeTTL time.Duration
	// server is the resolver that has the SOA record, as it is configured.
	server string
}

// FindZone returns the zone that holds a name, absolute and in lower case: the
// first owner of an SOA record among the name and the names above it, as the
// recursive resolvers see it.
//
// FindZone asks recursive resolvers for the name itself. For a challenge name
// that does not exist yet, see the package's documentation.
func (r *Resolver) FindZone(ctx context.Context, fqdn string) (string, error) {
	c, err := r.findCut(ctx, fqdn)
	return c.zone, err
}

// Claim is FindZone, and returns the resolver that has the zone, as it is configured.
func (r *Resolver) Claim(ctx context.Context, fqdn string) (zone, server string, err error) {
	c, err := r.findCut(ctx, fqdn)
	return c.zone, c.server, err
}

func (r *Resolver) findCut(ctx context.Context, fqdn string) (cut, error) {
	if !validName(fqdn) {
		return cut{}, fault.New(fault.Permanent, "InvalidName", "%q is not a domain name", fqdn)
	}
	fqdn = dnsname.Canonical(fqdn)
	if c, ok := r.cuts.get(fqdn); ok {
		return c, nil
	}
	return r.findingCut.do(ctx, fqdn, func() (cut, error) { return r.searchCut(ctx, fqdn) })
}

// searchCut asks the resolvers in turn.
func (r *Resolver) searchCut(ctx context.Context, fqdn string) (cut, error) {
	found, failures := inTurn(ctx, r, func(ctx context.Context, u *upstream) (found, error) { return r.climb(ctx, u, fqdn) })
	if found.zone != "" {
		r.cuts.put(fqdn, found.cut, found.ttl)
		return found.cut, nil
	}
	var last *fault.Error
	for _, err := range failures {
		_ = errors.As(err, &last)
	}
	if last == nil {
		return cut{}, unanswered(failures)
	}
	return cut{}, zoneNotFound(last, failures)
}

// found is a zone and for how long that is so.
type found struct {
	cut
	ttl time.Duration
}

// zoneNotFound completes the fault of one resolver by what the others did, and by
// what to do.
func zoneNotFound(last *fault.Error, failed []error) error {
	found := *last
	if len(failed) > 1 {
		causes := make([]string, len(failed))
		for i, err := range failed {
			causes[i] = err.Error()
		}
		found.Message += " (" + strings.Join(causes, ", ") + ")"
	}
	found.Message += "; check the domain, or " + otherResolvers + "know it"
	return found.Because(errors.Join(failed...))
}

// noZone is the error for a resolver that replied without a zone.
type noZone struct {
	server, says string
	fault        *fault.Error
}

func (e *noZone) Error() string { return e.server + " " + e.says }

// Unwrap returns what it means if no other resolver knows better.
func (e *noZone) Unwrap() error { return e.fault }

// climb looks for an SOA record at fqdn and at each name above it.
func (r *Resolver) climb(ctx context.Context, u *upstream, fqdn string) (found, error) {
	for name := fqdn; ; name = dnsname.Parent(name) {
		m, err := u.ask(ctx, query(name, mdns.TypeSOA, true, false))
		if err != nil {
			return found{}, &noAnswer{server: u.text, err: err}
		}
		if m.Rcode != mdns.RcodeSuccess && m.Rcode != mdns.RcodeNameError {
			return found{}, &noZone{server: u.text, says: "answers " + RcodeText(m.Rcode), fault: fault.New(fault.Transient, "ZoneNotFound",
				"When querying the SOA record for the domain '%s' using nameservers %v, rcode was expected to be 'NOERROR' or 'NXDOMAIN', but got '%s'",
				fqdn, r.servers, RcodeText(m.Rcode))}
		}
		if c, ttl, ok := soaAnswer(m, name); ok {
			c.server = u.text
			return found{c, ttl}, nil
		}
		if name == "." {
			return found{}, &noZone{server: u.text, says: "knows no zone above it", fault: fault.New(fault.User, "ZoneNotFound",
				"Could not find the SOA record in the DNS tree for the domain '%s' using nameservers %v", fqdn, r.servers)}
		}
	}
}

// soaAnswer finds the SOA record that an answer gives for a name. An alias has
// no SOA record of its own; one at the end of its chain belongs to another name.
func soaAnswer(m *mdns.Msg, name string) (cut, time.Duration, bool) {
	if m.Rcode != mdns.RcodeSuccess {
		return cut{}, 0, false
	}
	for _, rr := range m.Answer {
		soa, ok := rr.(*mdns.SOA)
		if ok && sameName(soa.Hdr.Name, name) {
			return cut{zone: dnsname.Canonical(name), negativeTTL: negativeTTL(soa)}, seconds(soa.Hdr.Ttl), true
		}
	}
	return cut{}, 0, false
}

func negativeTTL(soa *mdns.SOA) time.Duration { return seconds(min(soa.Minttl, soa.Hdr.Ttl)) }

// soaOf returns the first SOA record of a section, or nil.
func soaOf(section []mdns.RR) *mdns.SOA {
	for _, rr := range section {
		if soa, ok := rr.(*mdns.SOA); ok {
			return soa
		}
	}
	return nil
}

// Alias returns the target of the CNAME record at a name, absolute and in lower
// case, as the recursive resolvers see it; "" if it has none. It fails if none of
// the resolvers says so.
func (r *Resolver) Alias(ctx context.Context, fqdn string) (string, error) {
	m, server, err := r.recurse(ctx, dnsname.Canonical(fqdn), mdns.TypeCNAME)
	switch {
	case err != nil:
		return "", err
	case m.Rcode == mdns.RcodeNameError:
		return "", nil
	case m.Rcode != mdns.RcodeSuccess:
		return "", noAlias(dnsname.Canonical(fqdn), "%s answers %s; "+otherResolvers+"know it", server, RcodeText(m.Rcode))
	}
	target, _ := aliasOf(m, fqdn)
	return target, nil
}

// aliasOf finds the CNAME record that a message's answer gives for a name.
func aliasOf(m *mdns.Msg, name string) (string, bool) {
	for _, rr := range m.Answer {
		c, ok := rr.(*mdns.CNAME)
		if ok && sameName(c.Hdr.Name, name) && validName(c.Target) {
			return dnsname.Canonical(c.Target), true
		}
	}
	return "", false
}

// noAlias is the fault for a question about a CNAME record that has no answer.
func noAlias(name, because string, args ...any) *fault.Error {
	return fault.New(fault.Transient, "CNAMEUnknown", "Could not find out whether %q has a CNAME record: "+because, append([]any{name}, args...)...)
}

func aliasLoop(target, fqdn string) error {
	return fault.New(fault.User, "CNAMELoop", "Found recursive CNAME record to %q when looking up %q", target, dnsname.Canonical(fqdn))
}

// noServers is the fault for a zone whose servers cannot be found. The message has
// the cause if that is known and stable.
func noServers(zone string, err error) error {
	message := fmt.Sprintf("Could not determine authoritative nameservers for %q", zone)
	var known *fault.Error
	if errors.As(err, &known) {
		message += ": " + known.Message
	}
	return fault.New(fault.Transient, "NoNameservers", "%s", message).Because(fmt.Errorf("name servers of %s: %w", zone, err))
}
