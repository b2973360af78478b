package rfc2136

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/everleaf/everleaf/internal/dns"
	"github.com/everleaf/everleaf/internal/dns/dnsname"
	"github.com/everleaf/everleaf/internal/dns/tsig"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/propagation"
)

// failed is a fault that a user must fix.
func failed(reason, format string, args ...any) *fault.Error {
	return fault.New(fault.User, reason, "DNS update failed: "+format, args...)
}

// transient is a fault that may end without a user's action.
func transient(reason, format string, args ...any) *fault.Error {
	return fault.New(fault.Transient, reason, "DNS update failed: "+format, args...)
}

// keyText names the key with the spelling of the issuer.
func (p *Provider) keyText() string {
	return fmt.Sprintf("TSIG key %q (%s)", strings.TrimSuffix(p.key.Name, "."), p.algorithm)
}

func (p *Provider) secretText() string {
	if p.secret == "" {
		return "the Secret of tsigSecretSecretRef"
	}
	return fmt.Sprintf("Secret %q", p.secret)
}

// rejected is the fault for the error in an answer's TSIG record (RFC 8945
// section 5.2).
func (p *Provider) rejected(rr *mdns.TSIG) error {
	switch int(rr.Error) {
	case mdns.RcodeBadKey:
		return failed("BadKey", "%s does not know the %s (BADKEY): check tsigKeyName and tsigAlgorithm against the server's key statement, whose name and algorithm both have to be the same",
			p.server, p.keyText())
	case mdns.RcodeBadSig:
		return p.badSignature()
	case mdns.RcodeBadTime:
		return p.badTime(rr)
	default:
		return failed("BadTSIG", "%s rejected the signature by %s (%s)", p.server, p.keyText(), dns.RcodeText(int(rr.Error)))
	}
}

func (p *Provider) badSignature() error {
	if p.doubleEncoded {
		return failed("SecretEncodedTwice", "%s rejected the signature by %s (BADSIG): the TSIG secret in %s is base64-encoded twice; store the text that tsig-keygen printed as it is, under stringData, or encoded once more under data",
			p.server, p.keyText(), p.secretText())
	}
	return failed("BadSignature", "%s rejected the signature by %s (BADSIG): the secret differs from the server's; put the text of its key statement into %s",
		p.server, p.keyText(), p.secretText())
}

func (p *Provider) badTime(rr *mdns.TSIG) error {
	server, ok := tsig.ServerTime(rr)
	if !ok {
		return transient("BadTime", "%s rejected the time of the signature (BADTIME): its clock and the one of this machine differ by more than %d minutes; set them by NTP",
			p.server, int(tsig.Fudge/time.Minute))
	}
	d := server.Sub(p.clock.Now())
	direction := "ahead of"
	if d < 0 {
		direction = "behind"
	}
	return transient("BadTime", "%s rejected the time of the signature (BADTIME): its clock is about %s %s the one of this machine; set both by NTP",
		p.server, about(d.Abs()), direction)
}

// about rounds coarsely: a clock that drifts, or a second measurement of the
// same difference, gives the same words.
func about(d time.Duration) string {
	count := func(unit time.Duration, name string) string {
		n := int((d + unit/2) / unit)
		if n == 1 {
			return "1 " + name
		}
		return strconv.Itoa(n) + " " + name + "s"
	}
	const day = 24 * time.Hour
	switch {
	case d < 90*time.Minute:
		return count(time.Minute, "minute")
	case d < 2*day:
		return count(time.Hour, "hour")
	default:
		return count(day, "day")
	}
}

func (p *Provider) unsigned() error {
	return failed("UnsignedAnswer", "%s answered an update signed by %s without a signature, so that it is not known whether the answer is the server's; check that nothing between changes DNS messages, and that the server supports TSIG",
		p.server, p.keyText())
}

func (p *Provider) badAnswer(err error) error {
	why := "is signed, but not by " + p.keyText()
	if errors.Is(err, tsig.ErrTime) {
		why = "is signed at a time that differs from the clock of this machine by more than it allows"
	}
	return transient("BadAnswer", "the answer of %s %s", p.server, why).Because(err)
}

