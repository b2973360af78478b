package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

const day = "2006-01-02"

// texter prints a report, and keeps the first error.
type texter struct {
	out    io.Writer
	colour bool
	err    error
}

func (t *texter) printf(format string, args ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.out, format, args...)
	}
}

// table prints rows below a heading.
func (t *texter) table(title string, head []string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	t.printf("\n%s\n", title)
	var text strings.Builder
	columns := tabwriter.NewWriter(&text, 0, 8, 2, ' ', 0)
	for _, row := range append([][]string{head}, rows...) {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = oneLine(cell)
		}
		fmt.Fprintf(columns, "  %s\n", strings.Join(cells, "\t"))
	}
	if err := columns.Flush(); err != nil && t.err == nil {
		t.err = err
	}
	for line := range strings.Lines(text.String()) {
		t.printf("%s\n", t.paint(strings.TrimRight(line, " \n")))
	}
}

// oneLine is a text without what moves a terminal's cursor: tenants write names and causes.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r):
			return -1
		default:
			return r
		}
	}, text)
}

// colours are those of the states and of what else needs attention, by ANSI codes.
var colours = map[string]string{
	string(Expired): "31", string(Failed): "31", string(Issuing): "33", "overdue": "33", "window-error": "33", "earlier-ca": "33", string(Ready): "32",
}

// paint colours the state at the beginning of a line.
func (t *texter) paint(line string) string {
	if !t.colour {
		return line
	}
	word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
	if code := colours[word]; code != "" {
		return strings.Replace(line, word, "\x1b["+code+"m"+word+"\x1b[0m", 1)
	}
	return line
}

// Text prints a report for a terminal, with colours if it is one.
func Text(out io.Writer, r Report, colour bool) error {
	t := &texter{out: out, colour: colour}
	t.printf("Certificates on %s: %d, of which %d ready, %d failed, %d being issued, %d expired\n",
		r.At.Format(time.RFC3339), r.Totals.Certificates, r.Totals.Ready, r.Totals.Failed, r.Totals.Issuing, r.Totals.Expired)
	for _, missing := range r.Missing {
		t.printf("Not read: %s\n", missing)
	}
	var attention, rows [][]string
	for _, c := range r.Certificates {
		if n := c.notice(); n != nil {
			attention = append(attention, []string{n.Word, c.Namespace + "/" + c.Name, n.Cause})
		}
		rows = append(rows, []string{string(c.State), c.Namespace + "/" + c.Name, date(c.NotAfter), date(c.RenewalTime), c.Key, c.Issuer, short(c.Names)})
	}
	t.table("Needs attention", []string{"STATE", "CERTIFICATE", "CAUSE"}, attention)
	var calendar [][]string
	for _, w := range r.Calendar {
		if w.Renewing+w.Expiring > 0 {
			calendar = append(calendar, []string{w.Begins.Format(day), fmt.Sprint(w.Renewing), fmt.Sprint(w.Expiring)})
		}
	}
	t.table("Calendar", []string{"WEEK FROM", "RENEW", "EXPIRE"}, calendar)
	t.table("Certificates", []string{"STATE", "CERTIFICATE", "EXPIRES", "RENEWS", "KEY", "ISSUER", "NAMES"}, rows)
	var issuers, keys [][]string
	for _, i := range r.Issuers {
		state := "ready"
		if !i.Ready {
			state = "failed"
		}
		issuers = append(issuers, []string{state, i.Name, i.Type, fmt.Sprint(i.Certificates), fmt.Sprint(i.NotReady), i.Cause})
	}
	t.table("Issuers", []string{"STATE", "ISSUER", "TYPE", "CERTIFICATES", "NOT READY", "CAUSE"}, issuers)
	for _, k := range r.Keys {
		keys = append(keys, []string{k.Name, fmt.Sprint(k.N)})
	}
	t.table("Keys", []string{"KEY", "CERTIFICATES"}, keys)
	for _, a := range r.Authorities {
		t.table("Rate limits of "+a.Server+": "+limitsNote(a), []string{"WHAT", "NAME", "USED", "LIMIT"}, limitRows(a))
	}
	return t.err
}

// limitsNote says what the numbers are worth.
func limitsNote(a Authority) string {
	if a.LetsEncrypt {
		return "those that Let's Encrypt publishes"
	}
	return "Let's Encrypt's, for comparison; this CA may have others"
}

func limitRows(a Authority) [][]string {
	var rows [][]string
	for _, kind := range []struct {
		what   string
		usages []Usage
	}{{"orders of an account in 3 hours", a.Accounts}, {"certificates of a registered domain in 7 days", a.Domains}, {"certificates of equal names in 7 days", a.Sets}} {
		for _, u := range kind.usages {
			rows = append(rows, []string{kind.what, u.Name, fmt.Sprint(u.N), fmt.Sprintf("%d (%d %%)", u.Limit, u.Share())})
		}
	}
	return rows
}

func date(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.Format(day)
}

// short is a list of names that fits into a line.
func short(names []string) string {
	const most = 3
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
