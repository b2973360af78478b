package pki

import (
	"strings"
	"testing"
	"time"
)

func utc(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t
}

func TestWithinWindows(t *testing.T) {
	brokers := Window{Cron: "0 4 * * 2", TimeZone: "America/Chicago", Length: 3 * time.Hour}
	at10, at15 := Window{Cron: "0 10 * * *", Length: 2 * time.Hour}, Window{Cron: "0 15 * * *", Length: time.Hour}
	for name, test := range map[string]struct {
		wanted  string
		windows []Window
		at, end string
	}{
		"none":                      {"2027-01-25T00:00:00Z", nil, "2027-01-25T00:00:00Z", ""},
		"the next one, a day later": {"2027-01-25T00:00:00Z", []Window{brokers}, "2027-01-26T10:00:00Z", "2027-01-26T13:00:00Z"},
		"inside":                    {"2027-01-26T12:59:00Z", []Window{brokers}, "2027-01-26T12:59:00Z", "2027-01-26T13:00:00Z"},
		"at its beginning":          {"2027-01-26T10:00:00Z", []Window{brokers}, "2027-01-26T10:00:00Z", "2027-01-26T13:00:00Z"},
		"at its end":                {"2027-01-26T13:00:00Z", []Window{brokers}, "2027-01-26T13:00:00Z", "2027-01-26T13:00:00Z"},
		"after its end":             {"2027-01-26T13:00:01Z", []Window{brokers}, "2027-02-02T10:00:00Z", "2027-02-02T13:00:00Z"},
		"in summer":                 {"2027-03-15T00:00:00Z", []Window{brokers}, "2027-03-16T09:00:00Z", "2027-03-16T12:00:00Z"},
		"zone in the expression":    {"2027-03-15T00:00:00Z", []Window{{Cron: "CRON_TZ=America/Chicago 0 4 * * 2", Length: time.Hour}}, "2027-03-16T09:00:00Z", "2027-03-16T10:00:00Z"},
		"of today":                  {"2027-01-25T10:30:00Z", []Window{at10}, "2027-01-25T10:30:00Z", "2027-01-25T12:00:00Z"},
		"of tomorrow":               {"2027-01-25T13:00:00Z", []Window{at10}, "2027-01-26T10:00:00Z", "2027-01-26T12:00:00Z"},
		"later today":               {"2027-01-25T09:00:00Z", []Window{at15}, "2027-01-25T15:00:00Z", "2027-01-25T16:00:00Z"},
		"the earlier of two":        {"2027-01-25T13:00:00Z", []Window{at10, at15}, "2027-01-25T15:00:00Z", "2027-01-25T16:00:00Z"},
		"inside the second":         {"2027-01-25T15:10:00Z", []Window{at10, at15}, "2027-01-25T15:10:00Z", "2027-01-25T16:00:00Z"},
		"inside two":                {"2027-01-25T11:00:00Z", []Window{at10, {Cron: "@hourly", Length: 4 * time.Hour}}, "2027-01-25T11:00:00Z", "2027-01-25T12:00:00Z"},
		"descriptor":                {"2027-01-25T13:00:00Z", []Window{{Cron: "@daily", Length: time.Hour}}, "2027-01-26T00:00:00Z", "2027-01-26T01:00:00Z"},
		"day of month or of week":   {"2027-01-25T13:00:00Z", []Window{{Cron: "0 0 1 * FRI", Length: time.Hour}}, "2027-01-29T00:00:00Z", "2027-01-29T01:00:00Z"},
		"every five hours":          {"2026-11-26T07:00:00Z", []Window{{Cron: "@every 5h", Length: time.Hour}}, "2026-11-26T09:00:00Z", "2026-11-26T10:00:00Z"},
		"every five hours, inside":  {"2026-11-26T04:30:00Z", []Window{{Cron: "@every 5h", Length: time.Hour}}, "2026-11-26T04:30:00Z", "2026-11-26T05:00:00Z"},
		"longer than its period":    {"2027-01-25T13:00:00Z", []Window{{Cron: "@hourly", Length: 200 * 24 * 365 * time.Hour}}, "2027-01-25T13:00:00Z", ""},
		"hour that is skipped":      {"2027-03-13T12:00:00Z", []Window{{Cron: "30 2 * * *", TimeZone: "America/Chicago", Length: time.Hour}}, "2027-03-15T07:30:00Z", "2027-03-15T08:30:00Z"},
		"29 February":               {"2026-12-01T00:00:00Z", []Window{{Cron: "0 0 29 2 *", Length: time.Hour}}, "2028-02-29T00:00:00Z", "2028-02-29T01:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			notBefore, notAfter := utc("2026-11-26T00:00:00Z"), utc("2029-11-26T00:00:00Z")
			at, end, err := WithinWindows(utc(test.wanted), notBefore, notAfter, test.windows)
			if err != nil || !at.Equal(utc(test.at)) || (test.end != "" && !end.Equal(utc(test.end))) || end.IsZero() != (test.windows == nil) {
				t.Errorf("got %s until %s, error %v; want %s until %s", at, end, err, test.at, test.end)
			}
		})
	}
}

