package integration

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/vault"
)

// vaultLab is a lab with a Vault, in which it has an intermediate CA with the role web,
// and a policy that allows to use that role and nothing else. The mount and the policy
// have the name of the namespace.
type vaultLab struct {
	*lab
	vault *vault.Server
}

// newVaultLab is for tests that do not seal Vault: they share one.
func newVaultLab(t *testing.T, how harness.Controllers) *vaultLab {
	t.Helper()
	l := newLab(t, how)
	return prepareVault(t, l, vault.Shared(t))
}

func prepareVault(t *testing.T, l *lab, server *vault.Server) *vaultLab {
	t.Helper()
	v := &vaultLab{lab: l, vault: server}
	v.must(t, second(server.Root(t.Context(), v.ns+"-root")))
	v.must(t, second(server.Intermediate(t.Context(), v.ns, v.ns+"-root", true)))
	v.role(t, "web", nil)
	v.must(t, server.Policy(t.Context(), v.ns, v.ns+"/sign/web"))
	return v
}

// second is the error of a call whose result nobody needs.
func second[T any](_ T, err error) error { return err }

func (v *vaultLab) must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// role makes or changes a role of the lab's CA.
func (v *vaultLab) role(t *testing.T, name string, more map[string]any) {
	t.Helper()
	v.must(t, v.vault.Role(t.Context(), v.ns, name, more))
}

// configure writes to Vault as its administrator.
func (v *vaultLab) configure(t *testing.T, path string, data map[string]any) map[string]any {
	t.Helper()
	answer, err := v.vault.Write(t.Context(), path, data)
	v.must(t, err)
	return answer
}

// token makes a token with the lab's policy, and what more says.
func (v *vaultLab) token(t *testing.T, more map[string]any) string {
	t.Helper()
	token, err := v.vault.Token(t.Context(), more, v.ns)
	v.must(t, err)
	return token
}

// withToken puts a token of the lab's policy into the Secret token, and returns the auth
// stanza for it.
func (v *vaultLab) withToken(t *testing.T) (auth string) {
	t.Helper()
	v.Secret(t, v.ns, "token", "token", v.token(t, nil))
	return "{tokenSecretRef: {name: token}}"
}

// withAppRole makes an auth method for the lab, puts a secret ID into the Secret approle,
// and returns the auth stanza for it.
func (v *vaultLab) withAppRole(t *testing.T, more map[string]any) (auth string) {
	t.Helper()
	path := v.ns + "-approle"
	v.must(t, v.vault.Method(t.Context(), "approle", path))
	role, secret, err := v.vault.AppRole(t.Context(), path, "web", more, v.ns)
	v.must(t, err)
	v.Secret(t, v.ns, "approle", "secret-id", secret)
	return fmt.Sprintf("{appRole: {path: %s, roleId: %s, secretRef: {name: approle, key: secret-id}}}", path, role)
}

// stanza is the configuration of an issuer, in flow style; more begins with a comma.
func (v *vaultLab) stanza(path, auth, more string) string {
	return fmt.Sprintf("vault: {server: %q, path: %q, caBundle: %s, auth: %s%s}", v.vault.URL, path, v.bundle(), auth, more)
}

func (v *vaultLab) bundle() string { return base64.StdEncoding.EncodeToString(v.vault.Authority.PEM) }

// issuer applies an Issuer for the role web.
func (v *vaultLab) issuer(t *testing.T, name, auth string) {
	t.Helper()
	v.issuerOf(t, name, v.stanza(v.ns+"/sign/web", auth, ""))
}

func (v *vaultLab) issuerOf(t *testing.T, name, stanza string) {
	t.Helper()
	v.Apply(t, v.ns, fmt.Sprintf("{apiVersion: cert-manager.io/v1, kind: Issuer, metadata: {name: %s}, spec: {%s}}", name, stanza))
}

// says waits until the Ready condition of an Issuer has a status, and a message with all
// words, and returns the message.
func (l *lab) says(t *testing.T, issuer string, status cmmeta.ConditionStatus, words ...string) string {
	t.Helper()
	message := ""
	harness.Eventually(t, patience, func() error {
		object := &cmv1.Issuer{}
		if err := l.Get(t.Context(), client.ObjectKey{Namespace: l.ns, Name: issuer}, object); err != nil {
			return err
		}
		for _, c := range object.Status.Conditions {
			if c.Type != cmv1.IssuerConditionReady || c.Status != status {
				continue
			}
			message = c.Message
			for _, word := range words {
				if !strings.Contains(message, word) {
					return fmt.Errorf("%s says %q, without %q", issuer, message, word)
				}
			}
			return nil
		}
		return fmt.Errorf("%s is not %s: %+v", issuer, status, object.Status.Conditions)
	})
	t.Logf("%s: %s", issuer, message)
	return message
}

// wanted is a Certificate of an Issuer with an ECDSA key and one name, in a Secret of its
// own name.
func wanted(name, issuer, more string) string {
	return fmt.Sprintf(`{secretName: %s, dnsNames: [%s.example.com], privateKey: {algorithm: ECDSA}, issuerRef: {name: %s}%s}`, name, name, issuer, more)
}

// signs has an Issuer sign one certificate, which has the lab's chain.
func (v *vaultLab) signs(t *testing.T, name, issuer string) {
	t.Helper()
	v.certificate(t, name, wanted(name, issuer, ""))
	v.revision(t, name, 1)
	if chain := verify(t, v.lab.secret(t, name), name+".example.com"); len(chain) != 2 || chain[1].Subject.CommonName != v.ns {
		t.Errorf("%s has a chain of %d, which ends with %s", name, len(chain), chain[len(chain)-1].Subject)
	}
}

// waits waits until a Certificate's Issuing condition has all words.
func (v *vaultLab) waits(t *testing.T, certificate string, words ...string) string {
	t.Helper()
	v.IssuingHolds(t, v.ns, certificate, patience, words...)
	message := certificateCondition(v.crt(t, certificate), cmv1.CertificateConditionIssuing).Message
	t.Logf("%s: %s", certificate, message)
	return message
}

// again has a Certificate issued again at once, as cmctl renew does.
func (l *lab) again(t *testing.T, name string) {
	t.Helper()
	harness.Eventually(t, patience, func() error {
		crt := l.crt(t, name)
		cond := certificateCondition(crt, cmv1.CertificateConditionIssuing)
		if cond == nil {
			crt.Status.Conditions = append(crt.Status.Conditions, cmv1.CertificateCondition{Type: cmv1.CertificateConditionIssuing})
			cond = &crt.Status.Conditions[len(crt.Status.Conditions)-1]
		}
		cond.Status, cond.Reason, cond.Message = cmmeta.ConditionTrue, "ManuallyTriggered", "Certificate re-issuance manually triggered"
		return l.Status().Update(context.WithoutCancel(t.Context()), crt)
	})
}

// asked returns the requests of the controllers that match, for the lab's mounts.
func (v *vaultLab) asked(match func(vault.Request) bool) []vault.Request {
	return v.vault.Requests(func(r vault.Request) bool {
		return !r.Administrator() && strings.Contains(r.Path, v.ns) && match(r)
	})
}
