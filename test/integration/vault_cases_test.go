package integration

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/vault"
)

// mountToken makes a token for everything in the lab's mounts, and in an engine that takes
// all values, in the Secret mount. It returns the auth stanza for it.
func (v *vaultLab) mountToken(t *testing.T) string {
	t.Helper()
	v.must(t, v.vault.Policy(t.Context(), v.ns+"-mount", v.ns+"*", "cubbyhole/*"))
	token, err := v.vault.Token(t.Context(), nil, v.ns+"-mount")
	v.must(t, err)
	v.Secret(t, v.ns, "mount", "token", token)
	return "{tokenSecretRef: {name: mount}}"
}

// TestVaultPaths has the forms of paths that people write.
func TestVaultPaths(t *testing.T) {
	lines := &harness.Lines{}
	v := newVaultLab(t, harness.Controllers{Log: lines.Logger(4)})
	auth := v.mountToken(t)
	// For a key of any type Vault makes none.
	v.role(t, "own-keys", map[string]any{"key_type": "ec", "key_bits": 256})
	for i, path := range []string{"%s/sign/web", "/%s/sign/web", "v1/%s/sign/web", "%s/sign/web/", "%s/issuer/default/sign/web", "%s/sign-verbatim/web"} {
		t.Run(path, func(t *testing.T) {
			name := fmt.Sprintf("good-%d", i)
			v.issuerOf(t, name, v.stanza(fmt.Sprintf(path, v.ns), auth, ""))
			v.signs(t, name, name)
		})
	}
	t.Run("server with a slash", func(t *testing.T) {
		v.issuerOf(t, "slash", strings.Replace(v.stanza(v.ns+"/sign/web", auth, ""), v.vault.URL, v.vault.URL+"/", 1))
		v.signs(t, "slash", "slash")
	})
	for i, test := range []struct {
		path  string
		words []string
	}{
		{"%s-team a/sign/web", []string{"HTTP 404", "check spec.vault.path"}},
		{"cubbyhole/%s/sign/web", []string{"the answer has no certificate", "check spec.vault.path"}},
		{"%s/sign/none", []string{"HTTP 400", "unknown role: none"}},
	} {
		t.Run(test.path, func(t *testing.T) {
			name := fmt.Sprintf("bad-%d", i)
			v.issuerOf(t, name, v.stanza(fmt.Sprintf(test.path, v.ns), auth, ""))
			v.says(t, name, cmmeta.ConditionTrue)
			v.certificate(t, name, wanted(name, name, ""))
			t.Log(conditions(failedCertificate(t, v.lab, name, test.words...)))
		})
	}
	for i, test := range []struct{ path, words string }{
		{"%s", "is not that of a sign endpoint"},
		{"%s/Sign/web", "is not that of a sign endpoint"},
		{"%s/roles/web", "is not that of a sign endpoint"},
		{"%s/issue/own-keys", `Vault makes a key of its own: set it to "` + v.ns + `/sign/own-keys"`},
	} {
		t.Run(test.path, func(t *testing.T) {
			name := fmt.Sprintf("refused-%d", i)
			v.issuerOf(t, name, v.stanza(fmt.Sprintf(test.path, v.ns), auth, ""))
			v.says(t, name, cmmeta.ConditionFalse, test.words)
		})
	}
	// What is sent to the path of a role would be its new configuration.
	v.certificate(t, "unchanged", wanted("unchanged", "good-0", ""))
	v.revision(t, "unchanged", 1)
	t.Run("dots", func(t *testing.T) {
		object := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "cert-manager.io/v1", "kind": "Issuer", "metadata": map[string]any{"namespace": v.ns, "name": "dots"},
			"spec": map[string]any{"vault": map[string]any{"server": v.vault.URL, "path": v.ns + "/../sys/x", "auth": map[string]any{"tokenSecretRef": map[string]any{"name": "mount"}}}},
		}}
		err := v.Create(t.Context(), object)
		t.Log(err)
		if err == nil {
			v.says(t, "dots", cmmeta.ConditionFalse)
		}
	})
	for _, r := range v.asked(anyRequest) {
		if strings.Contains(r.Path, "//") || strings.Contains(r.Path, "/v1/v1") {
			t.Errorf("Vault was asked for %s", r.Path)
		}
	}
	// The keys that Vault has made are nowhere.
	v.WantNowhere(t, v.ns, "PRIVATE KEY")
	if found := lines.With("PRIVATE KEY"); len(found) > 0 {
		t.Errorf("the log has private keys: %q", found)
	}
}

