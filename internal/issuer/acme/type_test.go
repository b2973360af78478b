package acme

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
)

func TestSecrets(t *testing.T) {
	ref := func(name string) cmmeta.SecretKeySelector {
		return cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: name}}
	}
	spec := &acmev1.ACMEIssuer{PrivateKey: ref("account")}
	check := func(want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, newSetup().Secrets(&cmv1.IssuerSpec{IssuerConfig: cmv1.IssuerConfig{ACME: spec}})); diff != "" {
			t.Errorf("Secrets (-want +got):\n%s", diff)
		}
	}
	check("account")
	spec.ExternalAccountBinding = &acmev1.ACMEExternalAccountBinding{Key: ref("eab")}
	spec.Solvers = []acmev1.ACMEChallengeSolver{solver("tsig", "a"), solver("tsig", "b"), solver("", "")}
	check("account", "eab", "tsig")
}
