package selfcheck

import (
	"net/netip"
	"time"
)

// Target is the challenge that a Checker looks for.
type Target struct {
	// DNSName is the domain name, or an IP address (RFC 8738).
	DNSName string
	// Token is the last part of the path, Key the key authorization that is expected.
	Token, Key string
	// Since is when the first check of this challenge was made; zero is now.
	Since time.Time
	// Asks is how often each address is asked, each time over a connection of its own:
	// several servers may answer at it. 0 is once.
	Asks int
}

// Report is what one check found. It is stored as JSON: names of fields stay.
type Report struct {
	// Name is Target.DNSName, At is when the check began, Took how long it took.
	Name string        `json:"name"`
	At   time.Time     `json:"at"`
	Took time.Duration `json:"-"`
	// Since is when the first check of the challenge was made.
	Since time.Time `json:"since"`
	// Retry is the longest time between two checks.
	Retry time.Duration `json:"-"`

	// Nameservers are the configured resolvers (--acme-http01-solver-nameservers); none
	// are those of the system.
	Nameservers []string `json:"nameservers,omitempty"`
	// Lookups are the questions for the addresses of the name: A and AAAA, none for an IP
	// address.
	Lookups []Lookup `json:"lookups,omitempty"`
	// Answers are what each address answered, IPv6 first, and before them what was
	// answered through a proxy.
	Answers []Answer `json:"answers,omitempty"`
}

// RecordType is a type of an address record.
type RecordType string

// Types of address records.
const (
	A    RecordType = "A"
	AAAA RecordType = "AAAA"
)

// Lookup is the result of a question for addresses.
type Lookup struct {
	Type RecordType `json:"type"`
	// Addresses counts the addresses that were found. Only some of many are asked.
	Addresses int `json:"addresses,omitempty"`
	// Failure says why it is not known which addresses there are: Timeout, or
	// OtherFailure for an answer such as SERVFAIL.
	Failure Failure `json:"failure,omitempty"`
}

// Failure says why there is no answer.
type Failure string

// Failures of a request.
const (
	// NoFailure: there is an answer.
	NoFailure Failure = ""
	// NoRoute: this machine cannot send to that address at all, for example to IPv6
	// from a network without it.
	NoRoute Failure = "NoRoute"
	// Unreachable: the network refuses to carry packets to that address: a router, a
	// firewall or a network policy.
	Unreachable Failure = "Unreachable"
	// Timeout: no connection in time, or no answer of a resolver.
	Timeout Failure = "Timeout"
	// NoResponse: a connection, and no answer in time.
	NoResponse Failure = "NoResponse"
	// ConnectionRefused: nothing listens on the port.
	ConnectionRefused Failure = "ConnectionRefused"
	// ConnectionClosed: the server closed the connection without an answer.
	ConnectionClosed Failure = "ConnectionClosed"
	// TLSAlert: the server refuses the TLS handshake; Detail is its alert (RFC 8446
	// section 6.2), such as "unrecognized name".
	TLSAlert Failure = "TLSAlert"
	// TLSFailed: the TLS handshake fails otherwise.
	TLSFailed Failure = "TLSFailed"
	// Malformed: the answer is not HTTP.
	Malformed Failure = "Malformed"
	// Unresolved: the host of a redirect has no address, or the one of the proxy.
	Unresolved Failure = "Unresolved"
	// Forbidden: the address is a link-local, multicast or unspecified one, or that of a
	// cloud's metadata service, or a redirect leads to a loopback one: no CA asks it, and
	// everleaf must not be led there.
	Forbidden Failure = "Forbidden"
	// RedirectLoop: a redirect leads to a URL that was asked before.
	RedirectLoop Failure = "RedirectLoop"
	// TooManyRedirects: more than 10.
	TooManyRedirects Failure = "TooManyRedirects"
	// BadRedirect: a redirect to nowhere, or to another protocol than HTTP.
	BadRedirect Failure = "BadRedirect"
	// OtherPort: a redirect to another port than 80 and 443, which CAs such as Let's Encrypt
	// do not follow.
	OtherPort Failure = "OtherPort"
	// BodyUnread: the body of the answer broke off.
	BodyUnread Failure = "BodyUnread"
	// OtherFailure is any other.
	OtherFailure Failure = "Other"
)