func (p *Provider) malformed(err error) error {
	return transient("MalformedAnswer", "%s sent an answer that is not a DNS message to the request", p.server).Because(err)
}

// refused is the fault for an update that the server answered with an error
// (RFC 2136 section 2.2).
func (p *Provider) refused(rcode int, zone, fqdn string) error {
	head := fmt.Sprintf("DNS update failed. Server replied: %s", dns.RcodeText(rcode))
	where := fmt.Sprintf(" (%s, zone %s)", p.server, zone)
	class, why := fault.User, ""
	switch rcode {
	case mdns.RcodeRefused:
		why = ": its policy does not allow " + p.who() + " to change TXT records at " + dnsname.Canonical(fqdn) + "; check allow-update or update-policy of the zone"
	case mdns.RcodeNotAuth:
		why = ": it is not the primary server of the zone, or does not accept " + p.who()
	case mdns.RcodeNotZone:
		why = ": the name is not inside the zone"
	case mdns.RcodeNotImplemented:
		why = ": it does not support dynamic updates"
	case mdns.RcodeServerFailure:
		class, why = fault.Transient, ": it failed to carry the update out; its log says why (often a journal or zone file that it may not write)"
	case mdns.RcodeFormatError:
		why = ": it did not understand the update"
	default:
		class = fault.Transient
	}
	if p.doubleEncoded && (rcode == mdns.RcodeRefused || rcode == mdns.RcodeNotAuth) {
		why += "; the TSIG secret in " + p.secretText() + " looks base64-encoded twice"
	}
	return fault.New(class, "UpdateRefused", "%s%s%s", head, where, why)
}

// who names the requester from the server's view.
func (p *Provider) who() string {
	if p.key == nil {
		return "unsigned updates"
	}
	return "the " + p.keyText()
}

func (p *Provider) noZone(fqdn string, rcode int) error {
	class := fault.User
	if rcode == mdns.RcodeServerFailure {
		class = fault.Transient
	}
	return fault.New(class, "ZoneNotFound",
		"Could not determine the zone for %q: %s serves none that contains it (it answers %s to %s); check rfc2136.nameserver, the zones of the server, and its views",
		fqdn, p.server, dns.RcodeText(rcode), p.query())
}

// delegated is the fault for a name below a zone cut: the server would take the
// record, but resolvers ask the servers of the zone below (RFC 2136 section 7.6).
func (p *Provider) delegated(fqdn, zone string, cut *mdns.NS) error {
	return fault.New(fault.User, "ZoneDelegated",
		"Could not determine the zone for %q: %s serves %s, where %s is delegated to %s; set rfc2136.nameserver to the primary server of %s",
		fqdn, p.server, zone, dnsname.Canonical(cut.Hdr.Name), dnsname.Canonical(cut.Ns), dnsname.Canonical(cut.Hdr.Name))
}

func (p *Provider) query() string {
	if p.key == nil {
		return "an unsigned query"
	}
	return "a query signed by " + p.keyText()
}

// unreachable is the fault for a server that gave no answer.
func (p *Provider) unreachable(err error) error {
	var what string
	switch dns.FailureOf(err) {
	case propagation.Timeout:
		what = "does not answer; check its address, that it runs, and that no firewall drops UDP and TCP to it"
		if p.tcp {
			what = "does not answer; check its address, that it runs, and that no firewall drops TCP to it"
		}
	case propagation.ConnectionRefused:
		what = "refuses connections; check its address and port, and that it runs"
	case propagation.NoRoute:
		what = "cannot be reached from here (no route)"
	case propagation.Unreachable:
		what = "cannot be reached from here (host unreachable, or not permitted); check that the network and its policies allow UDP and TCP to it"
	case propagation.Malformed:
		return p.malformed(err)
	default:
		var lookup *net.DNSError
		what = "cannot be asked"
		if errors.As(err, &lookup) {
			what = "cannot be asked: its host name has no address"
		}
	}
	return transient("ServerUnreachable", "%s %s", p.server, what).Because(err)
}
