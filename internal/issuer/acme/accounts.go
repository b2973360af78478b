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
	"github.com/everleaf/everleaf/internal/lifecycle"
)

// Accounts are the accounts that are ready for use, by the UID of their issuer.
// It is safe for concurrent use; the zero value is ready.
type Accounts struct {
	mu       sync.Mutex
	accounts map[types.UID]*account
}

type account struct {
	client  *acme.Client
	use     lifecycle.Account
	keyHash string
	suspect bool
}

// Get returns an issuer's client and account, or false while the issuer is not
// set up.
func (a *Accounts) Get(issuer types.UID) (*acme.Client, *lifecycle.Account, bool) {
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
	if found := a.accounts[issuer]; found != nil && until.After(found.use.Gate) {
		found.use.Gate = until
	}
}

// Suspect marks an account that the server did not accept: it is out of use
// until the issuer has registered again.
func (a *Accounts) Suspect(issuer types.UID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if found := a.accounts[issuer]; found != nil {
		found.suspect = true
	}
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

func (a *Accounts) add(issuer types.UID, added *account) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.accounts == nil {
		a.accounts = map[types.UID]*account{}
	}
	if old := a.accounts[issuer]; old != nil {
		added.use.Gate = old.use.Gate
	}
	a.accounts[issuer] = added
}
