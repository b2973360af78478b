package acme

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/everleaf/everleaf/internal/fault"
)

func TestRequests(t *testing.T) {
	s := newServer(t)
	orderBody := `{"status":"pending","expires":"2026-03-02T00:00:00Z","notAfter":"yesterday",
		"identifiers":[{"type":"dns","value":"a.example"}],"authorizations":["https://ca/authz"],"finalize":"https://ca/fin",
		"certificate":"https://ca/cert","profile":"p","replaces":"x.y","error":{"type":"urn:x","detail":"d"}}`
	for _, path := range []string{"/new-acct", "/new-order"} {
		s.handle(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Replay-Nonce", s.nonce())
			w.Header().Set("Location", path+"/7")
			w.Header().Set("Retry-After", "60")
			sendJSON(w, 201, orderBody)
		})
	}
	s.profiles = map[string]string{"p": ""}
	c := s.client()
	ctx := t.Context()

	order, err := c.NewOrder(ctx, OrderRequest{
		Identifiers: []Identifier{{IdentifierDNS, "a.example"}}, NotAfter: epoch.Add(time.Hour).In(time.FixedZone("", 3600)), Profile: "p", Replaces: "x.y",
	})
	want := Order{
		URL: s.URL + "/new-order/7", Status: StatusPending, Expires: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC),
		Identifiers:    []Identifier{{IdentifierDNS, "a.example"}},
		Authorizations: []string{"https://ca/authz"}, Finalize: "https://ca/fin", Certificate: "https://ca/cert",
		Error: &Problem{Type: "urn:x", Detail: "d"}, Profile: "p", Replaces: "x.y", RetryAfter: epoch.Add(time.Minute),
	}
	if diff := cmp.Diff(want, order, cmp.AllowUnexported(Problem{})); diff != "" || err != nil {
		t.Errorf("NewOrder: %v (-want +got):\n%s", err, diff)
	}
	calls := []func() error{
		func() error { _, err := c.Order(ctx, s.URL+"/order"); return err },
		func() error { _, err := c.Finalize(ctx, s.URL+"/fin", []byte{1, 2, 3}); return err },
		func() error { _, err := c.Authorization(ctx, s.URL+"/authz"); return err },
		func() error { _, err := c.Accept(ctx, s.URL+"/chall"); return err },
		func() error { _, err := c.Account(ctx); return err },
		func() error { _, err := c.UpdateContact(ctx, nil); return err },
		func() error {
			_, err := c.Register(ctx, AccountRequest{Contact: []string{"mailto:a@example.com"}, TermsAgreed: true, OnlyExisting: true})
			return err
		},
	}
	for i, call := range calls {
		if err := call(); err != nil {
			t.Errorf("call %d: %v", i, err)
		}
	}
	if got := c.AccountURL(); got != s.URL+"/new-acct/7" {
		t.Errorf("account URL %q", got)
	}
	got := append([]signed(nil), s.posts...)
	for i := range got {
		if want := fmt.Sprintf("nonce-%d", i+1); got[i].Nonce != want {
			t.Errorf("request %d has nonce %q, want %q", i, got[i].Nonce, want)
		}
		got[i].Nonce = ""
	}
	wantPosts := []signed{
		{Path: "/new-order", KeyID: "/acct/1", Payload: `{"identifiers":[{"type":"dns","value":"a.example"}],"notAfter":"2026-03-01T13:00:00Z","profile":"p","replaces":"x.y"}`},
		{Path: "/order", KeyID: "/acct/1"},
		{Path: "/fin", KeyID: "/acct/1", Payload: `{"csr":"AQID"}`},
		{Path: "/authz", KeyID: "/acct/1"},
		{Path: "/chall", KeyID: "/acct/1", Payload: `{}`},
		{Path: "/acct/1", KeyID: "/acct/1"},
		{Path: "/acct/1", KeyID: "/acct/1", Payload: `{"contact":[]}`},
		{Path: "/new-acct", Embedded: true, Payload: `{"contact":["mailto:a@example.com"],"termsOfServiceAgreed":true,"onlyReturnExisting":true}`},
	}
	if diff := cmp.Diff(wantPosts, got); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	if n := s.count("HEAD /nonce"); n != 1 {
		t.Errorf("%d nonces were fetched, want 1", n)
	}
}

