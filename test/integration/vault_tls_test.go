package integration

import (
	"fmt"
	"testing"
	"time"

	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/vault"
)

// replace puts another pair into a Secret.
func (v *vaultLab) replace(t *testing.T, secret string, pair vault.Pair) {
	t.Helper()
	v.Apply(t, v.ns, fmt.Sprintf("{apiVersion: v1, kind: Secret, metadata: {name: %s}, stringData: {tls.crt: %q, tls.key: %q}}", secret, pair.Certificate, pair.Key))
}

// TestVaultTLS has a Vault that only clients with a certificate can reach, and one whose
// own certificate expires.
func TestVaultTLS(t *testing.T) {
	clients, err := vault.NewAuthority("clients")
	if err != nil {
		t.Fatal(err)
	}
	v := prepareVault(t, newLab(t, harness.Controllers{}), vault.Start(t, vault.Options{Clients: clients}))
	token, path := v.withToken(t), v.ns+"/sign/web"
	v.issuer(t, "bare", token)
	v.says(t, "bare", cmmeta.ConditionFalse, "certificate")

	first, err := clients.Client("everleaf")
	v.must(t, err)
	stanza := v.stanza(path, token, ", clientCertSecretRef: {name: pair}, clientKeySecretRef: {name: pair}")
	v.issuerOf(t, "web", stanza)
	v.says(t, "web", cmmeta.ConditionFalse, "failed to load vault client certificate", "pair")
	v.pair(t, "pair", first)
	v.says(t, "web", cmmeta.ConditionTrue)
	v.signs(t, "first", "web")

	// A pair in the middle of a write, and then the new one.
	renewed, err := clients.Client("everleaf")
	v.must(t, err)
	v.replace(t, "pair", vault.Pair{Certificate: renewed.Certificate, Key: first.Key})
	v.says(t, "web", cmmeta.ConditionFalse, "could not parse the TLS certificate from Secrets")
	v.replace(t, "pair", renewed)
	v.says(t, "web", cmmeta.ConditionTrue)
	v.signs(t, "second", "web")

	// One that Vault does not take: a server's.
	server, err := clients.Server()
	v.must(t, err)
	v.replace(t, "pair", server)
	v.says(t, "web", cmmeta.ConditionFalse, "certificate")
	v.replace(t, "pair", renewed)
	v.says(t, "web", cmmeta.ConditionTrue)

	// Vault's own certificate has expired, and is replaced.
	expired, err := v.vault.Authority.ServerUntil(time.Now().Add(-time.Minute))
	v.must(t, err)
	valid, err := v.vault.Authority.Server()
	v.must(t, err)
	v.must(t, v.vault.Install(expired))
	v.must(t, v.vault.Restart(t.Context()))
	v.certificate(t, "circle", wanted("circle", "web", ""))
	v.waits(t, "circle", "has expired")
	v.must(t, v.vault.Install(valid))
	v.must(t, v.vault.Restart(t.Context()))
	v.must(t, v.vault.Unseal(t.Context()))
	v.revision(t, "circle", 1)
	v.uncounted(t, "circle")
}
