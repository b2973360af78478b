// Package dnsname computes with domain names in presentation format (RFC 1035
// section 5.1). It asks nobody, and imports no DNS library, so that pure code
// can use it.
package dnsname

import "strings"

// challengeLabel is the label of RFC 8555 section 8.4.
const challengeLabel = "_acme-challenge."

// Challenge returns the absolute name at which a CA looks for the TXT record of
// an identifier (RFC 8555 section 8.4).
func Challenge(identifier string) string { return challengeLabel + identifier + "." }

// Identifier is the inverse of Challenge: it returns the identifier in lower
// case, without the challenge label and the final dot.
func Identifier(fqdn string) string {
	return strings.TrimPrefix(strings.TrimSuffix(Canonical(fqdn), "."), challengeLabel)
}

// Canonical returns a name absolute and in lower case. Letters outside ASCII
// keep their case (RFC 4343).
func Canonical(name string) string {
	name = strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + ('a' - 'A')
		}
		return r
	}, name)
	if absolute(name) {
		return name
	}
	return name + "."
}

// Within reports whether a name is that of a zone or below it; both are as Canonical
// returns them. No name but the root's own is within the root, which no zone of a user
// is.
func Within(name, zone string) bool {
	return name == zone || zone != "." && strings.HasSuffix(name, "."+zone)
}

// absolute reports whether a name ends in a dot that no backslash escapes.
func absolute(name string) bool {
	before, ok := strings.CutSuffix(name, ".")
	if !ok {
		return false
	}
	return (len(before)-len(strings.TrimRight(before, `\`)))%2 == 0
}

// Parent removes the first label of an absolute name. The parent of the root is
// the root.
func Parent(name string) string {
	for i := 0; i < len(name); i++ {
		switch name[i] {
		case '\\':
			// The next byte belongs to the label. Of \DDD it is the first
			// digit, and the other two are no dots.
			i++
		case '.':
			if i+1 < len(name) {
				return name[i+1:]
			}
		}
	}
	return "."
}
