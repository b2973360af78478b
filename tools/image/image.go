package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	repositoryURL = "https://github.com/everleaf/everleaf"
	binaryPath    = "everleaf"
	rootsPath     = "etc/ssl/certs/ca-certificates.crt"
	// user is numeric, so that the kubelet can see that it is not root. The binary needs no
	// entry in /etc/passwd.
	user = "65532:65532"
)

// labels are the annotations that the OCI image specification defines.
func (s source) labels() map[string]string {
	return map[string]string{
		"org.opencontainers.image.title":       "everleaf",
		"org.opencontainers.image.description": "Keeps TLS certificates valid in Kubernetes clusters; speaks cert-manager's API",
		"org.opencontainers.image.version":     s.version,
		"org.opencontainers.image.revision":    s.revision(),
		"org.opencontainers.image.created":     s.committed.Format(time.RFC3339),
		"org.opencontainers.image.source":      repositoryURL,
		"org.opencontainers.image.licenses":    "Apache-2.0",
	}
}

// newImage makes the image of a binary, with one layer.
func newImage(from source, compiled binary) (v1.Image, error) {
	layer, err := newLayer(compiled.path)
	if err != nil {
		return nil, err
	}
	created := v1.Time{Time: from.committed}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err := mutate.Append(base, mutate.Addendum{Layer: layer, History: v1.History{
		Created: created, CreatedBy: "tools/image", Comment: "everleaf " + from.version + ", CA roots",
	}})
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config.OS, config.Architecture, config.Created = "linux", compiled.architecture, created
	config.Config = v1.Config{
		User:       user,
		Entrypoint: []string{"/" + binaryPath},
		WorkingDir: "/",
		Labels:     from.labels(),
	}
	image, err = mutate.ConfigFile(image, config)
	if err != nil {
		return nil, err
	}
	return mutate.Annotations(image, from.labels()).(v1.Image), nil
}

// newLayer returns the layer with a binary and the CA roots. Owners are root, times
// are 0.
func newLayer(path string) (v1.Layer, error) {
	executable, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	trusted, err := roots()
	if err != nil {
		return nil, err
	}
	var content bytes.Buffer
	archive := tar.NewWriter(&content)
	for _, entry := range []struct {
		name string
		mode int64
		data []byte
	}{
		{"etc/", 0o755, nil},
		{"etc/ssl/", 0o755, nil},
		{"etc/ssl/certs/", 0o755, nil},
		{rootsPath, 0o644, trusted},
		{binaryPath, 0o755, executable},
	} {
		if err := addToArchive(archive, entry.name, entry.mode, entry.data); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content.Bytes())), nil }
	return tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer), tarball.WithCompressionLevel(gzip.BestCompression), tarball.WithCompressedCaching)
}

// addToArchive adds a file, or a directory if the name ends in a slash.
func addToArchive(archive *tar.Writer, name string, mode int64, data []byte) error {
	header := &tar.Header{Name: name, Mode: mode, Size: int64(len(data)), ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR, Typeflag: tar.TypeReg}
	if name[len(name)-1] == '/' {
		header.Typeflag = tar.TypeDir
	}
	if err := archive.WriteHeader(header); err != nil {
		return fmt.Errorf("archive %s: %w", name, err)
	}
	_, err := archive.Write(data)
	return err
}

// newIndex makes the image of all architectures.
func newIndex(from source, images []platformImage) v1.ImageIndex {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, image := range images {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        image.Image,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: image.architecture}},
		})
	}
	return mutate.Annotations(index, from.labels()).(v1.ImageIndex)
}
