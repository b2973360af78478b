package dns

import (
	"strings"

	mdns "github.com/miekg/dns"
)

// challengeLabel is the label of RFC 8555 section 8.4.
const challengeLabel = "_acme-challenge."

// Canonical returns a name absolute and in lower case.
func Canonical(name string) string { return mdns.CanonicalName(name) }

func sameName(a, b string) bool { return Canonical(a) == Canonical(b) }

// parentOf cuts the first label off; the parent of the root is the root.
func parentOf(name string) string {
	next, end := mdns.NextLabel(name, 0)
	if end || next >= len(name) {
		return "."
	}
	return name[next:]
}

// displayName turns the name of a challenge into the name that it is about, as
// users wrote it: no challenge label, no final dot.
func displayName(fqdn string) string {
	name := strings.TrimSuffix(Canonical(fqdn), ".")
	return strings.TrimPrefix(name, challengeLabel)
}

// validName tells whether a name can be asked for.
func validName(name string) bool {
	_, ok := mdns.IsDomainName(name)
	return ok && name != "" && len(name) < 256
}