// TestVaultRoles has roles that do not allow what a Certificate asks for. Vault's own
// sentence is in its status.
func TestVaultRoles(t *testing.T) {
	v := newVaultLab(t, harness.Controllers{})
	auth := v.mountToken(t)
	strict := map[string]any{
		"allow_any_name": false, "allowed_domains": "corp.example", "allow_subdomains": true, "allow_ip_sans": false, "allowed_uri_sans": "",
		"allow_wildcard_certificates": false, "enforce_hostnames": true,
	}
	issuer := func(name string, role map[string]any) {
		v.role(t, name, role)
		v.issuerOf(t, name, v.stanza(v.ns+"/sign/"+name, auth, ""))
	}
	issuer("strict", strict)
	issuer("ec", map[string]any{"key_type": "ec", "key_bits": 256})
	issuer("rsa-4096", map[string]any{"key_type": "rsa", "key_bits": 4096})
	spec := func(name, issuer, names, key string) string {
		return fmt.Sprintf(`{secretName: %s, %s, privateKey: %s, issuerRef: {name: %s}}`, name, names, key, issuer)
	}
	const ecdsa, rsa = "{algorithm: ECDSA}", "{algorithm: RSA, size: 2048}"
	t.Run("allowed", func(t *testing.T) {
		v.certificate(t, "allowed", spec("allowed", "strict", "commonName: a.corp.example, dnsNames: [a.corp.example, b.corp.example]", ecdsa))
		v.revision(t, "allowed", 1)
	})
	for _, test := range []struct{ name, issuer, names, key, words string }{
		{"bare", "strict", "dnsNames: [corp.example]", ecdsa, "subject alternate name corp.example not allowed by this role"},
		{"wildcard", "strict", `dnsNames: ["*.corp.example"]`, ecdsa, "subject alternate name *.corp.example not allowed by this role"},
		{"other", "strict", "dnsNames: [a.other.example]", ecdsa, "subject alternate name a.other.example not allowed by this role"},
		{"ip", "strict", "dnsNames: [c.corp.example], ipAddresses: [10.0.0.1]", ecdsa, "IP Subject Alternative Names are not allowed in this role"},
		{"uri", "strict", `dnsNames: [d.corp.example], uris: ["spiffe://corp.example/x"]`, ecdsa, "URI Subject Alternative Names"},
		{"rsa-key", "ec", "dnsNames: [e.corp.example]", rsa, "role requires keys of type ec"},
		{"small-key", "rsa-4096", "dnsNames: [f.corp.example]", rsa, "4096"},
	} {
		t.Run(test.name, func(t *testing.T) {
			v.certificate(t, test.name, spec(test.name, test.issuer, test.names, test.key))
			t.Log(conditions(failedCertificate(t, v.lab, test.name, "HTTP 400", test.words)))
		})
	}
	t.Run("corrected at Vault", func(t *testing.T) {
		strict["allow_bare_domains"] = true
		v.role(t, "strict", strict)
		v.again(t, "bare")
		v.revision(t, "bare", 1)
	})
	t.Run("corrected by a user", func(t *testing.T) {
		v.patch(t, &cmv1.Certificate{}, "rsa-key", `{"spec":{"privateKey":{"algorithm":"ECDSA","size":256}}}`)
		v.revision(t, "rsa-key", 1)
	})
	t.Run("any key", func(t *testing.T) {
		for i, key := range []string{rsa, ecdsa, "{algorithm: ECDSA, size: 384}"} {
			name := fmt.Sprintf("any-%d", i)
			issuer("web", nil)
			v.certificate(t, name, spec(name, "web", "dnsNames: [g.corp.example]", key))
			v.revision(t, name, 1)
		}
	})
}

// TestVaultChains has CAs whose chain Vault knows, or does not know.
func TestVaultChains(t *testing.T) {
	v := newVaultLab(t, harness.Controllers{})
	auth := v.mountToken(t)
	rootless, err := v.vault.Intermediate(t.Context(), v.ns+"-rootless", v.ns+"-root", false)
	v.must(t, err)
	third, err := v.vault.Intermediate(t.Context(), v.ns+"-third", v.ns, true)
	v.must(t, err)
	for _, test := range []struct {
		mount string
		chain []string
		ca    string
	}{
		{v.ns, []string{v.ns}, v.ns + "-root"},
		{v.ns + "-root", nil, v.ns + "-root"},
		{v.ns + "-rootless", []string{v.ns + "-rootless"}, v.ns + "-rootless"},
		{v.ns + "-third", []string{v.ns + "-third", v.ns}, v.ns},
	} {
		name := "issuer" + strings.TrimPrefix(test.mount, v.ns)
		t.Run(name, func(t *testing.T) {
			v.must(t, v.vault.Role(t.Context(), test.mount, "web", nil))
			v.issuerOf(t, name, v.stanza(test.mount+"/sign/web", auth, ""))
			v.certificate(t, name, wanted(name, name, ""))
			v.revision(t, name, 1)
			secret := v.secret(t, name)
			var names []string
			for _, c := range verify(t, secret, name+".example.com")[1:] {
				names = append(names, c.Subject.CommonName)
			}
			ca, err := pki.ParseChain(secret.Data[cmmeta.TLSCAKey], pki.Limits{})
			v.must(t, err)
			if fmt.Sprint(names) != fmt.Sprint(test.chain) || len(ca) != 1 || ca[0].Subject.CommonName != test.ca {
				t.Errorf("above the leaf is %v, want %v; ca.crt is %v, want %s", names, test.chain, ca[0].Subject, test.ca)
			}
		})
	}
	if bytes.Equal([]byte(rootless), []byte(third)) {
		t.Error("two CAs are one")
	}
}

