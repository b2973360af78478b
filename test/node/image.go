package node

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"slices"
	"time"
)

// Image is a container image with one layer of static programs.
type Image struct {
	// Name is a full reference, such as everleaf.test/pod:v1.
	Name string
	// Files maps paths in the image to files on this machine. All are executable.
	Files map[string]string
	// Programs maps paths in the image to packages of this module, relative to its
	// root, such as cmd/everleaf. Start builds them.
	Programs map[string]string
	// Entrypoint is the program with its first arguments.
	Entrypoint []string
}

// The parts of an image in the format of `docker save`, which containerd imports
// (https://github.com/moby/docker-image-spec, version 1.2).
type (
	imageManifest struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	imageConfig struct {
		Created      time.Time     `json:"created"`
		Architecture string        `json:"architecture"`
		OS           string        `json:"os"`
		Config       imageDefaults `json:"config"`
		RootFS       imageRootFS   `json:"rootfs"`
	}
	imageDefaults struct {
		Entrypoint []string `json:"Entrypoint"`
	}
	imageRootFS struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	}
)

// Write writes the image as a tar to a file.
func (i Image) Write(file string) error {
	layer := file + ".layer"
	defer os.Remove(layer)
	digest, err := i.writeLayer(layer)
	if err != nil {
		return fmt.Errorf("image %s: %w", i.Name, err)
	}
	config, err := json.Marshal(imageConfig{
		Architecture: runtime.GOARCH, OS: "linux",
		Config: imageDefaults{Entrypoint: i.Entrypoint},
		RootFS: imageRootFS{Type: "layers", DiffIDs: []string{"sha256:" + digest}},
	})
	if err != nil {
		return err
	}
	sum := sha256.Sum256(config)
	configName := hex.EncodeToString(sum[:]) + ".json"
	manifest, err := json.Marshal([]imageManifest{{Config: configName, RepoTags: []string{i.Name}, Layers: []string{"layer.tar"}}})
	if err != nil {
		return err
	}
	return writeTar(file, func(w *tar.Writer) error {
		if err := addBytes(w, configName, config); err != nil {
			return err
		}
		if err := addFile(w, "layer.tar", layer, 0o644); err != nil {
			return err
		}
		return addBytes(w, "manifest.json", manifest)
	})
}

// writeLayer writes the files as a tar and returns its SHA-256 in hexadecimal.
func (i Image) writeLayer(file string) (string, error) {
	err := writeTar(file, func(w *tar.Writer) error {
		var paths, dirs []string
		for p := range i.Files {
			paths = append(paths, p)
			for dir := path.Dir(path.Clean("/" + p)[1:]); dir != "."; dir = path.Dir(dir) {
				dirs = append(dirs, dir)
			}
		}
		// Every container has /tmp and /etc, in which it finds its hosts.
		dirs = append(dirs, "etc", "tmp")
		slices.Sort(dirs)
		for _, dir := range slices.Compact(dirs) {
			if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755}); err != nil {
				return err
			}
		}
		slices.Sort(paths)
		for _, p := range paths {
			if err := addFile(w, path.Clean("/" + p)[1:], i.Files[p], 0o755); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	in, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer in.Close()
	hash := sha256.New()
	_, err = io.Copy(hash, in)
	return hex.EncodeToString(hash.Sum(nil)), err
}

func writeTar(file string, fill func(*tar.Writer) error) error {
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer out.Close()
	w := tar.NewWriter(out)
	if err := fill(w); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return out.Close()
}

func addBytes(w *tar.Writer, name string, data []byte) error {
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data))}); err != nil {
		return err
	}
	_, err := w.Write(data)
	return err
}

func addFile(w *tar.Writer, name, from string, mode int64) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: info.Size()}); err != nil {
		return err
	}
	_, err = io.Copy(w, in)
	return err
}
