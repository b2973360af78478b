package preflight

import (
	"fmt"
	"slices"

	"github.com/everleaf/everleaf/internal/propagation"
)

// lines says for each server what it answers.
func lines(r propagation.Report) []string {
	var out []string
	for _, a := range r.Answers {
		out = append(out, line(r, a))
	}
	return out
}

func line(r propagation.Report, a propagation.Answer) string {
	reply := propagation.ReplyOf(a)
	switch {
	case a.Has:
		return reply.Who() + " has it"
	case a.Target != "":
		return fmt.Sprintf("%s has an alias of %s there", reply.Who(), a.Target)
	case a.Name != r.Name && a.Name != "":
		return fmt.Sprintf("%s %s (asked for %s)", reply.Who(), reply.Says(), a.Name)
	default:
		return reply.Who() + " " + reply.Says()
	}
}

// values is the least number of values that a server which answered for the end of the
// alias chain has, or -1 if none has answered.
func values(r propagation.Report) int {
	least := -1
	for _, a := range r.Answers {
		if a.Name == r.Final && a.Failure == propagation.NoFailure && !a.Lame() && a.Target == "" && (least < 0 || a.Values < least) {
			least = a.Values
		}
	}
	return least
}

// having counts the servers that have the record, and those that do not.
func having(r propagation.Report) (with, without int) {
	for _, a := range r.Answers {
		switch {
		case a.Has:
			with++
		case a.Target == "":
			without++
		}
	}
	return with, without
}

// aliased reports whether the servers have an alias in the place of the record: each that
// gives a usable answer shows it, and none has the record.
func aliased(r propagation.Report) bool {
	shown := false
	for _, a := range r.Answers {
		switch {
		case a.Has:
			return false
		case a.Name != r.Name || a.Failure != propagation.NoFailure || a.Lame():
		case a.Target == "":
			return false
		default:
			shown = true
		}
	}
	return shown && r.Final != r.Name
}

// advice is what to do about a record that is not on all name servers. zone is the one
// in which the provider writes.
func advice(r propagation.Report, zone string) string {
	with, _ := having(r)
	silent := func(a propagation.Answer) bool { return a.Failure != propagation.NoFailure }
	lame := func(a propagation.Answer) bool { return a.Lame() }
	switch {
	case len(r.Answers) == 0:
		return ""
	case zone != "" && r.Zone != "" && zone != r.Zone:
		return fmt.Sprintf("the provider writes into the zone %s, but these are the name servers of %s: check the delegation, and whether an internal zone shadows the public one; --dns01-recursive-nameservers names resolvers with another view", zone, r.Zone)
	case r.Mode == propagation.RecursiveOnly && with == 0:
		return "these resolvers do not see the zone into which the provider writes: use others, or do without --dns01-recursive-nameservers-only and dns01.nameservers"
	case !slices.ContainsFunc(r.Answers, func(a propagation.Answer) bool { return !silent(a) }):
		return "port 53 may be closed from here: allow UDP and TCP to these servers, or set --dns01-recursive-nameservers-only"
	case with == 0:
		return fmt.Sprintf("no name server of %s has it: the provider may write elsewhere; compare these name servers with those that it shows for the zone, and correct the NS records", r.Zone)
	case slices.ContainsFunc(r.Answers, lame):
		return "a server that answers without authority, or with an error, does not serve the zone: correct the NS records, or repair that server"
	case slices.ContainsFunc(r.Answers, silent):
		return "check the servers that do not answer, and that UDP and TCP port 53 is open to them"
	default:
		return "a secondary server is behind: have the primary notify it, or shorten the refresh time of the zone"
	}
}

// resolvers judges what the recursive resolvers say once every name server has the
// record. Everleaf itself does not ask them then.
func resolvers(r propagation.Report) Step {
	with, without := having(r)
	s := Step{Name: StepResolvers, State: OK, Message: "every resolver has it", Details: lines(r)}
	if without > 0 {
		s.State = Warning
		s.Message = fmt.Sprintf("%d of %d resolvers do not have it, although every name server has: they may have another view of the domain, or an older answer in a cache; if the CA uses such resolvers, its validation fails", without, with+without)
	}
	return s
}

// gone judges what name servers have after the record was deleted. before is how many
// values there were before it was written, -1 if that is not known.
func gone(r propagation.Report, before int) (s Step, over bool) {
	with, _ := having(r)
	left := values(r)
	s = Step{Name: StepGone, State: OK, Message: "no name server has it", Details: lines(r)}
	switch {
	case with > 0:
		s.State = Failed
		s.Message = fmt.Sprintf("%d of the servers still have it: the provider has not deleted it, or they are behind; delete %q at %s if it stays", with, r.Value, r.Final)
		return s, false
	case before > 0 && left >= 0 && left < before:
		s.State = Warning
		s.Message = fmt.Sprintf("no name server has it, but of %s at the name there is %d left: another program may have changed them at the same time", others(before), left)
	case before > 0:
		s.Message = fmt.Sprintf("no name server has it; %s at the name: kept", others(before))
	}
	if before > 0 || left == 0 {
		s.Details = nil
	}
	return s, true
}

func others(n int) string {
	if n == 1 {
		return "1 other value"
	}
	return fmt.Sprintf("%d other values", n)
}
