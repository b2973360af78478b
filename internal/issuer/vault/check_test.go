package vault

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/issuer"
)

var ready = issuer.Status{Reason: "VaultVerified", Message: "Vault verified"}

func TestHealth(t *testing.T) {
	const health = "Failed to verify Vault is initialized and unsealed: "
	for name, test := range map[string]struct {
		status int
		body   string
		want   string
	}{
		"active":               {200, `{"initialized":true,"sealed":false}`, ""},
		"no body":              {200, ``, ""},
		"standby":              {429, `{"initialized":true,"sealed":false,"standby":true}`, ""},
		"recovery":             {472, `{"initialized":true,"sealed":false}`, ""},
		"performance standby":  {473, `{"initialized":true,"sealed":false}`, ""},
		"sealed":               {503, `{"initialized":true,"sealed":true}`, health + `Vault is sealed; unseal it ("vault operator unseal")`},
		"uninitialised":        {501, `{"initialized":false,"sealed":true}`, health + `Vault is not initialized; initialize it ("vault operator init")`},
		"broken":               {500, `{"errors":["boom"]}`, health + "error calling Vault /v1/sys/health: HOST answered HTTP 500 to /v1/sys/health: boom"},
		"another server":       {200, `<html>hunter2</html>`, health + "error calling Vault /v1/sys/health: HOST answered HTTP 200 to /v1/sys/health, and not as Vault does: check spec.vault.server"},
		"another server's 503": {503, `<html>hunter2</html>`, health + "error calling Vault /v1/sys/health: HOST answered HTTP 503 to /v1/sys/health, and not as Vault does: check spec.vault.server"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, plain)
			s.set("/v1/sys/health", test.status, test.body)
			l := newLab(t, s)
			l.spec.Namespace = "ns1/"
			got, err := l.check()
			if test.want == "" {
				same(t, "status", ready, got)
				same(t, "fault", verdict{}, verdictOf(err))
				// The health has no namespace.
				same(t, "requests", []string{"GET /v1/sys/health", "POST /v1/sys/capabilities-self token=s.token namespace=ns1/"}, s.took())
				return
			}
			same(t, "fault", verdict{Class: fault.Transient, Reason: "VaultError", Message: strings.ReplaceAll(test.want, "HOST", host(s.URL))}, verdictOf(err))
		})
	}
	s := newServer(t, plain)
	l := newLab(t, s)
	s.Close()
	_, err := l.check()
	same(t, "unreachable", verdict{Class: fault.Transient, Reason: "VaultError", Message: health + host(s.URL) + ": connection refused"}, verdictOf(err))
}

// TestUnavailable: if a Vault that serves nothing refuses the log-in, the check of the issuer
// reports what the health of that Vault is, and not the refusal.
func TestUnavailable(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		body   string
		want   string
	}{
		"not initialised": {501, `{"initialized":false,"sealed":true}`, `Failed to verify Vault is initialized and unsealed: Vault is not initialized; initialize it ("vault operator init")`},
		"sealed":          {503, `{"initialized":true,"sealed":true}`, `Failed to verify Vault is initialized and unsealed: Vault is sealed; unseal it ("vault operator unseal")`},
		"unsealed since":  {200, `{"initialized":true,"sealed":false}`, `Failed to initialize Vault client: error logging in to Vault server: HOST answered HTTP 503 to /v1/auth/approle/login: Vault is sealed; unseal it ("vault operator unseal")`},
	} {
		t.Run(name, func(t *testing.T) {
			l := byRole(t, "")
			l.server.set(pathRole, 503, `{"errors":["Vault is sealed"]}`)
			l.server.set("/v1/sys/health", test.status, test.body)
			_, err := l.check()
			same(t, "fault", verdict{Class: fault.Transient, Reason: "VaultError", Message: strings.ReplaceAll(test.want, "HOST", host(l.server.URL))}, verdictOf(err))
		})
	}
}

