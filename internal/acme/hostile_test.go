package acme

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/everleaf/everleaf/internal/fault"
)

// TestEndlessBody has a server whose response never ends.
func TestEndlessBody(t *testing.T) {
	s := newServer(t)
	sent := make(chan int, 1)
	for _, contentType := range []string{"application/json", "application/problem+json", "text/html"} {
		s.handle("/order", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			if contentType != "application/json" {
				w.WriteHeader(500)
			}
			n, chunk := 0, []byte(strings.Repeat(" ", 64<<10))
			for n < 64<<20 {
				if _, err := w.Write(chunk); err != nil {
					break
				}
				n += len(chunk)
			}
			sent <- n
		})
		if _, err := s.client().Order(t.Context(), s.URL+"/order"); err == nil {
			t.Error("no error")
		}
		if n := <-sent; n > 32<<20 {
			t.Errorf("%s: %d bytes were sent", contentType, n)
		}
	}
}

// TestHostileAnswers covers what a server or a proxy may send instead of ACME. No
// error text may contain any of it.
func TestHostileAnswers(t *testing.T) {
	const orderPath = "/order/" + canary
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"HTML error": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(502)
			_, _ = io.WriteString(w, "<html>"+canary)
		}, "502 Bad Gateway"},
		"problem in another type": {func(w http.ResponseWriter, _ *http.Request) {
			sendJSON(w, 403, `{"type":"urn:x","detail":"`+canary+`"}`)
		}, "403 Forbidden"},
		"unknown status": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(599) }, "599 unspecified error"},
		"problem that is HTML": {func(w http.ResponseWriter, _ *http.Request) {
			sendProblem(w, 500, "<html>"+canary)
		}, "500 Internal Server Error"},
		"problem that is an array": {func(w http.ResponseWriter, _ *http.Request) {
			sendProblem(w, 500, `["`+canary+`"]`)
		}, "500 Internal Server Error"},
		"problem too long": {func(w http.ResponseWriter, _ *http.Request) {
			sendProblem(w, 400, `{"detail":"`+strings.Repeat(canary, maxProblem/8)+`"}`)
		}, "400 Bad Request"},
		"HTML success": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<html>"+canary)
		}, "the ACME server HOST did not answer with an order in JSON"},
		"truncated JSON": {func(w http.ResponseWriter, _ *http.Request) {
			sendJSON(w, 200, `{"status":"`+canary)
		}, "the ACME server HOST did not answer with an order in JSON"},
		"connection cut": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			sendJSON(w, 200, `{"status":"`+canary)
		}, "cannot reach the ACME server HOST: the connection was closed"},
		"wrong member": {func(w http.ResponseWriter, _ *http.Request) {
			sendJSON(w, 200, `{"status":["`+canary+`"]}`)
		}, "the ACME server HOST did not answer with an order in JSON"},
		"wrong status": {func(w http.ResponseWriter, _ *http.Request) {
			sendJSON(w, 200, `{"status":"`+strings.Repeat(canary, 10)+`"}`)
		}, "the ACME server HOST sent an order without a status"},
		"null":      {func(w http.ResponseWriter, _ *http.Request) { sendJSON(w, 200, `null`) }, "the ACME server HOST sent an order without a status"},
		"no status": {func(w http.ResponseWriter, _ *http.Request) { sendJSON(w, 200, `{}`) }, "the ACME server HOST sent an order without a status"},
		"too long": {func(w http.ResponseWriter, _ *http.Request) {
			sendJSON(w, 200, `{"status":"valid","x":"`+strings.Repeat(canary, maxBody/8)+`"}`)
		}, "the ACME server HOST sent an answer of more than 1024 KiB"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere?"+canary, http.StatusTemporaryRedirect)
		}, "the ACME server HOST answers with a redirect where ACME allows none"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			s.handle(orderPath, test.answer)
			_, err := s.client().Order(t.Context(), s.URL+orderPath)
			if err == nil {
				t.Fatal("no error")
			}
			host := strings.TrimPrefix(s.URL, "https://")
			if got := strings.ReplaceAll(err.Error(), host, "HOST"); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			f := Classify(err, epoch)
			if f.Class != fault.Transient || f.Message != err.Error() {
				t.Errorf("class %v, message %q", f.Class, f.Message)
			}
			for e := error(f); e != nil; e = errors.Unwrap(e) {
				if text := fmt.Sprintf("%v %+v %#v", e, e, e); strings.Contains(text, canary) {
					t.Errorf("the canary is in %s", text)
				}
			}
			if n := s.count("POST /elsewhere"); n != 0 {
				t.Error("the redirect was followed")
			}
		})
	}
}

func TestMissingLocation(t *testing.T) {
	s := newServer(t)
	c := s.client()
	if _, err := c.NewOrder(t.Context(), OrderRequest{}); err == nil || !strings.HasSuffix(err.Error(), "named no URL for the order") {
		t.Error(err)
	}
	if _, err := c.Register(t.Context(), AccountRequest{}); err == nil || !strings.HasSuffix(err.Error(), "named no URL for the account") {
		t.Error(err)
	}
	if c.AccountURL() != s.URL+"/acct/1" {
		t.Errorf("the account is now %q", c.AccountURL())
	}
}

