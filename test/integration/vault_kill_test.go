package integration

import (
	"fmt"
	"testing"

	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/test/harness"
	"github.com/everleaf/everleaf/test/vault"
)

// TestVaultKilledControllers: controllers that have a token of Vault in memory are killed
// at each write that an issuance takes, before the API server has it and after. Nothing is
// lost and no request fails. Vault is asked once more where its certificate was lost, and
// each start logs in once.
func TestVaultKilledControllers(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		t.Run(map[bool]string{false: "the write is lost", true: "the answer is lost"}[after], func(t *testing.T) {
			k := newKillable(t, after, harness.Controllers{})
			v := prepareVault(t, k.lab, vault.Shared(t))
			requests := watchRequests(t, v.Cluster, v.ns)
			v.issuer(t, "web", v.withAppRole(t, nil))
			v.says(t, "web", cmmeta.ConditionTrue)
			issuances := 0
			writes := k.everyWrite(t, func(n int) (string, int) {
				name := fmt.Sprintf("crt-%d", n)
				v.certificate(t, name, wanted(name, "web", ""))
				issuances++
				return name, 1
			})
			logins, signatures := len(v.asked(vault.Request.Login)), len(v.asked(vault.Request.Signature))
			t.Logf("killed at %v; %d log-ins and %d signatures for %d certificates", writes, logins, signatures, issuances)
			if len(writes) < 5 {
				t.Errorf("only %d writes", len(writes))
			}
			requests.wantNoneFailed(t)
			for n := range issuances {
				v.uncounted(t, fmt.Sprintf("crt-%d", n+1))
			}
			if most := issuances + 3; signatures < issuances || signatures > most {
				t.Errorf("%d signatures for %d certificates, want at most %d", signatures, issuances, most)
			}
			if starts := len(writes) + 1; logins > starts {
				t.Errorf("%d log-ins in %d starts", logins, starts)
			}
		})
	}
}
