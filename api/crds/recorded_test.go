package crds

import (
	_ "embed"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

// recorded are the objects of a cluster in which cert-manager 1.21 had been
// issuing: all states that it left behind, without managedFields.
//
//go:embed testdata/recorded.json
var recorded []byte

func recordedObjects(t testing.TB) []map[string]any {
	t.Helper()
	var objects []map[string]any
	if err := utiljson.Unmarshal(recorded, &objects); err != nil {
		t.Fatal(err)
	}
	return objects
}

// decoder returns what controllers decode objects with. It refuses fields that
// the types do not have.
func decoder(t *testing.T) runtime.Decoder {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{cmv1.AddToScheme, acmev1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
}

// name is the kind and name of an object, fit for a subtest.
func name(object map[string]any) string {
	return object["kind"].(string) + "/" + object["metadata"].(map[string]any)["name"].(string)
}

// TestRecordedRoundTrip holds that decoding and encoding changes nothing that
// cert-manager wrote.
func TestRecordedRoundTrip(t *testing.T) {
	decoder := decoder(t)
	for _, want := range recordedObjects(t) {
		t.Run(name(want), func(t *testing.T) {
			data, err := json.Marshal(want)
			if err != nil {
				t.Fatal(err)
			}
			decoded, _, err := decoder.Decode(data, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			if data, err = json.Marshal(decoded); err != nil {
				t.Fatal(err)
			}
			got := map[string]any{}
			if err := utiljson.Unmarshal(data, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmp.FilterPath(isDuration, cmp.Comparer(sameDuration))); diff != "" {
				t.Errorf("recorded, then decoded and encoded (-want +got):\n%s", diff)
			}
		})
	}
}

// isDuration tells whether a path leads to a Go duration. These are written in
// one form of several.
func isDuration(path cmp.Path) bool {
	last := path.Last().String()
	return strings.Contains(last, "uration") || strings.Contains(last, "renewBefore")
}

func sameDuration(a, b any) bool {
	x, isText := a.(string)
	y, isTextToo := b.(string)
	if !isText || !isTextToo {
		return false
	}
	first, err := time.ParseDuration(x)
	if err != nil {
		return false
	}
	second, err := time.ParseDuration(y)
	return err == nil && first == second
}

// TestRecordedAdmitted holds that every object that cert-manager wrote can be
// created, and written again as it is.
func TestRecordedAdmitted(t *testing.T) {
	kinds := admissions(t)
	for _, object := range recordedObjects(t) {
		t.Run(name(object), func(t *testing.T) {
			kind := kinds[object["kind"].(string)]
			for _, err := range kind.create(t, object) {
				t.Error("create:", err)
			}
			for _, err := range kind.update(t, object, object) {
				t.Error("update:", err)
			}
		})
	}
}
