package acme

import (
	"context"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/issuer"
	"github.com/everleaf/everleaf/internal/pki"
)

// Type is the issuer type acme. It registers accounts, and is no signer: requests
// are answered by Orders.
type Type struct {
	Accounts  *Accounts
	Store     Secrets
	Solvers   Solvers
	UserAgent string
	Clock     clock.PassiveClock
	Limits    pki.Limits
	// Observe is acme.Config.Observe.
	Observe func(action, method, host, scheme string, status int, d time.Duration)
}

var (
	_ issuer.Type      = (*Type)(nil)
	_ issuer.Forgetter = (*Type)(nil)
)

// Name implements issuer.Type.
func (*Type) Name() facts.IssuerType { return facts.IssuerACME }

// Secrets implements issuer.Type.
func (t *Type) Secrets(spec *cmv1.IssuerSpec) []string {
	names := []string{spec.ACME.PrivateKey.Name}
	if eab := spec.ACME.ExternalAccountBinding; eab != nil {
		names = append(names, eab.Key.Name)
	}
	for _, ref := range t.Solvers.Secrets(spec.ACME) {
		names = append(names, ref.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Check implements issuer.Type.
func (t *Type) Check(ctx context.Context, i issuer.Issuer) (issuer.Status, error) {
	status, ready, err := t.run(ctx, i)
	return issuer.Status{
		Reason: cmv1.IssuerReasonACMEAccountRegistered, Message: registered + t.unusable(i.Spec.ACME), Account: &status,
		AccountReady: err == nil && t.Accounts.add(i.UID, ready, t.Clock.Now()),
	}, err
}

// Forget implements issuer.Forgetter.
func (t *Type) Forget(uid types.UID) { t.Accounts.Remove(uid) }
