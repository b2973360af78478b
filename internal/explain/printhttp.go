package explain

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/everleaf/everleaf/internal/diagnosis"
	"github.com/everleaf/everleaf/internal/selfcheck"
)

// printAddresses prints what the addresses of a name answer, as seen from one place, and
// what is known of the route there.
func printAddresses(w io.Writer, e diagnosis.Evidence, s diagnosis.Sighting, place string) {
	r, c := s.HTTP.Report, s.HTTP.Circumstances
	fmt.Fprintf(w, "\n%s (%s), expected: the key of the challenge at %s\n", place, r.At.UTC().Format(time.RFC3339), r.URL())
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, l := range r.Lookups {
		if l.Addresses == 0 {
			fmt.Fprintf(t, "  %s\t%s\n", l.Type, l.Says())
		}
	}
	for _, a := range r.Answers {
		who, says := a.Address, a.Says()
		if a.Proxy != "" {
			who = "proxy " + a.Proxy
		}
		if a.Failure == selfcheck.NoFailure {
			says += fmt.Sprintf(", %d ms", a.Milliseconds)
		}
		fmt.Fprintf(t, "  %s\t%s\n", who, says)
	}
	if route := c.Route; route.Name != "" {
		fmt.Fprintf(t, "  %s\t%s\n", route.Text(), routeSays(route, c.DefaultClass))
	}
	if at := c.Responder.At; at != "" {
		fmt.Fprintf(t, "  %s\t%s\n", at, responderSays(c.Responder))
	}
	if s.From == diagnosis.FromCommand {
		for _, o := range e.Edges {
			if o.Challenge != s.Challenge && len(o.Addresses) == 0 {
				continue
			}
			fmt.Fprintf(t, "  %s\t%s\n", o.Ref, edgeSays(o, s.Challenge))
		}
	}
	_ = t.Flush()
}

// routeSays says where a route belongs, and who refuses it.
func routeSays(r selfcheck.Route, defaultClass string) string {
	if r.Kind == selfcheck.HTTPRoute {
		says := "leads to the responder"
		for _, refusal := range r.Refusals {
			says += fmt.Sprintf(", %s: %s %s", refusal.Parent, refusal.Condition, refusal.Reason)
		}
		return says
	}
	class := "class " + r.Class
	if r.Class == "" {
		class = "no class (default: " + cmp.Or(defaultClass, "none") + ")"
	}
	return "leads to the responder, " + class
}

// responderSays says what is known of who answers. That a controller was not asked is no
// news: another one may have been.
func responderSays(r selfcheck.Responder) string {
	switch {
	case r.Answers && r.Asked:
		return "answers this token, and was asked for it"
	case r.Answers:
		return "answers this token"
	case r.Asked:
		return "was asked for this token"
	default:
		return "is to answer this token"
	}
}

func edgeSays(o diagnosis.Edge, challenge string) string {
	var says []string
	if o.Challenge == challenge {
		says = append(says, "leads to the responder")
	}
	if o.Class != "" {
		says = append(says, "class "+o.Class)
	}
	if len(o.Addresses) > 0 {
		says = append(says, "at "+strings.Join(o.Addresses, ", "))
	} else {
		says = append(says, "no address in its status")
	}
	return strings.Join(says, ", ")
}
