package shim

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/plan"
)

const (
	// undoneOften is how often in a row a Certificate is written for the same purpose until
	// an event says so.
	undoneOften = 4
	// maxNamed is how many parts of a Certificate a message names.
	maxNamed = 5
)

// undone says that what has been written does not last, and what somebody else does to it,
// or returns "". It names parts, and no values: these may be others each time.
func (off putOff) undone(action plan.Action) string {
	if off.failed || off.attempts < undoneOften {
		return ""
	}
	name, does := "", ""
	switch a := action.(type) {
	case Create:
		name, does = a.Certificate.Name, "deletes it"
	case Update:
		name, does = a.Certificate.Name, "changes "+differing(a.Before, a.Certificate)
	case Delete:
		name, does = a.Certificate.Name, "makes it again"
	default:
		return ""
	}
	return fmt.Sprintf("Certificate %s does not stay as it is written: somebody %s each time; the next try is within %s", name, does, plan.InWords(brake.Max))
}

// differing names the parts in which two versions of a Certificate differ: its labels and
// annotations by their keys, and the fields of its spec.
func differing(a, b *cmv1.Certificate) string {
	var parts []string
	for _, key := range keysThatDiffer(a.Labels, b.Labels) {
		parts = append(parts, fmt.Sprintf("label %q", key))
	}
	for _, key := range keysThatDiffer(a.Annotations, b.Annotations) {
		parts = append(parts, fmt.Sprintf("annotation %q", key))
	}
	for _, key := range keysThatDiffer(fields(a.Spec), fields(b.Spec)) {
		parts = append(parts, "spec."+key)
	}
	if !reflect.DeepEqual(a.OwnerReferences, b.OwnerReferences) {
		parts = append(parts, "ownerReferences")
	}
	if more := len(parts) - maxNamed; more > 0 {
		parts = append(parts[:maxNamed], fmt.Sprintf("%d more", more))
	}
	return strings.Join(parts, ", ")
}

// fields are those of a spec as the API has them.
func fields(spec cmv1.CertificateSpec) map[string]any {
	var all map[string]any
	encoded, err := json.Marshal(spec)
	if err == nil {
		err = json.Unmarshal(encoded, &all)
	}
	if err != nil {
		// Specs are plain data; they always encode.
		panic(err)
	}
	return all
}

// keysThatDiffer are the keys, sorted, that two maps do not both have with one value.
func keysThatDiffer[V any](a, b map[string]V) []string {
	differ := map[string]bool{}
	for _, one := range []map[string]V{a, b} {
		for key := range one {
			x, inA := a[key]
			y, inB := b[key]
			if inA != inB || !reflect.DeepEqual(x, y) {
				differ[key] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(differ))
}
