package responder

import (
	"io"
	"net/http"
	"strings"
)

// PathPrefix is the path of RFC 8555 section 8.3, up to the token.
const PathPrefix = "/.well-known/acme-challenge/"

// Header is the header of every answer that says which Result it is. It tells an answer
// of this package from that of somebody else.
const Header = "Everleaf-Responder"

// Result says what became of a request.
type Result string

// The Results.
const (
	// Answered is the key of a Challenge for the Host of the request.
	Answered Result = "answered"
	// AnsweredOtherHost is the key of the only Challenge that has the token, for a
	// request with another Host.
	AnsweredOtherHost Result = "answered-other-host"
	// WrongHost is 404: the token is known, and the Host is not the one it needs.
	WrongHost Result = "wrong-host"
	// UnknownToken is 404: no Challenge has the token.
	UnknownToken Result = "unknown-token"
	// OtherPath is 404: the path is not that of a token.
	OtherPath Result = "other-path"
	// Probe is 200 without a body, for / and /healthz.
	Probe Result = "probe"
)

// Results are all Results.
func Results() []Result {
	return []Result{Answered, AnsweredOtherHost, WrongHost, UnknownToken, OtherPath, Probe}
}

// Answers has the keys of Challenges.
type Answers interface {
	// Answer returns the key authorization for a token and a Host header, or why
	// there is none. It returns no other Results than Answered, AnsweredOtherHost,
	// WrongHost and UnknownToken.
	Answer(token, host string) (key string, result Result)
}

// Single answers for one Challenge, and for its name only, exactly as it is written.
type Single struct{ Domain, Token, Key string }

// Answer implements Answers.
func (s Single) Answer(token, host string) (string, Result) {
	switch {
	case token != s.Token || token == "":
		return "", UnknownToken
	case hostname(host) != s.Domain:
		return "", WrongHost
	default:
		return s.Key, Answered
	}
}

// handler answers validation requests, whatever their method.
type handler struct {
	answers Answers
	observe func(Result)
	// marks has the values of Header.
	marks map[Result][]string
}

// NewHandler returns a handler that answers from answers. It tells observe, which may be
// nil, what became of each request. It logs nothing: foreigners decide how many requests
// there are.
func NewHandler(answers Answers, observe func(Result)) http.Handler {
	if observe == nil {
		observe = func(Result) {}
	}
	marks := map[Result][]string{}
	for _, r := range Results() {
		marks[r] = []string{string(r)}
	}
	return &handler{answers, observe, marks}
}

var (
	noStore = []string{"no-cache, no-store, must-revalidate"}
	noSniff = []string{"nosniff"}
	// octets is the type that RFC 8555 section 8.3 has for a key authorization.
	octets = []string{"application/octet-stream"}
	plain  = []string{"text/plain; charset=utf-8"}
)

// notFound has nothing of the request in it.
var notFound = []byte("404: there is no ACME challenge with this token for this host\n")

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key, result := h.answer(r)
	h.observe(result)
	header := w.Header()
	header[Header], header["Cache-Control"], header["X-Content-Type-Options"] = h.marks[result], noStore, noSniff
	// What a client does not hear is its loss.
	switch result {
	case Probe:
		w.WriteHeader(http.StatusOK)
	case Answered, AnsweredOtherHost:
		header["Content-Type"] = octets
		_, _ = io.WriteString(w, key)
	default:
		header["Content-Type"] = plain
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write(notFound)
	}
}

func (h *handler) answer(r *http.Request) (string, Result) {
	// The path as it was sent: %2E is no dot, and nothing is cleaned.
	path := r.URL.EscapedPath()
	if path == "/" || path == "/healthz" {
		return "", Probe
	}
	token, ok := strings.CutPrefix(path, PathPrefix)
	if !ok || strings.Contains(token, "/") {
		return "", OtherPath
	}
	return h.answers.Answer(token, r.Host)
}
