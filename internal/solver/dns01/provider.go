// Package dns01 says what a DNS provider does for a dns-01 challenge (RFC 8555
// section 8.4). Each provider is a package of its own beneath this one, all of
// one shape: a Config, a New that checks it, and the three methods of Provider.
package dns01

import (
	"context"
	"time"
)

// Record is one TXT value at one name. Several Records may share a name; each
// is added and removed without touching the others.
type Record struct {
	// FQDN is the owner name, absolute, with the final dot. CNAMEs have been
	// followed already where the solver asks for it.
	FQDN string
	// Value is the text: base64url(SHA-256(key authorization)), 43 characters.
	Value string
}

// Provider writes TXT records. Its methods are safe for concurrent use, return
// soon (they neither wait for propagation nor poll for long) and classify
// their errors as fault.Error, with texts that fit a status.
type Provider interface {
	// Zone returns the zone, absolute, in which the provider would write fqdn.
	Zone(ctx context.Context, fqdn string) (string, error)
	// Present adds the record. Adding a value that is there already succeeds.
	Present(ctx context.Context, r Record) error
	// CleanUp removes this value and no other. Removing a value that is not
	// there succeeds.
	CleanUp(ctx context.Context, r Record) error
}

// Settler is implemented by providers whose servers agree on a new record only
// some time after Present has returned.
type Settler interface {
	// Settle is how long to wait after Present before the record is probed.
	Settle() time.Duration
}

// TTL is the time to live that providers write where they may choose: short,
// because a resolver that has cached an older set of values keeps it this long.
const TTL = 10 * time.Second
