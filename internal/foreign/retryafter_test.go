package foreign

import (
	"net/http"
	"testing"
	"time"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func TestRetryAfter(t *testing.T) {
	const day = 24 * time.Hour
	// The server's clock is a year behind.
	server := epoch.AddDate(-1, 0, 0)
	for name, test := range map[string]struct {
		value, date string
		want        time.Duration // -1 for none
	}{
		"none":                     {want: -1},
		"seconds":                  {value: "120", want: 2 * time.Minute},
		"seconds, spaces":          {value: " 120 ", want: 2 * time.Minute},
		"zero":                     {value: "0", want: 0},
		"negative":                 {value: "-5", want: 0},
		"absurd":                   {value: "99999999", want: 7 * day},
		"beyond 64 bits":           {value: "99999999999999999999999", want: 7 * day},
		"date, skewed server":      {value: server.Add(time.Hour).Format(http.TimeFormat), date: server.Format(http.TimeFormat), want: time.Hour},
		"date, no Date":            {value: epoch.Add(time.Hour).Format(http.TimeFormat), want: time.Hour},
		"date, unreadable Date":    {value: epoch.Add(time.Hour).Format(http.TimeFormat), date: "today", want: time.Hour},
		"date that has passed":     {value: server.Add(-time.Hour).Format(http.TimeFormat), date: server.Format(http.TimeFormat), want: 0},
		"date that is absurd":      {value: server.AddDate(100, 0, 0).Format(http.TimeFormat), date: server.Format(http.TimeFormat), want: 7 * day},
		"date in RFC 850 format":   {value: server.Add(time.Hour).Format(time.RFC850), date: server.Format(http.TimeFormat), want: time.Hour},
		"neither date nor seconds": {value: "soon", want: -1},
		"fraction":                 {value: "1.5", want: -1},
	} {
		t.Run(name, func(t *testing.T) {
			h := http.Header{}
			if test.value != "" {
				h.Set("Retry-After", test.value)
			}
			if test.date != "" {
				h.Set("Date", test.date)
			}
			var want time.Time
			if test.want >= 0 {
				want = epoch.Add(test.want)
			}
			if got := RetryAfter(h, epoch); !got.Equal(want) {
				t.Errorf("%v, want %v", got, want)
			}
		})
	}
}
