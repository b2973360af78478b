package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/foreign"
	"github.com/everleaf/everleaf/internal/foreign/vendorapi"
	"github.com/everleaf/everleaf/internal/issuer"
)

// tokenLifetime of a service account's token is the shortest that Kubernetes takes.
const tokenLifetime = 10 * time.Minute

// errUnavailable is the cause of a fault about a log-in to a Vault that serves nothing.
var errUnavailable = errors.New("Vault does not serve log-ins")

// Tokens issues tokens of service accounts.
type Tokens interface {
	// ServiceAccountToken returns a token of a service account for audiences.
	ServiceAccountToken(ctx context.Context, namespace, name string, audiences []string, lifetime time.Duration) (string, error)
}

// login is a log-in: what is sent where.
type login struct {
	path string
	body map[string]string
	// hide are the texts of the body that no message may show.
	hide []string
	// prefix begins the message of a failure, failed follows.
	prefix, failed string
}

const (
	callFailed  = "error calling Vault server: "
	loginFailed = "error logging in to Vault server: "
	byService   = "while requesting a Vault token using the Kubernetes auth: "
	byAWS       = "while requesting a Vault token using the AWS auth: "
)

// newLogin prepares the log-in of an issuer.
func (t *Type) newLogin(ctx context.Context, name types.NamespacedName, namespace string, c *connection) (login, error) {
	switch auth := &c.spec.Auth; {
	case auth.AppRole != nil:
		return login{
			path: roleLoginPath(auth.AppRole.Path), hide: []string{c.read.credential}, failed: loginFailed,
			body: map[string]string{"role_id": strings.TrimSpace(auth.AppRole.RoleId), "secret_id": c.read.credential},
		}, nil
	case auth.ClientCertificate != nil:
		return login{
			path: loginPath(auth.ClientCertificate.Path, mountCertificate), failed: callFailed,
			body: map[string]string{"name": auth.ClientCertificate.Name},
		}, nil
	case auth.Kubernetes != nil:
		jwt := c.read.credential
		if account := auth.Kubernetes.ServiceAccountRef; account != nil && account.Name != "" {
			var err error
			if jwt, err = t.serviceAccountToken(ctx, namespace, account.Name, audiences(account, name, c.spec.Server)); err != nil {
				return login{}, vendorapi.Prefixed(byService, err)
			}
		}
		return login{
			path: loginPath(auth.Kubernetes.Path, mountKubernetes), prefix: byService, failed: callFailed,
			hide: []string{jwt, strings.TrimSpace(jwt)}, body: map[string]string{"role": auth.Kubernetes.Role, "jwt": jwt},
		}, nil
	default:
		return t.awsLogin(ctx, name, namespace, auth.AWS)
	}
}

// audiences are those of a service account's token: what the issuer names, the issuer, and
// the server.
func audiences(account *cmv1.ServiceAccountRef, issuer types.NamespacedName, server string) []string {
	own := "vault://" + issuer.Name
	if issuer.Namespace != "" {
		own = "vault://" + issuer.Namespace + "/" + issuer.Name
	}
	return append(slices.Clone(account.TokenAudiences), own, server)
}

// serviceAccountToken returns a token of a service account. Its faults are Transient also
// if a user must act: no event tells when a Role or a service account has been created.
func (t *Type) serviceAccountToken(ctx context.Context, namespace, name string, audiences []string) (string, error) {
	token, err := t.Tokens.ServiceAccountToken(ctx, namespace, name, audiences, tokenLifetime)
	if err == nil {
		return token, nil
	}
	why := foreign.APIServer(err)
	switch {
	case apierrors.IsForbidden(err):
		why += fmt.Sprintf("; create a Role in namespace %q that allows the verb create on serviceaccounts/token with resourceNames [%q], and a RoleBinding of it to the service account of the controller", namespace, name)
	case apierrors.IsNotFound(err):
		why += fmt.Sprintf("; the service account must be in namespace %q, that of the Issuer, or for a ClusterIssuer the cluster resource namespace", namespace)
	}
	return "", fault.New(fault.Transient, cmv1.EventReasonVaultInitError, "while requesting a token for the service account %s/%s: %s", namespace, name, why).Because(err)
}