// Content is what a body is.
type Content string

// Contents.
const (
	// RightKey is the key authorization that is expected.
	RightKey Content = "Key"
	// OtherAccount has the form of a key authorization with the right token and the
	// thumbprint of another ACME account.
	OtherAccount Content = "OtherAccount"
	// OtherChallenge has the form of a key authorization with another token.
	OtherChallenge Content = "OtherChallenge"
	// Page is an HTML page, Empty is no body, OtherContent anything else.
	Page         Content = "Page"
	Empty        Content = "Empty"
	OtherContent Content = "Other"
)

// Answer is what one address answers.
type Answer struct {
	// Address is the IP address that was asked; empty if Proxy was asked.
	Address string `json:"address,omitempty"`
	// Proxy is the proxy that was asked, as a URL without credentials.
	Proxy string `json:"proxy,omitempty"`
	// Redirects are those that were followed, in turn. What is below is about the last.
	Redirects []Redirect `json:"redirects,omitempty"`
	// Failure says why there is no answer. Detail is a TLS alert.
	Failure Failure `json:"failure,omitempty"`
	Detail  string  `json:"detail,omitempty"`
	// Status is the HTTP status code, Content what the body is.
	Status  int     `json:"status,omitempty"`
	Content Content `json:"content,omitempty"`

	Milliseconds int64 `json:"milliseconds,omitempty"`
}

// Redirect is one redirect.
type Redirect struct {
	// To is the scheme, host and port, such as "https://www.example.com"; empty if the
	// host is not a name or an address. Foreign reports whether the host is another than
	// that of the challenge.
	To      string `json:"to,omitempty"`
	Foreign bool   `json:"foreign,omitempty"`
	// Certificate is what is wrong with the certificate there, as in "has expired". It
	// does not matter to a CA.
	Certificate string `json:"certificate,omitempty"`
}

// Right reports whether the answer is the one that a CA wants.
func (a Answer) Right() bool {
	return a.Failure == NoFailure && a.Status == 200 && a.Content == RightKey
}

// Dead reports whether there is no connection to the address, so that a CA tries another
// one. After a connection, CAs do not.
func (a Answer) Dead() bool {
	if len(a.Redirects) > 0 {
		return false
	}
	switch a.Failure {
	case NoRoute, Unreachable, Timeout, ConnectionRefused:
		return true
	default:
		return false
	}
}

// Unchecked reports whether the address cannot be asked from here.
func (a Answer) Unchecked() bool { return a.Dead() && a.Failure == NoRoute }

// silent reports whether the address can be asked, and there is no connection.
func (a Answer) silent() bool { return a.Dead() && !a.Unchecked() }

// Wrong reports whether there is a connection to the address, and not the right answer.
func (a Answer) Wrong() bool { return !a.Right() && !a.Dead() }

// IPv6 reports whether the address is one of IPv6.
func (a Answer) IPv6() bool {
	addr, err := netip.ParseAddr(a.Address)
	return err == nil && addr.Is6()
}

// last is the last redirect.
func (a Answer) last() (Redirect, bool) {
	if len(a.Redirects) == 0 {
		return Redirect{}, false
	}
	return a.Redirects[len(a.Redirects)-1], true
}

// Addresses are those that were asked.
func (r Report) Addresses() []string {
	var out []string
	for _, a := range r.direct() {
		out = append(out, a.Address)
	}
	return out
}

// direct are the answers of addresses, proxied the one through a proxy.
func (r Report) direct() (out []Answer) {
	for _, a := range r.Answers {
		if a.Proxy == "" {
			out = append(out, a)
		}
	}
	return out
}

func (r Report) proxied() (Answer, bool) {
	for _, a := range r.Answers {
		if a.Proxy != "" {
			return a, true
		}
	}
	return Answer{}, false
}
