package integration

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/vault"
)

// anyRequest matches all requests.
func anyRequest(vault.Request) bool { return true }

// uncounted fails the test if an issuance of a Certificate has counted as failed.
func (l *lab) uncounted(t *testing.T, name string) {
	t.Helper()
	if crt := l.crt(t, name); crt.Status.FailedIssuanceAttempts != nil {
		t.Errorf("%s has %d failures: %s", name, *crt.Status.FailedIssuanceAttempts, conditions(crt))
	}
}

// TestVaultSealedAndKilled has a Vault sealed while it signs, and killed: nothing is lost,
// and nothing counts as failed.
func TestVaultSealedAndKilled(t *testing.T) {
	v := prepareVault(t, newLab(t, harness.Controllers{}), vault.Start(t, vault.Options{}))
	v.issuer(t, "web", v.withAppRole(t, nil))
	v.says(t, "web", cmmeta.ConditionTrue)
	const batch = 40
	name := func(i int) string { return fmt.Sprintf("batch-%d", i) }
	for i := range batch {
		v.certificate(t, name(i), wanted(name(i), "web", ""))
		if i == batch/2 {
			v.must(t, v.vault.Seal(t.Context()))
		}
	}
	v.waits(t, name(batch-1), "Vault is sealed", "unseal")
	v.issuer(t, "late", "{tokenSecretRef: {name: approle, key: secret-id}}")
	v.says(t, "late", cmmeta.ConditionFalse, "Vault is sealed", "unseal")
	v.must(t, v.vault.Unseal(t.Context()))
	for i := range batch {
		v.revision(t, name(i), 1)
		v.uncounted(t, name(i))
	}

	v.vault.Kill()
	v.certificate(t, "killed", wanted("killed", "web", ""))
	v.waits(t, "killed", v.vault.Addr, "connection refused")
	v.must(t, v.vault.Restart(t.Context()))
	v.waits(t, "killed", "sealed")
	v.must(t, v.vault.Unseal(t.Context()))
	v.revision(t, "killed", 1)
	v.uncounted(t, "killed")
}

// TestVaultTokens holds how many log-ins there are: one for many signatures, another one
// when Vault has taken the token back, and none when nothing happens.
func TestVaultTokens(t *testing.T) {
	v := newVaultLab(t, harness.Controllers{})
	v.issuer(t, "web", v.withAppRole(t, map[string]any{"secret_id_num_uses": 2}))
	const batch = 25
	name := func(i int) string { return fmt.Sprintf("batch-%d", i) }
	for i := range batch {
		v.certificate(t, name(i), wanted(name(i), "web", ""))
	}
	for i := range batch {
		v.revision(t, name(i), 1)
	}
	logins, signatures := len(v.asked(vault.Request.Login)), len(v.asked(vault.Request.Signature))
	if logins != 1 || signatures != batch {
		t.Errorf("%d log-ins and %d signatures for %d certificates", logins, signatures, batch)
	}
	leases, err := v.vault.Client.Logical().ListWithContext(t.Context(), "sys/leases/lookup/auth/"+v.ns+"-approle/login")
	v.must(t, err)
	if keys, ok := leases.Data["keys"].([]any); !ok || len(keys) != 1 {
		t.Errorf("the leases of tokens are %v, want one", leases.Data)
	}
	// A change of the Issuer has it checked, with the token that there is.
	v.patch(t, &cmv1.Issuer{}, "web", `{"metadata":{"annotations":{"example.com/touched":"yes"}}}`)
	v.traffic.Settle(t, v.ns, 2*time.Second)
	if n := len(v.asked(vault.Request.Login)); n != logins {
		t.Errorf("%d log-ins after a check, want %d", n, logins)
	}

	t.Run("taken back", func(t *testing.T) {
		v.configure(t, "sys/leases/revoke-prefix/auth/"+v.ns+"-approle/login", nil)
		v.certificate(t, "after", wanted("after", "web", ""))
		v.revision(t, "after", 1)
		v.uncounted(t, "after")
		refused := v.asked(func(r vault.Request) bool { return r.Signature() && r.Status == http.StatusForbidden })
		if n := len(v.asked(vault.Request.Login)); n != logins+1 || len(refused) != 1 {
			t.Errorf("%d log-ins and %d refusals, want %d and 1", n, len(refused), logins+1)
		}
	})
	t.Run("used up", func(t *testing.T) {
		v.configure(t, "sys/leases/revoke-prefix/auth/"+v.ns+"-approle/login", nil)
		v.certificate(t, "used-up", wanted("used-up", "web", ""))
		v.waits(t, "used-up", "invalid role or secret ID")
		// Nothing else has had the issuer checked.
		v.says(t, "web", cmmeta.ConditionFalse, "invalid role or secret ID")
		secret, err := v.vault.SecretID(t.Context(), v.ns+"-approle", "web")
		v.must(t, err)
		v.SetSecret(t, v.ns, "approle", "secret-id", secret)
		v.revision(t, "used-up", 1)
		v.uncounted(t, "used-up")
		v.WantNowhere(t, v.ns, secret)
	})
	t.Run("in a Secret", func(t *testing.T) {
		v.issuer(t, "token", v.withToken(t))
		v.signs(t, "token-first", "token")
		stale := string(v.secret(t, "token").Data["token"])
		v.configure(t, "auth/token/revoke", map[string]any{"token": stale})
		v.certificate(t, "token-second", wanted("token-second", "token", ""))
		v.waits(t, "token-second", "the token in secret '"+v.ns+"/token' is not valid")
		v.says(t, "token", cmmeta.ConditionFalse, "the token in secret '"+v.ns+"/token' is not valid")
		v.SetSecret(t, v.ns, "token", "token", v.token(t, nil)+"\n")
		v.revision(t, "token-second", 1)
		v.uncounted(t, "token-second")
		v.says(t, "token", cmmeta.ConditionTrue)
	})
	t.Run("without the permission", func(t *testing.T) {
		policy := v.ns + "-moved"
		v.must(t, v.vault.Policy(t.Context(), policy, v.ns+"/sign/web"))
		token, err := v.vault.Token(t.Context(), map[string]any{"no_default_policy": false}, policy)
		v.must(t, err)
		v.Secret(t, v.ns, "moved", "token", token)
		v.issuer(t, "moved", "{tokenSecretRef: {name: moved}}")
		v.signs(t, "moved-first", "moved")
		v.must(t, v.vault.Policy(t.Context(), policy, v.ns+"/sign/other"))
		v.certificate(t, "moved-second", wanted("moved-second", "moved", ""))
		v.says(t, "moved", cmmeta.ConditionFalse, `the token needs a policy with path "`+v.ns+`/sign/web"`)
	})
}

