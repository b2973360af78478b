package cluster

import (
	"testing"

	"k8s.io/client-go/kubernetes/fake"
)

func TestLeftRecords(t *testing.T) {
	core := fake.NewClientset()
	l := LeftRecords{Core: core, Namespace: "everleaf"}
	for _, data := range []string{"", "one", "two", "", "three"} {
		if err := l.Save(t.Context(), []byte(data)); err != nil {
			t.Fatal(err)
		}
		got, err := l.Load(t.Context())
		if err != nil || string(got) != data {
			t.Errorf("saved %q, loaded %q, %v", data, got, err)
		}
	}
}
