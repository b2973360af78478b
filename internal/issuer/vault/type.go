// Package vault has certificates signed by the PKI engine of a HashiCorp Vault or an
// OpenBao.
package vault

import (
	"context"
	"errors"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/foreign/authn"
	"github.com/everleaf/everleaf/internal/foreign/vendorapi"
	"github.com/everleaf/everleaf/internal/issuer"
	"github.com/everleaf/everleaf/internal/pki"
)

const (
	verified   = "Vault verified"
	initFailed = "Failed to initialize Vault client: "
)

// Ambient says whose issuers may log in with the AWS identity of the environment.
type Ambient struct{ Issuers, ClusterIssuers bool }

// Config is what the issuer type needs.
type Config struct {
	Secrets issuer.Secrets
	Tokens  Tokens
	Ambient Ambient
	// HTTP asks AWS; nil is the network.
	HTTP   http.RoundTripper
	Clock  clock.PassiveClock
	Limits pki.Limits
	// Observe counts a call to a server, with its HTTP status, 0 for no answer, and how long
	// it took; nil counts none.
	Observe func(call string, status int, took time.Duration)
}

// Type is the issuer type vault. It keeps the connections and the token of each issuer, so
// that a signature is one request. A token is used for its lease, not renewed, and not
// revoked: a policy that allows to sign is enough.
type Type struct {
	Config

	connections issuer.Kept[read, *connection]
}

var (
	_ issuer.Type      = (*Type)(nil)
	_ issuer.Signer    = (*Type)(nil)
	_ issuer.Remote    = (*Type)(nil)
	_ issuer.Forgetter = (*Type)(nil)
)

// New returns a Type. Only HTTP, Limits and Observe of the Config may be empty.
func New(c Config) *Type {
	if c.HTTP == nil {
		c.HTTP = vendorapi.NewTransport()
	}
	t := &Type{Config: c}
	t.connections = issuer.Kept[read, *connection]{
		Secrets: c.Secrets, Read: t.read, New: t.newConnection, End: (*connection).close,
		Same: func(a, b read) bool { return a.digest == b.digest },
	}
	return t
}

// Name implements issuer.Type.
func (*Type) Name() facts.IssuerType { return facts.IssuerVault }

// Secrets implements issuer.Type. Those of client certificates are among them.
func (*Type) Secrets(spec *cmv1.IssuerSpec) []string { return secretNames(spec.Vault) }

// Server implements issuer.Remote.
func (*Type) Server(spec *cmv1.IssuerSpec) string {
	return "the Vault server " + host(spec.Vault.Server)
}

// Check implements issuer.Type. It logs in if there is no token that is good.
func (t *Type) Check(ctx context.Context, i issuer.Issuer) (issuer.Status, error) {
	spec := i.Spec.Vault
	if err := checkFields(spec); err != nil {
		t.Forget(i.UID)
		return issuer.Status{}, err
	}
	c, err := t.connections.Of(ctx, i.Identity(), i.Spec, true)
	if err != nil {
		return issuer.Status{}, notReady(err)
	}
	s, err := c.look(ctx, nil)
	if errors.Is(err, errUnavailable) {
		// A Vault that is not initialised calls itself sealed here.
		if err := c.verify(ctx, t.Clock.Now()); err != nil {
			return issuer.Status{}, err
		}
	}
	if err != nil {
		return issuer.Status{}, notReady(err)
	}
	if err := c.verify(ctx, t.Clock.Now()); err != nil {
		return issuer.Status{}, err
	}
	if err := c.permitted(ctx, s); err != nil {
		return issuer.Status{}, notReady(err)
	}
	return issuer.Status{Reason: cmv1.IssuerReasonVaultVerified, Message: verified}, nil
}

// Forget implements issuer.Forgetter.
func (t *Type) Forget(uid types.UID) { t.connections.Forget(uid) }

// newConnection returns the connection of an issuer.
func (t *Type) newConnection(of issuer.Identity, issuerSpec *cmv1.IssuerSpec, got read) (*connection, error) {
	spec := issuerSpec.Vault
	c := &connection{
		spec: spec, namespace: of.Namespace, read: got, clock: t.Clock, observe: t.Observe, static: spec.Auth.TokenSecretRef != nil,
		transport: newTransport(spec, got.material, got.pair),
		kept:      authn.Keeper[*session]{Now: t.Clock.Now, Next: nextLogIn},
	}
	var err error
	if c.bare, err = newClient(c.transport, spec.Server, "", ""); err != nil {
		return nil, unusable(err)
	}
	c.logIn = func(ctx context.Context, now time.Time) (*session, error) {
		if c.static {
			return c.newSession(got.credential, time.Time{}, 0)
		}
		l, err := t.newLogin(ctx, of.Name, of.Namespace, c)
		if err != nil {
			return nil, err
		}
		return c.loggedIn(ctx, l, now)
	}
	return c, nil
}

// notReady is the fault of an issuer that cannot be used.
func notReady(err error) error {
	f := *fault.Of(err)
	f.Reason, f.Message = cmv1.IssuerReasonVaultError, initFailed+f.Message
	return &f
}