// TestVaultReadiness has what an Issuer says that cannot be used, and that it can be used
// as soon as the cause is gone.
func TestVaultReadiness(t *testing.T) {
	v := newVaultLab(t, harness.Controllers{})
	token := v.withToken(t)
	path := v.ns + "/sign/web"
	t.Run("no Secret", func(t *testing.T) {
		v.issuer(t, "no-secret", "{tokenSecretRef: {name: none}}")
		v.says(t, "no-secret", cmmeta.ConditionFalse, "none", "not found")
		v.Secret(t, v.ns, "none", "other", "x")
		v.says(t, "no-secret", cmmeta.ConditionFalse, `no data for "token" in secret '`+v.ns+"/none'")
		v.SetSecret(t, v.ns, "none", "token", v.token(t, nil))
		v.says(t, "no-secret", cmmeta.ConditionTrue)
	})
	t.Run("no permission", func(t *testing.T) {
		v.must(t, v.vault.Policy(t.Context(), v.ns+"-other", "somewhere/else"))
		weak, err := v.vault.Token(t.Context(), map[string]any{"no_default_policy": false}, v.ns+"-other")
		v.must(t, err)
		v.Secret(t, v.ns, "weak", "token", weak)
		v.issuer(t, "weak", "{tokenSecretRef: {name: weak}}")
		v.says(t, "weak", cmmeta.ConditionFalse, `the token needs a policy with path "`+path+`"`)
	})
	t.Run("wrong token", func(t *testing.T) {
		v.Secret(t, v.ns, "wrong", "token", "hvs.wrong")
		v.issuer(t, "wrong", "{tokenSecretRef: {name: wrong}}")
		v.certificate(t, "wrong", wanted("wrong", "wrong", ""))
		v.waits(t, "wrong", "wrong")
		v.SetSecret(t, v.ns, "wrong", "token", v.token(t, nil))
		v.revision(t, "wrong", 1)
	})
	t.Run("no CA", func(t *testing.T) {
		v.issuerOf(t, "system-roots", fmt.Sprintf("vault: {server: %q, path: %q, auth: %s}", v.vault.URL, path, token))
		v.says(t, "system-roots", cmmeta.ConditionFalse, "unknown authority", "caBundle")
	})
	t.Run("CA comes late, and is another one", func(t *testing.T) {
		v.issuerOf(t, "late-ca", fmt.Sprintf("vault: {server: %q, path: %q, auth: %s, caBundleSecretRef: {name: late-ca}}", v.vault.URL, path, token))
		v.says(t, "late-ca", cmmeta.ConditionFalse, "failed to load vault CA bundle", "late-ca")
		other, err := vault.NewAuthority("other")
		v.must(t, err)
		v.Secret(t, v.ns, "late-ca", "ca.crt", string(v.vault.Authority.PEM))
		v.says(t, "late-ca", cmmeta.ConditionTrue)
		v.signs(t, "late-ca", "late-ca")
		v.SetSecret(t, v.ns, "late-ca", "ca.crt", string(other.PEM))
		v.says(t, "late-ca", cmmeta.ConditionFalse, "unknown authority")
		v.SetSecret(t, v.ns, "late-ca", "ca.crt", string(v.vault.Authority.PEM))
		v.says(t, "late-ca", cmmeta.ConditionTrue)
	})
	t.Run("no server", func(t *testing.T) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		v.must(t, err)
		listener.Close()
		v.issuerOf(t, "no-server", fmt.Sprintf("vault: {server: %q, path: %q, auth: %s}", "https://"+listener.Addr().String(), path, token))
		v.says(t, "no-server", cmmeta.ConditionFalse, "connection refused")
	})
	t.Run("no mount of the auth method", func(t *testing.T) {
		v.Secret(t, v.ns, "nowhere", "secret-id", "x")
		v.issuer(t, "nowhere", "{appRole: {path: nowhere-"+v.ns+", roleId: x, secretRef: {name: nowhere, key: secret-id}}}")
		v.says(t, "nowhere", cmmeta.ConditionFalse, "is the auth method mounted at nowhere-"+v.ns+"?")
	})
}

