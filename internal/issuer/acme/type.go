package acme

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/issuer"
)

// Type is the issuer type acme. It is no signer: requests are answered by Orders.
type Type struct{ Setup *Setup }

var (
	_ issuer.Type      = Type{}
	_ issuer.Forgetter = Type{}
)

// Name implements issuer.Type.
func (Type) Name() facts.IssuerType { return facts.IssuerACME }

// Secrets implements issuer.Type.
func (t Type) Secrets(spec *cmv1.IssuerSpec) []string {
	names := []string{spec.ACME.PrivateKey.Name}
	if eab := spec.ACME.ExternalAccountBinding; eab != nil {
		names = append(names, eab.Key.Name)
	}
	for _, ref := range t.Setup.Solvers.Secrets(spec.ACME) {
		names = append(names, ref.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Check implements issuer.Type.
func (t Type) Check(ctx context.Context, i issuer.Issuer) (issuer.Status, error) {
	account, inUse, err := t.Setup.Run(ctx, Issuer{
		UID: i.UID, Namespace: i.Namespace, Spec: i.Spec.ACME.DeepCopy(), Status: i.Account, Ready: i.Ready,
	})
	return issuer.Status{
		Reason: cmv1.IssuerReasonACMEAccountRegistered, Message: registered, Account: &account, AccountReady: inUse,
	}, err
}

// Forget implements issuer.Forgetter.
func (t Type) Forget(uid types.UID) { t.Setup.Accounts.Remove(uid) }
