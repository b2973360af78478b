// Package record carries the record that a solver webhook is asked for to lego, which
// knows how to compute one but not how to take one.
//
// lego's providers get a domain and a key authorization, and ask the function
// dns01.GetChallengeInfo for the name and the value of the record: the name follows
// CNAME records, and the value is a digest of the key authorization (RFC 8555 section
// 8.4). A solver webhook gets the name and the digest, and nobody can compute the key
// authorization from a digest. So the plugin is built with a lego in which this function,
// and the two that find the zone of a name, first look for a Record in the context;
// internal/patch makes it.
package record

import (
	"context"
	"strings"
)

// Record is what a provider is to write.
type Record struct {
	// FQDN is the name of the TXT record, Zone its zone. Both end with a dot.
	FQDN, Zone string
	// Value is the text of the record.
	Value string
}

type key struct{}

// With returns a context that carries a record.
func With(ctx context.Context, r Record) context.Context { return context.WithValue(ctx, key{}, r) }

// From returns the record of a context.
func From(ctx context.Context) (Record, bool) {
	r, ok := ctx.Value(key{}).(Record)
	return r, ok
}

// ZoneOf returns the zone of a name, if the name is in the zone of the context's record.
func ZoneOf(ctx context.Context, fqdn string) (string, bool) {
	r, ok := From(ctx)
	if !ok || r.Zone == "" {
		return "", false
	}
	name, zone := strings.ToLower(strings.TrimSuffix(fqdn, ".")), strings.ToLower(strings.TrimSuffix(r.Zone, "."))
	if name == zone || strings.HasSuffix(name, "."+zone) {
		return r.Zone, true
	}
	return "", false
}

const prefix = "_acme-challenge."

// Domain is the domain whose challenge has the record.
func (r Record) Domain() string {
	return strings.TrimSuffix(strings.TrimPrefix(r.FQDN, prefix), ".")
}
