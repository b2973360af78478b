package vault

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"k8s.io/apimachinery/pkg/util/validation/field"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/validation"
)

// The entries of Secrets that are read if the issuer names none.
const (
	entryBundle = "ca.crt"
	entryCert   = "tls.crt"
	entryKey    = "tls.key"
	entryToken  = "token"
)

// The mounts of the auth methods that are used if the issuer names none.
const (
	mountAppRole     = "approle"
	mountCertificate = "cert"
	mountKubernetes  = "kubernetes"
	mountAWS         = "aws"
)

// checkFields returns what is wrong with an issuer that can be seen without a Secret and
// a server, nil if nothing is. The first texts are those that cert-manager has, in its
// sequence; the others are the webhook's.
func checkFields(spec *cmv1.VaultIssuer) error {
	text := ""
	switch auth := spec.Auth; {
	case spec.Server == "" || spec.Path == "":
		text = "Vault server and path are required fields"
	case methods(&auth) == 0:
		text = "Vault tokenSecretRef, appRole, clientCertificate, kubernetes, or aws is required"
	case methods(&auth) > 1:
		text = "Multiple auth methods cannot be set on the same Vault issuer"
	case auth.TokenSecretRef != nil && auth.TokenSecretRef.Name == "":
		text = "Vault Token auth requires tokenSecretRef.name"
	case auth.AppRole != nil && (auth.AppRole.RoleId == "" || auth.AppRole.SecretRef.Name == ""):
		text = "Vault AppRole auth requires both roleId and tokenSecretRef.name"
	case auth.AppRole != nil && auth.AppRole.SecretRef.Key == "":
		text = "Vault AppRole auth requires secretRef.key"
	case auth.Kubernetes != nil:
		text = kubernetesFields(auth.Kubernetes)
	}
	if text == "" {
		if errs := validation.Vault(field.NewPath("spec", "vault"), spec); len(errs) > 0 {
			text = "Failed to initialize Vault client: " + errs.ToAggregate().Error()
		} else if !isServer(spec.Server) {
			text = "Failed to initialize Vault client: spec.vault.server is not the URL of a server, such as https://vault.example.com:8200"
		} else if strings.HasSuffix(strings.TrimRight(spec.Server, "/"), "/v1") {
			text = "Failed to initialize Vault client: spec.vault.server must not end with /v1, which is part of each path"
		} else if signPath(spec.Path) == "" {
			text = "Vault server and path are required fields"
		} else if instead, makes := makesKey(signPath(spec.Path)); makes {
			text = fmt.Sprintf("Failed to initialize Vault client: at spec.vault.path %q Vault makes a key of its own: set it to %q", spec.Path, instead)
		} else if !signs(signPath(spec.Path)) {
			text = fmt.Sprintf("Failed to initialize Vault client: spec.vault.path %q is not that of a sign endpoint such as pki/sign/my-role: what is sent there could change what is stored at Vault", spec.Path)
		} else {
			text = unprintable(spec)
		}
	}
	if text == "" {
		return nil
	}
	return fault.New(fault.User, cmv1.IssuerReasonVaultError, "%s", text)
}

// unprintable returns which field has what fits neither into a header nor a name.
func unprintable(spec *cmv1.VaultIssuer) string {
	for _, f := range []struct{ name, value string }{{"namespace", spec.Namespace}, {"serverName", spec.ServerName}} {
		if strings.ContainsFunc(f.value, unicode.IsControl) {
			return "Failed to initialize Vault client: spec.vault." + f.name + " contains a newline or another control character"
		}
	}
	return ""
}

func kubernetesFields(auth *cmv1.VaultKubernetesAuth) string {
	account := auth.ServiceAccountRef != nil && auth.ServiceAccountRef.Name != ""
	switch {
	case auth.Role == "":
		return "Vault Kubernetes auth requires a role to be set"
	case auth.SecretRef.Name == "" && !account:
		return "Vault Kubernetes auth requires either secretRef.name or serviceAccountRef.name to be set"
	case auth.SecretRef.Name != "" && account:
		return "Vault Kubernetes auth cannot be used with both secretRef.name and serviceAccountRef.name"
	}
	return ""
}

