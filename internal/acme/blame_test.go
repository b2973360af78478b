package acme

import (
	"net/http"
	"strings"
	"testing"

	"github.com/everleaf/everleaf/internal/fault"
)

// TestLimitsAccount has the texts of Boulder's rate limits, and of others.
func TestLimitsAccount(t *testing.T) {
	names := []Identifier{{Type: "dns", Value: "*.www.Example.com"}, {Type: "ip", Value: "192.0.2.1"}}
	for detail, want := range map[string]bool{
		"too many new orders (300) from this account in the last 3h0m0s, retry after 2026-03-02 04:05:06 UTC":                                                             true,
		"too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s, retry after 2026-03-02 04:05:06 UTC: see https://ca.test/docs/": false,
		"too many certificates (50) already issued for \"example.com\" in the last 168h0m0s, retry after 2026-03-02 04:05:06 UTC":                                         false,
		"too many failed authorizations (5) for \"www.example.com\" in the last 1h0m0s, retry after 2026-03-02 04:05:06 UTC":                                              false,
		"too many certificates for 192.0.2.1":                false,
		"too many currently pending authorizations: 300":     true,
		"Rate limit for '/acme' reached":                     true,
		"too many certificates already issued for other.com": true,
		"": true,
	} {
		err := &Problem{Status: 429, Type: ErrorNamespace + TypeRateLimited, Detail: detail, action: actionNewOrder}
		if got := LimitsAccount(err, names); got != want {
			t.Errorf("%t: %s", got, detail)
		}
	}
	named := &Problem{Status: 429, Type: ErrorNamespace + TypeRateLimited, Subproblems: []Problem{{Identifier: &names[1]}}}
	if LimitsAccount(named, names) || LimitsAccount(&Problem{Status: 503}, names) || LimitsAccount(nil, names) {
		t.Error("the account is limited by what is no rate limit, or names a name")
	}
}

// TestUnauthorizedOrder holds that an order that is refused as unauthorized is
// blamed on the account only if the account is not valid.
func TestUnauthorizedOrder(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		body   string
		class  fault.Class
		of     bool
	}{
		"valid":                   {200, `{"status":"valid"}`, fault.Permanent, false},
		"deactivated":             {200, `{"status":"deactivated"}`, fault.User, true},
		"no longer there":         {400, `{"type":"` + ErrorNamespace + `accountDoesNotExist"}`, fault.User, true},
		"deactivated, and silent": {401, `{"type":"` + ErrorNamespace + `unauthorized"}`, fault.User, true},
		"not known":               {503, `{"type":"` + ErrorNamespace + `serverInternal"}`, fault.Transient, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			answer := func(status int, body string) http.HandlerFunc {
				return func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Replay-Nonce", s.nonce())
					sendProblem(w, status, body)
				}
			}
			s.handle("/new-order", answer(403, `{"type":"`+ErrorNamespace+`unauthorized","detail":"not permitted to order x.example"}`))
			s.handle("/acct/1", answer(test.status, test.body))
			_, err := s.client().NewOrder(t.Context(), OrderRequest{Identifiers: []Identifier{{Type: "dns", Value: "x.example"}}})
			f := Classify(err, epoch)
			if f.Class != test.class || IsAccountProblem(err) != test.of {
				t.Errorf("%v, of the account: %t: %v", f.Class, IsAccountProblem(err), err)
			}
			if ours := strings.Contains(err.Error(), "not permitted"); ours != (test.class != fault.Transient) {
				t.Errorf("the refusal is lost: %v", err)
			}
		})
	}
}

// TestGoneIsSaidByTheCA holds that neither a proxy nor another resource of the CA
// says that an order is gone.
func TestGoneIsSaidByTheCA(t *testing.T) {
	html := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(404)
	}
	document := func(w http.ResponseWriter, _ *http.Request) {
		sendProblem(w, 404, `{"type":"`+ErrorNamespace+`malformed","detail":"No such thing"}`)
	}
	for _, test := range []struct {
		name, path string
		answer     http.HandlerFunc
		proxy      bool
		want       bool
	}{
		{"the order", "/order/1", document, false, true},
		{"the order, without a document", "/order/1", html, false, true},
		{"a proxy", "/order/1", html, true, false},
		{"a nonce", "/nonce", document, false, false},
		{"a nonce, by a proxy", "/nonce", html, false, false},
		{"the directory", "/dir", document, false, false},
	} {
		s := newServer(t)
		s.handle(test.path, test.answer)
		if test.proxy {
			s.handle("/acct/1", test.answer)
		}
		_, err := s.client().Order(t.Context(), s.URL+"/order/1")
		if err == nil || IsGone(err) != test.want {
			t.Errorf("%s: gone is %t: %v", test.name, IsGone(err), err)
		}
	}
}

