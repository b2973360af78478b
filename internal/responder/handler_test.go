package responder

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
)

// reply is what a client gets to know.
type reply struct {
	Status int
	Body   string
	Result Result
}

func serve(h http.Handler, method, path, host string) (reply, http.Header) {
	r := httptest.NewRequest(method, "http://ignored"+path, nil)
	r.Host = host
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return reply{w.Code, w.Body.String(), Result(w.Header().Get(Header))}, w.Header()
}

var missing = string(notFound)

func TestPaths(t *testing.T) {
	const host = "www.example.com"
	h := NewHandler(table(challenge("a", host, "tok-en_1")), nil)
	for _, tt := range []struct {
		method, path string
		want         reply
	}{
		{"GET", "/.well-known/acme-challenge/tok-en_1", reply{200, "tok-en_1.a", Answered}},
		{"GET", "/.well-known/acme-challenge/tok-en_1?x=y", reply{200, "tok-en_1.a", Answered}},
		{"POST", "/.well-known/acme-challenge/tok-en_1", reply{200, "tok-en_1.a", Answered}},
		{"GET", "/.well-known/acme-challenge/tok-en_1/", reply{404, missing, OtherPath}},
		{"GET", "/.well-known/acme-challenge//tok-en_1", reply{404, missing, OtherPath}},
		{"GET", "//.well-known/acme-challenge/tok-en_1", reply{404, missing, OtherPath}},
		{"GET", "/x/../.well-known/acme-challenge/tok-en_1", reply{404, missing, OtherPath}},
		{"GET", "/.well-known/acme-challenge/./tok-en_1", reply{404, missing, OtherPath}},
		{"GET", "/.well-known/acme-challenge%2Ftok-en_1", reply{404, missing, OtherPath}},
		{"GET", "/.well-known/acme-challenge/tok%2Den_1", reply{404, missing, UnknownToken}},
		{"GET", "/.well-known/acme-challenge/x%2F..%2Ftok-en_1", reply{404, missing, UnknownToken}},
		{"GET", "/.well-known/acme-challenge/TOK-EN_1", reply{404, missing, UnknownToken}},
		{"GET", "/.well-known/acme-challenge/", reply{404, missing, UnknownToken}},
		{"GET", "/.well-known/acme-challenge", reply{404, missing, OtherPath}},
		{"GET", "/", reply{200, "", Probe}},
		{"GET", "/healthz", reply{200, "", Probe}},
		{"GET", "/healthz/", reply{404, missing, OtherPath}},
		{"GET", "/metrics", reply{404, missing, OtherPath}},
	} {
		got, header := serve(h, tt.method, tt.path, host)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s %s: -want +got:\n%s", tt.method, tt.path, diff)
		}
		if got := header.Get("Cache-Control"); got != "no-cache, no-store, must-revalidate" {
			t.Errorf("%s %s: Cache-Control is %q", tt.method, tt.path, got)
		}
		if got := header.Get("X-Content-Type-Options"); got != "nosniff" {
			t.Errorf("%s %s: X-Content-Type-Options is %q", tt.method, tt.path, got)
		}
	}
}

// TestSingle holds the rules of cert-manager's solver.
func TestSingle(t *testing.T) {
	const path = PathPrefix + "t"
	for _, tt := range []struct {
		domain, host, path string
		want               reply
	}{
		{"www.example.com", "www.example.com", path, reply{200, "t.key", Answered}},
		{"www.example.com", "www.example.com:80", path, reply{200, "t.key", Answered}},
		{"2001:db8::1", "[2001:db8::1]:80", path, reply{200, "t.key", Answered}},
		{"2001:db8::1", "[2001:db8::1]", path, reply{200, "t.key", Answered}},
		{"www.example.com", "WWW.example.com", path, reply{404, missing, WrongHost}},
		{"www.example.com", "www.example.com.", path, reply{404, missing, WrongHost}},
		{"www.example.com", "10.32.3.80", path, reply{404, missing, WrongHost}},
		{"www.example.com", "www.example.com", path + "t", reply{404, missing, UnknownToken}},
		{"www.example.com", "any", "/healthz", reply{200, "", Probe}},
	} {
		got, _ := serve(NewHandler(Single{Domain: tt.domain, Token: "t", Key: "t.key"}, nil), "GET", tt.path, tt.host)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s for %s%s: -want +got:\n%s", tt.domain, tt.host, tt.path, diff)
		}
	}
	if got, _ := serve(NewHandler(Single{Domain: "www.example.com"}, nil), "GET", PathPrefix, "www.example.com"); got.Result != UnknownToken {
		t.Errorf("without a token, the path without one gets %v", got)
	}
}

