package preflight

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// State is how a step ended.
type State string

// States.
const (
	// OK: it succeeded.
	OK State = "ok"
	// Warning: certificates can be issued, but something is wrong.
	Warning State = "warning"
	// Failed: certificates cannot be issued.
	Failed State = "failed"
	// Skipped: it was not tried, for a reason in the message.
	Skipped State = "skipped"
	// Waiting: it is not over. Only progress has it, no Report.
	Waiting State = "waiting"
)

// The names of the steps, in their order.
const (
	StepIssuer    = "issuer"
	StepSolver    = "solver"
	StepSecrets   = "secrets"
	StepZone      = "zone"
	StepWrite     = "write"
	StepServers   = "name servers"
	StepResolvers = "resolvers"
	StepDelete    = "delete"
	StepGone      = "gone"
)

// Step is one step of a check.
type Step struct {
	Name  string `json:"step"`
	State State  `json:"state"`
	// Message says what was done or what is wrong, with the fix.
	Message string `json:"message"`
	// Details has a line for each server that was asked.
	Details []string `json:"details,omitempty"`
	// Seconds is how long the step took.
	Seconds float64 `json:"seconds"`
}

// Report is the result of a check.
type Report struct {
	Issuer string `json:"issuer"`
	Domain string `json:"domain"`
	// OK reports whether no step failed.
	OK bool `json:"ok"`
	// Interrupted reports whether the check was ended before it was over.
	Interrupted bool `json:"interrupted,omitempty"`
	// Name is where a CA looks for the record, Target where it is written, and Zone
	// the zone in which the provider writes.
	Name   string `json:"name,omitempty"`
	Target string `json:"target,omitempty"`
	Zone   string `json:"zone,omitempty"`
	Steps  []Step `json:"steps"`
}

// Unread is the Report if the issuer cannot be read. issuer names it as far as it is
// known.
func Unread(issuer, domain string, err error) Report {
	return Report{Issuer: issuer, Domain: domain, Steps: []Step{{Name: StepIssuer, State: Failed, Message: err.Error()}}}
}

// Text is the step as lines for a terminal.
func (s Step) Text() string {
	mark := map[State]string{OK: "ok", Warning: "warning", Failed: "FAILED", Skipped: "skipped", Waiting: "..."}[s.State]
	var b strings.Builder
	fmt.Fprintf(&b, "%-7s %7.2fs  %-12s  %s\n", mark, s.Seconds, s.Name, s.Message)
	for _, d := range s.Details {
		fmt.Fprintf(&b, "%-32s%s\n", "", d)
	}
	return b.String()
}

// Conclusion is the last line for a terminal.
func (r Report) Conclusion() string {
	failed := slices.IndexFunc(r.Steps, func(s Step) bool { return s.State == Failed })
	switch {
	case failed >= 0 && r.Interrupted:
		return fmt.Sprintf("the check of %s for %q was stopped in the step %q: %s", r.Issuer, r.Domain, r.Steps[failed].Name, r.Steps[failed].Message)
	case failed >= 0:
		return fmt.Sprintf("%s cannot validate %q by DNS-01: the step %q failed.", r.Issuer, r.Domain, r.Steps[failed].Name)
	case slices.ContainsFunc(r.Steps, func(s Step) bool { return s.State == Warning }):
		return fmt.Sprintf("%s can validate %q by DNS-01, but see the warnings.", r.Issuer, r.Domain)
	default:
		return fmt.Sprintf("%s can validate %q by DNS-01.", r.Issuer, r.Domain)
	}
}

// seconds rounds to what can be read.
func seconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }
