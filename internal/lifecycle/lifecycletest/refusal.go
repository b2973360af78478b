package lifecycletest

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/everleaf/everleaf/internal/acme"
)

// Refusal is how an ACME server says no.
type Refusal struct {
	Status     int
	Kind       string
	RetryAfter string
	// Detail is the server's explanation.
	Detail string
}

// Saying is the refusal with another explanation than "no".
func (r Refusal) Saying(detail string) Refusal {
	r.Detail = detail
	return r
}

// Refuse is the answer with a status, the last part of a problem's type, and a
// Retry-After header, empty for none.
func Refuse(status int, kind, retryAfter string) Refusal {
	return Refusal{Status: status, Kind: kind, RetryAfter: retryAfter, Detail: "no"}
}

// Asked asks a server that refuses, and returns what our client makes of it.
func (r Refusal) Asked(t *testing.T, ask func(*acme.Client, string) error) error {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Replay-Nonce", "n")
		w.Header().Set("Date", Now.Format(http.TimeFormat))
		base := "http://" + q.Host
		switch {
		case q.URL.Path == "/directory":
			_ = json.NewEncoder(w).Encode(map[string]string{
				"newNonce": base + "/nonce", "newAccount": base + "/account", "newOrder": base + "/order",
			})
		case q.Method == http.MethodPost:
			w.Header().Set("Content-Type", "application/problem+json")
			if r.RetryAfter != "" {
				w.Header().Set("Retry-After", r.RetryAfter)
			}
			w.WriteHeader(r.Status)
			_ = json.NewEncoder(w).Encode(map[string]string{"type": acme.ErrorNamespace + r.Kind, "detail": r.Detail})
		}
	}))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = server.Listener.Close()
	server.Listener = listener
	server.Start()
	defer server.Close()
	client := acme.New(acme.Config{
		DirectoryURL: server.URL + "/directory", Key: Key(1), AccountURL: server.URL + "/account/1",
		HTTPClient: server.Client(), Clock: clocktesting.NewFakePassiveClock(Now),
	})
	err = ask(client, server.URL)
	if err == nil {
		t.Fatal("the server was to refuse")
	}
	return err
}
