package lifecycle

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	cmmeta "github.com/everleaf/everleaf/api/meta/v1"
	"github.com/everleaf/everleaf/internal/pki"
)

func TestManagedFields(t *testing.T) {
	entry := func(manager string, operation metav1.ManagedFieldsOperationType, fields string) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{Manager: manager, Operation: operation, FieldsV1: &metav1.FieldsV1{Raw: []byte(fields)}}
	}
	const fields = `{"f:data":{"f:tls.key":{},"f:tls.crt":{},".":{}},"f:metadata":{"f:labels":{"f:b/c":{},"f:a":{}},"f:annotations":{"f:x":{}},` +
		`"f:ownerReferences":{"k:{\"uid\":\"u\"}":{},"k:nonsense":{}}},"f:type":{}}`
	apply := metav1.ManagedFieldsOperationApply
	tests := []struct {
		name    string
		entries []metav1.ManagedFieldsEntry
		want    ManagedFields
	}{
		{"ours", []metav1.ManagedFieldsEntry{entry(SecretManager, apply, fields)}, ManagedFields{
			Data: []string{"tls.crt", "tls.key"}, Labels: []string{"a", "b/c"}, Annotations: []string{"x"}, Owners: []types.UID{"u"},
		}},
		{"ours after others'", []metav1.ManagedFieldsEntry{entry("kubectl", apply, fields), entry(SecretManager, apply, `{"f:data":{"f:a":{}}}`)}, ManagedFields{Data: []string{"a"}}},
		{"others'", []metav1.ManagedFieldsEntry{entry("kubectl", apply, fields)}, ManagedFields{}},
		{"ours by update", []metav1.ManagedFieldsEntry{entry(SecretManager, metav1.ManagedFieldsOperationUpdate, fields)}, ManagedFields{}},
		{"no fields", []metav1.ManagedFieldsEntry{{Manager: SecretManager, Operation: apply}}, ManagedFields{}},
		{"nonsense", []metav1.ManagedFieldsEntry{entry(SecretManager, apply, `{"f:data":7,"f:metadata":`)}, ManagedFields{}},
		{"other shapes", []metav1.ManagedFieldsEntry{entry(SecretManager, apply, `{"f:data":7,"f:metadata":[]}`)}, ManagedFields{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { samePlan(t, test.want, managedBy(test.entries)) })
	}
}

// TestFactsHoldNoKey holds that what is remembered of a Secret does not hold
// what kubectl notes of it.
func TestFactsHoldNoKey(t *testing.T) {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{
		corev1.LastAppliedConfigAnnotation: "tls.key and all", "x": "y",
	}}}
	samePlan(t, map[string]string{"x": "y"}, FactsOf(secret, pki.Limits{}).Annotations)
	if len(secret.Annotations) != 2 {
		t.Error("the Secret itself was changed")
	}
}

func TestSecretsOf(t *testing.T) {
	solver := func(name, key string) acmev1.ACMEChallengeSolver {
		s := rfc2136("ns")
		s.DNS01.RFC2136.TSIGSecret = cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: name}, Key: key}
		return s
	}
	acme := &acmev1.ACMEIssuer{
		PrivateKey: cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: "account"}},
		ExternalAccountBinding: &acmev1.ACMEExternalAccountBinding{
			Key: cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: "eab"}},
		},
		Solvers: []acmev1.ACMEChallengeSolver{
			solver("tsig", "a"), solver("tsig", "b"), solver("tsig", "a"), solver("", ""),
			{HTTP01: &acmev1.ACMEChallengeSolverHTTP01{}},
			{DNS01: &acmev1.ACMEChallengeSolverDNS01{}},
		},
	}
	samePlan(t, []SecretRef{{"tsig", "a"}, {"tsig", "b"}}, SolverSecrets(acme))
	for _, test := range []struct {
		config cmv1.IssuerConfig
		want   []string
	}{
		{cmv1.IssuerConfig{ACME: acme}, []string{"account", "eab", "tsig"}},
		{cmv1.IssuerConfig{CA: &cmv1.CAIssuer{SecretName: "ca"}}, []string{"ca"}},
		{cmv1.IssuerConfig{SelfSigned: &cmv1.SelfSignedIssuer{}}, nil},
	} {
		samePlan(t, test.want, SecretsOf(&cmv1.IssuerSpec{IssuerConfig: test.config}))
	}
}