func TestBadNonceIsRetried(t *testing.T) {
	for name, test := range map[string]struct {
		refusals  int
		withNonce bool
		heads     int
		fails     bool
	}{
		"once":                         {refusals: 1, withNonce: true, heads: 1},
		"five times":                   {refusals: 5, withNonce: true, heads: 1},
		"once, no fresh nonce with it": {refusals: 1, heads: 2},
		"without end":                  {refusals: 100, withNonce: true, heads: 1, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			left := test.refusals
			s.handle("/order", func(w http.ResponseWriter, _ *http.Request) {
				if left--; left >= 0 {
					if test.withNonce {
						w.Header().Set("Replay-Nonce", s.nonce())
					}
					sendProblem(w, 400, `{"type":"urn:ietf:params:acme:error:badNonce","detail":"`+canary+`"}`)
					return
				}
				sendJSON(w, 200, `{"status":"ready"}`)
			})
			order, err := s.client().Order(t.Context(), s.URL+"/order")
			if p := ProblemOf(err); test.fails != (p != nil && p.Has(TypeBadNonce)) {
				t.Errorf("error: %v", err)
			}
			if !test.fails && order.Status != StatusReady {
				t.Errorf("order: %+v", order)
			}
			if want := min(test.refusals, maxNonceRetries) + 1; len(s.posts) != want {
				t.Errorf("%d requests, want %d", len(s.posts), want)
			}
			seen := map[string]bool{}
			for _, p := range s.posts {
				if seen[p.Nonce] {
					t.Errorf("nonce %q was used again", p.Nonce)
				}
				seen[p.Nonce] = true
			}
			if n := s.count("HEAD /nonce"); n != test.heads {
				t.Errorf("%d nonces were fetched, want %d", n, test.heads)
			}
		})
	}
}

func TestNothingElseIsRetried(t *testing.T) {
	for _, status := range []int{400, 403, 404, 408, 429, 500, 502, 503, 504} {
		s := newServer(t)
		s.handle("/order", func(w http.ResponseWriter, _ *http.Request) { sendProblem(w, status, `{"type":"urn:x"}`) })
		_, err := s.client().Order(t.Context(), s.URL+"/order")
		if p := ProblemOf(err); p == nil || p.Status != status || len(s.posts) != 1 {
			t.Errorf("%d: %v after %d requests", status, err, len(s.posts))
		}
		if IsGone(err) != (status == 404) {
			t.Errorf("%d: gone is %v", status, IsGone(err))
		}
	}
}

func TestServerForgetsNonces(t *testing.T) {
	s := newServer(t)
	c := s.client()
	for range 5 {
		c.nonces.put(s.nonce(), s.clock.Now())
	}
	clear(s.nonces)
	s.clock.SetTime(epoch.Add(time.Second))
	for range 3 {
		if _, err := c.Order(t.Context(), s.URL+"/order"); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.posts) != 4 {
		t.Errorf("%d requests, want 4: one for a nonce that was forgotten", len(s.posts))
	}
	if n := len(c.nonces.nonces); n != 1 {
		t.Errorf("%d nonces are kept, want the last one only", n)
	}
}

func TestNoncePool(t *testing.T) {
	var p noncePool
	p.put("old", epoch)
	p.put("not a nonce", epoch)
	p.put("", epoch)
	p.put("new", epoch.Add(time.Second))
	if n, ok := p.take(epoch.Add(time.Second)); !ok || n.value != "new" {
		t.Errorf("took %v, want the newest", n)
	}
	if n, ok := p.take(epoch.Add(maxNonceAge + time.Second)); ok {
		t.Errorf("took %v, which is too old", n)
	}
	for i := range maxNonces + 10 {
		p.put(fmt.Sprint(i), epoch.Add(time.Duration(i)))
	}
	if len(p.nonces) != maxNonces {
		t.Errorf("%d nonces are kept", len(p.nonces))
	}
	p.drop(epoch.Add(maxNonces + 7))
	if len(p.nonces) != 2 {
		t.Errorf("%d nonces are newer than the refused one, want 2", len(p.nonces))
	}
}

func TestDirectoryIsCached(t *testing.T) {
	s := newServer(t)
	c := s.client()
	fetch := func(want int) {
		t.Helper()
		if _, err := c.Directory(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := s.count("GET /dir"); n != want {
			t.Fatalf("%d requests, want %d", n, want)
		}
	}
	fetch(1)
	s.clock.SetTime(epoch.Add(directoryAge))
	fetch(1)
	s.clock.SetTime(epoch.Add(directoryAge + time.Second))
	fetch(2)
	s.handle("/new-order", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) })
	if _, err := c.NewOrder(t.Context(), OrderRequest{}); err == nil || IsGone(err) {
		t.Fatalf("newOrder: %v", err)
	}
	fetch(3)
	d, _ := c.Directory(t.Context())
	if d.Meta.TermsOfService != "https://ca.example/terms" || d.NewOrder != s.URL+"/new-order" {
		t.Errorf("directory: %+v", d)
	}
}