func TestURLsAreChecked(t *testing.T) {
	s := newServer(t)
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request without TLS") }))
	defer plain.Close()
	c := s.client()
	for _, u := range []string{plain.URL, "", "/order/1", "https://", "ftp://ca.example/", "https://user@ca.example/", "https://ca.example/" + strings.Repeat("a", maxURL), "https://\x00"} {
		if _, err := c.Order(t.Context(), u); err == nil || !strings.HasSuffix(err.Error(), "named a URL that cannot be used") {
			t.Errorf("%.50q: %v", u, err)
		}
	}
	if len(s.posts) != 0 {
		t.Errorf("%d requests", len(s.posts))
	}
	for _, u := range []string{"", "ca.example", "ldap://ca.example", "https:///dir"} {
		_, err := New(Config{DirectoryURL: u, Key: testKey}).Directory(t.Context())
		if f := Classify(err, epoch); f == nil || f.Class != fault.User || f.Reason != "InvalidURL" {
			t.Errorf("directory %q: %v", u, err)
		}
	}
}

func TestDirectoryRedirects(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { t.Error("a request without TLS") }))
	defer plain.Close()
	s := newServer(t)
	for path, target := range map[string]string{"/good": "/dir", "/down": plain.URL + "/dir", "/loop": "/loop"} {
		s.handle(path, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, target, http.StatusMovedPermanently) })
	}
	for path, want := range map[string]bool{"/good": true, "/down": false, "/loop": false} {
		_, err := New(Config{DirectoryURL: s.URL + path, HTTPClient: s.Client()}).Directory(t.Context())
		if (err == nil) != want {
			t.Errorf("%s: %v", path, err)
		}
		var server *ServerError
		if !want && !errors.As(err, &server) {
			t.Errorf("%s: %T %v", path, err, err)
		}
	}
}

func TestDirectoryIsChecked(t *testing.T) {
	for body, want := range map[string]string{
		`{}`: "has a directory without a usable newNonce URL",
		`{"newNonce":"https://ca/n","newAccount":"http://ca/a","newOrder":"https://ca/o"}`: "has a directory without a usable newAccount URL",
		`{"newNonce":"https://ca/n","newAccount":"https://ca/a","newOrder":7}`:             "did not answer with a directory in JSON",
	} {
		s := newServer(t)
		s.handle("/dir", func(w http.ResponseWriter, _ *http.Request) { sendJSON(w, 200, body) })
		_, err := s.client().Directory(t.Context())
		if want += " at " + s.URL + "/dir: check spec.acme.server"; err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestNonceMissing(t *testing.T) {
	s := newServer(t)
	s.handle("/nonce", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Replay-Nonce", "not a nonce") })
	if _, err := s.client().Account(t.Context()); err == nil || !strings.HasSuffix(err.Error(), "gave no nonce") {
		t.Error(err)
	}
	s.handle("/nonce", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "120")
		w.WriteHeader(503)
	})
	_, err := s.client().Account(t.Context())
	if f := Classify(err, epoch); f.Class != fault.Later || !f.At.Equal(epoch.Add(2*time.Minute)) || f.Message != "503 Service Unavailable" {
		t.Errorf("%v until %v: %v", f.Class, f.At, f)
	}
}

// TestURLIsNoDirectory holds that an answer which shows that the URL is wrong is
// reported with the URL, without its secrets, and that another one is not.
func TestURLIsNoDirectory(t *testing.T) {
	const https = "; the server may want https"
	for _, test := range []struct {
		name   string
		plain  bool
		status int
		header string
		body   string
		want   string
		class  fault.Class
	}{
		{"wrong path", false, 404, "", "no " + canary, "URL is not an ACME directory (404 Not Found): check spec.acme.server", fault.Transient},
		{"wrong path, in words of ACME", false, 404, "", `{"type":"urn:ietf:params:acme:error:malformed","detail":"no such page"}`, "URL is not an ACME directory (404 urn:ietf:params:acme:error:malformed: no such page): check spec.acme.server", fault.Permanent},
		{"wrong scheme", true, 400, "", "http", "URL is not an ACME directory (400 Bad Request): check spec.acme.server" + https, fault.Transient},
		{"bad request over TLS", false, 400, "", "", "URL is not an ACME directory (400 Bad Request): check spec.acme.server", fault.Transient},
		{"down", false, 503, "", "", "503 Service Unavailable", fault.Transient},
		{"slow", false, 408, "", "", "408 Request Timeout", fault.Transient},
		{"busy", false, 429, "60", "", "429 Too Many Requests", fault.Later},
		{"a page", false, 200, "", "<html>" + canary, "the ACME server HOST did not answer with a directory in JSON at URL: check spec.acme.server", fault.Transient},
	} {
		t.Run(test.name, func(t *testing.T) {
			answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/problem+json")
				if test.header != "" {
					w.Header().Set("Retry-After", test.header)
				}
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.body))
			})
			server := httptest.NewUnstartedServer(answer)
			t.Cleanup(server.Close)
			if test.plain {
				server.Start()
			} else {
				server.StartTLS()
			}
			u := mustURL(server.URL + "/directory")
			given := *u
			given.User, given.RawQuery = url.UserPassword("me", canary), "key="+canary
			_, err := New(Config{DirectoryURL: given.String(), HTTPClient: server.Client(), Key: testKey}).Directory(t.Context())
			f := Classify(err, time.Now())
			want := strings.NewReplacer("URL", u.String(), "HOST", u.Host).Replace(test.want)
			if f == nil || f.Message != want || f.Class != test.class {
				t.Errorf("got  %v\nwant %s: %s", f, test.class, want)
			}
		})
	}
}
