package vendorapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/everleaf/everleaf/internal/fault"
)

var now = time.Date(2026, 11, 26, 10, 0, 0, 0, time.UTC)

func TestFault(t *testing.T) {
	later := http.Header{"Retry-After": {"120"}}
	for name, test := range map[string]struct {
		failure Failure
		want    *fault.Error
	}{
		"unauthorized": {
			Failure{Status: 401, Code: "10000", Text: "Authentication error", Advice: "check the token"},
			fault.New(fault.User, "Unauthorized", "the API answered HTTP 401 (10000: Authentication error) to asking; check the token"),
		},
		"forbidden, no advice": {Failure{Status: 403}, fault.New(fault.User, "Forbidden", "the API answered HTTP 403 to asking")},
		"not found":            {Failure{Status: 404, Code: "NoZone"}, fault.New(fault.User, "RequestRefused", "the API answered HTTP 404 (NoZone) to asking")},
		"redirect":             {Failure{Status: 302}, fault.New(fault.User, "RequestRefused", "the API answered HTTP 302 to asking")},
		"rate limit":           {Failure{Status: 429, Header: later}, fault.Until(now.Add(2*time.Minute), "RateLimited", "the API answered HTTP 429 to asking")},
		"rate limit, no time":  {Failure{Status: 429}, fault.Until(now.Add(time.Minute), "RateLimited", "the API answered HTTP 429 to asking")},
		"server error":         {Failure{Status: 500, Text: "oops"}, fault.New(fault.Transient, "ServerError", "the API answered HTTP 500 (oops) to asking")},
		"unavailable":          {Failure{Status: 503, Header: later}, fault.Until(now.Add(2*time.Minute), "ServerError", "the API answered HTTP 503 to asking")},
		"unreadable":           {Failure{Status: 200}, fault.New(fault.Transient, "UnexpectedAnswer", "the API sent an answer that it does not document to asking")},
		"ids in the text": {
			Failure{Status: 400, Text: "request\n1b4e28ba-2fa1-11d2-883f-0016d3cca427 at 2026-03-02T04:05:06Z failed"},
			fault.New(fault.User, "RequestRefused", "the API answered HTTP 400 (request <id> at <time> failed) to asking"),
		},
		"no answer in time": {Failure{Err: context.DeadlineExceeded}, fault.New(fault.Transient, "ServerUnreachable", "cannot reach the API for asking: no answer in time")},
		"too long":          {Failure{Err: errTooLong}, fault.New(fault.Transient, "UnexpectedAnswer", "the API sent an answer of more than 4 MiB to asking")},
	} {
		t.Run(name, func(t *testing.T) {
			test.failure.Vendor, test.failure.Doing = "the API", "asking"
			if diff := cmp.Diff(test.want, test.failure.Fault(now), cmpopts.IgnoreFields(fault.Error{}, "Err")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestClient(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/long":
			_, _ = io.CopyN(w, strings.NewReader(strings.Repeat("x", maxAnswer+1)), maxAnswer+1)
		case "/longest":
			_, _ = io.CopyN(w, strings.NewReader(strings.Repeat("x", maxAnswer)), maxAnswer)
		default:
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}
	}))
	defer s.Close()
	c := Client(NewTransport())
	get := func(path string) (int, int, error) {
		answer, err := c.Get(s.URL + path)
		if err != nil {
			return 0, 0, err
		}
		defer func() { _ = answer.Body.Close() }()
		body, err := io.ReadAll(answer.Body)
		return answer.StatusCode, len(body), err
	}
	if _, _, err := get("/long"); !errors.Is(err, errTooLong) {
		t.Errorf("an answer that is too long: %v", err)
	}
	if _, n, err := get("/longest"); n != maxAnswer || err != nil {
		t.Errorf("the longest answer: %d bytes, %v", n, err)
	}
	if status, _, err := get("/"); status != http.StatusFound || err != nil {
		t.Errorf("a redirect: %d, %v", status, err)
	}
}
