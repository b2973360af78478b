package diagnosis

import (
	"fmt"
	"regexp"
	"time"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/condition"
)

// said is a text that an object says of itself.
type said struct {
	Ref
	text string
}

// texts are the words of the objects, the deepest one first.
func (e Evidence) texts() []said {
	var out []said
	for _, c := range e.Challenges {
		out = append(out, said{e.refOf(acmev1.ChallengeKind, c.Name), c.Status.Reason})
	}
	if o := e.Order; o != nil {
		out = append(out, said{e.refOf(acmev1.OrderKind, o.Name), o.Status.Reason})
	}
	if r := e.Request; r != nil {
		for _, c := range r.Status.Conditions {
			out = append(out, said{e.refOf(cmv1.CertificateRequestKind, r.Name), c.Message})
		}
	}
	if e.Issuer != nil && e.Issuer.Status != nil {
		if c := condition.Find(e.Issuer.Status.Conditions, cmv1.IssuerConditionReady); c != nil {
			out = append(out, said{e.Issuer.Ref, c.Message})
		}
	}
	if crt := e.Certificate; crt != nil {
		for _, c := range crt.Status.Conditions {
			out = append(out, said{e.refOf(cmv1.CertificateKind, crt.Name), c.Message})
		}
	}
	return out
}

// recent is how old an event may be that still explains something, if the objects say
// nothing.
const recent = 10 * time.Minute

// happened: recent events, if the objects themselves say nothing.
func (e Evidence) happened() []Verdict {
	var out []said
	for _, v := range e.Events {
		if at := timeIn(v.Message); e.At.Sub(v.Last.Time) < recent && (at == nil || at.After(e.At)) {
			out = append(out, said{v.Object, v.Message})
		}
	}
	if found := refused(out); len(found) > 0 {
		return found
	}
	return e.limits(out)
}

var (
	admissionWords = regexp.MustCompile(`(?:(admission webhook|ValidatingAdmissionPolicy) ['"]([a-z0-9.-]+)['"]|(failed calling webhook) "([a-z0-9.-]+)")`)
	// A CA names the type of its problem, a DNS provider the status.
	caLimitWords = regexp.MustCompile(`urn:ietf:params:acme:error:rateLimited|ACME server limits`)
	limitWords   = regexp.MustCompile(`(?i)rate limit|too many requests|limits (?:calls|requests)|HTTP 429|Throttling|rateLimitExceeded|quotaExceeded|PriorRequestNotComplete`)
	timeWords    = regexp.MustCompile(`(?:next try (?:is )?at|[Ww]aiting until|until|retry after) (\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:Z| UTC))`)
)

// timeIn is the time in a text until which something lasts, nil without one.
func timeIn(text string) *time.Time {
	m := timeWords.FindStringSubmatch(text)
	if m == nil {
		return nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05 UTC", "2006-01-02T15:04:05 UTC"} {
		if at, err := time.Parse(layout, m[1]); err == nil {
			return &at
		}
	}
	return nil
}

// admission: an admission webhook or policy refuses something.
func (e Evidence) admission() []Verdict { return refused(e.texts()) }

func refused(texts []said) []Verdict {
	for _, s := range texts {
		m := admissionWords.FindStringSubmatch(s.text)
		if m == nil {
			continue
		}
		kind, name := m[1], m[2]
		if m[3] != "" {
			kind, name = "admission webhook", m[4]
		}
		resource := "validatingwebhookconfigurations,mutatingwebhookconfigurations"
		if kind != "admission webhook" {
			resource = "validatingadmissionpolicies"
		}
		return []Verdict{{
			Code: AdmissionRefuses, Object: s.Ref, Message: fmt.Sprintf("the %s %q does not let everleaf write: %s", kind, name, s.text), NextTry: timeIn(s.text),
			Fix: []string{
				"change what it refuses, or exempt everleaf's service account or this namespace from it",
				fmt.Sprintf("$ kubectl get %s -o yaml | grep -B30 %s", resource, name),
			},
		}}
	}
	return nil
}

// limited: the CA or the DNS provider limits requests.
func (e Evidence) limited() []Verdict { return e.limits(e.texts()) }

func (e Evidence) limits(texts []said) []Verdict {
	for _, s := range texts {
		if at := timeIn(s.text); at != nil && !at.After(e.At) {
			continue
		}
		ca := caLimitWords.MatchString(s.text)
		if !ca && !limitWords.MatchString(s.text) {
			continue
		}
		who, fix := "the DNS provider", []string{
			"wait: everleaf goes on by itself when the provider allows it, and sends nothing before",
			"see what else uses the same account: the limit often counts all tokens of a user",
		}
		if ca {
			who, fix = "the CA", []string{
				"wait: everleaf goes on by itself when the CA allows it, and orders nothing before",
				"use the CA's staging server for tests; let one Certificate serve all names that are used together",
			}
		}
		v := Verdict{Code: RateLimited, Object: s.Ref, Message: who + " limits requests: " + s.text, Fix: fix, Until: timeIn(s.text)}
		return []Verdict{v}
	}
	return nil
}

// clockOf is a time as messages have it.
func clockOf(t *time.Time) string { return t.UTC().Format(time.RFC3339) }

// age is a duration in words, to the unit that matters.
func age(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d seconds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours", int(d.Hours()))
	default:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	}
}
