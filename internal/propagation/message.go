package propagation

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/everleaf/everleaf/internal/dns/dnsname"
)

// maxNamed is how many servers a message names.
const maxNamed = 4

// notPropagated says which servers do not have the value, and what they answer.
func notPropagated(r Report, p Policy) string {
	var without, with []string
	for _, a := range r.Answers {
		switch {
		case a.Target != "":
		case a.Has:
			with = append(with, a.who())
		default:
			without = append(without, a.who()+" "+a.says())
		}
	}
	msg := fmt.Sprintf("DNS record for %q not yet propagated", dnsname.Identifier(r.Name))
	if r.Final != r.Name {
		msg += fmt.Sprintf(" (an alias of %s)", r.Final)
		if !p.Follow {
			msg += fmt.Sprintf(", but the record was written at %s; set cnameStrategy: Follow in the solver, or remove the CNAME record", r.Name)
		}
	}
	parts := few(without)
	if len(with) > 0 {
		parts = append(parts, have(with))
	}
	if len(parts) == 0 {
		return msg
	}
	return msg + ": " + strings.Join(parts, "; ")
}

const olderAnswers = "waiting until no resolver of the CA can have an older answer in its cache"

// mayBeCached is the message while older answers expire.
func mayBeCached(r Report) string {
	where := "every name server of " + r.Zone
	if r.Mode == RecursiveOnly || r.Zone == "" {
		where = "every name server that was asked"
	}
	return fmt.Sprintf("DNS record for %q is on %s; %s", dnsname.Identifier(r.Name), where, olderAnswers)
}

// leftOut names the servers that were left out of account.
func leftOut(r Report) string {
	var out []string
	for _, a := range r.Answers {
		if !a.Has && a.Target == "" {
			out = append(out, a.who()+" "+a.says())
		}
	}
	if len(out) == 0 {
		return ""
	}
	return "left out: " + strings.Join(few(out), "; ")
}

// few sorts the list and cuts it after maxNamed.
func few(list []string) []string {
	slices.Sort(list)
	list = slices.Compact(list)
	if len(list) <= maxNamed {
		return list
	}
	return append(list[:maxNamed:maxNamed], fmt.Sprintf("and %d more", len(list)-maxNamed))
}

func have(list []string) string {
	slices.Sort(list)
	list = slices.Compact(list)
	switch {
	case len(list) == 1:
		return list[0] + " has it"
	case len(list) <= maxNamed:
		return strings.Join(list, ", ") + " have it"
	default:
		return fmt.Sprintf("%d others have it", len(list))
	}
}

// who names a server and the address that was asked.
func (a Answer) who() string {
	if !a.Addr.IsValid() || a.Server == a.Addr.String() {
		return a.Server
	}
	if a.Addr.Port() == 53 {
		return fmt.Sprintf("%s (%s)", a.Server, a.Addr.Addr())
	}
	return fmt.Sprintf("%s (%s)", a.Server, a.Addr)
}

var failures = map[Failure]string{
	NoRoute:           "cannot be reached from here (no route)",
	Unreachable:       "cannot be reached from here (host unreachable, or not permitted)",
	Timeout:           "does not answer",
	ConnectionRefused: "refuses connections",
	Malformed:         "sends a malformed answer",
	NoAddress:         "has no address",
	Unresolved:        "has an address that cannot be looked up",
	Untrusted:         "has a certificate that cannot be verified",
	HTTPFailure:       "answers with an HTTP error",
}

// Says is what the server does, as it follows its name.
func (f Failure) Says() string { return cmp.Or(failures[f], "cannot be asked") }

// says describes an answer that does not have the value.
func (a Answer) says() string {
	if a.Failure != NoFailure {
		return cmp.Or(a.Detail, a.Failure.Says())
	}
	switch {
	case a.Rcode != "NOERROR" && a.Rcode != "NXDOMAIN":
		return "answers " + a.Rcode
	case a.Lame():
		return "answers " + a.Rcode + " without authority for the zone"
	case a.Rcode == "NXDOMAIN":
		return "answers NXDOMAIN"
	case a.Alias != "":
		return "has other values only, in the place of its CNAME record to " + a.Alias + ": the DNS provider answers this name itself, as for a certificate of its own"
	case a.Values > 0:
		return "has other values only"
	default:
		return "has no TXT record there"
	}
}
