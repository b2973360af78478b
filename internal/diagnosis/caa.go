package diagnosis

import (
	"fmt"
	"slices"
	"strings"

	"github.com/everleaf/everleaf/internal/propagation"
)

// Properties of CAA records (RFC 8659 section 4, RFC 8657, RFC 9495).
const (
	tagIssue     = "issue"
	tagIssueWild = "issuewild"
)

// known are the tags that Let's Encrypt understands: another one that is critical forbids
// (RFC 8659 section 4.1).
var known = []string{tagIssue, tagIssueWild, "iodef", "issuemail"}

// asks is what a CA would be allowed by CAA records.
type asks struct {
	wildcard bool
	// identities are the CA's domain names; account is the URL of the account.
	identities []string
	// problem says why the CA could not be asked for them.
	problem string
	account string
	// method is the validation method, such as "dns-01".
	method string
}

// judgeCAA says whether the records at the nearest name that has any forbid what is
// asked. A name that cannot be looked up before it forbids too: a CA has to fail.
func judgeCAA(list []propagation.CAAView, a asks) (Verdict, bool) {
	for i, c := range list {
		switch {
		case c.Failure != propagation.NoFailure || c.Rcode != "NOERROR" && c.Rcode != "NXDOMAIN":
			// The cause may be the zone above, whose servers refuse.
			for _, above := range list[i:] {
				if len(above.Servers) > 0 {
					return unanswered(above), true
				}
			}
			return unknown(c), true
		case len(c.Records) > 0:
			return a.forbidden(c)
		}
	}
	return Verdict{}, false
}

// unanswered: servers that are named for a zone do not answer for it.
func unanswered(c propagation.CAAView) Verdict {
	var servers []string
	for _, s := range c.Servers {
		servers = append(servers, s.Server+" "+s.Says)
	}
	return Verdict{
		Code:    CAAUnanswered,
		Message: fmt.Sprintf("a CA also needs the CAA records of %s, and its servers do not answer: %s (lame delegation)", c.Name, strings.Join(servers, ", ")),
		Fix:     []string{"create the zone " + c.Name + " at these name servers, or correct the NS records at the registrar"},
	}
}

// unknown: one resolver alone does not answer, which proves nothing about what a CA sees.
func unknown(c propagation.CAAView) Verdict {
	says := "answers " + c.Rcode
	if c.Failure != propagation.NoFailure {
		says = c.Failure.Says()
	}
	return Verdict{
		Code: CAAUnanswered, Aside: true,
		Message: fmt.Sprintf("the CAA records of %s, which a CA needs too, are not known: the resolver %s", c.Name, says),
		Fix:     []string{"$ dig CAA " + c.Name},
	}
}

// forbidden judges the records of one name.
func (a asks) forbidden(c propagation.CAAView) (Verdict, bool) {
	where := "at " + c.Name
	if c.Alias != "" {
		where = fmt.Sprintf("at %s (the end of the alias %s)", c.Alias, c.Name)
	}
	for _, r := range c.Records {
		if r.Critical && !slices.Contains(known, r.Tag) {
			return forbids(fmt.Sprintf("a CAA record %s has the critical tag %q, which no CA may pass over", where, r.Tag),
				"remove the record with this tag, or its critical flag"), true
		}
	}
	tag := tagIssue
	if a.wildcard && slices.ContainsFunc(c.Records, func(r propagation.CAA) bool { return r.Tag == tagIssueWild }) {
		tag = tagIssueWild
	}
	var values, why []string
	nobody := true
	for _, r := range c.Records {
		if r.Tag != tag {
			continue
		}
		values = append(values, r.String())
		domain, _, _ := strings.Cut(r.Value, ";")
		nobody = nobody && strings.TrimSpace(domain) == ""
		reason, matches := a.matches(r.Value)
		if matches && reason == "" {
			return Verdict{}, false
		}
		if matches {
			why = append(why, reason)
		}
	}
	if len(values) == 0 {
		return Verdict{}, false
	}
	message := fmt.Sprintf("the CAA records %s allow %s", where, strings.Join(values, ", "))
	at := c.Name
	if c.Alias != "" {
		at = c.Alias
	}
	switch {
	case len(why) > 0:
		return forbids(message+", but "+strings.Join(why, ", "), "correct the parameter of the record"), true
	case len(a.identities) == 0 && !nobody:
		unsaid := "the CA does not say in its directory (caaIdentities) which name is its own"
		if a.problem != "" {
			unsaid = "the CA could not be asked which name is its own (" + a.problem + ")"
		}
		return Verdict{
			Code: CAANotAllowed, Aside: true, Message: message + "; " + unsaid + ", so that nobody can tell from here whether it may issue",
			Fix: []string{"compare the records with the documentation of the CA"},
		}, true
	case len(a.identities) == 0:
		return forbids(message+", which is nobody", "add a record that names the CA at "+at), true
	default:
		return forbids(message+", and not "+strings.Join(a.identities, " or "), fmt.Sprintf("add the record %s CAA 0 %s %q", at, tag, a.identities[0])), true
	}
}

func forbids(message, fix string) Verdict {
	return Verdict{Code: CAANotAllowed, Message: message + ": the CA has to refuse", Fix: []string{fix}}
}

// matches reports whether a value names the CA, and what of its parameters does not
// fit (RFC 8657).
func (a asks) matches(value string) (why string, names bool) {
	parts := strings.Split(value, ";")
	domain := strings.ToLower(strings.TrimSpace(parts[0]))
	if domain == "" || !slices.ContainsFunc(a.identities, func(id string) bool { return strings.EqualFold(id, domain) }) {
		return "", false
	}
	for _, p := range parts[1:] {
		key, v, ok := strings.Cut(strings.TrimSpace(p), "=")
		if !ok && strings.TrimSpace(p) != "" {
			// A record that is malformed names nobody (RFC 8659 section 4.2).
			return "", false
		}
		v = strings.TrimSpace(v)
		switch strings.ToLower(strings.TrimSpace(key)) {
		case "accounturi":
			if a.account != "" && v != a.account {
				return fmt.Sprintf("accounturi is %s and the account of the issuer is %s", v, a.account), true
			}
		case "validationmethods":
			if !slices.Contains(strings.Split(v, ","), a.method) {
				return fmt.Sprintf("validationmethods is %s and the challenge is %s", v, a.method), true
			}
		}
	}
	return "", true
}
