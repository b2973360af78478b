// Package dns01 solves dns-01 challenges (RFC 8555 section 8.4) with DNS
// providers. Each provider is a package below this one, all of one shape: a
// Config, a New that checks it, the methods of Provider, and a Factory that
// makes the Provider from the API's fields. Package providers lists them.
package dns01

import (
	"context"
	"time"
)

// Record is one TXT value at one name. Several Records can have the same name;
// each is added and removed without a change to the others.
type Record struct {
	// DNSName is the identifier that the record is for, without the wildcard label.
	DNSName string
	// FQDN is the owner name, absolute, with the final dot. CNAMEs have been
	// followed already if the solver asks for it.
	FQDN string
	// Value is the text: base64url(SHA-256(key authorization)), 43 characters.
	Value string
}

// Provider writes TXT records. Its methods are safe for concurrent use and
// return soon: they do not wait for propagation, and do not poll for long.
// Their errors are fault.Errors, with texts that fit a status.
//
// Package dns01test tests that a Provider keeps these rules.
type Provider interface {
	// Zone returns the zone, absolute and in lower case, in which the provider
	// writes records at fqdn.
	Zone(ctx context.Context, fqdn string) (string, error)
	// Present adds the record. It succeeds if the record exists already.
	Present(ctx context.Context, r Record) error
	// CleanUp removes this value and no other. It succeeds if the record does
	// not exist.
	CleanUp(ctx context.Context, r Record) error
}

// Settler is implemented by Providers whose name servers have a record only
// some time after Present has returned, so that a probe from one place proves
// nothing about the others.
type Settler interface {
	// Settled returns the zero time if all of the vendor's name servers have
	// the record, as far as the vendor says, or else when to ask again.
	// presented is when Present returned.
	Settled(ctx context.Context, r Record, presented time.Time) (time.Time, error)
}

// Anycast is embedded by Providers whose vendor does not say when its name servers
// have a record: they have it some seconds after the API has taken it, and each is in
// many places, so that a probe proves nothing about the others.
type Anycast struct{}

// anycastSettling is how long that takes, by the vendors' own documents and with a
// margin.
const anycastSettling = 15 * time.Second

// Settled implements Settler.
func (Anycast) Settled(_ context.Context, _ Record, presented time.Time) (time.Time, error) {
	return presented.Add(anycastSettling), nil
}

// Aliaser is implemented by Providers that can say whether a name in their zones
// is an alias. A recursive resolver that is asked about a name that does not
// exist yet caches that for the zone's negative TTL, for all types.
type Aliaser interface {
	// Alias returns the target of the CNAME record at a name, absolute and in
	// lower case, or "" if it has none. known is false if the provider does not
	// serve the name's zone.
	Alias(ctx context.Context, fqdn string) (target string, known bool, err error)
}
