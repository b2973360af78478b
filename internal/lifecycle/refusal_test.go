package lifecycle

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/everleaf/everleaf/internal/acme"
)

// refusal is how an ACME server says no.
type refusal struct {
	status     int
	kind       string
	retryAfter string
}

// asked asks a server that refuses, and returns what our client makes of it.
func (r refusal) asked(t *testing.T, ask func(*acme.Client, string) error) error {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Replay-Nonce", "n")
		w.Header().Set("Date", now.Format(http.TimeFormat))
		base := "http://" + q.Host
		switch {
		case q.URL.Path == "/directory":
			_ = json.NewEncoder(w).Encode(map[string]string{
				"newNonce": base + "/nonce", "newAccount": base + "/account", "newOrder": base + "/order",
			})
		case q.Method == http.MethodPost:
			w.Header().Set("Content-Type", "application/problem+json")
			if r.retryAfter != "" {
				w.Header().Set("Retry-After", r.retryAfter)
			}
			w.WriteHeader(r.status)
			_ = json.NewEncoder(w).Encode(map[string]string{"type": acme.ErrorNamespace + r.kind, "detail": "no"})
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
		DirectoryURL: server.URL + "/directory", Key: key(1), AccountURL: server.URL + "/account/1",
		HTTPClient: server.Client(), Clock: clocktesting.NewFakePassiveClock(now),
	})
	err = ask(client, server.URL)
	if err == nil {
		t.Fatal("the server was to refuse")
	}
	return err
}

// orderRequests are the requests of an Order's steps.
var orderRequests = map[OrderStep]func(*acme.Client, string) error{
	OrderCreate: func(c *acme.Client, _ string) error {
		_, err := c.NewOrder(context.Background(), acme.OrderRequest{Identifiers: []acme.Identifier{{Type: "dns", Value: "a.example"}}})
		return err
	},
	OrderFetch: func(c *acme.Client, base string) error {
		_, err := c.Order(context.Background(), base+"/o")
		return err
	},
	OrderAuthorize: func(c *acme.Client, base string) error {
		_, err := c.Authorization(context.Background(), base+"/a")
		return err
	},
	OrderFinalize: func(c *acme.Client, base string) error {
		_, err := c.Finalize(context.Background(), base+"/f", []byte{1})
		return err
	},
	OrderDownload: func(c *acme.Client, base string) error {
		_, err := c.PreferredChain(context.Background(), base+"/c", "")
		return err
	},
}

// challengeRequests are the requests of a Challenge's steps.
var challengeRequests = map[ChallengeStep]func(*acme.Client, string) error{
	ChallengeAccept: func(c *acme.Client, base string) error {
		_, err := c.Accept(context.Background(), base+"/c")
		return err
	},
	ChallengeCheck: func(c *acme.Client, base string) error {
		_, err := c.Authorization(context.Background(), base+"/a")
		return err
	},
}
