package main

import (
	"context"
	"debug/buildinfo"
	_ "embed"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

const (
	mainPackage = "./cmd/everleaf"
	// commandPackage has the variables release and commit.
	commandPackage = "github.com/everleaf/everleaf/internal/cli"
	// buildTags: see TAGS in the Makefile.
	buildTags = "grpcnotrace"
)

// binary is a compiled everleaf.
type binary struct{ architecture, path string }

// levels are the oldest processors that the binaries run on, by architecture and
// variable: the defaults of Go.
var levels = map[string][2]string{
	"amd64": {"GOAMD64", "v1"},
	"arm64": {"GOARM64", "v8.0"},
}

//go:embed go.mod
var moduleFile []byte

// checkGo reports an error if this program was built by another Go release than the one
// that go.mod names: the compiler and compress/gzip decide about digests.
func checkGo() error {
	module, err := modfile.Parse("go.mod", moduleFile, nil)
	if err != nil {
		return err
	}
	if want, got := module.Toolchain.Name, runtime.Version(); got != want {
		return fmt.Errorf("this is %s, and images are built by %s, so that a commit has one digest: set GOTOOLCHAIN=%s, as make image does", got, want, want)
	}
	return nil
}

// compile builds the binary of an architecture in a directory. What is in the
// environment and in `go env -w` does not change the result: where it would, the build
// fails.
func compile(ctx context.Context, from source, architecture, dir string) (binary, error) {
	level, ok := levels[architecture]
	if !ok {
		known := slices.Sorted(maps.Keys(levels))
		return binary{}, fmt.Errorf("-arch: there is no image for %q, but for %s", architecture, strings.Join(known, ", "))
	}
	out := filepath.Join(dir, "everleaf-"+architecture)
	flags := fmt.Sprintf("-s -w -X %[1]s.release=%[2]s -X %[1]s.commit=%[3]s", commandPackage, from.version, from.revision())
	// What Go finds out about the repository depends on the tags that a clone has.
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-tags="+buildTags, "-ldflags="+flags, "-o", out, mainPackage)
	build.Dir = from.dir
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+architecture, level[0]+"="+level[1],
		"GOTOOLCHAIN="+runtime.Version(), "GOFLAGS=-mod=readonly", "GOWORK=off", "GOFIPS140=off")
	if output, err := build.CombinedOutput(); err != nil {
		return binary{}, fmt.Errorf("compile everleaf for %s: %w\n%s", architecture, err, output)
	}
	compiled := binary{architecture, out}
	return compiled, compiled.check()
}

// check compares how a binary was built, according to what the compiler noted in it,
// with how it should have been.
func (b binary) check() error {
	info, err := buildinfo.ReadFile(b.path)
	if err != nil {
		return err
	}
	if info.GoVersion != runtime.Version() {
		return fmt.Errorf("everleaf for %s was compiled by %s, not by %s", b.architecture, info.GoVersion, runtime.Version())
	}
	level := levels[b.architecture]
	want := map[string]string{
		"-buildmode": "exe", "-compiler": "gc", "-tags": buildTags, "-trimpath": "true",
		"CGO_ENABLED": "0", "GOOS": "linux", "GOARCH": b.architecture, level[0]: level[1],
	}
	for _, setting := range info.Settings {
		// The default of GODEBUG comes from go.mod and the main package.
		if setting.Key != "DefaultGODEBUG" && want[setting.Key] != setting.Value {
			return fmt.Errorf("everleaf for %s was compiled with %s=%s: remove it from the environment or by go env -u", b.architecture, setting.Key, setting.Value)
		}
		delete(want, setting.Key)
	}
	if len(want) > 0 {
		return fmt.Errorf("everleaf for %s was compiled without %v", b.architecture, want)
	}
	return nil
}
