package main

import (
	"archive/tar"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"io/fs"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// runOn builds the images of a repository.
func runOn(t *testing.T, dir string, args ...string) (output, printed string) {
	t.Helper()
	output = t.TempDir()
	var out strings.Builder
	if err := run(t.Context(), append([]string{"-repository", dir, "-output", output}, args...), &out); err != nil {
		t.Fatal(err)
	}
	return output, out.String()
}

// files returns the content of all files below a directory.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(dir, path)
		all[relative] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestReproducible builds one commit in two directories, in one of them with what other
// people may have in their environment. Every file is the same.
func TestReproducible(t *testing.T) {
	first, _ := runOn(t, newStandIn(t, standIn))
	t.Setenv("GOAMD64", "v3")
	t.Setenv("GOFLAGS", "-tags=other")
	t.Setenv("CGO_ENABLED", "1")
	t.Setenv("TZ", "Asia/Tokyo")
	elsewhere := newStandIn(t, standIn)
	gitOf(t, elsewhere, "tag", "v1.2.3")
	second, _ := runOn(t, elsewhere)
	want, got := files(t, first), files(t, second)
	if len(want) < 12 {
		t.Errorf("only %d files", len(want))
	}
	for name := range got {
		if want[name] != got[name] {
			t.Errorf("%s differs", name)
		}
	}
	if len(want) != len(got) {
		t.Errorf("%d and %d files", len(want), len(got))
	}
}

func TestRunPrintsDigests(t *testing.T) {
	dir := newStandIn(t, standIn)
	put(t, dir, "new.txt", "new")
	output, printed := runOn(t, dir, "-arch=amd64")
	var stored summary
	if err := json.Unmarshal([]byte(files(t, output)["everleaf-v1.2.3.json"]), &stored); err != nil {
		t.Fatal(err)
	}
	commit := gitOf(t, dir, "rev-parse", "HEAD")
	if len(stored.Images) != 1 {
		t.Fatalf("got %+v", stored)
	}
	want := summary{Reference: "docker.io/everleaf/everleaf:v1.2.3", Revision: commit + "-dirty", Digest: stored.Digest, Images: []imageSummary{{
		Platform: "linux/amd64", Digest: stored.Images[0].Digest, Size: stored.Images[0].Size,
		Archive: "everleaf-v1.2.3-amd64.tar", SBOM: "everleaf-v1.2.3-amd64.cdx.json",
	}}}
	if diff := cmp.Diff(want, stored); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, want := range []string{"the checkout has changes that are not committed", stored.Digest, stored.Images[0].Digest} {
		if !strings.Contains(printed, want) {
			t.Errorf("no %q in\n%s", want, printed)
		}
	}
	err := run(t.Context(), []string{"-repository", dir, "-output", output, "-push=registry.example/everleaf"}, io.Discard)
	if err == nil || err.Error() != "-push: commit the changes first, so that the image can be built again from its revision" {
		t.Errorf("got %v", err)
	}
}

// sample builds a release of a stand-in.
func sample(t *testing.T) release {
	t.Helper()
	from := source{dir: newStandIn(t, standIn), version: "v1.2.3", commit: "9a7c", committed: time.Date(2026, 11, 26, 20, 14, 5, 0, time.UTC)}
	made, err := build(t.Context(), from, []string{"amd64", "arm64"})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestConfig(t *testing.T) {
	made := sample(t)
	labels := map[string]string{
		"org.opencontainers.image.title":       "everleaf",
		"org.opencontainers.image.description": "Keeps TLS certificates valid in Kubernetes clusters; speaks cert-manager's API",
		"org.opencontainers.image.version":     "v1.2.3",
		"org.opencontainers.image.revision":    "9a7c",
		"org.opencontainers.image.created":     commitTime,
		"org.opencontainers.image.source":      "https://github.com/everleaf/everleaf",
		"org.opencontainers.image.licenses":    "Apache-2.0",
	}
	for _, image := range made.images {
		got, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		want := &v1.ConfigFile{
			Architecture: image.architecture, OS: "linux", Created: v1.Time{Time: made.committed},
			History: []v1.History{{Created: v1.Time{Time: made.committed}, CreatedBy: "tools/image", Comment: "everleaf v1.2.3, CA roots"}},
			RootFS:  v1.RootFS{Type: "layers", DiffIDs: got.RootFS.DiffIDs},
			Config:  v1.Config{User: "65532:65532", Entrypoint: []string{"/everleaf"}, WorkingDir: "/", Labels: labels},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", image.architecture, diff)
		}
		manifest, err := image.Manifest()
		if err != nil {
			t.Fatal(err)
		}
		if manifest.MediaType != types.OCIManifestSchema1 || manifest.Config.MediaType != types.OCIConfigJSON || manifest.Layers[0].MediaType != types.OCILayer || len(manifest.Layers) != 1 {
			t.Errorf("%s: manifest %+v", image.architecture, manifest)
		}
		if diff := cmp.Diff(labels, manifest.Annotations); diff != "" {
			t.Errorf("%s: annotations, -want +got:\n%s", image.architecture, diff)
		}
	}
	index, err := made.index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var platforms []string
	for _, manifest := range index.Manifests {
		platforms = append(platforms, manifest.Platform.String())
	}
	if diff := cmp.Diff([]string{"linux/amd64", "linux/arm64"}, platforms); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff(labels, index.Annotations); diff != "" {
		t.Errorf("annotations of the index, -want +got:\n%s", diff)
	}
}

func TestLayer(t *testing.T) {
	made := sample(t)
	layers, err := made.images[0].Layers()
	if err != nil {
		t.Fatal(err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	type entry struct {
		Name     string
		Mode     fs.FileMode
		UID, GID int
		Time     int64
	}
	var got []entry
	for archive := tar.NewReader(content); ; {
		header, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, entry{header.Name, header.FileInfo().Mode(), header.Uid, header.Gid, header.ModTime.Unix()})
	}
	want := []entry{
		{"etc/", fs.ModeDir | 0o755, 0, 0, 0},
		{"etc/ssl/", fs.ModeDir | 0o755, 0, 0, 0},
		{"etc/ssl/certs/", fs.ModeDir | 0o755, 0, 0, 0},
		{"etc/ssl/certs/ca-certificates.crt", 0o644, 0, 0, 0},
		{"everleaf", 0o755, 0, 0, 0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestRoots(t *testing.T) {
	all, err := roots()
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	names := map[string]bool{}
	for rest := all; ; count++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		names[certificate.Subject.CommonName] = true
		if !certificate.IsCA {
			t.Errorf("%s is no CA", certificate.Subject)
		}
	}
	if count < 100 || count != strings.Count(string(all), "-----BEGIN ") {
		t.Errorf("%d roots", count)
	}
	for _, root := range []string{"ISRG Root X1", "ISRG Root X2", "Amazon Root CA 1", "GTS Root R1", "DigiCert Global Root G2"} {
		if !names[root] {
			t.Errorf("no %s", root)
		}
	}
	if names["Izenpe.com"] {
		t.Error("a root that is trusted on a condition is trusted without one")
	}
}

// TestArchive reads the archive as docker load does, and as containerd does.
func TestArchive(t *testing.T) {
	made := sample(t)
	dir := t.TempDir()
	if err := made.write(dir); err != nil {
		t.Fatal(err)
	}
	for _, image := range made.images {
		path := filepath.Join(dir, made.archiveName(image))
		tag, err := name.NewTag("docker.io/everleaf/everleaf:v1.2.3")
		if err != nil {
			t.Fatal(err)
		}
		loaded, err := tarball.ImageFromPath(path, &tag)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Image(loaded); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		wantID, err := image.ConfigName()
		if err != nil {
			t.Fatal(err)
		}
		if id, err := loaded.ConfigName(); err != nil || id != wantID {
			t.Errorf("%s: ID %s, %v, want %s", path, id, err, wantID)
		}

		index, err := layout.ImageIndexFromPath(unpack(t, path))
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Index(index); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		digest, err := image.Digest()
		if err != nil {
			t.Fatal(err)
		}
		size, err := image.Size()
		if err != nil {
			t.Fatal(err)
		}
		want := []v1.Descriptor{{
			MediaType: types.OCIManifestSchema1, Digest: digest, Size: size, ArtifactType: string(types.OCIConfigJSON),
			Platform: &v1.Platform{OS: "linux", Architecture: image.architecture},
			Annotations: map[string]string{
				"io.containerd.image.name":          "docker.io/everleaf/everleaf:v1.2.3",
				"org.opencontainers.image.ref.name": "v1.2.3",
			},
		}}
		manifest, err := index.IndexManifest()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, manifest.Manifests); diff != "" {
			t.Errorf("%s: -want +got:\n%s", path, diff)
		}
	}
	whole, err := layout.ImageIndexFromPath(filepath.Join(dir, "everleaf-v1.2.3"))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(whole); err != nil {
		t.Error(err)
	}
	// A second run replaces the first.
	before := files(t, dir)
	if err := made.write(dir); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, files(t, dir)); diff != "" {
		t.Error("the second run wrote other files")
	}
}

// unpack unpacks an archive and returns the directory.
func unpack(t *testing.T, path string) string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	dir := t.TempDir()
	for archive := tar.NewReader(file); ; {
		header, err := archive.Next()
		if err == io.EOF {
			return dir
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Typeflag == tar.TypeDir {
			continue
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		put(t, dir, header.Name, string(content))
	}
}

func TestPush(t *testing.T) {
	made := sample(t)
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	digest, err := made.index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	for destination, want := range map[string]string{
		host + "/tls/everleaf":        host + "/tls/everleaf:v1.2.3@" + digest.String(),
		host + "/tls/everleaf:canary": host + "/tls/everleaf:canary@" + digest.String(),
	} {
		got, err := push(t.Context(), destination, made)
		if err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", destination, got, err, want)
			continue
		}
		tag, err := name.ParseReference(strings.TrimSuffix(got, "@"+digest.String()))
		if err != nil {
			t.Fatal(err)
		}
		for _, image := range made.images {
			pulled, err := remote.Image(tag, remote.WithPlatform(v1.Platform{OS: "linux", Architecture: image.architecture}))
			if err != nil {
				t.Fatal(err)
			}
			if err := validate.Image(pulled); err != nil {
				t.Error(err)
			}
			want, err := image.Digest()
			if err != nil {
				t.Fatal(err)
			}
			if got, err := pulled.Digest(); err != nil || got != want {
				t.Errorf("%s: %s, %v, want %s", image.architecture, got, err, want)
			}
		}
	}
	server.Close()
	if _, err := push(t.Context(), host+"/tls/everleaf", made); err == nil || !strings.HasPrefix(err.Error(), "push to "+host+"/tls/everleaf:v1.2.3: ") {
		t.Errorf("got %v", err)
	}
	if _, err := push(t.Context(), "A b", made); err == nil || !strings.HasPrefix(err.Error(), "-push: ") {
		t.Errorf("got %v", err)
	}
}
