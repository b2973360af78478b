package explain

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/condition"
	"github.com/everleaf/everleaf/internal/diagnosis"
	"github.com/everleaf/everleaf/internal/propagation"
)

// Print writes evidence and what follows from it for a person.
func Print(to io.Writer, e diagnosis.Evidence, verdicts []diagnosis.Verdict) {
	w := io.Writer(plain{to})
	if e.Known() {
		printChain(w, e, verdicts)
	}
	for _, s := range e.Sightings {
		printSighting(w, e, s)
	}
	for _, text := range e.Missing {
		fmt.Fprintf(w, "\nNot read: %s\n", text)
	}
	fmt.Fprintln(w)
	for i, v := range verdicts {
		title := "Cause"
		switch {
		case v.Code == diagnosis.Healthy:
			title = "Result"
		case v.Aside:
			title = "Also"
		case i > 0:
			title = "And"
		}
		where := v.Object.String() + domain(e, v.Object)
		if v.Seen == diagnosis.FromCommand {
			where += ", seen from here only"
		}
		fmt.Fprintf(w, "%s: %s (%s)\n", title, v.Code, where)
		printText(w, "  ", sentence(v.Message))
		if v.Until != nil {
			printText(w, "  ", "It ends at "+v.Until.UTC().Format(time.RFC3339)+".")
		}
		if v.NextTry != nil {
			printText(w, "  ", "The next try is at "+v.NextTry.UTC().Format(time.RFC3339)+".")
		}
		if len(v.Fix) > 0 {
			fmt.Fprintln(w, "  What to do:")
		}
		for _, f := range v.Fix {
			if strings.HasPrefix(f, "$ ") {
				fmt.Fprintf(w, "      %s\n", strings.TrimPrefix(f, "$ "))
				continue
			}
			fmt.Fprintf(w, "    - %s\n", f)
		}
	}
}

// domain names the domain of a Challenge: its own name does not.
func domain(e diagnosis.Evidence, of diagnosis.Ref) string {
	for _, c := range e.Challenges {
		if of.Kind == acmev1.ChallengeKind && c.Name == of.Name {
			return " for " + c.Spec.DNSName
		}
	}
	return ""
}

// plain leaves out control characters: a terminal must not obey what foreign servers
// have answered.
type plain struct{ to io.Writer }

// Write implements io.Writer.
func (p plain) Write(text []byte) (int, error) {
	clean := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, string(text))
	if _, err := io.WriteString(p.to, clean); err != nil {
		return 0, err
	}
	return len(text), nil
}

// printText prints a text whose lines may be long: a terminal wraps them, and a
// script can read them.
func printText(w io.Writer, indent, text string) {
	for line := range strings.SplitSeq(text, "\n") {
		fmt.Fprintln(w, indent+strings.TrimSpace(line))
	}
}

// sentence begins with a capital letter, unless it begins with a name, and ends with
// a full stop.
func sentence(text string) string {
	if text != "" && !strings.HasSuffix(text, ".") {
		text += "."
	}
	return text
}

// printChain prints the objects, each with what it says of itself. What an issuer says is
// left to the verdict that repeats it.
func printChain(w io.Writer, e diagnosis.Evidence, verdicts []diagnosis.Verdict) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(kind, name, says string) { fmt.Fprintf(t, "%s\t%s\t%s\n", kind, name, once(e, kind, says)) }
	if c := e.Certificate; c != nil {
		line(cmv1.CertificateKind, c.Name, certificateSays(c))
	}
	if r := e.Request; r != nil {
		line(cmv1.CertificateRequestKind, r.Name, requestSays(r))
	}
	if o := e.Order; o != nil {
		line(acmev1.OrderKind, o.Name, stateSays(string(o.Status.State), o.Status.Reason))
	}
	for _, c := range e.Challenges {
		says := stateSays(string(c.Status.State), c.Status.Reason)
		if c.Status.PresentedAt != nil {
			says = "presented at " + c.Status.PresentedAt.UTC().Format(time.RFC3339) + ", " + says
		}
		line(acmev1.ChallengeKind, c.Name, fmt.Sprintf("%s for %s: %s", c.Spec.Type, c.Spec.DNSName, says))
	}
	if i := e.Issuer; i != nil {
		line(i.Kind, i.Name, left(i.Ref, issuerSays(i), verdicts))
	}
	if s := e.Secret; s != nil {
		says := "does not exist"
		switch {
		case s.Unread:
			says = "may not be read"
		case s.Found && s.Certificate == "":
			says = "was not made by a Certificate"
		case s.Found:
			says = fmt.Sprintf("was made by Certificate %q", s.Certificate)
		}
		line("Secret", s.Name, says)
	}
	_ = t.Flush()
	for _, v := range e.Events {
		fmt.Fprintf(w, "Event of %s %s: %s: %s (%s, %s)\n", v.Object.Kind, v.Object.Name, v.Reason, left(v.Object, v.Message, verdicts), v.Last.UTC().Format(time.RFC3339), times(v.Count))
	}
}

