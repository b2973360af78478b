package clouddns

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"sync"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
	"golang.org/x/sync/singleflight"
	dns "google.golang.org/api/dns/v1"

	"github.com/everleaf/everleaf/internal/foreign/vendorapi"
)

// account is what signs requests in, with an access token. Providers with equal
// credentials share it.
type account struct {
	// name is what messages call the credentials.
	name string
	// fetch gets a token from Google.
	fetch func(context.Context) (*oauth2.Token, error)

	flights singleflight.Group
	mu      sync.Mutex
	last    *oauth2.Token
}

// signedIn returns the account of a Config, a shared one if there is one.
func (c Config) signedIn() (*account, error) {
	if c.Tokens == nil {
		return c.newAccount()
	}
	key := sha256.Sum256(c.ServiceAccount)
	if a, ok := c.Tokens.Get(key); ok {
		return a.(*account), nil
	}
	a, err := c.newAccount()
	if err == nil {
		c.Tokens.Add(key, a)
	}
	return a, err
}

func (c Config) newAccount() (*account, error) {
	if len(c.ServiceAccount) == 0 {
		return &account{name: "the credentials of the environment", fetch: environment(c.HTTP)}, nil
	}
	key, err := readKey(c.ServiceAccount)
	if err != nil {
		return nil, invalid("%s is not the JSON key of a service account (%s)", c.SecretName, err)
	}
	config, err := google.JWTConfigFromJSON(key.text, dns.NdevClouddnsReadwriteScope)
	if err != nil {
		return nil, invalid("%s is not the JSON key of a service account", c.SecretName).Because(err)
	}
	// The key names a server too. It comes from a tenant, who is not to choose where the
	// controller sends requests.
	config.TokenURL = google.JWTTokenURL
	a := &account{name: fmt.Sprintf("the service account %q", key.Email)}
	a.fetch = func(ctx context.Context) (*oauth2.Token, error) {
		watched := &watched{transport: c.HTTP}
		token, err := config.TokenSource(context.WithValue(ctx, oauth2.HTTPClient, vendorapi.Client(watched))).Token()
		if err != nil && watched.err != nil {
			return nil, watched.err
		}
		return token, err
	}
	return a, nil
}

// environment returns a fetch with the environment's credentials: the file of
// GOOGLE_APPLICATION_CREDENTIALS, gcloud's file, or the metadata of the machine.
func environment(transport http.RoundTripper) func(context.Context) (*oauth2.Token, error) {
	var mu sync.Mutex
	var found *google.Credentials
	return func(context.Context) (*oauth2.Token, error) {
		mu.Lock()
		defer mu.Unlock()
		if found == nil {
			// The credentials keep the context for all requests.
			ctx := context.WithValue(context.Background(), oauth2.HTTPClient, vendorapi.Client(transport))
			credentials, err := google.FindDefaultCredentials(ctx, dns.NdevClouddnsReadwriteScope)
			if err != nil {
				return nil, &notFoundError{err}
			}
			found = credentials
		}
		return found.TokenSource.Token()
	}
}

// notFoundError is the cause if the environment has no credentials.
type notFoundError struct{ error }

// token returns a token that is valid, or an *authError. Callers that come while it is
// fetched share it, or its error.
func (a *account) token(ctx context.Context) (*oauth2.Token, error) {
	if last := a.current(); last.Valid() {
		return last, nil
	}
	flight := a.flights.DoChan("", func() (any, error) {
		if last := a.current(); last.Valid() {
			return last, nil // A flight has ended since.
		}
		token, err := a.fetch(context.WithoutCancel(ctx))
		if err != nil {
			return nil, err
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		a.last = token
		return token, nil
	})
	select {
	case <-ctx.Done():
		return nil, &authError{ctx.Err()}
	case result := <-flight:
		if result.Err != nil {
			return nil, &authError{result.Err}
		}
		return result.Val.(*oauth2.Token), nil
	}
}

func (a *account) current() *oauth2.Token {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last
}

// forget drops a token that Google has refused.
func (a *account) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last = nil
}

// authError says that there is no token, and why.
type authError struct{ err error }

func (e *authError) Error() string { return "no access token: " + e.err.Error() }

// Unwrap returns the cause.
func (e *authError) Unwrap() error { return e.err }

// bearer adds tokens to requests.
type bearer struct {
	transport http.RoundTripper
	account   *account
}

// RoundTrip implements http.RoundTripper.
func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := b.account.token(r.Context())
	if err != nil {
		return nil, err
	}
	signed := r.Clone(r.Context())
	token.SetAuthHeader(signed)
	return b.transport.RoundTrip(signed)
}

// watched keeps the error of a request: oauth2 drops it.
type watched struct {
	transport http.RoundTripper
	err       error
}

// RoundTrip implements http.RoundTripper.
func (w *watched) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := w.transport.RoundTrip(r)
	w.err = err
	return answer, err
}