// answeredLogin is what is read of the answer to a log-in.
type answeredLogin struct {
	Auth *struct {
		ClientToken   string      `json:"client_token"`
		LeaseDuration json.Number `json:"lease_duration"`
		NumUses       json.Number `json:"num_uses"`
	} `json:"auth"`
}

// loggedIn logs in with a login.
func (c *connection) loggedIn(ctx context.Context, l login, now time.Time) (*session, error) {
	transport := c.transport
	if c.read.loginPair != nil {
		// For this one request: all others show what the issuer has.
		transport = newTransport(c.spec, c.read.material, c.read.loginPair)
		defer transport.CloseIdleConnections()
	}
	client, err := newClient(transport, c.spec.Server, c.spec.Namespace, "")
	if err != nil {
		return nil, unusable(err)
	}
	var answer answeredLogin
	if f := c.write(ctx, callLogin, client, l.path, l.body, &answer, l.hide...); f != nil {
		message := l.prefix + l.failed + f.text()
		message += c.loginAdvice(l, f)
		out := f.fault(fault.Transient, cmv1.EventReasonVaultInitError, message, now)
		switch {
		case f.foreign:
		case f.status == http.StatusServiceUnavailable:
			out.Err = errUnavailable
		case f.status >= http.StatusBadRequest && f.status < http.StatusInternalServerError && out.Class == fault.Transient:
			out.Err = issuer.ErrRefused
		}
		return nil, out
	}
	if answer.Auth == nil || answer.Auth.ClientToken == "" {
		return nil, fault.New(fault.Transient, cmv1.EventReasonVaultInitError,
			"%sno token returned: %s answered the log-in at /v1/%s without one; a role that asks for a second factor (MFA) cannot be used", l.prefix, host(c.spec.Server), l.path)
	}
	lease, _ := answer.Auth.LeaseDuration.Int64()
	uses, _ := answer.Auth.NumUses.Int64()
	return c.newSession(answer.Auth.ClientToken, expiry(now, time.Duration(lease)*time.Second), uses)
}

// loginAdvice says what to look at after a log-in that was refused, as the end of a sentence.
// What Vault has said may be enough.
func (c *connection) loginAdvice(l login, f *failure) string {
	role, account := c.spec.Auth.AppRole, c.spec.Auth.Kubernetes
	switch {
	case f.status == http.StatusNotFound, f.status == http.StatusForbidden && !f.foreign && (f.said == "" || strings.HasPrefix(f.said, "permission denied")):
		text := "; is the auth method mounted at " + strings.TrimSuffix(strings.TrimPrefix(l.path, "auth/"), "/login") + inNamespace(c.spec.Namespace) + "?"
		if account != nil && account.ServiceAccountRef != nil {
			text += " If Vault has no reviewer token, is the audience of the API server among serviceAccountRef.audiences?"
		}
		return text
	case role != nil && f.status == http.StatusBadRequest && !f.foreign:
		return fmt.Sprintf("; check appRole.roleId, and key %q of secret '%s/%s', which may have been used up or have expired", role.SecretRef.Key, c.namespace, role.SecretRef.Name)
	default:
		return ""
	}
}

// newSession returns the session of a token with a number of uses, 0 for any.
func (c *connection) newSession(token string, expires time.Time, uses int64) (*session, error) {
	client, err := newClient(c.transport, c.spec.Server, c.spec.Namespace, token)
	if err != nil {
		return nil, unusable(err)
	}
	return &session{client: client, token: token, expires: expires, limited: uses > 0, uses: int(uses)}, nil
}

// unusable is the fault for a server that the client library takes for none.
func unusable(err error) error {
	return fault.New(fault.User, cmv1.EventReasonVaultInitError, "the client of Vault cannot be made: check spec.vault.server").Because(err)
}

func inNamespace(namespace string) string {
	if namespace == "" {
		return ""
	}
	return fmt.Sprintf(" in the namespace %q", namespace)
}