// times is how often an event has been sent.
func times(count int32) string {
	if count <= 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", count)
}

// shortest is the length from which a text is not repeated.
const shortest = 40

// once leaves out what an object repeats of a deeper one.
func once(e diagnosis.Evidence, kind, says string) string {
	for _, c := range e.Challenges {
		if kind != acmev1.ChallengeKind && len(c.Status.Reason) > shortest {
			says = strings.ReplaceAll(says, c.Status.Reason, "(see the Challenge)")
		}
	}
	if o := e.Order; o != nil && kind != acmev1.OrderKind && kind != acmev1.ChallengeKind && len(o.Status.Reason) > shortest {
		says = strings.ReplaceAll(says, o.Status.Reason, "(see the Order)")
	}
	return says
}

// left leaves out what a verdict repeats of a text of the issuer that it is about.
func left(of diagnosis.Ref, says string, verdicts []diagnosis.Verdict) string {
	for _, v := range verdicts {
		if v.Code != diagnosis.IssuerNotReady || v.Object != of {
			continue
		}
		state, message, stated := strings.Cut(says, ": ")
		switch {
		case len(says) > shortest && strings.Contains(v.Message, says):
			return "(see the cause)"
		case stated && len(message) > shortest && strings.Contains(v.Message, message):
			return state + ": (see the cause)"
		}
	}
	return says
}

func certificateSays(c *cmv1.Certificate) string {
	var says []string
	if ready := condition.Find(c.Status.Conditions, cmv1.CertificateConditionReady); ready != nil {
		says = append(says, word(ready.Status, "ready", "not ready")+": "+ready.Message)
	} else {
		says = append(says, "no status")
	}
	if issuing := condition.Find(c.Status.Conditions, cmv1.CertificateConditionIssuing); issuing != nil {
		says = append(says, word(issuing.Status, "is being issued", "is not being issued")+": "+issuing.Message)
	}
	return strings.Join(says, "; ")
}

func word(s cmmeta.ConditionStatus, yes, no string) string {
	if s == cmmeta.ConditionTrue {
		return yes
	}
	return no
}

func requestSays(r *cmv1.CertificateRequest) string {
	says := word(condition.Status(r.Status.Conditions, cmv1.CertificateRequestConditionApproved), "approved", "not approved")
	if condition.True(r.Status.Conditions, cmv1.CertificateRequestConditionDenied) {
		says = "denied"
	}
	if c := condition.Find(r.Status.Conditions, cmv1.CertificateRequestConditionReady); c != nil {
		says += ", " + c.Reason + ": " + c.Message
	}
	return says
}

func stateSays(state, reason string) string {
	if state == "" {
		state = "not begun"
	}
	if reason == "" {
		return state
	}
	return state + ": " + reason
}

func issuerSays(i *diagnosis.Issuer) string {
	switch {
	case !i.Found && i.Group != "" && i.Group != cmv1.SchemeGroupVersion.Group:
		return "is of the group " + i.Group
	case i.Unread:
		return "may not be read"
	case !i.Found:
		return "does not exist"
	case i.Status == nil:
		return "no status"
	}
	c := condition.Find(i.Status.Conditions, cmv1.IssuerConditionReady)
	if c == nil {
		return "no status"
	}
	return stateSays(word(c.Status, "ready", "not ready"), c.Message)
}

