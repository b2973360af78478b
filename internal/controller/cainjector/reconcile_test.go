package cainjector

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestUndone(t *testing.T) {
	written := time.Date(2026, 11, 26, 12, 0, 0, 500, time.UTC)
	entry := func(name string, after time.Duration, fields string) metav1.ManagedFieldsEntry {
		at := metav1.NewTime(written.Add(after).Truncate(time.Second))
		return metav1.ManagedFieldsEntry{Manager: name, Operation: metav1.ManagedFieldsOperationUpdate, Time: &at, FieldsV1: &metav1.FieldsV1{Raw: []byte(fields)}}
	}
	own := entry(manager, time.Hour, `{"f:caBundle":{}}`)
	const before, after = "the CA was injected several times and removed or replaced each time: ", "; next try at 2026-11-26T12:00:10Z"
	for _, test := range []struct {
		name    string
		entries []metav1.ManagedFieldsEntry
		want    string
	}{
		{"none", nil, "its managedFields do not say by whom"},
		{"earlier ones only", []metav1.ManagedFieldsEntry{entry("helm", -time.Hour, "{}"), entry("kubectl", 0, "{}"), own}, "its managedFields do not say by whom"},
		{"later ones", []metav1.ManagedFieldsEntry{entry("helm", 5*time.Second, "{}"), entry("operator", 9*time.Second, "{}"), own}, `the last writer is "operator" (Update)`},
		{"the owner of the bundle", []metav1.ManagedFieldsEntry{entry("operator", 0, `{"f:caBundle":{}}`), entry("helm", 5*time.Second, "{}"), own}, `the last writer is "operator" (Update)`},
		{"one without a time", []metav1.ManagedFieldsEntry{{Manager: "helm"}, own}, "its managedFields do not say by whom"},
	} {
		got := undone(metav1.ObjectMeta{ManagedFields: test.entries}, written, written.Add(10*time.Second))
		if got != before+test.want+after {
			t.Errorf("%s: got %q, want %q", test.name, got, before+test.want+after)
		}
	}
}