// TestLeapCentury has a certificate that lives through the year 2100, in which
// February has 28 days.
func TestLeapCentury(t *testing.T) {
	leap := []Window{{Cron: "0 0 29 2 *", Length: time.Hour}}
	at, _, err := WithinWindows(utc("2096-03-01T00:00:00Z"), utc("2090-01-01T00:00:00Z"), utc("2110-01-01T00:00:00Z"), leap)
	if want := utc("2104-02-29T00:00:00Z"); err != nil || !at.Equal(want) {
		t.Errorf("got %s, %v, want %s", at, err, want)
	}
}

func TestWrongWindows(t *testing.T) {
	good := Window{Cron: "@daily", Length: time.Hour}
	for want, windows := range map[string][]Window{
		"windowDuration must be a positive duration in window 1: 0s":                                                                          {good, {Cron: "@daily"}},
		"windowDuration must be a positive duration in window 0: -1h0m0s":                                                                     {{Cron: "@daily", Length: -time.Hour}},
		`error parsing timezone in window 0: unknown time zone "Mars/Olympus"`:                                                                {{Cron: "@daily", TimeZone: "Mars/Olympus", Length: time.Hour}},
		`error parsing cron in window 0: failed to parse cron spec '0 4': expected exactly 5 fields, found 2: [0 4]`:                          {{Cron: "0 4", Length: time.Hour}},
		`error parsing cron in window 0: failed to parse cron spec 'TZ=': a zone without an expression`:                                       {{Cron: "TZ=", Length: time.Hour}},
		`error parsing cron in window 0: the expression has a time zone, and timezone is set too`:                                             {{Cron: "TZ=UTC @daily", TimeZone: "UTC", Length: time.Hour}},
		`cannot find a time with the given windows between 2026-11-26T00:00:00Z and 2027-02-24T00:00:00Z for: 2027-01-25T00:00:00Z`:           {{Cron: "0 0 30 2 *", Length: time.Hour}},
		`cannot find a time with the given windows between 2026-11-26T00:00:00Z and 2027-02-24T00:00:00Z for: 2027-01-25T00:00:00Z` + " ":     {{Cron: "0 0 24 2 *", Length: time.Hour}},
		`there are 101 windows, and at most 100 are possible`:                                                                                 make([]Window, 101),
		"error parsing cron in window 0: failed to parse cron spec '" + strings.Repeat("x", 100) + "': expected exactly 5 fields, found 1: [": {{Cron: strings.Repeat("x", 1000), Length: time.Hour}},
	} {
		wanted := utc("2027-01-25T00:00:00Z")
		at, _, err := WithinWindows(wanted, utc("2026-11-26T00:00:00Z"), utc("2027-02-24T00:00:00Z"), windows)
		if err == nil || !strings.HasPrefix(err.Error(), strings.TrimSpace(want)) || !at.IsZero() || len(err.Error()) > 500 {
			t.Errorf("got %s, %v, want %s", at, err, want)
		}
	}
}

// FuzzWindow holds that no window makes WithinWindows fail otherwise than by an error,
// and that it never puts a renewal forward, or off beyond the end of the certificate.
func FuzzWindow(f *testing.F) {
	for _, seed := range []Window{
		{"0 4 * * 2", "America/Chicago", 3 * time.Hour},
		{"CRON_TZ=UTC @daily", "", time.Hour},
		{"TZ=", "Local", time.Hour},
		{"TZ=Europe/Berlin ", "../etc/passwd", 1},
		{"@every 1ns", "\x00", 1 << 62},
		{"@every 2562047h", "", 1<<63 - 1},
		{"*/0 * * * *", "UTC", -1},
		{"0 0 30 2 *", "Pacific/Apia", time.Hour},
		{"? ?/7 L * 7", "", time.Hour},
		{"59 23 31 12 0-6/2,SUN", "Asia/Kathmandu", time.Minute},
	} {
		f.Add(seed.Cron, seed.TimeZone, int64(seed.Length), int64(90*24*3600), uint8(170))
	}
	f.Fuzz(func(t *testing.T, cron, zone string, length, life int64, part uint8) {
		life = life%(40*365*24*3600) + 1
		if life <= 0 {
			return
		}
		notBefore := utc("2026-11-26T00:00:00Z")
		notAfter := notBefore.Add(time.Duration(life) * time.Second)
		wanted := notBefore.Add(time.Duration(life*int64(part)/256) * time.Second)
		at, end, err := WithinWindows(wanted, notBefore, notAfter, []Window{{cron, zone, time.Duration(length)}})
		if err != nil {
			return
		}
		if at.Before(wanted) || !at.Before(notAfter) || end.Before(at) {
			t.Errorf("%q in %q for %s: from %s to %s, until %s, of a certificate until %s", cron, zone, time.Duration(length), wanted, at, end, notAfter)
		}
	})
}