// TestPermission: the check of an issuer reports a token that may not sign, or that Vault does not know.
func TestPermission(t *testing.T) {
	const initial = "Failed to initialize Vault client: "
	denied := `{"errors":["1 error occurred:\n\t* permission denied\n\n"]}`
	invalid := `{"errors":["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"]}`
	for name, test := range map[string]struct {
		status int
		body   string
		want   string
	}{
		"root":       {200, `{"data":{"capabilities":["root"]}}`, ""},
		"nothing":    {200, `{"data":{"capabilities":["deny"]}}`, initial + `HOST does not allow the token to sign at path "pki/sign/web": the token needs a policy with path "pki/sign/web" { capabilities = ["create", "update"] }; spec.vault.path is MOUNT/sign/ROLE`},
		"read":       {200, `{"data":{"capabilities":["read"]}}`, initial + `HOST does not allow the token to sign at path "pki/sign/web": the token needs a policy with path "pki/sign/web" { capabilities = ["create", "update"] }; spec.vault.path is MOUNT/sign/ROLE`},
		"no default": {403, denied, ""},
		"no answer":  {404, `{"errors":[]}`, ""},
		"no token":   {500, `{"errors":["no namespace"]}`, initial + "HOST answered HTTP 500 to /v1/sys/capabilities-self: no namespace"},
		"revoked":    {403, invalid, initial + `HOST answered HTTP 403 to /v1/sys/capabilities-self: permission denied; invalid token; the token in secret 'ns/vault' is not valid, or has expired: store a valid one, or use an auth method with a log-in`},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, plain)
			s.set("/v1/sys/capabilities-self", test.status, test.body)
			got, err := newLab(t, s).check()
			if test.want == "" {
				same(t, "status", ready, got)
				return
			}
			same(t, "fault", verdict{Class: fault.Transient, Reason: "VaultError", Message: strings.ReplaceAll(test.want, "HOST", host(s.URL))}, verdictOf(err))
		})
	}
}

