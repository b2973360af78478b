package facts

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

// TestSharedMap: maps that are equal are one, and maps that are not are never taken for each
// other, however their keys and values are cut.
func TestSharedMap(t *testing.T) {
	all := []map[string]string{
		{"a": "b"}, {"a": "b", "c": "d"}, {"a": "b1 c1 d"}, {"ab": ""}, {"": "ab"}, {"a": "b", "": "c"}, {"1 a": "b"},
	}
	for i, m := range all {
		first, second := sharedMap(maps.Clone(m)), sharedMap(maps.Clone(m))
		if diff := cmp.Diff(m, first); diff != "" {
			t.Errorf("map %d (-want +got):\n%s", i, diff)
		}
		if fmt.Sprintf("%p", first) != fmt.Sprintf("%p", second) {
			t.Errorf("map %d is not shared", i)
		}
	}
	if sharedMap(map[string]string{}) != nil {
		t.Error("an empty map is kept")
	}
}

// TestSharedKeys: the values that recur are shared, those of one object only are not.
func TestSharedKeys(t *testing.T) {
	issue := func() map[string]string {
		return sharedKeys(map[string]string{
			cmv1.IssuerNameAnnotationKey: fmt.Sprint("i", len(t.Name())), cmv1.AltNamesAnnotationKey: fmt.Sprint("n", len(t.Name())),
		})
	}
	a, b := issue(), issue()
	if diff := cmp.Diff(a, b); diff != "" {
		t.Fatal(diff)
	}
	for key, want := range map[string]bool{cmv1.IssuerNameAnnotationKey: true, cmv1.AltNamesAnnotationKey: false} {
		if got := unsafe.StringData(a[key]) == unsafe.StringData(b[key]); got != want {
			t.Errorf("%s is shared: %t, want %t", key, got, want)
		}
	}
}

// TestPool: what is large is not kept, and what came first does not stay for ever.
func TestPool(t *testing.T) {
	var p pool[int]
	made := 0
	of := func(key string) { p.of(key, func() int { made++; return made }) }
	of("a")
	of("a")
	if made != 1 {
		t.Errorf("made %d times", made)
	}
	large := strings.Repeat("x", maxSharedSize+1)
	of(large)
	of(large)
	if made != 3 || len(p.items) != 1 {
		t.Errorf("what is large: made %d times, %d kept", made, len(p.items))
	}
	for i := range maxShared {
		of(fmt.Sprint(i))
	}
	if len(p.items) != 1 {
		t.Errorf("%d are kept after the pool was full", len(p.items))
	}
}
