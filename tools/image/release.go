package main

import (
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"text/tabwriter"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// repositoryName is where the image belongs; docker.io is written because containerd
// wants whole names.
const repositoryName = "docker.io/everleaf/everleaf"

// release is the image of a commit for all architectures.
type release struct {
	source
	images []platformImage
	index  v1.ImageIndex
}

// platformImage is the image for linux on an architecture.
type platformImage struct {
	v1.Image
	architecture string
	// info is what the compiler noted in the binary.
	info *debug.BuildInfo
}

func newRelease(from source, binaries []binary) (release, error) {
	made := release{source: from}
	for _, compiled := range binaries {
		image, err := newImage(from, compiled)
		if err != nil {
			return release{}, fmt.Errorf("image for %s: %w", compiled.architecture, err)
		}
		info, err := buildinfo.ReadFile(compiled.path)
		if err != nil {
			return release{}, err
		}
		made.images = append(made.images, platformImage{image, compiled.architecture, info})
	}
	made.index = newIndex(from, made.images)
	return made, nil
}

// reference is the image's name and tag.
func (r release) reference() string { return repositoryName + ":" + r.version }

// names are the annotations by which tools find the image in a layout: containerd wants
// the whole name; skopeo, crane and others the tag.
func (r release) names() layout.Option {
	return layout.WithAnnotations(map[string]string{
		"io.containerd.image.name":          r.reference(),
		"org.opencontainers.image.ref.name": r.version,
	})
}

func (r release) archiveName(image platformImage) string {
	return "everleaf-" + r.version + "-" + image.architecture + ".tar"
}

func (r release) sbomName(image platformImage) string {
	return "everleaf-" + r.version + "-" + image.architecture + ".cdx.json"
}

func (r release) layoutName() string { return "everleaf-" + r.version }

// write writes the layout, the archives and the SBOMs, in place of earlier ones of the
// version.
func (r release) write(dir string) error {
	path := filepath.Join(dir, r.layoutName())
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	whole, err := layout.Write(path, empty.Index)
	if err != nil {
		return err
	}
	if err := whole.AppendIndex(r.index, r.names()); err != nil {
		return err
	}
	for _, image := range r.images {
		if err := r.writeArchive(filepath.Join(dir, r.archiveName(image)), image); err != nil {
			return fmt.Errorf("archive of the image for %s: %w", image.architecture, err)
		}
		if err := r.writeSBOM(filepath.Join(dir, r.sbomName(image)), image); err != nil {
			return fmt.Errorf("SBOM of the image for %s: %w", image.architecture, err)
		}
	}
	return nil
}

// describe prints the digests and sizes of what was written, and stores them as JSON.
func (r release) describe(out io.Writer, dir string) error {
	index, err := r.index.Digest()
	if err != nil {
		return err
	}
	stored := summary{Reference: r.reference(), Revision: r.revision(), Digest: index.String()}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "%s\t%s\t%s\n", r.reference(), index, filepath.Join(dir, r.layoutName()))
	for _, image := range r.images {
		digest, err := image.Digest()
		if err != nil {
			return err
		}
		size, err := compressedSize(image)
		if err != nil {
			return err
		}
		archive := filepath.Join(dir, r.archiveName(image))
		fmt.Fprintf(table, "  linux/%s, %.1f MB\t%s\t%s\n", image.architecture, float64(size)/1e6, digest, archive)
		stored.Images = append(stored.Images, imageSummary{
			Platform: "linux/" + image.architecture, Digest: digest.String(), Size: size,
			Archive: r.archiveName(image), SBOM: r.sbomName(image),
		})
	}
	content, err := json.MarshalIndent(stored, "", "  ")
	if err != nil {
		return err
	}
	return errors.Join(table.Flush(), os.WriteFile(filepath.Join(dir, r.layoutName()+".json"), append(content, '\n'), 0o644))
}

// summary names what one run built. Files are in its own directory.
type summary struct {
	Reference string         `json:"reference"`
	Revision  string         `json:"revision"`
	Digest    string         `json:"digest"`
	Images    []imageSummary `json:"images"`
}

type imageSummary struct {
	Platform string `json:"platform"`
	Digest   string `json:"digest"`
	// Size is what a node downloads, in bytes.
	Size    int64  `json:"size"`
	Archive string `json:"archive"`
	SBOM    string `json:"sbom"`
}

// compressedSize is the size of all that a manifest names, in bytes.
func compressedSize(image v1.Image) (int64, error) {
	manifest, err := image.Manifest()
	if err != nil {
		return 0, err
	}
	size := manifest.Config.Size
	for _, layer := range manifest.Layers {
		size += layer.Size
	}
	return size, nil
}
