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

// known are the tags that an ACME CA understands: another one that is critical
// forbids (RFC 8659 section 4.1).
var known = []string{tagIssue, tagIssueWild, "iodef", "contactemail", "contactphone", "issuemail", "issuevmc"}

// asks is what a CA would be allowed by CAA records.
type asks struct {
	wildcard bool
	// identities are the CA's domain names; account is the URL of the account.
	identities []string
	account    string
	// method is the validation method, such as "dns-01".
	method string
}

// judgeCAA says whether the records at the nearest name that has any forbid what is
// asked. A name that cannot be looked up before it forbids too: a CA has to fail.
func judgeCAA(list []propagation.CAAView, a asks) (Verdict, bool) {
	for i, c := range list {
		switch {
		case len(c.Servers) > 0 || c.Rcode == "SERVFAIL" || c.Rcode == "REFUSED":
			// The cause may be the zone above, whose servers refuse.
			for _, above := range list[i:] {
				if len(above.Servers) > 0 {
					return unanswered(above), true
				}
			}
			return unanswered(c), true
		case len(c.Records) > 0:
			return a.forbidden(c)
		}
	}
	return Verdict{}, false
}

func unanswered(c propagation.CAAView) Verdict {
	var servers []string
	for _, s := range c.Servers {
		servers = append(servers, s.Server+" "+s.Says)
	}
	v := Verdict{
		Code: CAAUnanswered,
		Message: fmt.Sprintf("a CA also needs the CAA records of %s, and the question gets %s",
			c.Name, c.Rcode),
		Fix: []string{"see that the name servers of " + c.Name + " answer: $ dig CAA " + c.Name},
	}
	if len(servers) > 0 {
		v.Message += ": " + strings.Join(servers, ", ") + " (lame delegation)"
		v.Fix = []string{"create the zone " + c.Name + " at these name servers, or correct the NS records at the registrar"}
	}
	return v
}

// forbidden judges the records of one name.
func (a asks) forbidden(c propagation.CAAView) (Verdict, bool) {
	where := "at " + c.Name
	if c.Alias != "" {
		where = fmt.Sprintf("at %s, of which %s is an alias,", c.Alias, c.Name)
	}
	for _, r := range c.Records {
		if r.Critical && !slices.Contains(known, r.Tag) {
			return a.verdict(c, fmt.Sprintf("a CAA record %s has the critical tag %q, which no CA may pass over", where, r.Tag)), true
		}
	}
	tag := tagIssue
	if a.wildcard && slices.ContainsFunc(c.Records, func(r propagation.CAA) bool { return r.Tag == tagIssueWild }) {
		tag = tagIssueWild
	}
	var values, why []string
	for _, r := range c.Records {
		if r.Tag != tag {
			continue
		}
		values = append(values, fmt.Sprintf("%d %s %q", flag(r), r.Tag, r.Value))
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
	switch {
	case len(a.identities) == 0:
		return Verdict{
			Code: CAANotAllowed, Aside: true,
			Message: message + "; the CA does not say in its directory (caaIdentities) which name is its own, so that nobody can tell from here whether it may issue",
			Fix:     []string{"compare the records with the documentation of the CA"},
		}, true
	case len(why) > 0:
		message += ", but " + strings.Join(why, ", ")
	default:
		message += ", and not " + strings.Join(a.identities, " or ")
	}
	return a.verdict(c, message), true
}

func flag(r propagation.CAA) int {
	if r.Critical {
		return 128
	}
	return 0
}

func (a asks) verdict(c propagation.CAAView, message string) Verdict {
	v := Verdict{Code: CAANotAllowed, Message: message + ": the CA has to refuse"}
	tag := tagIssue
	if a.wildcard {
		tag = tagIssueWild
	}
	if len(a.identities) > 0 {
		v.Fix = []string{fmt.Sprintf("add the record %s CAA 0 %s %q", c.Name, tag, a.identities[0])}
	}
	return v
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
		key, v, _ := strings.Cut(strings.TrimSpace(p), "=")
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
