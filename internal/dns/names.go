package dns

import (
	"strconv"

	mdns "github.com/miekg/dns"

	"github.com/everleaf/everleaf/internal/dns/dnsname"
)

func sameName(a, b string) bool { return dnsname.Canonical(a) == dnsname.Canonical(b) }

// validName reports whether a name can be put into a question.
func validName(name string) bool {
	_, ok := mdns.IsDomainName(name)
	return ok && name != "" && len(name) < 256
}

// RcodeText names an RCODE as dig does.
func RcodeText(rcode int) string {
	if s, ok := mdns.RcodeToString[rcode]; ok {
		return s
	}
	return "RCODE " + strconv.Itoa(rcode)
}
