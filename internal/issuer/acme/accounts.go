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
	"github.com/everleaf/everleaf/internal/plan"
)

// Accounts are the accounts that are ready for use, by the UID of their issuer.
// It is safe for concurrent use; the zero value is ready.
type Accounts struct {
	mu       sync.Mutex
	accounts map[types.UID]*account
}

type account struct {
	client  *acme.Client
	info    facts.Account
	keyHash string
	// since is when it came into use.
	since time.Time
	// rejected disables it until it is registered again, which is due at again.
	rejected bool
	again    time.Time
	// cause is why it was rejected, in the server's words.
	cause string
	// gated holds back new orders, see Gate; probing says that one of them was let
	// through to find out whether the rate limit is over.
	gated, probing bool
	// reregistrations counts those in a row after which the server still rejected
	// the account.
	reregistrations int
}

// stableAfter is how long an account must have worked before earlier rejections
// no longer count.
const stableAfter = time.Hour

// reregistration is the wait before an account is registered once more that the
// server rejected right after the last registration.
var reregistration = plan.Backoff{Min: time.Minute, Max: fault.UserRetry}

// Get returns an issuer's client and account, or false while the issuer is not
// set up.
func (a *Accounts) Get(issuer types.UID) (*acme.Client, *facts.Account, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	found := a.accounts[issuer]
	if found == nil || found.rejected {
		return nil, nil, false
	}
	info := found.info
	return found.client, &info, true
}

// probeTime is how long the other new orders wait for the answer to the one that
// was let through.
const probeTime = time.Minute

// Gate holds an issuer's new orders back until a time: its server has limited
// the rate, with the words of cause. From then on one of them is let through at a
// time, until Answered is called.
func (a *Accounts) Gate(issuer types.UID, until time.Time, cause string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	found := a.accounts[issuer]
	if found == nil || !found.probing && !until.After(found.info.NewOrderNotBefore) {
		return
	}
	found.gated, found.probing = true, false
	found.info.NewOrderNotBefore, found.info.NewOrdersLimited = until, cause
}

// Ask reports whether the server may be asked for a new order now.
func (a *Accounts) Ask(issuer types.UID, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	found := a.accounts[issuer]
	switch {
	case found == nil, !found.gated:
		return true
	case found.info.NewOrderNotBefore.After(now):
		return false
	}
	found.probing, found.info.NewOrderNotBefore = true, now.Add(probeTime)
	return true
}

// Answered ends a gate, because the server has answered a request for a new order
// otherwise than by a rate limit of the account. It reports whether there was one.
func (a *Accounts) Answered(issuer types.UID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	found := a.accounts[issuer]
	if found == nil || !found.probing {
		return false
	}
	found.gated, found.probing = false, false
	found.info.NewOrderNotBefore, found.info.NewOrdersLimited = time.Time{}, ""
	return true
}

// Suspect disables an account that the server rejected, with the words of cause,
// in a step begun at began. It returns when to register again, zero if that has
// happened since. That is at once, unless registering has not helped before: some
// servers find an account that they then refuse orders from.
func (a *Accounts) Suspect(issuer types.UID, began, now time.Time, cause string) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	found := a.accounts[issuer]
	if found == nil {
		return now
	}
	again := found.reject(began, now)
	if !again.IsZero() && cause != "" {
		found.cause = cause
	}
	return again
}

func (a *account) reject(began, now time.Time) time.Time {
	switch {
	case a.rejected:
		return a.again
	case a.since.After(began):
		return time.Time{}
	}
	if now.Sub(a.since) >= stableAfter {
		a.reregistrations = 0
	}
	a.rejected, a.again = true, now
	if a.reregistrations > 0 {
		a.again = now.Add(reregistration.Delay(a.reregistrations))
	}
	a.reregistrations++
	return a.again
}

// Remove forgets an issuer's account.
func (a *Accounts) Remove(issuer types.UID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.accounts, issuer)
}

// restsUntil returns until when an issuer's account, which the client is for, is
// not to be registered again, and why; zero if nobody has said why.
func (a *Accounts) restsUntil(issuer types.UID, client *acme.Client) (time.Time, string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	found := a.accounts[issuer]
	if found == nil || !found.rejected || found.client != client || found.cause == "" {
		return time.Time{}, ""
	}
	return found.again, found.cause
}

func (a *Accounts) isRejected(issuer types.UID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	found := a.accounts[issuer]
	return found != nil && found.rejected
}

// reuse returns the issuer's client if it still fits, with its connections,
// nonces and directory.
func (a *Accounts) reuse(issuer types.UID, spec *acmev1.ACMEIssuer, keyHash string) *acme.Client {
	a.mu.Lock()
	defer a.mu.Unlock()
	found := a.accounts[issuer]
	if found == nil || found.keyHash != keyHash || found.info.Issuer.Server != spec.Server ||
		found.info.Issuer.SkipTLSVerify != spec.SkipTLSVerify || !bytes.Equal(found.info.Issuer.CABundle, spec.CABundle) {
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
	if old.info.Issuer.Server == added.info.Issuer.Server {
		added.info.NewOrderNotBefore, added.info.NewOrdersLimited = old.info.NewOrderNotBefore, old.info.NewOrdersLimited
		added.gated, added.probing = old.gated, old.probing
	}
	if old.client == added.client {
		added.reregistrations = old.reregistrations
		if !old.rejected {
			added.since = old.since
		}
	}
	return old.rejected
}