func TestProfiles(t *testing.T) {
	s := newServer(t)
	c := s.client()
	s.handle("/new-order", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "/order/1")
		sendJSON(w, 201, `{"status":"pending"}`)
	})
	order := func(profile string) string {
		_, err := c.NewOrder(t.Context(), OrderRequest{Profile: profile})
		if err == nil {
			return ""
		}
		if f := Classify(err, epoch); f.Class != fault.Permanent || f.Reason != "InvalidProfile" {
			t.Errorf("%v %s", f.Class, f.Reason)
		}
		return err.Error()
	}
	if got := order("new"); got != "acme: certificate authority does not support profiles" {
		t.Error(got)
	}
	s.profiles = map[string]string{"other": "", "new": ""}
	s.clock.SetTime(epoch.Add(2 * time.Minute))
	if got := order("new"); got != "" {
		t.Error(got)
	}
	if got := order("nope"); got != "acme: certificate authority does not advertise a profile with name nope" {
		t.Error(got)
	}
	if n := s.count("GET /dir"); n != 2 {
		t.Errorf("%d directories were fetched, want 2", n)
	}
}

func TestObserve(t *testing.T) {
	s := newServer(t)
	type seen struct {
		Action, Method, Host, Scheme string
		Status                       int
	}
	var got []seen
	c := New(Config{
		DirectoryURL: s.URL + "/dir", Key: testKey, AccountURL: s.URL + "/acct/1", HTTPClient: s.Client(),
		Observe: func(action, method, host, scheme string, status int, d time.Duration) {
			if d < 0 {
				t.Errorf("it took %v", d)
			}
			got = append(got, seen{action, method, host, scheme, status})
		},
	})
	_, _ = c.Order(t.Context(), s.URL+"/order")
	s.Close()
	_, _ = c.Order(t.Context(), s.URL+"/order")
	host := strings.TrimPrefix(s.URL, "https://")
	want := []seen{
		{"discover", "GET", host, "https", 200},
		{"get_order", "HEAD", host, "https", 200},
		{"get_order", "POST", host, "https", 200},
		{"get_order", "POST", host, "https", 0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWaitForDirectoryEndsWithContext(t *testing.T) {
	s := newServer(t)
	entered, release := make(chan struct{}), make(chan struct{})
	s.handle("/dir", func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		s.sendDirectory(w)
	})
	c := s.client()
	first := make(chan error)
	go func() { _, err := c.Directory(t.Context()); first <- err }()
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.Directory(ctx)
	if !errors.Is(err, context.Canceled) || Classify(err, epoch).Class != fault.Transient {
		t.Errorf("the second caller: %v", err)
	}
	close(release)
	if err := <-first; err != nil {
		t.Errorf("the first caller: %v", err)
	}
}

func TestAuthorization(t *testing.T) {
	s := newServer(t)
	s.handle("/authz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3")
		sendJSON(w, 200, `{"status":"pending","expires":"2026-03-02T00:00:00Z","wildcard":true,"identifier":{"type":"dns","value":"a.example"},"challenges":[
			{"type":"dns-01","url":"https://ca/1","status":"invalid","token":"tok-EN_1","validated":"2026-03-01T00:00:00Z",
			 "error":{"type":"urn:ietf:params:acme:error:dns","detail":"NXDOMAIN","status":400}},
			{"type":"http-01","url":"https://ca/2","status":"pending","token":"../../evil"},
			{"type":"new\nline","url":"https://ca/3","status":"pen ding"}]}`)
	})
	got, err := s.client().Authorization(t.Context(), s.URL+"/authz")
	want := Authorization{
		URL: s.URL + "/authz", Status: StatusPending, Identifier: Identifier{IdentifierDNS, "a.example"}, Wildcard: true,
		Expires: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), RetryAfter: epoch.Add(3 * time.Second),
		Challenges: []Challenge{
			{
				Type: ChallengeDNS01, URL: "https://ca/1", Status: StatusInvalid, Token: "tok-EN_1", Validated: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
				Error: &Problem{Type: "urn:ietf:params:acme:error:dns", Detail: "NXDOMAIN", Status: 400},
			},
			{Type: ChallengeHTTP01, URL: "https://ca/2", Status: StatusPending},
			{URL: "https://ca/3"},
		},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Problem{})); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}
