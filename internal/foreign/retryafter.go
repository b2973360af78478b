package foreign

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// MaxRetryAfter is the longest wait that a server may request; longer waits are
// cut to it.
const MaxRetryAfter = 7 * 24 * time.Hour

// RetryAfter returns the time of Retry-After (seconds or a date; RFC 9110
// section 10.2.3) on the client's clock. A date counts relative to the
// response's Date, so that neither clock has to be right. The result is between
// now and now plus MaxRetryAfter. It is zero if the header is missing or
// malformed.
func RetryAfter(h http.Header, now time.Time) time.Time {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if value == "" {
		return time.Time{}
	}
	var wait time.Duration
	if isDigits(value) {
		wait = MaxRetryAfter
		if n, err := strconv.ParseInt(value, 10, 64); err == nil && n < int64(MaxRetryAfter/time.Second) {
			wait = time.Duration(n) * time.Second
		}
	} else if n, err := strconv.ParseInt(value, 10, 64); err == nil && n < 0 {
		wait = 0
	} else {
		at, err := http.ParseTime(value)
		if err != nil {
			return time.Time{}
		}
		from, err := http.ParseTime(h.Get("Date"))
		if err != nil {
			from = now
		}
		wait = at.Sub(from)
	}
	return now.Add(min(max(wait, 0), MaxRetryAfter))
}

func isDigits(s string) bool {
	return strings.Trim(s, "0123456789") == ""
}