// TestProblemAsJSON holds that a problem document of the wrong media type counts
// if it has one of ACME's types.
func TestProblemAsJSON(t *testing.T) {
	s, rejected := newServer(t), 0
	s.handle("/order/1", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Replay-Nonce", s.nonce())
		if rejected++; rejected < 3 {
			sendJSON(w, 400, `{"type":"`+ErrorNamespace+`badNonce","detail":"x"}`)
			return
		}
		sendJSON(w, 400, `{"type":"`+ErrorNamespace+`rateLimited","detail":"slowly"}`)
	})
	_, err := s.client().Order(t.Context(), s.URL+"/order/1")
	if rejected != 3 || !IsRateLimited(err) {
		t.Errorf("after %d requests: %v", rejected, err)
	}
}

// TestPausedKeepsItsLink holds that the link with which a user has a CA issue
// again for names is whole, and no other text is longer for it.
func TestPausedKeepsItsLink(t *testing.T) {
	link := "https://portal.example/sfe/v1/unpause?jwt=eyJhbGciOiJIUzI1NiJ9." + strings.Repeat("eyJhdWQiOlsiU0ZFIFVucGF1c2UiXSwiZXhwIjoxNzM", 12) + ".Q2xpZW50U2VjcmV0U2lnbmF0dXJlMTIzNDU2Nzg5MDEy"
	s := newServer(t)
	kind := "rateLimited"
	s.handle("/new-order", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Replay-Nonce", s.nonce())
		sendProblem(w, 429, `{"type":"`+ErrorNamespace+kind+`","detail":"Your account is temporarily prevented from requesting certificates for a.example.com, b.example.com and possibly others. Please visit: `+link+`"}`)
	})
	_, err := s.client().NewOrder(t.Context(), OrderRequest{})
	if f := Classify(err, epoch); f.Class != fault.User || f.Reason != "Paused" || !strings.HasSuffix(f.Message, link) {
		t.Errorf("%v %s: %s", f.Class, f.Reason, f.Message)
	}
	kind = "malformed"
	if _, err = s.client().NewOrder(t.Context(), OrderRequest{}); len(ProblemOf(err).Detail) > maxDetail {
		t.Errorf("a detail of %d bytes", len(ProblemOf(err).Detail))
	}
}

// TestURLsThatAreTooLong holds that none reaches a status.
func TestURLsThatAreTooLong(t *testing.T) {
	long := "https://ca.example/" + strings.Repeat("a", maxURL)
	s := newServer(t)
	for _, body := range []string{
		`{"status":"pending","authorizations":["` + long + `"]}`, `{"status":"ready","finalize":"` + long + `"}`, `{"status":"valid","certificate":"` + long + `"}`,
	} {
		s.handle("/order/1", func(w http.ResponseWriter, _ *http.Request) { sendJSON(w, 200, body) })
		if _, err := s.client().Order(t.Context(), s.URL+"/order/1"); err == nil || !strings.HasSuffix(err.Error(), "named a URL that cannot be used") {
			t.Errorf("%.40s: %v", body, err)
		}
	}
	s.handle("/authz/1", func(w http.ResponseWriter, _ *http.Request) {
		sendJSON(w, 200, `{"status":"pending","challenges":[{"type":"dns-01","url":"`+long+`"},{"type":"dns-01","url":"https://ca.example/c"}]}`)
	})
	if a, err := s.client().Authorization(t.Context(), s.URL+"/authz/1"); err != nil || len(a.Challenges) != 1 {
		t.Errorf("%d challenges, %v", len(a.Challenges), err)
	}
}
