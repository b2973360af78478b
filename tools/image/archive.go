package main

import (
	"archive/tar"
	"encoding/json"
	"io/fs"
	"os"
	"path"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// writeArchive writes the image of one architecture as an OCI image layout in a tar,
// from which containerd and podman import it under the manifest's digest. The file
// manifest.json, which is not part of OCI's layout, makes docker load it too.
func (r release) writeArchive(name string, image platformImage) error {
	dir, err := os.MkdirTemp("", "everleaf-layout-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	whole, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	platform := layout.WithPlatform(v1.Platform{OS: "linux", Architecture: image.architecture})
	if err := whole.AppendImage(image.Image, r.names(), platform); err != nil {
		return err
	}
	loading, err := r.dockerManifest(image)
	if err != nil {
		return err
	}
	if err := whole.WriteFile("manifest.json", loading, 0o644); err != nil {
		return err
	}
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer file.Close() // after an error; a second Close does nothing
	if err := pack(file, os.DirFS(dir)); err != nil {
		return err
	}
	return file.Close()
}

// pack writes all files of a directory in the order of their names.
func pack(file *os.File, dir fs.FS) error {
	archive := tar.NewWriter(file)
	err := fs.WalkDir(dir, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil || name == ".":
			return err
		case entry.IsDir():
			return addToArchive(archive, name+"/", 0o755, nil)
		}
		content, err := fs.ReadFile(dir, name)
		if err != nil {
			return err
		}
		return addToArchive(archive, name, 0o644, content)
	})
	if err != nil {
		return err
	}
	return archive.Close()
}

// dockerManifest is what docker load reads, with the files of the layout.
func (r release) dockerManifest(image platformImage) ([]byte, error) {
	manifest, err := image.Manifest()
	if err != nil {
		return nil, err
	}
	blob := func(digest v1.Hash) string { return path.Join("blobs", digest.Algorithm, digest.Hex) }
	described := tarball.Descriptor{Config: blob(manifest.Config.Digest), RepoTags: []string{r.reference()}}
	for _, layer := range manifest.Layers {
		described.Layers = append(described.Layers, blob(layer.Digest))
	}
	return json.Marshal(tarball.Manifest{described})
}