func TestEveryResultIsObserved(t *testing.T) {
	const host = "www.example.com"
	counts := map[Result]int{}
	h := NewHandler(table(challenge("a", host, "t"), challenge("b", "b.example", "two"), challenge("c", "c.example", "two")), func(r Result) { counts[r]++ })
	for _, path := range []string{PathPrefix + "t", PathPrefix + "unknown", "/x", "/"} {
		serve(h, "GET", path, host)
	}
	serve(h, "GET", PathPrefix+"t", "10.0.0.1")
	serve(h, "GET", PathPrefix+"two", "10.0.0.1")
	want := map[Result]int{}
	for _, r := range Results() {
		want[r] = 1
	}
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// FuzzHandler holds that nobody gets a key but by its token, and that nothing of a
// request comes back.
func FuzzHandler(f *testing.F) {
	f.Add("/.well-known/acme-challenge/t", "www.example.com")
	f.Add("/.well-known/acme-challenge/%74", "[::1]:80")
	f.Add("/.well-known/acme-challenge/two", "B.EXAMPLE.:80")
	f.Add("//.well-known/acme-challenge/t\x00", "]:[")
	f.Add("/%2e%2e/", "a\r\nb")
	f.Fuzz(checkRequest)
}

// checkRequest holds what FuzzHandler does, for one request.
func checkRequest(t *testing.T, path, host string) {
	t.Helper()
	parsed, err := url.ParseRequestURI(path)
	if err != nil {
		return
	}
	tbl := table(challenge("a", "www.example.com", "t"), challenge("b", "b.example", "two"), challenge("c", "c.example", "two"))
	w := httptest.NewRecorder()
	NewHandler(tbl, nil).ServeHTTP(w, &http.Request{Method: "GET", URL: parsed, Host: host})
	result, body := Result(w.Header().Get(Header)), w.Body.String()
	switch body {
	case "":
		if result != Probe {
			t.Errorf("no body, but %s", result)
		}
	case missing:
		if w.Code != 404 {
			t.Errorf("status %d for what is missing", w.Code)
		}
	case "t.a":
		if parsed.EscapedPath() != PathPrefix+"t" {
			t.Errorf("the key is answered for %q", path)
		}
	case "two.b", "two.c":
		name := map[string]string{"two.b": "b.example", "two.c": "c.example"}[body]
		if parsed.EscapedPath() != PathPrefix+"two" || !strings.Contains(strings.ToLower(host), name) {
			t.Errorf("%s is answered for %q at %q", body, path, host)
		}
	default:
		t.Errorf("the body is %q", body)
	}
	for _, uid := range []string{"a", "b", "c"} {
		saw, _ := tbl.Seen(types.UID(uid))
		if shown := saw.Host; len(shown) > maxHost || strings.ContainsFunc(shown, func(r rune) bool { return r < ' ' || r > '~' || r == '<' }) {
			t.Errorf("Host %q is shown as %q", host, shown)
		}
	}
}

// BenchmarkUnknownTokens is what a flood costs, beside net/http.
func BenchmarkUnknownTokens(b *testing.B) {
	tbl := table()
	for i := range 10000 {
		tbl.OnAdd(challenge(strings.Repeat("u", 1+i%7)+string(rune(i)), "www.example.com", strings.Repeat("t", 1+i%7)+string(rune(i))), true)
	}
	h := NewHandler(tbl, nil)
	r := httptest.NewRequest("GET", "http://www.example.com"+PathPrefix+"oh7Vv0hZyq3Nf3w2XcFhYV3b0S1Zz8Jq", nil)
	w := discard{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
}

// discard is a ResponseWriter that allocates nothing.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

// TestUnknownTokensAllocateNothing holds what the benchmark shows.
func TestUnknownTokensAllocateNothing(t *testing.T) {
	h := NewHandler(table(challenge("a", "www.example.com", "t")), nil)
	r := httptest.NewRequest("GET", "http://www.example.com"+PathPrefix+"unknown", nil)
	w := discard{http.Header{}}
	if n := testing.AllocsPerRun(100, func() { h.ServeHTTP(w, r) }); n != 0 {
		t.Errorf("a request for an unknown token allocates %v times", n)
	}
}
