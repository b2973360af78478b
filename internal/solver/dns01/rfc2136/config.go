// Package rfc2136 writes dns-01 challenge records by DNS UPDATE (RFC 2136),
// signed with TSIG (RFC 8945), into a name server of the user's own.
package rfc2136

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"

	mdns "github.com/miekg/dns"
	"k8s.io/utils/clock"

	"github.com/everleaf/everleaf/internal/dns"
	"github.com/everleaf/everleaf/internal/dns/dnsname"
	"github.com/everleaf/everleaf/internal/dns/tsig"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/solver/dns01"
)

// Config is an issuer's rfc2136 stanza with its Secret looked up.
type Config struct {
	// Nameserver is host, host:port or [v6]:port; the port defaults to 53.
	Nameserver string
	// Protocol is "UDP" or "TCP"; empty is UDP. With UDP, an answer that is
	// truncated or does not arrive is asked for again over TCP.
	Protocol string
	// TSIGKeyName is the key's name as the server knows it. Updates are not
	// signed without it, or without a secret.
	TSIGKeyName string
	// TSIGAlgorithm is HMACMD5, HMACSHA1, HMACSHA256 or HMACSHA512 in any
	// case; empty is HMACMD5.
	TSIGAlgorithm string
	// TSIGSecret is the Secret's value: the base64 text that tsig-keygen and
	// dnssec-keygen print. White space in it is ignored.
	TSIGSecret string
	// SecretName names the Secret in messages, as namespace/name; may be empty.
	SecretName string

	// Clock gives the time of signatures; nil is the system's.
	Clock clock.PassiveClock
	// Timeout bounds one attempt over UDP or TCP; 0 is dns.DefaultTimeout for
	// questions, and 5 s over UDP and 15 s over TCP for updates.
	Timeout time.Duration
	// Walk finds a name's zone without this server, for servers that do not
	// answer SOA queries; nil for none. (*dns.Resolver).Locate does it without
	// filling the caches of resolvers, FindZone asks those.
	Walk func(ctx context.Context, fqdn string) (string, error)
	// Dial replaces the system's dialler, for tests.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// algorithms maps the API's names of algorithms.
var algorithms = map[string]tsig.Algorithm{
	"HMACMD5":    tsig.MD5,
	"HMACSHA1":   tsig.SHA1,
	"HMACSHA256": tsig.SHA256,
	"HMACSHA512": tsig.SHA512,
}

// Provider writes to one server. It keeps no state.
type Provider struct {
	server    string
	tcp       bool
	key       *tsig.Key
	algorithm string // as the API names it
	// doubleEncoded reports whether the secret looks like base64 of base64.
	doubleEncoded bool
	secret        string // the Secret's name, for messages
	clock         clock.PassiveClock
	transport     dns.Transport
	walk          func(ctx context.Context, fqdn string) (string, error)
}

var (
	_ dns01.Provider = (*Provider)(nil)
	_ dns01.Aliaser  = (*Provider)(nil)
)

// New returns the Provider of a Config, or a User fault that says what is wrong
// with the Config.
func New(c Config) (*Provider, error) {
	server, err := Server(c.Nameserver)
	if err != nil {
		return nil, err
	}
	p := &Provider{
		server:    server,
		secret:    c.SecretName,
		clock:     c.Clock,
		transport: dns.Transport{Timeout: c.Timeout, Dial: c.Dial},
		walk:      c.Walk,
	}
	if p.clock == nil {
		p.clock = clock.RealClock{}
	}
	switch strings.ToUpper(c.Protocol) {
	case "", "UDP":
	case "TCP":
		p.tcp = true
	default:
		return nil, invalid("RFC2136 protocol %q is not supported: it is UDP or TCP", c.Protocol)
	}
	if err := p.setKey(c); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Provider) setKey(c Config) error {
	name := strings.ToUpper(c.TSIGAlgorithm)
	if name == "" {
		name = "HMACMD5"
	}
	algorithm, ok := algorithms[name]
	if !ok {
		return invalid("algorithm '%v' is not supported", c.TSIGAlgorithm)
	}
	if c.TSIGKeyName == "" || c.TSIGSecret == "" {
		return nil
	}
	if _, ok := mdns.IsDomainName(c.TSIGKeyName); !ok || len(c.TSIGKeyName) > 254 {
		return invalid("tsigKeyName %q is not a domain name", c.TSIGKeyName)
	}
	secret, doubleEncoded, err := decodeSecret(c.TSIGSecret)
	if err != nil {
		return invalid("error decoding the provided TSIG secret: %s%s", err, p.inSecret())
	}
	p.key = &tsig.Key{Name: dnsname.Canonical(c.TSIGKeyName), Algorithm: algorithm, Secret: secret}
	p.algorithm, p.doubleEncoded = name, doubleEncoded
	return nil
}

func (p *Provider) inSecret() string {
	if p.secret == "" {
		return ""
	}
	return fmt.Sprintf(" (Secret %q)", p.secret)
}

// Server returns the host:port of an API nameserver field, or a User fault.
func Server(nameserver string) (string, error) {
	nameserver = strings.TrimSpace(nameserver)
	if nameserver == "" {
		return "", invalid("RFC2136 nameserver missing")
	}
	host, port, err := net.SplitHostPort(nameserver)
	if err != nil {
		// There is no port. An IPv6 address must have brackets nevertheless.
		host, port, err = net.SplitHostPort(nameserver + ":53")
	}
	if addr, failed := netip.ParseAddr(nameserver); failed == nil && addr.Is6() {
		return "", invalid("RFC2136 nameserver is invalid: %q is an IPv6 address, which needs brackets: [%s]:53", nameserver, addr)
	}
	if err != nil {
		return "", invalid("RFC2136 nameserver is invalid: %s", err).Because(err)
	}
	if host == "" {
		return "", invalid("RFC2136 nameserver has no host defined, %v", nameserver)
	}
	if port == "" {
		port = "53"
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", invalid("RFC2136 nameserver is invalid: %q is not a port", port)
	}
	return net.JoinHostPort(host, port), nil
}

func invalid(format string, args ...any) *fault.Error {
	return fault.New(fault.User, "InvalidConfig", format, args...)
}

// decodeSecret decodes the base64 text of a key. dnssec-keygen breaks long
// keys with a space, and files end in a newline. doubleEncoded reports whether
// the key is itself the base64 text of a key.
func decodeSecret(text string) (secret []byte, doubleEncoded bool, err error) {
	text = withoutSpace(text)
	if strings.Contains(text, "{") || strings.Contains(text, ";") {
		return nil, false, fmt.Errorf("it is a key clause of a configuration file: only the text between the quotes after \"secret\" belongs into the Secret")
	}
	secret, err = base64.StdEncoding.DecodeString(text)
	if err != nil {
		// The library's error contains the position of a byte of the secret.
		return nil, false, fmt.Errorf("it is not base64 text as tsig-keygen prints it")
	}
	if len(secret) == 0 {
		return nil, false, fmt.Errorf("it is empty")
	}
	return secret, looksEncoded(secret), nil
}

func withoutSpace(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
}

// looksEncoded reports whether a key is base64 text of a key of 16 bytes or
// more. 24 random bytes are all in the base64 alphabet once in 10^14 times. A
// passphrase may be in that alphabet. So the text must end in padding, as it
// does for all common key sizes except 24 and 48 bytes, or it must have letters
// of both cases and digits and decode to bytes that are not text.
func looksEncoded(secret []byte) bool {
	text := withoutSpace(string(secret))
	inner, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(inner) < 16 {
		return false
	}
	if strings.HasSuffix(text, "=") {
		return true
	}
	mixed := strings.ContainsFunc(text, unicode.IsUpper) && strings.ContainsFunc(text, unicode.IsLower) &&
		strings.ContainsFunc(text, unicode.IsDigit)
	binary := strings.ContainsFunc(string(inner), func(r rune) bool { return r == unicode.ReplacementChar || unicode.IsControl(r) })
	return mixed && binary
}
