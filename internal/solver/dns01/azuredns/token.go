package azuredns

import (
	"context"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"k8s.io/utils/clock"
	"k8s.io/utils/lru"
)

const (
	// maxIdentities bounds the identities whose tokens are kept.
	maxIdentities = 256
	// exchangeTimeout bounds an exchange, which is up to three requests.
	exchangeTimeout = 10 * time.Second
	// tokenMargin is the time before its end at which a token is replaced.
	tokenMargin = 5 * time.Minute
	// renewAge is the age from which a token is replaced if the API refuses it.
	renewAge = time.Minute
)

// Tokens keeps the tokens of the identities that were used last.
type Tokens struct {
	mu      sync.Mutex
	sources *lru.Cache
}

// NewTokens returns an empty Tokens.
func NewTokens() *Tokens { return &Tokens{sources: lru.New(maxIdentities)} }

// of returns the source of an identity's tokens.
func (t *Tokens) of(id identity, transport transport, clock clock.PassiveClock) *source {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := id.key()
	if s, ok := t.sources.Get(key); ok {
		return s.(*source)
	}
	s := &source{identity: id, transport: transport, clock: clock}
	t.sources.Add(key, s)
	return s
}

// source has the token of one identity. All Providers with that identity share it, and
// the exchanges for it.
type source struct {
	identity  identity
	transport transport
	clock     clock.PassiveClock

	mu      sync.Mutex
	token   azcore.AccessToken
	made    time.Time // of token
	running *exchange
}

// exchange gets a token. The fields are set when done is closed.
type exchange struct {
	done  chan struct{}
	token azcore.AccessToken
	err   error
}

var _ azcore.TokenCredential = (*source)(nil)

// GetToken implements azcore.TokenCredential. Its errors are fault.Errors.
func (s *source) GetToken(ctx context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if options.Claims != "" {
		// The API has refused the token that it was given, and wants one for these.
		s.forget()
	}
	e := s.start(ctx, options)
	select {
	case <-e.done:
	case <-ctx.Done():
		return azcore.AccessToken{}, s.unanswered(ctx.Err())
	}
	if e.err != nil {
		return azcore.AccessToken{}, e.err
	}
	// The SDK's clients keep a token until it expires, each its own. This one has
	// expired for them, so that they ask here each time.
	return azcore.AccessToken{Token: e.token.Token, ExpiresOn: time.Unix(1, 0)}, nil
}

// start returns the exchange that runs, or that has got the token, or a new one. Who
// waits for it can give up; the exchange goes on for the others.
func (s *source) start(ctx context.Context, options policy.TokenRequestOptions) *exchange {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running != nil {
		return s.running
	}
	e := &exchange{done: make(chan struct{})}
	if s.token.Token != "" && s.clock.Now().Add(tokenMargin).Before(s.token.ExpiresOn) {
		e.token = s.token
		close(e.done)
		return e
	}
	s.running = e
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), exchangeTimeout)
		defer cancel()
		e.token, e.err = s.exchange(ctx, options)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.token, s.made, s.running = e.token, s.clock.Now(), nil
		close(e.done)
	}()
	return e
}

// forget drops the token.
func (s *source) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token = azcore.AccessToken{}
}

// renew drops a token that was refused, unless it is new. It reports whether the next one
// is another.
func (s *source) renew() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token.Token != "" && s.clock.Since(s.made) < renewAge {
		return false
	}
	s.token = azcore.AccessToken{}
	return true
}

// exchange asks for a token.
func (s *source) exchange(ctx context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	assertion, failed := s.identity.assertion()
	if failed != nil {
		return azcore.AccessToken{}, failed
	}
	credential, err := s.identity.credential(s.transport, assertion)
	if err != nil {
		return azcore.AccessToken{}, invalid("%s cannot be used", s.identity).Because(err)
	}
	if s.identity.kind == managedIdentity {
		options.Claims = "{}"
	}
	ctx, last := observe(ctx)
	token, err := credential.GetToken(ctx, options)
	if err != nil {
		return azcore.AccessToken{}, s.refused(last, assertion, err)
	}
	return token, nil
}

// given returns an assertion that was read already.
func given(assertion string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return assertion, nil }
}
