package pki

import (
	"fmt"
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

// TestRareWindows bounds the searches of windows that begin rarely or never, however
// long the certificate lives.
func TestRareWindows(t *testing.T) {
	notBefore := utc("2026-01-01T00:00:00Z")
	notAfter := notBefore.AddDate(290, 0, 0)
	for _, test := range []struct {
		cron, zone string
		first      string
		searches   int
	}{
		{"0 0 31 2,4,6,9,11 *", "America/New_York", "", 0},
		{"0 0 30 2 *", "America/New_York", "", 0},
		{"0 0 29 2 *", "", "2028-02-29T00:00:00Z", 1},
		// The hour is skipped in that year.
		{"30 2 14 3 *", "America/New_York", "2028-03-14T06:30:00Z", 2},
		{"0 0 1 1 *", "Pacific/Apia", "2027-12-31T11:00:00Z", 1},
		{"0 0 * * *", "America/Havana", "2027-01-02T05:00:00Z", 2},
	} {
		left := maxSearches
		r, err := Window{test.cron, test.zone, time.Hour}.parse(0, notBefore)
		if err != nil {
			t.Fatal(err)
		}
		start := r.startFrom(utc("2027-01-01T11:00:00Z"), notAfter, &left)
		if first := start.UTC().Format(time.RFC3339); (test.first != "" || !start.IsZero()) && first != test.first || maxSearches-left != test.searches {
			t.Errorf("%s: %s after %d searches, want %s after %d", test.cron, first, maxSearches-left, test.first, test.searches)
		}
	}
}

// rarest are windows whose search costs most.
func rarest(cron string) []Window {
	windows := make([]Window, maxWindows)
	for i := range windows {
		windows[i] = Window{Cron: fmt.Sprintf(cron, i%60), TimeZone: "America/New_York", Length: time.Hour}
	}
	return windows
}

func BenchmarkWindows(b *testing.B) {
	notBefore := utc("2026-01-01T00:00:00Z")
	for _, cron := range []string{"%d 0 31 2,4,6,9,11 *", "%d 2 14 3 *", "%d 0 29 2 *"} {
		windows := rarest(cron)
		b.Run(cron, func(b *testing.B) {
			for b.Loop() {
				_, _, _ = WithinWindows(notBefore.AddDate(1, 0, 0), notBefore, notBefore.AddDate(290, 0, 0), windows)
			}
		})
	}
}

// TestSameAsParser compares with the parser's own search, in zones whose days do not begin
// in a way that makes it skip one.
func TestSameAsParser(t *testing.T) {
	before := utc("2060-01-01T00:00:00Z")
	for _, zone := range []string{"", "America/New_York", "America/Havana", "Pacific/Apia"} {
		for _, cron := range []string{"0 0 * * *", "30 2 * * *", "30 1 * * 0", "15 */6 1,15 * *", "59 23 31 12 *", "0 0 1 * FRI", "*/20 1 */3 3,10,11 */2", "0 0 29 2 *", "45 0-3 * 3,4 0,1"} {
			r, err := Window{cron, zone, time.Hour}.parse(0, before)
			if err != nil {
				t.Fatal(err)
			}
			for from := utc("2026-11-26T00:00:00Z"); from.Before(utc("2029-01-01T00:00:00Z")); from = from.Add(7*time.Hour + 13*time.Minute + time.Nanosecond) {
				left := maxSearches
				got, want := r.startFrom(from, before, &left), r.schedule.Next(from.Add(-1))
				if !got.Equal(want) {
					t.Fatalf("%s in %q from %s: %s, the parser finds %s", cron, zone, from, got, want)
				}
			}
		}
	}
}
