package chart

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/everleaf/everleaf/deploy/manifests"
)

// TestGeneratedFilesAreCurrent holds that the chart's copies are what they are copies of,
// and that directory deploy is what the chart renders.
func TestGeneratedFilesAreCurrent(t *testing.T) {
	t.Parallel()
	copies, err := manifests.Copies(root)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, copies)
	for _, pattern := range []string{"files/crds/*", "files/policies/*"} {
		files, err := filepath.Glob(filepath.Join(chart, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if path, _ := filepath.Rel(root, file); copies[path] == nil {
				t.Errorf("%s is a copy of nothing: remove it", path)
			}
		}
	}
	rendered, err := manifests.Rendered(program(t, "helm"), root)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, rendered)
}

func compare(t *testing.T, files map[string][]byte) {
	t.Helper()
	for path, want := range files {
		got, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(want, got) {
			t.Errorf("%s is out of date: run make generate manifests", path)
		}
	}
}
