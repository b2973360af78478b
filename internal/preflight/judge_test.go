package preflight

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/everleaf/everleaf/internal/propagation"
)

func reportOf(answers ...propagation.Answer) propagation.Report {
	r := propagation.Report{Name: name, Final: name, Value: "v", Zone: "example.com."}
	for i, a := range answers {
		a.Server, a.Addr = "ns"+string(rune('1'+i))+".", netip.MustParseAddrPort("192.0.2.1:53")
		if a.Name == "" {
			a.Name = name
		}
		if a.Rcode == "" && a.Failure == propagation.NoFailure {
			a.Rcode, a.Authoritative = "NOERROR", true
		}
		r.Answers = append(r.Answers, a)
	}
	return r
}

var (
	has     = propagation.Answer{Has: true, Values: 1}
	lacks   = propagation.Answer{}
	other   = propagation.Answer{Values: 2}
	silent  = propagation.Answer{Failure: propagation.Timeout}
	refuses = propagation.Answer{Rcode: "REFUSED"}
	alias   = propagation.Answer{Target: "x.example.net."}
)

func TestLines(t *testing.T) {
	end := lacks
	end.Name = "x.example.net."
	got := lines(reportOf(has, lacks, other, silent, refuses, alias, end))
	want := []string{
		"ns1. (192.0.2.1:53) has it",
		"ns2. (192.0.2.1:53) has no TXT record there",
		"ns3. (192.0.2.1:53) has other values only",
		"ns4. (192.0.2.1:53) does not answer",
		"ns5. (192.0.2.1:53) answers REFUSED",
		"ns6. (192.0.2.1:53) has an alias of x.example.net. there",
		"ns7. (192.0.2.1:53) has no TXT record there (asked for x.example.net.)",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAliased(t *testing.T) {
	end := lacks
	end.Name = "x.example.net."
	written := end
	written.Has = true
	for name, test := range map[string]struct {
		answers []propagation.Answer
		want    bool
	}{
		"all":                     {[]propagation.Answer{alias, alias, end}, true},
		"one does not answer":     {[]propagation.Answer{alias, silent, end}, true},
		"one serves another zone": {[]propagation.Answer{alias, refuses, end}, true},
		"one has no alias":        {[]propagation.Answer{alias, lacks, end}, false},
		"one has the record":      {[]propagation.Answer{alias, has, end}, false},
		"written there":           {[]propagation.Answer{alias, written}, false},
		"nobody answers":          {[]propagation.Answer{silent}, false},
		"nothing is known":        {nil, false},
	} {
		r := reportOf(test.answers...)
		r.Final = "x.example.net."
		if got := aliased(r); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestAdvice(t *testing.T) {
	recursive := reportOf(lacks)
	recursive.Mode = propagation.RecursiveOnly
	for name, test := range map[string]struct {
		report propagation.Report
		zone   string
		want   string // begins so
	}{
		"nothing is known":  {propagation.Report{}, "example.com.", ""},
		"another zone":      {reportOf(lacks), "int.example.com.", "the provider writes into the zone int.example.com., but these are the name servers of example.com.: "},
		"resolvers":         {recursive, "example.com.", "these resolvers do not see the zone "},
		"all silent":        {reportOf(silent, silent), "example.com.", "port 53 may be closed from here: "},
		"absent everywhere": {reportOf(lacks, lacks), "example.com.", "no name server of example.com. has it: "},
		"one is lame":       {reportOf(has, refuses), "example.com.", "a server that answers without authority, "},
		"one is silent":     {reportOf(has, silent), "example.com.", "check the servers that do not answer, "},
		"one is behind":     {reportOf(has, lacks), "example.com.", "a secondary server is behind: "},
		"zone not known":    {reportOf(has, other), "", "a secondary server is behind: "},
	} {
		if got := advice(test.report, test.zone); !strings.HasPrefix(got, test.want) || (got == "") != (test.want == "") {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestGone(t *testing.T) {
	for name, test := range map[string]struct {
		report propagation.Report
		before int
		state  State
		want   string
		over   bool
	}{
		"gone":                {reportOf(lacks, lacks), 0, OK, "no name server has it", true},
		"not known before":    {reportOf(lacks), -1, OK, "no name server has it", true},
		"others kept":         {reportOf(other, other), 2, OK, "no name server has it; 2 other values at the name: kept", true},
		"more than before":    {reportOf(other), 1, OK, "no name server has it; 1 other value at the name: kept", true},
		"others lost":         {reportOf(other, lacks), 2, Warning, "no name server has it, but of 2 other values at the name there is 0 left: another program may have changed them at the same time", true},
		"others not known":    {reportOf(silent), 2, OK, "no name server has it; 2 other values at the name: kept", true},
		"one still has it":    {reportOf(has, lacks), 0, Failed, `1 of the servers still have it: the provider has not deleted it, or they are behind; delete "v" at ` + name + " if it stays", false},
		"an alias has others": {reportOf(alias, lacks), 0, OK, "no name server has it", true},
	} {
		step, over := gone(test.report, test.before)
		if step.State != test.state || step.Message != test.want || over != test.over {
			t.Errorf("%s: %s %q %t, want %s %q", name, step.State, step.Message, over, test.state, test.want)
		}
	}
}

func TestText(t *testing.T) {
	step := Step{Name: StepServers, State: Failed, Message: "not everywhere", Details: []string{"ns1. has it", "ns2. does not answer"}, Seconds: 60.006}
	want := "FAILED    60.01s  name servers  not everywhere\n" +
		"                                ns1. has it\n" +
		"                                ns2. does not answer\n"
	if diff := cmp.Diff(want, step.Text()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	r := Report{Issuer: `Issuer "a/b"`, Domain: "example.com", Steps: []Step{{Name: StepZone, State: OK}}}
	for _, test := range []struct {
		state State
		want  string
	}{
		{OK, `Issuer "a/b" can validate "example.com" by DNS-01.`},
		{Warning, `Issuer "a/b" can validate "example.com" by DNS-01, but see the warnings.`},
		{Failed, `Issuer "a/b" cannot validate "example.com" by DNS-01: the step "zone" failed.`},
	} {
		r.Steps[0].State = test.state
		if got := r.Conclusion(); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}
