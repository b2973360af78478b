package acme

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// MaxRetryAfter is the longest wait that a server may ask for; more is cut
	// to it.
	MaxRetryAfter = 7 * 24 * time.Hour

	maxBody    = 1 << 20 // of the largest order and the longest chain, many times
	maxProblem = 64 << 10
	maxLinks   = 20
	maxURL     = 2048
)

// response is an answer with a success status, read to its end.
type response struct {
	url        *url.URL
	status     int
	header     http.Header
	body       []byte
	retryAfter time.Time
}

// readBody returns at most limit bytes; more is an error.
func readBody(u *url.URL, body io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return nil, networkError(u, err)
	}
	if int64(len(data)) > limit {
		return nil, &ServerError{Host: u.Host, What: "sent an answer of more than " + strconv.FormatInt(limit>>10, 10) + " KiB"}
	}
	return data, nil
}

// readProblem turns an answer with an error status into a Problem. Only a
// problem document may speak; of any other body nothing is kept.
func readProblem(u *url.URL, r *http.Response) *Problem {
	p := &Problem{}
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err == nil && mediaType == "application/problem+json" {
		if data, err := readBody(u, r.Body, maxProblem); err == nil {
			_ = json.Unmarshal(data, p) // or it stays empty
		}
	}
	p.Status = r.StatusCode
	return p
}

// decode reads a JSON resource into v.
func (r *response) decode(v any, what string) error {
	if err := json.Unmarshal(r.body, v); err != nil {
		return &ServerError{Host: r.url.Host, What: "did not answer with " + what + " in JSON"}
	}
	return nil
}

// location is the URL of the resource that the answer is about, or empty.
func (r *response) location() string {
	loc := r.header.Get("Location")
	if loc == "" || len(loc) > maxURL {
		return ""
	}
	u, err := r.url.Parse(loc)
	if err != nil {
		return ""
	}
	return u.String()
}

// retryAfter reads Retry-After (RFC 9110 section 10.2.3), seconds or a date,
// as a time on the clock that shows now. A date counts from the answer's own
// Date, so that neither side's clock needs to be right. It is never before now
// nor after now plus MaxRetryAfter; without the header, or with one that makes
// no sense, it is zero.
func retryAfter(h http.Header, now time.Time) time.Time {
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

// links returns the targets of the Link header fields (RFC 8288) with a
// relation, absolute, in the server's order, at most maxLinks.
func (r *response) links(relation string) []string {
	var found []string
	for _, field := range r.header.Values("Link") {
		for field != "" && len(found) < maxLinks {
			var target string
			var match bool
			target, match, field = nextLink(field, relation)
			if !match || len(target) > maxURL {
				continue
			}
			if u, err := r.url.Parse(target); err == nil {
				found = append(found, u.String())
			}
		}
	}
	return found
}

// nextLink takes the first link-value off a Link field.
func nextLink(field, relation string) (target string, match bool, rest string) {
	_, field, ok := strings.Cut(field, "<")
	if !ok {
		return "", false, ""
	}
	target, field, ok = strings.Cut(field, ">")
	if !ok {
		return "", false, ""
	}
	params, rest := cutParams(field)
	for _, param := range params {
		name, value, _ := strings.Cut(param, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "rel") {
			continue
		}
		for word := range strings.FieldsSeq(strings.Trim(strings.TrimSpace(value), `"`)) {
			if strings.EqualFold(word, relation) {
				return target, true, rest
			}
		}
		break // RFC 8288: only the first rel counts
	}
	return target, false, rest
}

// cutParams splits the parameters of one link-value, up to the comma that ends
// it; commas and semicolons within quotes do not count.
func cutParams(s string) (params []string, rest string) {
	start, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == ';' && !quoted:
			params = append(params, s[start:i])
			start = i + 1
		case c == ',' && !quoted:
			return append(params, s[start:i]), s[i+1:]
		}
	}
	return append(params, s[start:]), ""
}