// printSighting prints what servers answer, as seen from one place.
func printSighting(w io.Writer, e diagnosis.Evidence, s diagnosis.Sighting) {
	place := map[diagnosis.Place]string{diagnosis.FromController: "What the controllers see", diagnosis.FromCommand: "What is seen from here"}[s.From]
	if len(e.Challenges) > 1 {
		place += " of " + s.Challenge
	}
	if s.HTTP != nil {
		printAddresses(w, e, s, place)
		return
	}
	if s.View == nil {
		fmt.Fprintf(w, "\n%s: %s.\n", place, strings.TrimSuffix(s.Problem, "."))
		return
	}
	v := s.View
	fmt.Fprintf(w, "\n%s (%s), expected: %s TXT %q\n", place, v.At.UTC().Format(time.RFC3339), v.Name, v.Value)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	configured := slices.ContainsFunc(v.Resolvers, func(r propagation.ResolverView) bool { return r.Configured })
	for _, r := range v.Resolvers {
		role := "resolver"
		switch {
		case r.System && s.From == diagnosis.FromController:
			role = "resolver in the cluster"
		case r.System:
			role = "resolver of this machine"
		case r.Configured:
			role = "configured resolver"
		}
		if configured && !r.Configured {
			// Its advice would be about a resolver that nobody asks.
			role, r.Problem = role+" (not used)", ""
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\n", r.Server, role, resolverSays(r))
	}
	for _, r := range v.Origin {
		fmt.Fprintf(t, "  %s\t%s\t%s\n", r.Who(), "written to", replySays(r))
	}
	for _, r := range v.Servers {
		fmt.Fprintf(t, "  %s\t%s\t%s\n", r.Who(), "name server of "+r.Zone+delegated(r.Role), replySays(r))
	}
	for _, c := range v.CAA {
		if len(c.Records) > 0 || len(c.Servers) > 0 {
			fmt.Fprintf(t, "  %s\t%s\t%s\n", c.Name, "CAA", caaSays(c))
		}
	}
	_ = t.Flush()
	if v.Intercepted != "" {
		fmt.Fprintf(w, "  192.0.2.1, where no name server is, answers %s\n", v.Intercepted)
	}
	for _, text := range v.Left {
		fmt.Fprintf(w, "  %s\n", text)
	}
}

// delegated says how a server is named for its zone, if not in both places.
func delegated(r propagation.Role) string {
	switch r {
	case propagation.RoleParent:
		return " (delegation only)"
	case propagation.RoleChild:
		return " (in the zone only)"
	default:
		return ""
	}
}

func resolverSays(r propagation.ResolverView) string {
	var says []string
	if r.TXT != nil {
		says = append(says, replySays(*r.TXT))
	}
	switch {
	case r.Problem != "":
		says = append(says, r.Problem)
	case r.Zone != "":
		says = append(says, "leads to "+r.Zone+" at "+strings.Join(r.Nameservers, ", "))
	}
	if r.Bogus {
		says = append(says, "answers if it need not validate (DNSSEC)")
	}
	return strings.Join(says, "; ")
}

func replySays(r propagation.Reply) string {
	var says []string
	switch {
	case r.Has:
		says = append(says, "has the record", fmt.Sprintf("TTL %d", r.TTL))
	case r.Target != "":
		says = append(says, "alias of "+r.Target)
	default:
		says = append(says, r.Says())
		if r.NegativeTTL > 0 && r.Failure == propagation.NoFailure {
			says = append(says, fmt.Sprintf("negative TTL %d", r.NegativeTTL))
		}
	}
	if r.Alias != "" {
		says = append(says, "CNAME "+r.Alias)
	}
	if r.Extended != "" {
		says = append(says, r.Extended)
	}
	if r.Serial != 0 {
		says = append(says, fmt.Sprintf("serial %d", r.Serial))
	}
	if r.TCP != propagation.NoFailure && r.Failure == propagation.NoFailure {
		says = append(says, "over TCP it "+r.TCP.Says())
	}
	if r.Failure == propagation.NoFailure {
		says = append(says, fmt.Sprintf("%d ms", r.Milliseconds))
	}
	return strings.Join(says, ", ")
}

func caaSays(c propagation.CAAView) string {
	var says []string
	for _, r := range c.Records {
		says = append(says, r.String())
	}
	for _, s := range c.Servers {
		says = append(says, s.Server+" "+s.Says)
	}
	return strings.Join(says, ", ")
}

// PrintOverview writes one line for each object that is stuck.
func PrintOverview(to io.Writer, stuck []diagnosis.Evidence, missing []string) {
	w := io.Writer(plain{to})
	for _, text := range missing {
		fmt.Fprintf(w, "Not read: %s\n", text)
	}
	switch {
	case len(stuck) == 0 && len(missing) > 0:
		fmt.Fprintln(w, "Nothing else is stuck, as far as it could be read.")
		return
	case len(stuck) == 0:
		fmt.Fprintln(w, "Nothing is stuck.")
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAMESPACE\tKIND\tNAME\tCAUSE\tMESSAGE")
	for _, e := range stuck {
		v := diagnosis.Explain(e)[0]
		message := strings.Join(strings.Fields(v.Message), " ")
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", or(e.Subject.Namespace), e.Subject.Kind, e.Subject.Name, v.Code, message)
	}
	_ = t.Flush()
}

func or(namespace string) string {
	if namespace == "" {
		return "-"
	}
	return namespace
}