func TestFields(t *testing.T) {
	with := func(auth cmv1.VaultAuth) func(*cmv1.VaultIssuer) {
		return func(s *cmv1.VaultIssuer) { s.Auth = auth }
	}
	kubernetes := func(k cmv1.VaultKubernetesAuth) func(*cmv1.VaultIssuer) {
		return with(cmv1.VaultAuth{Kubernetes: &k})
	}
	const initial = "Failed to initialize Vault client: "
	for name, test := range map[string]struct {
		change func(*cmv1.VaultIssuer)
		want   string
	}{
		"server":     {func(s *cmv1.VaultIssuer) { s.Server = "" }, "Vault server and path are required fields"},
		"path":       {func(s *cmv1.VaultIssuer) { s.Path = "" }, "Vault server and path are required fields"},
		"slash":      {func(s *cmv1.VaultIssuer) { s.Path = "/v1/" }, "Vault server and path are required fields"},
		"mount only": {func(s *cmv1.VaultIssuer) { s.Path = "pki" }, initial + `spec.vault.path "pki" is not that of a sign endpoint such as pki/sign/my-role: what is sent there could change what is stored at Vault`},
		"a role":     {func(s *cmv1.VaultIssuer) { s.Path = "pki/roles/sign" }, initial + `spec.vault.path "pki/roles/sign" is not that of a sign endpoint such as pki/sign/my-role: what is sent there could change what is stored at Vault`},
		"own key":    {func(s *cmv1.VaultIssuer) { s.Path = "/v1/pki/issue/web" }, initial + `at spec.vault.path "/v1/pki/issue/web" Vault makes a key of its own: set it to "pki/sign/web"`},
		"API path":   {func(s *cmv1.VaultIssuer) { s.Server = "https://vault.example.com/v1/" }, initial + "spec.vault.server must not end with /v1, which is part of each path"},
		"no auth":    {with(cmv1.VaultAuth{}), "Vault tokenSecretRef, appRole, clientCertificate, kubernetes, or aws is required"},
		"two":        {with(cmv1.VaultAuth{TokenSecretRef: ref("a", ""), AWS: &cmv1.VaultAWSAuth{Role: "r"}}), "Multiple auth methods cannot be set on the same Vault issuer"},
		"token":      {with(cmv1.VaultAuth{TokenSecretRef: ref("", "")}), "Vault Token auth requires tokenSecretRef.name"},
		"role id":    {with(cmv1.VaultAuth{AppRole: &cmv1.VaultAppRole{SecretRef: *ref("a", "b")}}), "Vault AppRole auth requires both roleId and tokenSecretRef.name"},
		"secret id":  {with(cmv1.VaultAuth{AppRole: &cmv1.VaultAppRole{RoleId: "r"}}), "Vault AppRole auth requires both roleId and tokenSecretRef.name"},
		"secret key": {with(cmv1.VaultAuth{AppRole: &cmv1.VaultAppRole{RoleId: "r", SecretRef: *ref("a", "")}}), "Vault AppRole auth requires secretRef.key"},
		"role":       {kubernetes(cmv1.VaultKubernetesAuth{SecretRef: *ref("a", "")}), "Vault Kubernetes auth requires a role to be set"},
		"no ref":     {kubernetes(cmv1.VaultKubernetesAuth{Role: "r"}), "Vault Kubernetes auth requires either secretRef.name or serviceAccountRef.name to be set"},
		"both refs": {
			kubernetes(cmv1.VaultKubernetesAuth{Role: "r", SecretRef: *ref("a", ""), ServiceAccountRef: &cmv1.ServiceAccountRef{Name: "b"}}),
			"Vault Kubernetes auth cannot be used with both secretRef.name and serviceAccountRef.name",
		},
		"path that leaves":  {func(s *cmv1.VaultIssuer) { s.Path = "pki/../sys/x" }, initial + `spec.vault.path: Invalid value: "pki/../sys/x": must not contain '..' path segments`},
		"mount that leaves": {kubernetes(cmv1.VaultKubernetesAuth{Role: "r", Path: "/v1/auth/../x", SecretRef: *ref("a", "")}), initial + `spec.vault.auth.kubernetes.path: Invalid value: "/v1/auth/../x": must not contain '..' path segments`},
		"half a pair":       {func(s *cmv1.VaultIssuer) { s.ClientKeySecretRef = ref("a", "") }, initial + `spec.vault.clientCertSecretRef: Invalid value: "<snip>": clientCertSecretRef must be provided when defining the clientKeySecretRef`},
		"socket":            {func(s *cmv1.VaultIssuer) { s.Server = "unix:///run/containerd.sock" }, initial + "spec.vault.server is not the URL of a server, such as https://vault.example.com:8200"},
		"no scheme":         {func(s *cmv1.VaultIssuer) { s.Server = "vault.example.com:8200" }, initial + "spec.vault.server is not the URL of a server, such as https://vault.example.com:8200"},
		"namespace":         {func(s *cmv1.VaultIssuer) { s.Namespace = "admin\n" }, initial + "spec.vault.namespace contains a newline or another control character"},
		"server name":       {func(s *cmv1.VaultIssuer) { s.ServerName = "vault\x00" }, initial + "spec.vault.serverName contains a newline or another control character"},
		"no URL":            {func(s *cmv1.VaultIssuer) { s.Server = "https://a b" }, initial + "spec.vault.server is not the URL of a server, such as https://vault.example.com:8200"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, plain)
			l := newLab(t, s)
			test.change(&l.spec)
			_, err := l.check()
			same(t, "fault", verdict{Class: fault.User, Reason: "VaultError", Message: test.want}, verdictOf(err))
			if got := s.took(); len(got) > 0 {
				t.Errorf("requests: %q", got)
			}
		})
	}
}

