package main

import (
	"debug/buildinfo"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// TestSBOMHasTheModules compares an SBOM with what go version -m says of the binary.
func TestSBOMHasTheModules(t *testing.T) {
	made := sample(t)
	// The program of this test has modules.
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	image := made.images[0]
	if image.info, err = buildinfo.ReadFile(program); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "sbom")
	if err := made.writeSBOM(path, image); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var bom cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(file, cyclonedx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, component := range *bom.Components {
		if component.Type == cyclonedx.ComponentTypeLibrary {
			got[component.Name] = component.Version
		}
	}
	out, err := exec.Command("go", "version", "-m", program).Output()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"std": strings.TrimPrefix(runtime.Version(), "go")}
	for line := range strings.Lines(string(out)) {
		if fields := strings.Fields(line); fields[0] == "dep" {
			want[fields[1]] = fields[2]
		}
	}
	if len(want) < 10 {
		t.Fatalf("go version -m names only %d modules", len(want))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestBOM(t *testing.T) {
	made := release{source: source{version: "v1.2.3", commit: "9a7c", dirty: true, committed: time.Date(2026, 11, 26, 20, 14, 5, 0, time.UTC)}}
	info := &debug.BuildInfo{
		GoVersion: "go1.26.8", Main: debug.Module{Path: "github.com/everleaf/everleaf", Version: "(devel)"},
		Deps: []*debug.Module{
			{Path: "k8s.io/api", Version: "v0.37.2"},
			{Path: "example.com/Upper/kept", Version: "v2.0.0+incompatible"},
			{Path: "example.com/old", Version: "v1.0.0", Replace: &debug.Module{Path: "example.com/new/v3", Version: "v3.0.1"}},
		},
	}
	got := made.bom("arm64", v1.Hash{Algorithm: "sha256", Hex: "c0ffee"}, info, "v0.0.0-2026")
	library := func(name, version, url string) cyclonedx.Component {
		return cyclonedx.Component{BOMRef: url, Type: cyclonedx.ComponentTypeLibrary, Name: name, Version: version, PackageURL: url}
	}
	const (
		container = "pkg:oci/everleaf@sha256:c0ffee?arch=arm64&repository_url=docker.io%2Feverleaf%2Feverleaf&tag=v1.2.3"
		product   = "pkg:golang/github.com/everleaf/everleaf@v1.2.3"
		files     = "pkg:golang/golang.org/x/crypto/x509roots/fallback@v0.0.0-2026"
	)
	libraries := []cyclonedx.Component{
		library("example.com/new/v3", "v3.0.1", "pkg:golang/example.com/new/v3@v3.0.1"),
		library("example.com/Upper/kept", "v2.0.0+incompatible", "pkg:golang/example.com/upper/kept@v2.0.0%2Bincompatible"),
		library("k8s.io/api", "v0.37.2", "pkg:golang/k8s.io/api@v0.37.2"),
		library("std", "1.26.8", "pkg:golang/std@1.26.8"),
	}
	var needed []string
	for _, component := range libraries {
		needed = append(needed, component.BOMRef)
	}
	want := cyclonedx.NewBOM()
	want.Metadata = &cyclonedx.Metadata{Timestamp: commitTime, Component: &cyclonedx.Component{
		BOMRef: container, Type: cyclonedx.ComponentTypeContainer, Name: "docker.io/everleaf/everleaf", Version: "v1.2.3",
		Hashes: &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: "c0ffee"}}, PackageURL: container,
	}}
	want.Components = &[]cyclonedx.Component{
		{
			BOMRef: product, Type: cyclonedx.ComponentTypeApplication, Name: "github.com/everleaf/everleaf", Version: "v1.2.3", PackageURL: product,
			Licenses:   &cyclonedx.Licenses{{License: &cyclonedx.License{ID: "Apache-2.0"}}},
			Properties: &[]cyclonedx.Property{{Name: "everleaf:commit", Value: "9a7c-dirty"}},
		},
		{
			BOMRef: files, Type: cyclonedx.ComponentTypeData, Name: "golang.org/x/crypto/x509roots/fallback", Version: "v0.0.0-2026", PackageURL: files,
			Description: "Mozilla's CA roots, in /etc/ssl/certs/ca-certificates.crt",
		},
	}
	*want.Components = append(*want.Components, libraries...)
	want.Dependencies = &[]cyclonedx.Dependency{
		{Ref: container, Dependencies: &[]string{product, files}},
		{Ref: product, Dependencies: &needed},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
