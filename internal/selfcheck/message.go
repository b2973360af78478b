package selfcheck

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// maxNamed is how many addresses a message names.
const maxNamed = 4

// stage is what the first words of a message say.
const (
	stageGet  = "failed to perform self check GET request '%s'"
	stageCode = "wrong status code '%d', expected '200'"
	stageRead = "failed to read response body"
	stageBody = "did not get expected response when querying endpoint"
)

// headline is the answer that a message is about: a wrong one before that of a proxy, and
// before a missing one; of these one of IPv6, which CAs prefer, before one of IPv4. ok is
// false if nobody was asked.
func (r Report) headline() (a Answer, ok bool) {
	direct, proxied := r.direct(), func(a Answer) bool { return a.Proxy != "" }
	for _, in := range []struct {
		list []Answer
		is   func(Answer) bool
	}{
		{direct, Answer.Wrong}, {r.Answers, proxied}, {direct, Answer.silent}, {direct, Answer.Dead},
	} {
		if i := slices.IndexFunc(in.list, in.is); i >= 0 {
			return in.list[i], true
		}
	}
	return Answer{}, false
}

// opening are the words with which clients know a failure, and what was seen.
func (r Report) opening() string {
	a, ok := r.headline()
	if !ok {
		return fmt.Sprintf(stageGet, r.URL()) + ": " + r.unresolved()
	}
	words := ""
	switch {
	case a.Failure == BodyUnread:
		words = stageRead
	case a.Failure != NoFailure:
		words = fmt.Sprintf(stageGet, r.URL())
	case a.Status != 200:
		words = fmt.Sprintf(stageCode, a.Status)
	default:
		words = stageBody
	}
	return words + ": " + r.Seen()
}

// URL is where a CA looks, without the token: equal failures have equal texts.
func (r Report) URL() string {
	u := challengeURL(r.Name, "")
	return u.Scheme + "://" + u.Host + u.Path + "<token>"
}

// unresolved says why there is no address.
func (r Report) unresolved() string {
	where := "the resolver"
	if len(r.Nameservers) > 0 {
		where = strings.Join(r.Nameservers, ", ")
	}
	for _, l := range r.Lookups {
		switch l.Failure {
		case NoFailure:
		case Timeout:
			return fmt.Sprintf("the addresses of %s cannot be looked up: %s does not answer", r.Name, where)
		default:
			return fmt.Sprintf("the addresses of %s cannot be looked up: %s cannot be asked, or answers with an error", r.Name, where)
		}
	}
	return fmt.Sprintf("%s has no address: %s knows no A or AAAA record", r.Name, where)
}

// Says is what the resolver says about addresses of a type.
func (l Lookup) Says() string {
	switch l.Failure {
	case NoFailure:
		if l.Addresses == 0 {
			return "no record"
		}
		return fmt.Sprintf("%d records", l.Addresses)
	case Timeout:
		return "the resolver does not answer"
	default:
		return "the resolver cannot be asked, or answers with an error"
	}
}

// Seen says what each address answered, and what a proxy did, or why nobody was asked.
func (r Report) Seen() string {
	var out []string
	if a, ok := r.proxied(); ok {
		out = append(out, "through proxy "+a.Proxy+": "+a.short())
	}
	direct := r.direct()
	for _, a := range direct[:min(len(direct), maxNamed)] {
		out = append(out, a.Address+" "+a.Says())
	}
	if n := len(direct) - maxNamed; n > 0 {
		out = append(out, fmt.Sprintf("and %d more", n))
	}
	if len(direct) == 0 {
		out = append(out, r.unresolved())
	}
	return strings.Join(out, ", ")
}

var failures = map[Failure]string{
	NoRoute:           "cannot be reached from here (no route)",
	Unreachable:       "cannot be reached (host unreachable, or not permitted)",
	Timeout:           "does not answer",
	NoResponse:        "accepts the connection and does not answer",
	ConnectionRefused: "refuses connections",
	ConnectionClosed:  "closes the connection without an answer",
	TLSFailed:         "fails in the TLS handshake",
	Malformed:         "sends something else than HTTP",
	Unresolved:        "has no address",
	Forbidden:         "is not asked (address of loopback, link-local, multicast or cloud metadata)",
	BadRedirect:       "redirects to nowhere",
	OtherPort:         "is not asked because of its port",
	BodyUnread:        "breaks off its answer",
}

// Says is what an address does, as it follows its name.
func (a Answer) Says() string {
	last, redirected := a.last()
	switch {
	case !redirected && a.Unchecked() && a.IPv6():
		return "was not checked (no IPv6 route)"
	case !redirected:
		return a.ends()
	case a.Failure == RedirectLoop:
		return "redirects in a loop (" + strings.Join(a.path(), ", ") + ")"
	case a.Failure == TooManyRedirects:
		return fmt.Sprintf("redirects more than %d times", maxRedirects)
	}
	to := cmp.Or(last.To, "an invalid URL")
	if last.Certificate != "" {
		to += " (its certificate " + last.Certificate + ")"
	}
	return "redirects to " + to + ", which " + a.ends()
}

// ends is what the last server does.
func (a Answer) ends() string {
	switch {
	case a.Failure == TLSAlert:
		return "refuses the TLS handshake (" + a.Detail + ")"
	case a.Failure != NoFailure:
		return cmp.Or(failures[a.Failure], "cannot be asked")
	case a.Status != 200:
		return fmt.Sprintf("answers %d", a.Status)
	case a.Content == RightKey:
		return "answers 200"
	case a.Content == OtherAccount:
		return "answers with the key of another ACME account"
	case a.Content == OtherChallenge:
		return "answers with the key of another challenge"
	case a.Content == Empty:
		return "answers 200 without a body"
	case a.Content == Page:
		return "answers 200 with a web page"
	default:
		return "answers 200 with other content"
	}
}

// short is Says without a verb in front of a status code.
func (a Answer) short() string {
	if _, redirected := a.last(); !redirected && a.Failure == NoFailure && a.Status != 200 {
		return fmt.Sprint(a.Status)
	}
	return "it " + a.Says()
}

// path are the places to which redirects lead, each once.
func (a Answer) path() []string {
	var out []string
	for _, r := range a.Redirects {
		if to := cmp.Or(r.To, "an invalid URL"); !slices.Contains(out, to) {
			out = append(out, to)
		}
	}
	return out
}
