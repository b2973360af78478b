package vault

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/foreign/vendorapi"
)

const (
	// requestTimeout bounds one request with its answer.
	requestTimeout = 30 * time.Second
	// idleConnections are kept per server: as many as there are workers that sign.
	idleConnections = 64
)

// IgnoreEnvironment removes the variables VAULT_* from the environment of the process.
// The client library takes addresses, tokens, namespaces, headers and TLS settings from
// them, and makes no client if one cannot be read: what an issuer says is all that counts.
// It returns the names of the variables, sorted.
func IgnoreEnvironment() (names []string) {
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "VAULT_") {
			_ = os.Unsetenv(name)
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// newTransport returns how the server of an issuer is reached. pair is what it is shown, nil
// for nothing.
func newTransport(spec *cmv1.VaultIssuer, m material, pair *tls.Certificate) *http.Transport {
	transport := vendorapi.NewTransport()
	transport.MaxIdleConnsPerHost = idleConnections
	config := transport.TLSClientConfig
	config.RootCAs, config.ServerName = m.roots, spec.ServerName
	if pair != nil {
		// The server's list of CAs is not asked: the auth method has others than the
		// listener.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair, nil }
	}
	return transport
}

// newClient returns a client of the server with a token, or without one if that is empty.
func newClient(transport *http.Transport, server, namespace, token string) (*api.Client, error) {
	answers := vendorapi.Client(wire{transport})
	answers.Timeout = requestTimeout
	client, err := api.NewClient(&api.Config{
		Address: server, HttpClient: answers,
		// They are the business of wire. The library would follow any, with the token, and
		// without the body.
		DisableRedirects: true,
		// The controller retries, not the library.
		CheckRetry: func(context.Context, *http.Response, error) (bool, error) { return false, nil },
	})
	if err != nil {
		return nil, err
	}
	client.SetToken(token)
	client.SetWrappingLookupFunc(func(string, string) string { return "" })
	client.SetHeaders(http.Header{api.RequestHeaderName: {"true"}})
	if namespace != "" {
		client.SetNamespace(namespace)
	}
	return client, nil
}

// The calls of a server, as they are counted.
const (
	callLogin        = "login"
	callSign         = "sign"
	callCapabilities = "capabilities"
	callHealth       = "health"
)

// write is a counted write.
func (c *connection) write(ctx context.Context, call string, client *api.Client, path string, body, into any, hide ...string) *failure {
	began := c.clock.Now()
	f := write(ctx, client, path, body, into, hide...)
	status := http.StatusOK
	if f != nil {
		status = f.status
	}
	c.count(call, status, began)
	return f
}

// count counts a call that began at a time, with the status of its answer, 0 without one.
func (c *connection) count(call string, status int, began time.Time) {
	if c.observe != nil {
		c.observe(call, status, c.clock.Since(began))
	}
}

// write sends a body to a path and reads the answer into into. What the server says is
// shown without the texts of hide.
func write(ctx context.Context, client *api.Client, path string, body, into any, hide ...string) *failure {
	sent, err := json.Marshal(body)
	if err != nil {
		return &failure{err: err}
	}
	answer, err := client.Logical().WriteRawWithContext(ctx, path, sent)
	return finish(client, path, answer, err, into, hide)
}

// finish reads an answer into into.
func finish(client *api.Client, path string, answer *api.Response, err error, into any, hide []string) *failure {
	if answer != nil {
		defer func() { _ = answer.Body.Close() }()
	}
	if err != nil || answer.StatusCode >= http.StatusMultipleChoices {
		return newFailure(client, path, answer, err, hide)
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return newFailure(client, path, nil, err, hide)
	}
	// What Vault has only noted, such as a value of another engine, has no body.
	if len(text) == 0 && answer.StatusCode == http.StatusNoContent {
		return nil
	}
	if !ofVault(text) || json.Unmarshal(text, into) != nil {
		return newFailure(client, path, answer, nil, hide)
	}
	return nil
}

// ofVault reports whether a text has what an answer of Vault's has: the id of the request,
// or an object with what was asked for.
func ofVault(text []byte) bool {
	var answer struct {
		RequestID string                     `json:"request_id"`
		Data      map[string]json.RawMessage `json:"data"`
		Auth      map[string]json.RawMessage `json:"auth"`
	}
	return json.Unmarshal(text, &answer) == nil && (answer.RequestID != "" || answer.Data != nil || answer.Auth != nil)
}
