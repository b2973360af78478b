package facts

import (
	"slices"
	"strings"
)

// LongestName is the length of the longest name that an object can have.
const LongestName = 253

// CutName is the beginning of an object's name, of most bytes at most, to which "-"
// or "." and more can be appended: the API server refuses "a.-b" and "a-.b".
func CutName(name string, most int) string {
	if len(name) <= most {
		return name
	}
	return strings.TrimRight(name[:most], "-.")
}

// SubdomainOf is a name as a DNS subdomain (RFC 1123), which the names of most kinds have
// to be: those of CertificateSigningRequests and others need not. A name that is one stays
// as it is; two others may become the same.
func SubdomainOf(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9', r == '-', r == '.':
			return r
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		default:
			return '-'
		}
	}, name)
	labels := strings.FieldsFunc(name, func(r rune) bool { return r == '.' })
	for i := range labels {
		labels[i] = strings.Trim(labels[i], "-")
	}
	labels = slices.DeleteFunc(labels, func(label string) bool { return label == "" })
	if len(labels) == 0 {
		return "x"
	}
	return strings.Join(labels, ".")
}
