package statuspage

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"
)

// printer writes lines, and keeps the first error.
type printer struct {
	out io.Writer
	now time.Time
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.out, format+"\n", args...)
	}
}

// Print prints a page as text. Ages are as of now.
func Print(out io.Writer, page Page, now time.Time) error {
	p := &printer{out: out, now: now}
	p.line("Name: %s", page.Name)
	p.line("Namespace: %s", page.Namespace)
	p.line("Created at: %s", page.CreatedAt.Format(time.RFC3339))
	p.conditions("", page.Conditions)
	p.line("DNS Names:")
	for _, name := range page.DNSNames {
		p.line("- %s", name)
	}
	p.events("", page.Events)
	p.issuer(page.Issuer)
	p.secret(page.Secret)
	p.line("Not Before: %s", moment(page.NotBefore))
	p.line("Not After: %s", moment(page.NotAfter))
	p.line("Renewal Time: %s", moment(page.RenewalTime))
	p.request(page.Request)
	if page.Order != nil {
		p.order(*page.Order)
	}
	if page.Challenges != nil {
		p.challenges(*page.Challenges)
	}
	return p.err
}

// moment is a time in RFC 3339, or "<none>".
func moment(t *time.Time) string {
	if t == nil {
		return "<none>"
	}
	return t.UTC().Format(time.RFC3339)
}

func (p *printer) conditions(indent string, conditions []Condition) {
	p.line("%sConditions:", indent)
	for _, c := range conditions {
		p.line("%s  %s: %s, Reason: %s, Message: %s", indent, c.Type, c.Status, c.Reason, c.Message)
	}
	if len(conditions) == 0 {
		p.line("%s  No Conditions set", indent)
	}
}

// events prints events as kubectl describe does.
func (p *printer) events(indent string, events Events) {
	switch {
	case events.Problem != "":
		p.line("%sEvents:  <%s>", indent, events.Problem)
		return
	case len(events.Items) == 0:
		p.line("%sEvents:  <none>", indent)
		return
	}
	p.line("%sEvents:", indent)
	var table strings.Builder
	columns := tabwriter.NewWriter(&table, 0, 8, 2, ' ', 0)
	fmt.Fprintf(columns, "Type\tReason\tAge\tFrom\tMessage\n----\t------\t----\t----\t-------\n")
	for _, e := range events.Items {
		fmt.Fprintf(columns, "%s\t%s\t%s\t%s\t%s\n", e.Type, e.Reason, p.age(e), e.From, strings.TrimSpace(e.Message))
	}
	if err := columns.Flush(); err != nil && p.err == nil {
		p.err = err
	}
	for line := range strings.Lines(table.String()) {
		p.line("%s  %s", indent, strings.TrimRight(line, " \n"))
	}
}

func (p *printer) age(e Event) string {
	if e.Count > 1 {
		return fmt.Sprintf("%s (x%d over %s)", p.since(e.Last), e.Count, p.since(e.First))
	}
	return p.since(e.Last)
}

func (p *printer) since(t time.Time) string {
	if t.IsZero() {
		return "<unknown>"
	}
	return duration.HumanDuration(p.now.Sub(t))
}

func (p *printer) issuer(issuer Issuer) {
	if issuer.Problem != "" {
		p.line("%s", issuer.Problem)
		return
	}
	p.line("Issuer:")
	p.line("  Name: %s", issuer.Name)
	p.line("  Kind: %s", issuer.Kind)
	p.conditions("  ", issuer.Conditions)
	p.events("  ", issuer.Events)
}

func (p *printer) secret(secret Secret) {
	if secret.Problem != "" {
		p.line("%s", secret.Problem)
		return
	}
	p.line("Secret:")
	p.line("  Name: %s", secret.Name)
	p.line("  Issuer Country: %s", strings.Join(secret.IssuerCountry, ", "))
	p.line("  Issuer Organisation: %s", strings.Join(secret.IssuerOrganisation, ", "))
	p.line("  Issuer Common Name: %s", secret.IssuerCommonName)
	p.line("  Key Usage: %s", strings.Join(secret.KeyUsage, ", "))
	p.line("  Extended Key Usages: %s", strings.Join(secret.ExtendedKeyUsages, ", "))
	p.line("  Public Key Algorithm: %s", secret.PublicKeyAlgorithm)
	p.line("  Signature Algorithm: %s", secret.SignatureAlgorithm)
	p.line("  Subject Key ID: %s", secret.SubjectKeyID)
	p.line("  Authority Key ID: %s", secret.AuthorityKeyID)
	p.line("  Serial Number: %s", secret.SerialNumber)
	p.events("  ", secret.Events)
}

func (p *printer) request(request Request) {
	if request.Problem != "" {
		p.line("%s", request.Problem)
		return
	}
	p.line("CertificateRequest:")
	p.line("  Name: %s", request.Name)
	p.line("  Namespace: %s", request.Namespace)
	p.conditions("  ", request.Conditions)
	p.events("  ", request.Events)
}

func (p *printer) order(order Order) {
	if order.Problem != "" {
		p.line("%s", order.Problem)
		return
	}
	p.line("Order:")
	p.line("  Name: %s", order.Name)
	p.line("  State: %s, Reason: %s", order.State, order.Reason)
	if len(order.Authorizations) == 0 {
		p.line("  No Authorizations for this Order")
	} else {
		p.line("  Authorizations:")
	}
	for _, a := range order.Authorizations {
		wildcard := "nil (bool pointer not set)"
		if a.Wildcard != nil {
			wildcard = fmt.Sprint(*a.Wildcard)
		}
		p.line("    URL: %s, Identifier: %s, Initial State: %s, Wildcard: %s", a.URL, a.Identifier, a.InitialState, wildcard)
	}
	if order.FailureTime != nil {
		p.line("  FailureTime: %s", moment(order.FailureTime))
	}
}

func (p *printer) challenges(challenges Challenges) {
	if challenges.Problem != "" {
		p.line("%s", challenges.Problem)
		return
	}
	p.line("Challenges:")
	for _, c := range challenges.Items {
		p.line("- Name: %s, Type: %s, Token: %s, Key: %s, State: %s, Reason: %s, Processing: %t, Presented: %t",
			c.Name, c.Type, c.Token, c.Key, c.State, c.Reason, c.Processing, c.Presented)
	}
}