// TestSecrets holds what is said of Secrets that do not have what they should.
func TestSecrets(t *testing.T) {
	cert, key, _ := pairPEM(t, "client")
	_, otherKey, _ := pairPEM(t, "other")
	const bundle, client = "failed to load vault CA bundle: ", "failed to load vault client certificate: "
	for name, test := range map[string]struct {
		change func(*cmv1.VaultIssuer)
		want   string
		// missing says that a request waits for the Secret of the credentials.
		missing bool
	}{
		"no bundle":  {func(s *cmv1.VaultIssuer) { s.CABundleSecretRef = ref("gone", "") }, bundle + `could not access secret 'ns/gone': secrets "gone" not found`, false},
		"no entry":   {func(s *cmv1.VaultIssuer) { s.CABundleSecretRef = ref("vault", "") }, bundle + `no data for "ca.crt" in secret 'ns/vault'`, false},
		"big bundle": {func(s *cmv1.VaultIssuer) { s.CABundleSecretRef = ref("big", "") }, bundle + "no Vault CA bundles loaded, check bundle contents: provided PEM data was larger than the maximum 330000B", false},
		"bad bundle": {func(s *cmv1.VaultIssuer) { s.CABundleSecretRef = ref("vault", "token") }, bundle + "no Vault CA bundles loaded, check bundle contents: ", false},
		"no pair": {func(s *cmv1.VaultIssuer) {
			s.ClientCertSecretRef, s.ClientKeySecretRef = ref("gone", ""), ref("pair", "")
		}, client + `could not access Secret 'ns/gone': secrets "gone" not found`, false},
		"no key": {func(s *cmv1.VaultIssuer) {
			s.ClientCertSecretRef, s.ClientKeySecretRef = ref("pair", ""), ref("pair", "x")
		}, client + `no data for "x" in Secret 'ns/pair'`, false},
		"two pairs": {func(s *cmv1.VaultIssuer) {
			s.ClientCertSecretRef, s.ClientKeySecretRef = ref("pair", ""), ref("other", "")
		}, client + "could not parse the TLS certificate from Secrets 'ns/pair'(cert) and 'ns/other'(key): tls: private key does not match public key", false},
		"no token":      {func(s *cmv1.VaultIssuer) { s.Auth.TokenSecretRef = ref("gone", "") }, `could not access secret 'ns/gone': secrets "gone" not found`, true},
		"no token key":  {func(s *cmv1.VaultIssuer) { s.Auth.TokenSecretRef = ref("vault", "x") }, `no data for "x" in secret 'ns/vault'`, false},
		"empty token":   {func(s *cmv1.VaultIssuer) { s.Auth.TokenSecretRef = ref("other", "token") }, `no data for "token" in secret 'ns/other'`, false},
		"blank token":   {func(s *cmv1.VaultIssuer) { s.Auth.TokenSecretRef = ref("other", "blank") }, `no data for "blank" in secret 'ns/other'`, false},
		"blank secret":  {func(s *cmv1.VaultIssuer) { s.Auth = appRole(); s.Auth.AppRole.SecretRef = *ref("other", "blank") }, `no data for "blank" in secret 'ns/other'`, false},
		"lines":         {func(s *cmv1.VaultIssuer) { s.Auth.TokenSecretRef = ref("other", "lines") }, `unable to read token: the value of key "lines" in secret 'ns/other' contains a newline`, false},
		"no secret id":  {func(s *cmv1.VaultIssuer) { s.Auth = appRole(); s.Auth.AppRole.SecretRef.Name = "gone" }, `could not access secret 'ns/gone': secrets "gone" not found`, true},
		"no login pair": {func(s *cmv1.VaultIssuer) { s.Auth = certificate("gone") }, `could not access secret 'ns/gone': secrets "gone" not found`, true},
		"no login cert": {func(s *cmv1.VaultIssuer) { s.Auth = certificate("vault") }, "no data for tls.crt in secret 'ns/vault'", false},
		"login pairs":   {func(s *cmv1.VaultIssuer) { s.Auth = certificate("mixed") }, "error reading client certificate: secret 'ns/mixed': tls: private key does not match public key", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, plain)
			l := newLab(t, s)
			l.secrets.put("pair", map[string]string{"tls.crt": cert, "tls.key": key})
			l.secrets.put("other", map[string]string{"tls.key": otherKey, "token": "", "blank": " \n", "lines": "a\nb"})
			l.secrets.put("big", map[string]string{"ca.crt": cert + strings.Repeat("\n", 330000)})
			l.secrets.put("mixed", map[string]string{"tls.crt": cert, "tls.key": otherKey})
			test.change(&l.spec)
			_, err := l.check()
			begins(t, err, fault.User, "VaultError", "Failed to initialize Vault client: "+test.want)
			_, err = l.sign()
			if test.missing {
				begins(t, err, fault.User, "SecretMissing", "Required secret resource not found: "+test.want)
			} else {
				begins(t, err, fault.User, "VaultInitError", "Failed to initialise vault client for signing: "+test.want)
			}
			if got := s.took(); len(got) > 0 {
				t.Errorf("requests: %q", got)
			}
		})
	}
	l := newLab(t, newServer(t, plain))
	l.secrets.err = apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "vault", errors.New("no"))
	_, err := l.sign()
	begins(t, err, fault.Transient, "VaultInitError", `Failed to initialise vault client for signing: could not access secret 'ns/vault': secrets "vault" is forbidden: no`)
}

