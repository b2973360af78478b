package vault

import (
	"net/http"
	"strings"
	"testing"
	"time"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/fault"
)

// TestLogInFailures holds what becomes of a request by what a log-in meets.
func TestLogInFailures(t *testing.T) {
	for name, test := range map[string]struct {
		reply reply
		class fault.Class
		want  string
	}{
		"sealed":     {reply{status: 503, body: `{"errors":["Vault is sealed"]}`}, fault.Transient, `HOST answered HTTP 503 to /v1/auth/approle/login: Vault is sealed; unseal it ("vault operator unseal")`},
		"not there":  {reply{status: 404, body: `{"errors":["no handler for route"]}`}, fault.Transient, "HOST answered HTTP 404 to /v1/auth/approle/login: no handler for route; is the auth method mounted at approle?"},
		"rate limit": {reply{status: 429, body: `{"errors":["slow"]}`}, fault.Later, "HOST answered HTTP 429 to /v1/auth/approle/login: slow"},
		"no token":   {reply{status: 200, body: `{"auth":{"client_token":"","mfa_requirement":{}}}`}, fault.Transient, "no token returned: HOST answered the log-in at /v1/auth/approle/login without one; a role that asks for a second factor (MFA) cannot be used"},
		"foreign":    {reply{status: 200, body: `hunter2`}, fault.Transient, "HOST answered HTTP 200 to /v1/auth/approle/login, and not as Vault does: check spec.vault.server"},
	} {
		t.Run(name, func(t *testing.T) {
			l := byRole(t, "")
			l.server.answer(pathRole, func(*http.Request) reply { return test.reply })
			_, err := l.sign()
			prefix := "error logging in to Vault server: "
			if name == "no token" {
				prefix = ""
			}
			got := verdictOf(err)
			got.At = time.Time{}
			same(t, "fault", verdict{Class: test.class, Reason: "VaultInitError", Message: "Failed to initialise vault client for signing: " + prefix + strings.ReplaceAll(test.want, "HOST", host(l.server.URL))}, got)
		})
	}
}

func TestLoginPaths(t *testing.T) {
	for mount, want := range map[string]string{
		"": "auth/kubernetes/login", "/v1/auth/kubernetes": "auth/kubernetes/login", "v1/auth/k8s/prod/": "auth/k8s/prod/login",
		"/auth/k8s": "auth/k8s/login", "k8s": "auth/k8s/login", "team/k8s": "auth/team/k8s/login", "/v1/k8s": "auth/k8s/login",
		"/v1/team/auth/kubernetes": "team/auth/kubernetes/login", "v1/a/b/auth/k8s/": "a/b/auth/k8s/login", "team/auth/k8s": "auth/team/auth/k8s/login",
	} {
		if got := loginPath(mount, mountKubernetes); got != want {
			t.Errorf("%q: %q", mount, got)
		}
	}
	for mount, want := range map[string]string{
		"": "auth/approle/login", "team/approle": "auth/team/approle/login", "/v1/auth/x": "auth/x/login", "auth/x": "auth/auth/x/login",
	} {
		if got := roleLoginPath(mount); got != want {
			t.Errorf("%q: %q", mount, got)
		}
	}
}

func TestKubernetes(t *testing.T) {
	const path = "/v1/auth/k8s/login"
	s := newServer(t, plain)
	s.tokensOf(path, "")
	s.signs(pathSign, newSigner(t))
	l := newLab(t, s)
	l.spec.Auth = cmv1.VaultAuth{Kubernetes: &cmv1.VaultKubernetesAuth{Path: "/v1/auth/k8s", Role: "web", SecretRef: *ref("vault", "jwt")}}
	l.signs(1)
	same(t, "log-in with a Secret", map[string]any{"role": "web", "jwt": "the-jwt\n"}, s.bodies[path])

	l.spec.Auth.Kubernetes.SecretRef = *ref("", "")
	l.spec.Auth.Kubernetes.ServiceAccountRef = &cmv1.ServiceAccountRef{Name: "sa", TokenAudiences: []string{"https://kubernetes.default.svc"}}
	l.signs(1)
	same(t, "log-in with a service account", map[string]any{"role": "web", "jwt": "jwt-of-sa"}, s.bodies[path])
	l.name.Namespace = ""
	l.Forget("uid")
	l.signs(1)
	same(t, "tokens", []string{
		`ns/sa ["https://kubernetes.default.svc" "vault://ns/vi" "` + s.URL + `"] 10m0s`,
		`ns/sa ["https://kubernetes.default.svc" "vault://vi" "` + s.URL + `"] 10m0s`,
	}, l.tokens.asked)

	l.Forget("uid")
	s.set(path, 403, `{"errors":["permission denied: jwt-of-sa"]}`)
	_, err := l.sign()
	begins(t, err, fault.Transient, "VaultInitError", "Failed to initialise vault client for signing: while requesting a Vault token using the Kubernetes auth: error calling Vault server: "+
		host(s.URL)+" answered HTTP 403 to /v1/auth/k8s/login: permission denied: <secret>; is the auth method mounted at k8s?")
}
