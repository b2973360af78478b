package propagation

import (
	"testing"
	"time"
)

// TestMissed holds that only a CA's own resolvers teach that they keep answers
// longer, not one zone that the CA sees otherwise than everleaf.
func TestMissed(t *testing.T) {
	const ca = "https://ca.example/directory"
	type found struct {
		name, zone, words string
		at                time.Duration
	}
	const www, mail = "_acme-challenge.www.example.com.", "_acme-challenge.mail.example.com."
	const incorrect, older, missing = `403: Incorrect TXT record "else" found`, `403: Incorrect TXT record "older" (and 1 more) found`, "400: NXDOMAIN looking up TXT"
	for name, test := range map[string]struct {
		missed []found
		// unprobed has the earlier value forgotten before.
		unprobed bool
		later    time.Duration
		want     bool
	}{
		"nothing":                                 {nil, false, 0, false},
		"an earlier value":                        {[]found{{www, "example.com.", older, 0}}, false, 0, true},
		"an earlier value that is removed":        {[]found{{www, "example.com.", older, 0}}, true, 0, true},
		"an earlier value of another name":        {[]found{{mail, "example.com.", older, 0}}, false, 0, false},
		"its own value":                           {[]found{{www, "example.com.", `403: Incorrect TXT record "v" found`, 0}}, false, 0, false},
		"a value of somebody else":                {[]found{{www, "example.com.", incorrect, 0}}, false, 0, false},
		"no such name":                            {[]found{{www, "example.com.", missing, 0}}, false, 0, false},
		"no such name, often":                     {[]found{{www, "example.com.", missing, 0}, {www, "example.com.", missing, time.Minute}}, false, time.Minute, false},
		"two names of one zone":                   {[]found{{www, "example.com.", missing, 0}, {mail, "example.com.", missing, time.Minute}}, false, time.Minute, false},
		"two zones":                               {[]found{{www, "example.com.", missing, 0}, {mail, "mail.example.com.", incorrect, time.Minute}}, false, time.Minute, true},
		"two names whose zones are not known":     {[]found{{www, "", missing, 0}, {mail, "", missing, time.Minute}}, false, time.Minute, true},
		"two zones, a day apart":                  {[]found{{www, "example.com.", missing, 0}, {mail, "mail.example.com.", missing, 25 * time.Hour}}, false, 25 * time.Hour, false},
		"an earlier value, a day ago":             {[]found{{www, "example.com.", older, 0}}, false, 24 * time.Hour, true},
		"an earlier value, more than a day ago":   {[]found{{www, "example.com.", older, 0}}, false, 24*time.Hour + time.Minute, false},
		"an earlier value, and again a day later": {[]found{{www, "example.com.", older, 0}, {www, "example.com.", missing, 23 * time.Hour}}, false, 25 * time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			var l Ledger
			for _, value := range []string{"older", "v"} {
				l.Observe(ca, Report{Name: www, Final: www, Value: value, Zone: "example.com."}, t0)
			}
			if test.unprobed {
				l.Forget(ca, www, "older")
			}
			for _, f := range test.missed {
				l.Observe(ca, Report{Name: f.name, Final: f.name, Value: "v", Zone: f.zone}, after(f.at))
				l.Missed(ca, f.name, "v", f.words, after(f.at))
			}
			r := report(has)
			if got := l.Observe(ca, r, after(test.later)).KeepsLonger; got != test.want {
				t.Errorf("keeps longer: %t", got)
			}
			if l.Observe("https://other.example", r, after(test.later)).KeepsLonger {
				t.Error("another CA has learned it too")
			}
		})
	}
}

// TestForgottenValue holds that a value that is no longer probed begins anew, and is
// dropped some time later.
func TestForgottenValue(t *testing.T) {
	const ca, fqdn = "https://ca.example/directory", "_acme-challenge.example.com."
	var l Ledger
	l.Observe(ca, Report{Name: fqdn, Final: fqdn, Value: "v"}, t0)
	l.Forget(ca, fqdn, "v")
	l.Accepted(ca, "_acme-challenge.other.example.", after(lookupMemory+time.Minute))
	if n := len(l.values); n != 0 {
		t.Errorf("%d values are kept", n)
	}
}