func certificate(secret string) cmv1.VaultAuth {
	return cmv1.VaultAuth{ClientCertificate: &cmv1.VaultClientCertificateAuth{Name: "web", SecretName: secret}}
}

// begins checks a fault whose message goes on after what is given.
func begins(t *testing.T, err error, class fault.Class, reason, message string) {
	t.Helper()
	got := verdictOf(err)
	if got.Class != class || got.Reason != reason || !strings.HasPrefix(got.Message, message) {
		t.Errorf("got %+v, want %s %s %q", got, class, reason, message)
	}
}

func TestSecretNames(t *testing.T) {
	spec := &cmv1.VaultIssuer{
		CABundleSecretRef: ref("ca", ""), ClientCertSecretRef: ref("pair", ""), ClientKeySecretRef: ref("pair", ""),
		Auth: cmv1.VaultAuth{
			TokenSecretRef: ref("token", ""), AppRole: &cmv1.VaultAppRole{SecretRef: *ref("approle", "")},
			ClientCertificate: &cmv1.VaultClientCertificateAuth{SecretName: "login"}, Kubernetes: &cmv1.VaultKubernetesAuth{SecretRef: *ref("", "")},
			AWS: &cmv1.VaultAWSAuth{},
		},
	}
	got := (&Type{}).Secrets(&cmv1.IssuerSpec{IssuerConfig: cmv1.IssuerConfig{Vault: spec}})
	same(t, "Secrets", []string{"approle", "ca", "login", "pair", "token"}, got)
}

// TestEnvironment: what the process has for other programs changes nothing.
func TestEnvironment(t *testing.T) {
	for name, value := range map[string]string{
		"VAULT_ADDR": "http://192.0.2.1", "VAULT_AGENT_ADDR": "http://192.0.2.1", "VAULT_TOKEN": "other", "VAULT_NAMESPACE": "other", "VAULT_SKIP_VERIFY": "perhaps",
		"VAULT_CACERT": "/nowhere", "VAULT_HEADERS": `{"a":"b"}`, "VAULT_WRAP_TTL": "1m", "VAULT_RATE_LIMIT": "x", "VAULT_PROXY_ADDR": "http://192.0.2.1",
	} {
		t.Setenv(name, value)
	}
	names := IgnoreEnvironment()
	same(t, "names", []string{
		"VAULT_ADDR", "VAULT_AGENT_ADDR", "VAULT_CACERT", "VAULT_HEADERS", "VAULT_NAMESPACE", "VAULT_PROXY_ADDR", "VAULT_RATE_LIMIT", "VAULT_SKIP_VERIFY", "VAULT_TOKEN", "VAULT_WRAP_TTL",
	}, names)
	s := newServer(t, plain)
	s.answer("/v1/sys/capabilities-self", func(r *http.Request) reply {
		if got := r.Header.Get("X-Vault-Wrap-TTL") + r.Header.Get("a"); got != "" {
			t.Errorf("headers %q", got)
		}
		return reply{status: 200, body: `{}`}
	})
	l := newLab(t, s)
	l.name = types.NamespacedName{Name: "vi"}
	if _, err := l.check(); err != nil {
		t.Fatal(err)
	}
	same(t, "requests", []string{"GET /v1/sys/health", "POST /v1/sys/capabilities-self token=s.token"}, s.took())
}

// TestCounted: each call of a server is counted once, by what it is for.
func TestCounted(t *testing.T) {
	l := byRole(t, "")
	var calls []string
	l.Observe = func(call string, status int, took time.Duration) {
		calls = append(calls, fmt.Sprintf("%s %d %s", call, status, took))
	}
	if _, err := l.check(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.sign(); err != nil {
		t.Fatal(err)
	}
	l.server.set(pathSign, http.StatusBadRequest, `{"errors":["no"]}`)
	_, _ = l.sign()
	l.server.Close()
	_, _ = l.sign()
	same(t, "calls", []string{"login 200 0s", "health 200 0s", "capabilities 200 0s", "sign 200 0s", "sign 400 0s", "sign 0 0s"}, calls)
}
