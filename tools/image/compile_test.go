package main

import (
	"strings"
	"testing"
)

// TestCompileRefuses holds that nothing that changes the result goes unseen.
func TestCompileRefuses(t *testing.T) {
	from := source{dir: newStandIn(t, standIn), version: "v1.2.3", commit: "9a7c"}
	if _, err := compile(t.Context(), from, "riscv64", t.TempDir()); err == nil || err.Error() != `-arch: there is no image for "riscv64", but for amd64, arm64` {
		t.Errorf("got %v", err)
	}
	t.Setenv("GOEXPERIMENT", "arenas")
	_, err := compile(t.Context(), from, "amd64", t.TempDir())
	// The release's name has the experiment too.
	if err == nil || !strings.Contains(err.Error(), "arenas") {
		t.Errorf("got %v", err)
	}
	t.Setenv("GOEXPERIMENT", "")
	put(t, from.dir, "cmd/everleaf/main.go", "package main\n\nfunc main() { missing() }\n")
	_, err = compile(t.Context(), from, "amd64", t.TempDir())
	if err == nil || !strings.HasPrefix(err.Error(), "compile everleaf for amd64: exit status 1\n") || !strings.Contains(err.Error(), "undefined: missing") {
		t.Errorf("got %v", err)
	}
}
