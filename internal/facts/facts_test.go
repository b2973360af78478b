package facts

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/pki"
)

// same compares two values; empty equals nil.
func same[T any](t *testing.T, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

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
		t.Run(test.name, func(t *testing.T) { same(t, test.want, managedBy(test.entries)) })
	}
}

// TestFactsHoldNoKey holds that what is remembered of a Secret does not hold
// what kubectl notes of it.
func TestFactsHoldNoKey(t *testing.T) {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{
		corev1.LastAppliedConfigAnnotation: "tls.key and all", "x": "y",
	}}}
	same(t, map[string]string{"x": "y"}, OfSecret(secret, pki.Limits{}).Annotations)
	if len(secret.Annotations) != 2 {
		t.Error("the Secret itself was changed")
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
