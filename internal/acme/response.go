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

	"github.com/everleaf/everleaf/internal/foreign"
)

const (
	maxBody    = 1 << 20 // of the largest order and the longest chain, many times
	maxProblem = 64 << 10
	maxLinks   = 20
	maxURL     = 2048
)

// response is a complete response with a success status.
type response struct {
	url        *url.URL
	status     int
	header     http.Header
	body       []byte
	retryAfter time.Time
}

// readBody reads body. A body of more than limit bytes is an error.
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

// readProblem returns the Problem of a response with an error status. It reads
// problem documents only, and ignores any other body. Some servers send them as
// plain JSON: those count if they have one of ACME's error types.
func readProblem(u *url.URL, r *http.Response) *Problem {
	p := &Problem{}
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	isProblem := mediaType == "application/problem+json"
	if err == nil && (isProblem || mediaType == "application/json") {
		if data, err := readBody(u, r.Body, maxProblem); err == nil {
			_ = json.Unmarshal(data, p) // or it stays empty
		}
		if !isProblem && !strings.HasPrefix(p.Type, ErrorNamespace) {
			p = &Problem{}
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

// resource decodes a resource that must have a status, which is a field of v.
func (r *response) resource(v any, what string, status *string) error {
	if err := r.decode(v, what); err != nil {
		return err
	}
	if foreign.Word(*status, maxStatus) == "" {
		return &ServerError{Host: r.url.Host, What: "sent " + what + " without a status"}
	}
	return nil
}

// location returns the URL in the response's Location header, or "".
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

// links returns the targets of the Link header fields (RFC 8288) with the given
// relation: absolute URLs in the server's order, at most maxLinks.
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

// nextLink splits the first link-value from a Link field.
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
		break // RFC 8288 section 3.3: later rel parameters are ignored
	}
	return target, false, rest
}

// cutParams splits the parameters of one link-value, up to the comma that ends
// it. Commas and semicolons within quotes are part of a parameter.
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
