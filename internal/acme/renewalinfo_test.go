package acme

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRenewalInfo(t *testing.T) {
	day := func(d int) time.Time { return time.Date(2026, 4, d, 0, 0, 0, 0, time.UTC) }
	const unreadable = "sent renewal information without a window that can be read"
	for name, test := range map[string]struct {
		body string
		want RenewalInfo
		// wrong is what the server did wrong.
		wrong string
	}{
		"all": {
			`{"suggestedWindow":{"start":"2026-04-01T02:00:00+02:00","end":"2026-04-03T00:00:00Z"},"explanationURL":"https://ca.example/why","x":"` + canary + `"}`,
			RenewalInfo{Start: day(1), End: day(3), ExplanationURL: "https://ca.example/why", RetryAfter: epoch.Add(time.Hour)},
			"",
		},
		"an end before the start": {
			`{"suggestedWindow":{"start":"2026-04-03T00:00:00Z","end":"2026-04-01T00:00:00Z"}}`,
			RenewalInfo{Start: day(3), End: day(1), RetryAfter: epoch.Add(time.Hour)},
			"",
		},
		"a page that is no URL": {
			`{"suggestedWindow":{"start":"2026-04-01T00:00:00Z","end":"2026-04-03T00:00:00Z"},"explanationURL":"javascript:` + canary + `"}`,
			RenewalInfo{Start: day(1), End: day(3), RetryAfter: epoch.Add(time.Hour)},
			"",
		},
		"no window":    {`{"x":"` + canary + `"}`, RenewalInfo{}, unreadable},
		"no end":       {`{"suggestedWindow":{"start":"2026-04-03T00:00:00Z"}}`, RenewalInfo{}, unreadable},
		"no time":      {`{"suggestedWindow":{"start":"` + canary + `","end":"2026-04-01T00:00:00Z"}}`, RenewalInfo{}, unreadable},
		"the far past": {`{"suggestedWindow":{"start":"0000-01-01T00:00:00Z","end":"2026-04-01T00:00:00Z"}}`, RenewalInfo{}, unreadable},
		// In UTC it is the year 10000, which JSON cannot have.
		"the far future": {`{"suggestedWindow":{"start":"2026-04-03T00:00:00Z","end":"9999-12-31T23:59:59-23:00"}}`, RenewalInfo{}, unreadable},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			s.handle("/renewal-info/a.b", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", "3600")
				sendJSON(w, 200, test.body)
			})
			c := s.client()
			c.setAccountURL("") // none is needed
			got, err := c.RenewalInfo(t.Context(), "a.b")
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			var server *ServerError
			if (test.wrong != "") != errors.As(err, &server) || server != nil && server.What != test.wrong || err != nil && strings.Contains(err.Error(), canary) {
				t.Errorf("error %v", err)
			}
			if s.count("GET /renewal-info/a.b") != 1 || len(s.posts) != 0 {
				t.Errorf("requests: %v", s.requests)
			}
		})
	}
}

func TestRenewalInfoThatIsNotThere(t *testing.T) {
	s := newServer(t)
	s.noRenewalInfo = true
	if _, err := s.client().RenewalInfo(t.Context(), "a.b"); !errors.Is(err, ErrNoRenewalInfo) {
		t.Errorf("a server without renewal information: %v", err)
	}
	s.noRenewalInfo = false
	s.handle("/renewal-info/a.b", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "60")
		sendProblem(w, 404, `{"type":"`+ErrorNamespace+TypeMalformed+`","detail":"not found"}`)
	})
	_, err := s.client().RenewalInfo(t.Context(), "a.b")
	p := ProblemOf(err)
	if p == nil || !p.RetryAfter.Equal(epoch.Add(time.Minute)) {
		t.Errorf("an unknown certificate: %v", err)
	}
}

// TestReplaces holds that an order is repeated once without the certificate that it
// replaces, if that may be why it was refused.
func TestReplaces(t *testing.T) {
	const with, without = `{"identifiers":null,"replaces":"a.b"}`, `{"identifiers":null}`
	const unknown = "path contained an Authority Key Identifier that did not match a known issuer"
	for name, test := range map[string]struct {
		noRenewalInfo bool
		replaces      string
		status        int
		problem       string
		detail        string
		want          []string
		fails         bool
	}{
		"accepted":                       {replaces: "a.b", want: []string{with}},
		"already replaced":               {replaces: "a.b", status: 409, problem: TypeAlreadyReplaced, want: []string{with, without}},
		"of another CA":                  {replaces: "a.b", status: 404, problem: TypeMalformed, detail: unknown, want: []string{with, without}},
		"conflict":                       {replaces: "a.b", status: 409, problem: TypeConflict, want: []string{with, without}},
		"rate limited":                   {replaces: "a.b", status: 429, problem: TypeRateLimited, want: []string{with}, fails: true},
		"rejected":                       {replaces: "a.b", status: 400, problem: TypeRejectedIdentifier, want: []string{with}, fails: true},
		"malformed, replaces nothing":    {status: 400, problem: TypeMalformed, want: []string{without}, fails: true},
		"a server without information":   {noRenewalInfo: true, replaces: "a.b", want: []string{without}},
		"the same, and refused for more": {noRenewalInfo: true, replaces: "a.b", status: 400, problem: TypeMalformed, want: []string{without}, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			s.noRenewalInfo = test.noRenewalInfo
			refused := false
			s.handle("/new-order", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Replay-Nonce", s.nonce())
				if test.problem != "" && !refused {
					refused = true
					sendProblem(w, test.status, `{"type":"`+ErrorNamespace+test.problem+`","detail":"`+test.detail+`"}`)
					return
				}
				w.Header().Set("Location", "/order/7")
				sendJSON(w, 201, `{"status":"pending"}`)
			})
			_, err := s.client().NewOrder(t.Context(), OrderRequest{Replaces: test.replaces})
			if (err != nil) != test.fails {
				t.Errorf("error %v", err)
			}
			var got []string
			for _, p := range s.posts {
				got = append(got, p.Payload)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
