package integration

import (
	"context"
	"fmt"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/local"
	"github.com/everleaf/everleaf/internal/operator"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/vault"
)

// TestVaultAuth has a certificate issued by each auth method, with a policy that allows
// nothing but to sign.
func TestVaultAuth(t *testing.T) {
	aws := newFakeAWS(t, "web")
	v := newVaultLab(t, harness.Controllers{Options: func(o *operator.Options) { o.VendorHTTP = aws }})
	for name, auth := range map[string]func(*testing.T) string{
		"token":       v.withToken,
		"app-role":    func(t *testing.T) string { return v.withAppRole(t, nil) },
		"certificate": v.withClientCertificate,
		"jwt":         v.withJWT,
		"account":     v.withServiceAccount,
		"reviewed":    v.withReviewer,
		"aws":         func(t *testing.T) string { return v.withAWS(t, aws) },
	} {
		t.Run(name, func(t *testing.T) {
			v.issuer(t, name, auth(t))
			if says := v.says(t, name, cmmeta.ConditionTrue); says != "Vault verified" {
				t.Errorf("the Issuer says %q", says)
			}
			v.signs(t, name, name)
		})
	}
}

// withClientCertificate makes an auth method for client certificates, and returns the
// auth stanza for a Secret with such a certificate.
func (v *vaultLab) withClientCertificate(t *testing.T) string {
	t.Helper()
	clients, err := vault.NewAuthority("clients")
	v.must(t, err)
	path := v.ns + "-cert"
	v.must(t, v.vault.Method(t.Context(), "cert", path))
	v.configure(t, "auth/"+path+"/certs/web", map[string]any{
		"certificate": string(clients.PEM), "allowed_common_names": "everleaf", "token_policies": v.ns, "token_no_default_policy": true,
	})
	pair, err := clients.Client("everleaf")
	v.must(t, err)
	v.pair(t, "client-certificate", pair)
	return fmt.Sprintf("{clientCertificate: {mountPath: /v1/auth/%s, name: web, secretName: client-certificate}}", path)
}

// pair stores a certificate and its key.
func (v *vaultLab) pair(t *testing.T, secret string, pair vault.Pair) {
	t.Helper()
	v.must(t, v.Create(t.Context(), &corev1.Secret{
		ObjectMeta: metaNamed(v.ns, secret), Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{corev1.TLSCertKey: pair.Certificate, corev1.TLSPrivateKeyKey: pair.Key},
	}))
}

// account makes a service account.
func (v *vaultLab) account(t *testing.T, name string) {
	t.Helper()
	v.must(t, v.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metaNamed(v.ns, name)}))
}

// mayReview lets a service account ask the API server about tokens.
func (v *vaultLab) mayReview(t *testing.T, account string) {
	t.Helper()
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: v.ns, Name: account}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:auth-delegator"},
	}
	v.must(t, v.Create(t.Context(), binding))
	t.Cleanup(func() { _ = v.Delete(context.Background(), binding) })
}

// mayRequestTokens is what users grant the controller for a service account.
func (v *vaultLab) mayRequestTokens(t *testing.T, account string) {
	t.Helper()
	v.Apply(t, v.ns, fmt.Sprintf(`
{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: %[1]s-token},
  rules: [{apiGroups: [""], resources: [serviceaccounts/token], resourceNames: [%[1]s], verbs: [create]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: %[1]s-token},
  roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: %[1]s-token},
  subjects: [{kind: ServiceAccount, name: cert-manager, namespace: %[2]s}]}
`, account, local.Namespace))
}

// tokenOf returns a token of a service account for the API server.
func (v *vaultLab) tokenOf(t *testing.T, account string) string {
	t.Helper()
	core := kubernetes.NewForConfigOrDie(v.RESTConfig())
	answer, err := core.CoreV1().ServiceAccounts(v.ns).CreateToken(t.Context(), account, &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr(int64(3600))},
	}, metav1.CreateOptions{})
	v.must(t, err)
	return answer.Status.Token
}