// methods counts the auth methods that are set.
func methods(auth *cmv1.VaultAuth) int {
	n := 0
	for _, set := range []bool{auth.TokenSecretRef != nil, auth.AppRole != nil, auth.ClientCertificate != nil, auth.Kubernetes != nil, auth.AWS != nil} {
		if set {
			n++
		}
	}
	return n
}

// isServer reports whether a text is the URL of a server. The client library takes
// addresses of local sockets too, which are nobody's to name here.
func isServer(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != ""
}

// host is the host and port of the server's URL.
func host(server string) string {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" {
		return server
	}
	return strings.ToLower(u.Host)
}

// below is the path in the server's URL, empty for none.
func below(server string) string {
	u, err := url.Parse(server)
	if err != nil {
		return ""
	}
	return strings.TrimRight(u.Path, "/")
}

// signPath returns the path of the sign endpoint as the client takes it, without /v1/.
func signPath(path string) string {
	return strings.Trim(strings.TrimPrefix(strings.TrimLeft(path, "/"), "v1/"), "/")
}

// loginPath returns the path of the log-in of an auth method that is mounted at a mount. One
// that begins with /v1/ is the path in the API, which may have a namespace before auth/; any
// other is a name, which may have auth/ before it.
func loginPath(mount, usual string) string {
	name := signPath(mount)
	switch {
	case name == "":
		name = "auth/" + usual
	case strings.HasPrefix(name, "auth/"):
	case !strings.HasPrefix(strings.TrimLeft(mount, "/"), "v1/"), !strings.Contains(name, "/auth/"):
		name = "auth/" + name
	}
	return name + "/login"
}

// roleLoginPath is loginPath for AppRole, whose mount is always a bare name in
// cert-manager: one that begins with auth/ is the name of a mount.
func roleLoginPath(mount string) string {
	if bare := strings.Trim(mount, "/"); bare != "" && !strings.HasPrefix(bare, "v1/auth/") {
		return "auth/" + bare + "/login"
	}
	return loginPath(mount, mountAppRole)
}

// signs reports whether a path can be one at which Vault signs: a word after the mount begins
// with sign, as in MOUNT/sign/ROLE or MOUNT/issuer/REF/sign-verbatim. At another one,
// such as that of a role, the request would be stored.
func signs(path string) bool {
	words := strings.Split(path, "/")
	for i, word := range words[1:] {
		stores := slices.Contains([]string{"roles", "role", "config"}, words[i])
		if strings.HasPrefix(word, "sign") && !stores {
			return true
		}
	}
	return false
}

// makesKey reports whether a sign path is one at which Vault makes a private key of its
// own, and returns the one that signs the request's key.
func makesKey(path string) (instead string, makes bool) {
	segments := strings.Split(path, "/")
	at := len(segments) - 2
	if at < 1 || segments[at] != "issue" {
		return "", false
	}
	segments[at] = "sign"
	return strings.Join(segments, "/"), true
}

// secretNames are the Secrets that decide whether an issuer works, sorted and each once.
func secretNames(spec *cmv1.VaultIssuer) []string {
	var names []string
	add := func(name string) {
		if name != "" {
			names = append(names, name)
		}
	}
	for _, ref := range []*cmmeta.SecretKeySelector{spec.CABundleSecretRef, spec.ClientCertSecretRef, spec.ClientKeySecretRef, spec.Auth.TokenSecretRef} {
		if ref != nil {
			add(ref.Name)
		}
	}
	if a := spec.Auth.AppRole; a != nil {
		add(a.SecretRef.Name)
	}
	if a := spec.Auth.ClientCertificate; a != nil {
		add(a.SecretName)
	}
	if a := spec.Auth.Kubernetes; a != nil {
		add(a.SecretRef.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
