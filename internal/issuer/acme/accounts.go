// Package acme sets ACME issuers up: the account key, the account at the
// server, and the clients with which Orders and Challenges speak to it.
package acme

import (
	"bytes"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	"github.com/everleaf/everleaf/internal/acme"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
)

// Accounts are the accounts that are ready for use, by the UID of their issuer.
// It is safe for concurrent use; the zero value is ready.
type Accounts struct {
	mu       sync.Mutex
	accounts map[types.UID]*account
}

type account struct {
	client  *acme.Client
	use     facts.Account
	keyHash string
	// since is when it came into use.
	since time.Time
	// suspect takes it out of use, to be registered again at again. doubts
	// counts how often that has been in vain.
	suspect bool
	again   time.Time
	doubts  int
}

const (
	// trusted is how long an account has worked when its past is forgotten.
	trusted = time.Hour
	// shortestDoubt and longestDoubt bound the wait before an account is
	// registered once more that the server did not accept right after the last
	// registration, doubled from one to the next.
	shortestDoubt = time.Minute
	longestDoubt  = fault.UserRetry
)

// Get returns an issuer's client and account, or false while the issuer is not
// set up.
func (a *Accounts) Get(issuer types.UID) (*acme.Client, *facts.Account, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	found := a.accounts[issuer]
	if found == nil || found.suspect {
		return nil, nil, false
	}
	use := found.use
	return found.client, &use, true
}

// Gate holds an issuer's new orders back until a time: its server has limited
// the rate.
func (a *Accounts) Gate(issuer types.UID, until time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if found := a.accounts[issuer]; found != nil && until.After(found.use.NewOrderNotBefore) {
		found.use.NewOrderNotBefore = until
	}
}

// Suspect takes an account out of use that the server did not accept, in a
// step that began at a time: it is to be registered again. The result is when.
// That is at once, unless registering has not helped before: some servers find
// an account that they then refuse orders from. It is zero if the account has
// been registered since the step began.
func (a *Accounts) Suspect(issuer types.UID, began, now time.Time) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	found := a.accounts[issuer]
	switch {
	case found == nil:
		return now
	case found.suspect:
		return found.again
	case found.since.After(began):
		return time.Time{}
	}
	if now.Sub(found.since) >= trusted {
		found.doubts = 0
	}
	found.suspect, found.again = true, now
	if found.doubts > 0 {
		found.again = now.Add(min(shortestDoubt<<min(found.doubts-1, 20), longestDoubt))
	}
	found.doubts++
	return found.again
}

// Remove forgets an issuer's account.
func (a *Accounts) Remove(issuer types.UID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.accounts, issuer)
}

func (a *Accounts) suspected(issuer types.UID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	found := a.accounts[issuer]
	return found != nil && found.suspect
}

// reuse returns the issuer's client if it still fits, with its connections,
// nonces and directory.
func (a *Accounts) reuse(issuer types.UID, spec *acmev1.ACMEIssuer, keyHash string) *acme.Client {
	a.mu.Lock()
	defer a.mu.Unlock()
	found := a.accounts[issuer]
	if found == nil || found.keyHash != keyHash || found.use.Issuer.Server != spec.Server ||
		found.use.Issuer.SkipTLSVerify != spec.SkipTLSVerify || !bytes.Equal(found.use.Issuer.CABundle, spec.CABundle) {
		return nil
	}
	return found.client
}

// add puts an account into use, and reports whether there was none in use.
func (a *Accounts) add(issuer types.UID, added *account, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.accounts == nil {
		a.accounts = map[types.UID]*account{}
	}
	old := a.accounts[issuer]
	a.accounts[issuer] = added
	added.since = now
	if old == nil {
		return true
	}
	if old.use.Issuer.Server == added.use.Issuer.Server {
		added.use.NewOrderNotBefore = old.use.NewOrderNotBefore
	}
	if old.client == added.client {
		added.doubts = old.doubts
		if !old.suspect {
			added.since = old.since
		}
	}
	return old.suspect
}