func TestTypeOf(t *testing.T) {
	for want, config := range map[IssuerType]cmv1.IssuerConfig{
		"acme": {ACME: &acmev1.ACMEIssuer{}}, "ca": {CA: &cmv1.CAIssuer{}}, "selfsigned": {SelfSigned: &cmv1.SelfSignedIssuer{}},
		"vault": {Vault: &cmv1.VaultIssuer{}}, "venafi": {Venafi: &cmv1.VenafiIssuer{}}, "": {},
	} {
		if got := TypeOf(&cmv1.IssuerSpec{IssuerConfig: config}); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestRequestStates(t *testing.T) {
	ready := func(status cmmeta.ConditionStatus, reason string) cmv1.CertificateRequestCondition {
		return readyCond(status, reason, "")
	}
	tests := []struct {
		name           string
		conditions     []cmv1.CertificateRequestCondition
		decided, ended bool
	}{
		{"new", nil, false, false},
		{"pending", []cmv1.CertificateRequestCondition{ready(cmmeta.ConditionFalse, "Pending")}, false, false},
		{"approved", []cmv1.CertificateRequestCondition{approvedCond}, true, false},
		{"denied", []cmv1.CertificateRequestCondition{deniedCond}, true, false},
		{"denied and told", []cmv1.CertificateRequestCondition{deniedCond, ready(cmmeta.ConditionFalse, "Denied")}, true, true},
		{"invalid", []cmv1.CertificateRequestCondition{invalidCond}, true, true},
		{"failed", []cmv1.CertificateRequestCondition{approvedCond, ready(cmmeta.ConditionFalse, "Failed")}, true, true},
		{"issued", []cmv1.CertificateRequestCondition{approvedCond, ready(cmmeta.ConditionTrue, "Issued")}, true, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := &cmv1.CertificateRequest{Status: cmv1.CertificateRequestStatus{Conditions: test.conditions}}
			if decided, ended := RequestDecided(r), RequestEnded(r); decided != test.decided || ended != test.ended {
				t.Errorf("decided %t, ended %t", decided, ended)
			}
		})
	}
}

func TestOnlyApproves(t *testing.T) {
	status := func(certificate string, conditions ...cmv1.CertificateRequestCondition) cmv1.CertificateRequestStatus {
		return cmv1.CertificateRequestStatus{Conditions: conditions, Certificate: []byte(certificate)}
	}
	pending := readyCond(cmmeta.ConditionFalse, "Pending", "")
	tests := []struct {
		name      string
		was, will cmv1.CertificateRequestStatus
		want      bool
	}{
		{"approval", status(""), status("", approvedCond), true},
		{"approval and what comes next", status(""), status("", approvedCond, pending), true},
		{"approval and certificate", status(""), status("x", approvedCond, pending), false},
		{"what comes after approval", status("", approvedCond), status("", approvedCond, pending), false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := OnlyApproves(&cmv1.CertificateRequest{Status: test.was}, test.will); got != test.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

func TestKeyOfSpec(t *testing.T) {
	spec := &cmv1.CertificateSpec{}
	samePlan(t, pki.KeySpec{Algorithm: pki.RSA, Size: 2048}, KeySpecOf(spec))
	samePlan(t, pki.PKCS1, EncodingOf(spec))
	spec.PrivateKey = &cmv1.CertificatePrivateKey{Algorithm: cmv1.ECDSAKeyAlgorithm}
	samePlan(t, pki.KeySpec{Algorithm: pki.ECDSA, Size: 256}, KeySpecOf(spec))
	samePlan(t, pki.PKCS1, EncodingOf(spec))
	spec.PrivateKey.Encoding = cmv1.PKCS8
	samePlan(t, pki.PKCS8, EncodingOf(spec))
}

func TestOrderDone(t *testing.T) {
	leaving := &acmev1.Order{}
	leaving.DeletionTimestamp = at(now)
	if !OrderDone(leaving) {
		t.Error("one that is being deleted needs its Challenges no more")
	}
	for state, want := range map[acmev1.State]bool{
		"": false, acmev1.Pending: false, acmev1.Ready: false, acmev1.Processing: false,
		acmev1.Valid: true, acmev1.Invalid: true, acmev1.Expired: true, acmev1.Errored: true,
	} {
		if got := OrderDone(&acmev1.Order{Status: acmev1.OrderStatus{State: state}}); got != want {
			t.Errorf("%q: %t", state, got)
		}
	}
}