// blackHole accepts connections and never answers. It counts them.
type blackHole struct {
	net.Listener
	mu   sync.Mutex
	held []net.Conn
}

func newBlackHole(t *testing.T) *blackHole {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &blackHole{Listener: listener}
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			b.mu.Lock()
			b.held = append(b.held, c)
			b.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, c := range b.held {
			c.Close()
		}
	})
	return b
}

func (b *blackHole) connections() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.held)
}

// TestBlastRadiusDeadVaults has Vaults that never answer, each with issuers and
// certificates that need it, beside issuers that do not.
func TestBlastRadiusDeadVaults(t *testing.T) {
	v := newVaultLab(t, harness.Controllers{})
	token := v.withToken(t)
	v.issuer(t, "good", token)
	v.signs(t, "warm", "good")
	issue := func(name string) time.Duration {
		began := time.Now()
		for _, issuer := range []string{"good", "ca"} {
			v.certificate(t, name+"-"+issuer, wanted(name+"-"+issuer, issuer, ""))
		}
		v.issuer(t, name, token)
		v.revision(t, name+"-good", 1)
		v.revision(t, name+"-ca", 1)
		v.says(t, name, cmmeta.ConditionTrue)
		return time.Since(began)
	}
	alone := issue("alone")
	// It was ready before it died.
	dies := vault.Start(t, vault.Options{Authority: v.vault.Authority})
	v.must(t, second(dies.Root(t.Context(), "pki")))
	v.must(t, dies.Role(t.Context(), "pki", "web", nil))
	v.Secret(t, v.ns, "dies", "token", dies.RootToken)
	v.issuerOf(t, "dies", fmt.Sprintf(`vault: {server: %q, path: pki/sign/web, caBundle: %s, auth: {tokenSecretRef: {name: dies}}}`, dies.URL, v.bundle()))
	v.says(t, "dies", cmmeta.ConditionTrue)
	dies.Kill()
	// The kernel takes the connections, and nobody reads them.
	grave, err := net.Listen("tcp", dies.Addr)
	v.must(t, err)
	t.Cleanup(func() { grave.Close() })
	for i := range 30 {
		name := fmt.Sprintf("dies-%d", i)
		v.certificate(t, name, wanted(name, "dies", ""))
	}
	holes := make([]*blackHole, 4)
	for i := range holes {
		holes[i] = newBlackHole(t)
		for j := range 5 {
			v.issuerOf(t, fmt.Sprintf("dead-%d-%d", i, j), fmt.Sprintf(`vault: {server: "https://%s", path: pki/sign/web, auth: %s}`, holes[i].Addr(), token))
		}
	}
	harness.Eventually(t, patience, func() error {
		for i, hole := range holes {
			if hole.connections() == 0 {
				return fmt.Errorf("nobody has asked server %d", i)
			}
		}
		return nil
	})
	took := issue("beside")
	t.Logf("%s alone, %s beside Vaults that never answer", alone, took)
	if took > 2*alone+2*slack {
		t.Errorf("it takes %s alone and %s beside Vaults that never answer", alone, took)
	}
	v.waits(t, "dies-0", dies.Addr)
	v.says(t, "dead-0-0", cmmeta.ConditionFalse, holes[0].Addr().String())
}

// TestVaultSlow has a Vault whose answers come late: each certificate is asked for once,
// with one log-in for all, and none fails by the time that it takes.
func TestVaultSlow(t *testing.T) {
	v := prepareVault(t, newLab(t, harness.Controllers{}), vault.Start(t, vault.Options{Delay: 100 * time.Millisecond}))
	v.issuer(t, "web", v.withAppRole(t, nil))
	const batch = 100
	name := func(i int) string { return fmt.Sprintf("batch-%d", i) }
	for i := range batch {
		v.certificate(t, name(i), wanted(name(i), "web", ""))
	}
	for i := range batch {
		v.revision(t, name(i), 1)
		v.uncounted(t, name(i))
	}
	logins, signatures := len(v.asked(vault.Request.Login)), len(v.asked(vault.Request.Signature))
	if logins != 1 || signatures != batch {
		t.Errorf("%d log-ins and %d signatures for %d certificates", logins, signatures, batch)
	}
}