// kubernetesAuth makes an auth method that asks the API server about the tokens of a
// service account, with the token of a reviewer or, without one, with the token itself.
func (v *vaultLab) kubernetesAuth(t *testing.T, name, reviewer, audience string) (path string) {
	t.Helper()
	path = v.ns + "-" + name
	v.must(t, v.vault.Method(t.Context(), "kubernetes", path))
	config := v.RESTConfig()
	settings := map[string]any{"kubernetes_host": config.Host, "kubernetes_ca_cert": string(config.CAData), "disable_local_ca_jwt": true}
	if reviewer != "" {
		settings["token_reviewer_jwt"] = reviewer
	}
	v.configure(t, "auth/"+path+"/config", settings)
	role := map[string]any{
		"bound_service_account_names": name, "bound_service_account_namespaces": v.ns, "token_policies": v.ns, "token_no_default_policy": true,
	}
	if audience != "" {
		role["audience"] = audience
	}
	v.configure(t, "auth/"+path+"/role/web", role)
	return path
}

// withJWT has the token of a service account in a Secret.
func (v *vaultLab) withJWT(t *testing.T) string {
	t.Helper()
	v.account(t, "jwt")
	v.mayReview(t, "jwt")
	path := v.kubernetesAuth(t, "jwt", "", "")
	v.Secret(t, v.ns, "jwt", "token", v.tokenOf(t, "jwt"))
	return fmt.Sprintf("{kubernetes: {mountPath: /v1/auth/%s, role: web, secretRef: {name: jwt}}}", path)
}

// withServiceAccount has the controller ask for a token that Vault sends to the API
// server as its own: the API server's audience must be among those of the token.
func (v *vaultLab) withServiceAccount(t *testing.T) string {
	t.Helper()
	v.account(t, "account")
	v.mayReview(t, "account")
	v.mayRequestTokens(t, "account")
	path := v.kubernetesAuth(t, "account", "", "")
	return fmt.Sprintf("{kubernetes: {mountPath: /v1/auth/%s, role: web, serviceAccountRef: {name: account, audiences: [%s]}}}", path, apiAudience)
}

// apiAudience is the audience of the API server.
const apiAudience = "https://kubernetes.default.svc.cluster.local"

// withReviewer has a reviewer, and a role that takes only tokens that are for the Issuer.
func (v *vaultLab) withReviewer(t *testing.T) string {
	t.Helper()
	v.account(t, "reviewer")
	v.mayReview(t, "reviewer")
	v.account(t, "reviewed")
	v.mayRequestTokens(t, "reviewed")
	path := v.kubernetesAuth(t, "reviewed", v.tokenOf(t, "reviewer"), "vault://"+v.ns+"/reviewed")
	return fmt.Sprintf("{kubernetes: {mountPath: /v1/auth/%s, role: web, serviceAccountRef: {name: reviewed}}}", path)
}

// TestVaultKubernetesAuthRefused has what users see of a service account that is not
// enough, until it is.
func TestVaultKubernetesAuthRefused(t *testing.T) {
	v := newVaultLab(t, harness.Controllers{})
	path := v.kubernetesAuth(t, "late", "", "")
	stanza := func(audiences string) string {
		return fmt.Sprintf("{kubernetes: {mountPath: /v1/auth/%s, role: web, serviceAccountRef: {name: late%s}}}", path, audiences)
	}
	v.issuer(t, "late", stanza(""))
	v.says(t, "late", cmmeta.ConditionFalse, "while requesting a token for the service account "+v.ns+"/late", "forbidden", "create a Role")
	v.mayRequestTokens(t, "late")
	v.says(t, "late", cmmeta.ConditionFalse, "while requesting a token for the service account "+v.ns+"/late", "not found")
	v.account(t, "late")
	v.mayReview(t, "late")
	v.says(t, "late", cmmeta.ConditionFalse, "while requesting a Vault token using the Kubernetes auth: ", "403", "permission denied", "serviceAccountRef.audiences")
	v.issuer(t, "late", stanza(", audiences: ["+apiAudience+"]"))
	v.says(t, "late", cmmeta.ConditionTrue)
	v.signs(t, "late", "late")
	// The token of the account is asked for with a log-in, and not for each signature.
	calls := v.traffic.Calls(func(c harness.Call) bool { return c.Resource == "serviceaccounts/token" && c.Namespace == v.ns })
	logins := v.asked(vault.Request.Login)
	if len(calls) < len(logins) {
		t.Errorf("%d tokens were asked for, for %d log-ins", len(calls), len(logins))
	}
	v.must(t, client.IgnoreNotFound(v.Delete(t.Context(), &corev1.ServiceAccount{ObjectMeta: metaNamed(v.ns, "late")})))
}