// TestVaultLifetimes has CAs that give less time than is asked for, or none.
func TestVaultLifetimes(t *testing.T) {
	v := newVaultLab(t, harness.Controllers{})
	auth := v.mountToken(t)
	// A root that has expired by the end of the test.
	short := v.ns + "-short"
	v.configure(t, "sys/mounts/"+short, map[string]any{"type": "pki"})
	v.configure(t, short+"/root/generate/internal", map[string]any{"common_name": "short", "key_type": "ec", "ttl": "10s"})
	expires := time.Now().Add(11 * time.Second)
	v.must(t, v.vault.Role(t.Context(), short, "web", nil))
	v.issuerOf(t, "short", v.stanza(short+"/sign/web", auth, ""))

	t.Run("clamped", func(t *testing.T) {
		v.role(t, "web", map[string]any{"ttl": "168h", "max_ttl": "168h"})
		v.issuer(t, "web", auth)
		v.certificate(t, "clamped", wanted("clamped", "web", ", duration: 336h, renewBefore: 168h"))
		crt := v.revision(t, "clamped", 1)
		if life := crt.Status.NotAfter.Sub(crt.Status.NotBefore.Time); life != 168*time.Hour+30*time.Second {
			t.Errorf("valid for %s", life)
		}
		v.traffic.Settle(t, v.ns, 3*time.Second)
		v.revision(t, "clamped", 1)
		for _, e := range v.EventsOf(t, crt) {
			t.Log(e.Type, e.Reason, e.Message)
		}
		if !isTrue(v.crt(t, "clamped"), cmv1.CertificateConditionReady) {
			t.Error(conditions(v.crt(t, "clamped")))
		}
	})
	t.Run("CA refuses", func(t *testing.T) {
		v.certificate(t, "refused", wanted("refused", "short", ""))
		t.Log(conditions(failedCertificate(t, v.lab, "refused", "HTTP 400", "cannot satisfy request, as TTL would result in notAfter")))
	})
	t.Run("CA has expired", func(t *testing.T) {
		v.configure(t, short+"/issuer/default", map[string]any{"leaf_not_after_behavior": "truncate"})
		harness.Eventually(t, patience, func() error {
			if time.Now().Before(expires) {
				return fmt.Errorf("the CA is valid")
			}
			return nil
		})
		v.certificate(t, "expired", wanted("expired", "short", ""))
		t.Log(conditions(failedCertificate(t, v.lab, "expired", "has expired")))
		v.traffic.Settle(t, v.ns, 3*time.Second)
		if n := len(v.asked(func(r vault.Request) bool { return r.Signature() && strings.Contains(r.Path, short) })); n != 2 {
			t.Errorf("Vault was asked %d times, want once for each Certificate", n)
		}
		secret := &corev1.Secret{}
		if err := v.Get(t.Context(), client.ObjectKey{Namespace: v.ns, Name: "expired"}, secret); err == nil {
			t.Error("a certificate that has expired is stored")
		}
	})
}

// TestVaultNamespaces has the header of a namespace where Vault needs it, and nowhere
// else. The community edition takes no notice of it.
func TestVaultNamespaces(t *testing.T) {
	v := newVaultLab(t, harness.Controllers{})
	auth := v.withAppRole(t, nil)
	path := v.ns + "/sign/web"
	for name, namespace := range map[string]string{"nested": "admin/platform", "slash": "ns1/"} {
		v.issuerOf(t, name, v.stanza(path, auth, ", namespace: "+namespace))
	}
	v.issuerOf(t, "none", v.stanza(path, auth, ""))
	for _, name := range []string{"nested", "slash", "none"} {
		v.certificate(t, name, wanted(name, name, ""))
	}
	for _, name := range []string{"nested", "slash", "none"} {
		v.revision(t, name, 1)
	}
	logins, signatures := map[string]int{}, map[string]int{}
	for _, r := range v.asked(anyRequest) {
		switch {
		case r.Login():
			logins[r.Namespace]++
		case r.Signature():
			signatures[r.Namespace]++
		}
	}
	for _, namespace := range []string{"admin/platform", "ns1/", ""} {
		if logins[namespace] != 1 || signatures[namespace] != 1 {
			t.Errorf("log-ins %v, signatures %v, want one of each in each namespace", logins, signatures)
		}
	}
	for _, r := range v.vault.Requests(func(r vault.Request) bool { return r.Path == "/v1/sys/health" && r.Namespace != "" }) {
		t.Errorf("sys/health was asked in the namespace %s", r.Namespace)
	}
}
