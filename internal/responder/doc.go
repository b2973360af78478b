// Package responder answers HTTP-01 validation requests (RFC 8555 section 8.3): for
// all Challenges of a cluster at once, from a Table that follows them, or for a
// single one, in a pod of its own.
package responder
